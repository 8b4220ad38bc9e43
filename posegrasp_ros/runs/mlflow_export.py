# SPDX-License-Identifier: Apache-2.0
"""Sends a finished run to an MLflow tracking server: parameters, metrics with intervals, summary and report."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posegrasp_ros.runs.folder import REPORT_NAME, SUMMARY_NAME

LOGGER = logging.getLogger(__name__)
EXPERIMENT = 'posegrasp'
# Limits of MLflow: of a parameter's text in its older versions, and of a batch.
MOST_TEXT, MOST_PARAMETERS = 500, 100
# MLflow would try for several minutes to reach a server that is not there, and its newer versions refuse a
# folder unless told that it is meant. The user's own settings win.
SETTINGS = {'MLFLOW_HTTP_REQUEST_MAX_RETRIES': '2', 'MLFLOW_HTTP_REQUEST_TIMEOUT': '20',
            'MLFLOW_ALLOW_FILE_STORE': 'true'}


def require_mlflow() -> None:
    """Before minutes are spent on a run: whether there is MLflow at all.

    :raises ModuleNotFoundError: where there is not
    """
    # From version 3.2 on it reports its use to its makers, unless told not to before it is imported.
    os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
    import mlflow  # noqa: F401


def send_run(folder: Path, summary: dict, uri: str) -> str:
    """Send a run; a failure is logged as a warning and costs nothing else.

    :param folder: of the run, with summary and report
    :param uri: of the tracking server or store, as ``MLFLOW_TRACKING_URI``
    :return: id of MLflow's run; empty where it could not be sent
    """
    try:
        with _settings():
            return _send(folder, summary, uri)
    except Exception as error:  # whatever a server, a proxy or a plugin of MLflow raises: the run is worth more
        reason = str(error).strip() or type(error).__name__
        LOGGER.warning('mlflow: %s: could not send %s: %s', without_password(uri), folder,
                       without_password(reason.splitlines()[0]))
        return ''


def without_password(text: str) -> str:
    """A text with user and password taken out of its addresses."""
    return re.sub(r'(?<=://)[^/\s@]+@', '', text)


def parameters_of(summary: dict) -> dict[str, str]:
    """What the figures depend on, flat: from provenance, with configuration, model and recordings."""
    provenance = {name: value for name, value in summary['provenance'].items() if name not in ('time', 'warnings')}
    flat = dict(_flat('', {'estimator': summary.get('estimator'), **provenance}))
    return {_name(name): text[:MOST_TEXT - 1] + '…' if len(text) > MOST_TEXT else text
            for name, text in flat.items()}


def metrics_of(summary: dict) -> dict[str, float]:
    """Every measured metric, with ``.low`` and ``.high`` of its interval and ``.n``; of several objects each."""
    found: dict[str, float] = {}
    objects = summary.get('objects') or {}
    for of, part in {'': summary, **{f'{name}/': part for name, part in objects.items()}}.items():
        for name, metric in part['metrics'].items():
            if not metric['n'] or metric['value'] is None:
                continue
            low, high = metric['interval'] or (None, None)
            values = {'': metric['value'], '.low': low, '.high': high, '.n': metric['n']}
            found |= {_name(f'{of}{name}{end}'): float(value) for end, value in values.items()
                      if value is not None}
    return found


def _send(folder: Path, summary: dict, uri: str) -> str:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name(EXPERIMENT)
    experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
    tags = {'posegrasp.schema': summary['schema'], 'posegrasp.headline': summary['headline']['name'],
            'posegrasp.time': summary['provenance'].get('time', '')}
    run = client.create_run(experiment, tags=tags, run_name=folder.resolve().name).info.run_id
    try:
        stamp_ms = int(1000 * time.time())
        client.log_batch(run, metrics=[Metric(name, value, stamp_ms, 0)
                                       for name, value in metrics_of(summary).items()])
        parameters = [Param(name, text) for name, text in parameters_of(summary).items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            client.log_batch(run, params=parameters[first:first + MOST_PARAMETERS])
        for name in (SUMMARY_NAME, REPORT_NAME):
            client.log_artifact(run, str(folder / name))
        client.set_terminated(run)
    except BaseException:
        with contextlib.suppress(Exception):
            client.set_terminated(run, status='FAILED')
        raise
    return run


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """MLflow's settings, which it reads from the environment."""
    added = [name for name in SETTINGS if name not in os.environ]
    os.environ.update({name: SETTINGS[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Plain values as (dotted name, text); None is left out, what has a name in a list is listed by it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f'{prefix}.{name}' if prefix else str(name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            name = inner.get('name', index) if isinstance(inner, dict) else index
            yield from _flat(f'{prefix}.{name}', inner)
    elif value is not None:
        yield prefix, str(value)


def _name(text: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r'[^\w./ -]', '_', text)
