# SPDX-License-Identifier: Apache-2.0
"""``posegrasp baseline``: adds a run, or the accuracy of human labels, to a baselines file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import File, option, options
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE

EXAMPLES = """Examples:
  posegrasp evaluate scenes --out runs/v1
  posegrasp baseline add --from runs/v1 --baselines baselines.yaml
  posegrasp evaluate scenes --out runs/v2 --baselines baselines.yaml --gate
  posegrasp baseline add --human ann.csv bo.csv --model models/mine

The third one exits with 3 when a requirement is missed or a metric is significantly worse than in runs/v1. Adding
a run replaces the previous one; with --name several are kept. The rest of the file is left unchanged. Times depend
on the machine: if the next run is on another one, select --metrics."""
DEFAULT_FILE = Path('baselines.yaml')


HUMAN_NAME, RUN_NAME = 'human labeller', 'previous run'


def baseline(action: Literal['add'], /, *,
             run_folder: Annotated[Path | None, option('RUN', name='--from')] = None,
             human: Annotated[tuple[Path, ...], options('FIRST.csv SECOND.csv', Path)] = (),
             baselines: File = DEFAULT_FILE,
             name: Annotated[str | None, option('NAME')] = None,
             partial: bool = False,
             metrics: Annotated[tuple[str, ...], options('METRIC...', option_types.metric)] = (),
             model: Annotated[Path | None, option('DIR|NAME')] = None,
             block: Annotated[float | None, option('S', option_types.block)] = None) -> int:
    """Record the metrics of a run, or the errors of human labellers, as a baseline for later runs.

    :param action: add: record a run as `previous`, or two labellings as `human`
    :param run_folder: run folder with a summary.json, as written by evaluate and the monitor
    :param human: two labellings of the same frames, by two people or by one at two times, as written by
        `posegrasp watch --label`: their differences, divided by the square root of 2, are the errors of one
        labeller
    :param baselines: baselines file to write to; a new one starts with the shipped entries
    :param name: name of the entries; those with the same name are replaced; default: previous run, or human
        labeller
    :param partial: accept a run that was interrupted or is still being written; the entries say so
    :param metrics: metrics to record; default: all that were measured
    :param model: with --human: model folder or shipped model, for the symmetries of the object; default: none
    :param block: with --human: frames within this many seconds count as one observation for the intervals;
        default: 1
    """
    if (run_folder is None) == (not human):
        raise InvalidInputError('--from, --human: expected one of the two')
    if human and partial:
        raise InvalidInputError('--partial: expected with --from, got --human')
    if run_folder and (model or block is not None):
        raise InvalidInputError(f'{"--model" if model else "--block"}: expected with --human, got --from')
    if human:
        return _add_human(human, baselines, name or HUMAN_NAME, metrics, model, 1.0 if block is None else block)
    assert run_folder is not None
    return _add_run(run_folder, baselines, name or RUN_NAME, partial, metrics)


def _add_run(run_folder: Path, baselines: Path, name: str, partial: bool, metrics: tuple[str, ...]) -> int:
    from posegrasp_ros.metrics.baselines.baselines_file import add_run
    from posegrasp_ros.runs.folder import read_summary
    from posegrasp_ros.runs.state import partial_because

    summary, run = read_summary(run_folder, partial), run_folder.resolve().name
    why_partial = partial_because(run_folder, summary)
    recorded = add_run(baselines, summary, f'{run} (partial: {why_partial})' if why_partial else run, name,
                       metrics or None)
    show(f'{baselines}: {len(recorded)} metrics of {run_folder} as {name!r}: {", ".join(recorded)}')
    return DONE


def _add_human(files: tuple[Path, ...], baselines: Path, name: str, metrics: tuple[str, ...], model: Path | None,
               block_s: float) -> int:
    from posegrasp_ros.datasets.label_file import mesh_name
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.geometry.transforms import NO_SYMMETRY
    from posegrasp_ros.metrics import formatting
    from posegrasp_ros.metrics.baselines.baselines_file import add_entries
    from posegrasp_ros.metrics.baselines.human_baseline import human_baseline
    from posegrasp_ros.metrics.catalogue import unit_of
    from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
    from posegrasp_ros.runtime.resources import model_folder

    if len(files) != 2:
        raise InvalidInputError(f'--human: expected two labellings of the same frames, got {len(files)}')
    card = load_model_card(model_folder(model)) if model else None
    people = human_baseline(*files, ErrorTarget.without_mesh(card.symmetry if card else NO_SYMMETRY), block_s,
                            mesh_name(card.mesh) if card else '')
    entries = people.entries(name)
    if unknown := [metric for metric in metrics if metric not in entries]:
        raise InvalidInputError(f'--metrics: expected {" or ".join(entries)} with --human, got {unknown[0]}')
    entries = {metric: entry for metric, entry in entries.items() if not metrics or metric in metrics}
    if people.only_in_one:
        remark(f'posegrasp: left out: {people.only_in_one} frames with a pose in only one of the labellings')
    if not people.has_interval:
        remark('posegrasp: too few blocks of time for an interval: label frames that are further apart, in at '
               'least 5 blocks of --block')
    add_entries(baselines, entries)
    for metric, entry in entries.items():
        unit = unit_of(metric)
        interval = f' {formatting.interval(list(entry.interval), unit)}' if entry.interval else ''
        show(f'{metric}: {formatting.quantity(entry.value, unit)}{interval} of one labeller')
    show(f'{baselines}: as {name!r}, {people.source}')
    return DONE
