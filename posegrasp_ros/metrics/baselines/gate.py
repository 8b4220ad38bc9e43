# SPDX-License-Identifier: Apache-2.0
"""The gate: stops a script at a bad model, by requirements and by previous results."""

from __future__ import annotations

from typing import NamedTuple

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry
from posegrasp_ros.metrics.baselines.verdicts import judge
from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.stats.intervals import is_beyond

_BOUNDS = {'lower_is_better': 'at most', 'higher_is_better': 'at least', 'on_target': 'within'}


class GateResult(NamedTuple):
    """One entry of the baselines file and what a run says of it.

    :param held: of a requirement, whether the metric was measured and its value is as required; of a previous
        run, whether it was measured and is not surely worse
    :param text: one line for a person
    """

    metric: str
    held: bool
    text: str


def check_gate(metrics: dict[str, dict], baselines: Baselines) -> list[GateResult]:
    """Every requirement and every previous run that a replayed recording can be held to.

    An interval that reaches over the requirement (inconclusive) is no excuse for a value on its wrong side, and a
    metric without data, for want of ground truth or of answers, holds nothing. A previous run was itself measured:
    there a difference counts that both intervals together leave no doubt of, and only where it is fair. Of images
    without the object only ``false_poses`` is asked.

    :param metrics: of a summary
    """
    asked = [name for name in baselines.metrics if not catalogue()[name].is_optional or metrics[name]['n']]
    if metrics['false_poses']['n']:
        asked = ['false_poses']
    return [_check(name, metrics[name], baselines.metrics[name].direction, entry)
            for name in asked for entry in baselines.metrics[name].entries
            if entry.kind == 'requirement' or (entry.kind == 'previous' and entry.fair)]


def _check(name: str, metric: dict, direction: str, entry: Entry) -> GateResult:
    value, needed = metric['value'], _needed(metric['unit'], direction, entry)
    if value is None:
        return GateResult(name, False, f'{name}: not measured ({needed})')
    judged = judge(metric, direction, entry)
    note = f' ({metric["note"]})' if metric.get('note') else ''
    is_missed = entry.kind == 'requirement' and is_beyond(value, entry.value, direction, entry.tolerance)
    return GateResult(name, judged != 'worse' and not is_missed,
                      f'{name}: {formatting.quantity(value, metric["unit"])} '
                      f'{formatting.interval(metric["interval"], metric["unit"])}, {needed}: '
                      f'{formatting.verdict_word(judged, entry.kind)}{note}')


def _needed(unit: str, direction: str, entry: Entry) -> str:
    reference = formatting.target(entry.value, entry.tolerance, unit)
    if entry.kind == 'requirement':
        return f'needed {_BOUNDS[direction]} {reference}'
    interval = f' {formatting.interval(list(entry.interval), unit)}' if entry.interval else ''
    return f'needed no worse than {entry.name!r} {reference}{interval}'
