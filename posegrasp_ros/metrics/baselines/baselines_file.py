# SPDX-License-Identifier: Apache-2.0
"""Adding to the baselines file what a run measured, or what a task was found to need."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml.error import YAMLError

from posegrasp_ros.metrics.baselines.baselines import (
    BaselineError,
    Entry,
    load_baselines,
)
from posegrasp_ros.metrics.baselines.baselines_document import BaselinesDocument
from posegrasp_ros.metrics.catalogue import ON_TARGET, catalogue, unit_of
from posegrasp_ros.metrics.stats.interval import Interval
from posegrasp_ros.metrics.units import FACTORS
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.file_lock import locked
from posegrasp_ros.runtime.resources import resource_path

KIND = 'previous'
# So many figures of a measured value are kept.
FIGURES = 6
ROUNDING = 1e-5
# To change a baselines file takes a fraction of a second; ten processes take their turns.
WAIT_S = 30.0


def add_run(path: str | Path, summary: dict, run: str, name: str = 'previous run',
            metrics: Iterable[str] | None = None) -> list[str]:
    """Record what a run measured as entries of kind ``previous``, which replace older ones of the same name.

    A baselines file that does not exist begins as a copy of the one that comes with the package.

    :param summary: of the run
    :param run: what to call the run in the entries' source
    :param metrics: which to record; None for all that were measured
    :return: the metrics that were recorded
    :raises BaselineError: when the baselines file cannot be used, or the run did not measure what is to be
        recorded
    """
    metrics = _chosen(summary, run, metrics)
    add_entries(path, {metric: _entry(summary, metric, run, name) for metric in metrics})
    return metrics


def add_entries(path: str | Path, entries: Mapping[str, Entry]) -> None:
    """Write one entry for each metric, which replaces an older one of its kind and name.

    :raises BaselineError: when the baselines file cannot be used
    """
    with _changing(Path(path)) as document:
        _set_entries(document, entries)


def replace_entries(path: str | Path, entries: Mapping[str, Entry], kind: str, name: str) -> None:
    """The same, and take out those of this kind and name that other metrics have.

    :raises BaselineError: when the baselines file cannot be used
    """
    with _changing(Path(path)) as document:
        for metric in set(document.metrics) - set(entries):
            document.remove_entry(metric, kind, name)
        _set_entries(document, entries)


@contextmanager
def _changing(path: Path) -> Iterator[BaselinesDocument]:
    """Gives a baselines file to be changed, and writes it; meanwhile no other process changes it.

    One that does not exist begins as a copy of the one that comes with the package.
    """
    with locked(path, WAIT_S) as held:
        if not held:
            raise BaselineError(f'{path}: another process has been changing it for {WAIT_S:g} s: try again')
        source = path if path.exists() else resource_path('config/baselines.yaml')
        load_baselines(source)
        try:
            document = BaselinesDocument(source.read_text(encoding='utf-8'))
        except YAMLError as error:
            raise BaselineError(f'{source}: expected YAML whose comments can be kept: '
                                f'{getattr(error, "problem", None) or error}') from error
        yield document
        # It is never half a baselines file, and always one that can be read.
        write_whole(path, document.text(), load_baselines)


def _set_entries(document: BaselinesDocument, entries: Mapping[str, Entry]) -> None:
    for metric, entry in entries.items():
        if metric not in document.metrics:  # of an older baselines file
            document.add_metric(metric, catalogue()[metric].unit, catalogue()[metric].direction)
        document.set_entry(metric, _stated(entry, FACTORS[unit_of(metric)][document.unit(metric)]))


def _chosen(summary: dict, run: str, metrics: Iterable[str] | None) -> list[str]:
    """What is to be recorded.

    A metric with a target is none to be better or worse in than an earlier run: it is left out.
    """
    measured = [name for name, metric in catalogue().items() if summary['metrics'].get(name, {}).get('n')
                and metric.direction != ON_TARGET]
    chosen = measured if metrics is None else list(metrics)
    for name in chosen:
        if name not in measured:
            raise BaselineError(f'{run}: {name}: expected a metric that was measured and has no target, one of '
                                f'{", ".join(measured) or "none"}')
    if not chosen:
        raise BaselineError(f'{run}: metrics: expected at least one that was measured, got none')
    return chosen


def _entry(summary: dict, metric: str, run: str, name: str) -> Entry:
    """What a run measured of a metric."""
    measured, provenance = summary['metrics'][metric], summary['provenance']
    return Entry(name, KIND, measured['value'], _source(summary, run, measured['n']),
                 provenance.get('time', datetime.date.today().isoformat())[:10],
                 interval=Interval(*measured['interval']) if measured['interval'] else None)


def _stated(entry: Entry, factor: float) -> dict[str, object]:
    """An entry as a baselines file states it, in a unit so many times the package's."""
    def rounded(value: float) -> float:
        return float(f'{value / factor:.{FIGURES}g}')

    stated = {'name': entry.name, 'kind': entry.kind, 'value': rounded(entry.value)}
    if entry.interval:
        # Rounded inwards it could leave out the value, and a run without scatter be worse than itself.
        low, high = entry.interval
        stated['interval'] = [rounded(low - ROUNDING * abs(low)), rounded(high + ROUNDING * abs(high))]
    stated |= {'source': entry.source, 'date': entry.date, 'fair': entry.fair}
    return {**stated, 'note': entry.note} if entry.note else stated


def _source(summary: dict, run: str, count: int) -> str:
    """What was measured on what: enough to judge whether the comparison is fair."""
    provenance = summary['provenance']
    models, host = provenance.get('models', {}), provenance.get('host', {})
    models = [*([provenance['model']] if provenance.get('model') else []), *models.values()]
    parts = [f'run {run}', f'n = {count}', provenance.get('package', ''), summary.get('estimator', ''),
             *(f'model {model["name"]} {str(model.get("sha256"))[:8]}' for model in models),
             'bags ' + ', '.join(bag['name'] for bag in provenance['bags']) if provenance.get('bags') else '',
             f'{host["system"]}, {host["cpus"]} cores' if host else '']
    return '; '.join(part for part in parts if part)
