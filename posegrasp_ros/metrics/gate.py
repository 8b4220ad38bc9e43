"""The gate: the ledger's requirements that a run misses, for scripts that have to stop at a bad model."""

from __future__ import annotations

from typing import NamedTuple

from posegrasp_ros import display
from posegrasp_ros.metrics.baselines import Entry, Ledger
from posegrasp_ros.metrics.statistics import is_beyond, verdict

# What a recording cannot tell: nobody picks there.
NEEDS_EXECUTION = ('grasp_success_rate',)


class GateResult(NamedTuple):
    """One requirement of the ledger and what a run says of it.

    :param held: whether the metric was measured, its value is as required and its interval not wholly beyond
    :param text: one line for a person
    """

    metric: str
    held: bool
    text: str


def check_gate(metrics: dict[str, dict], ledger: Ledger) -> list[GateResult]:
    """Every requirement that a replayed recording can be held to.

    An interval that reaches over the requirement (inconclusive) is no excuse for a value on its wrong side, and a
    metric without data, for want of ground truth or of answers, holds nothing.

    :param metrics: of a summary
    """
    return [_check(name, metrics[name], baselines.direction, entry)
            for name, baselines in ledger.metrics.items() if name not in NEEDS_EXECUTION
            for entry in baselines.entries if entry.kind == 'requirement']


def _check(name: str, metric: dict, direction: str, entry: Entry) -> GateResult:
    unit, value = metric['unit'], metric['value']
    bound = 'at most' if direction == 'lower_is_better' else 'at least'
    needed = f'needed {bound} {display.quantity(entry.value, unit)}'
    if value is None:
        return GateResult(name, False, f'{name}: not measured ({needed})')
    judged = verdict(metric['interval'], entry.value, direction)
    held = judged != 'worse' and not is_beyond(value, entry.value, direction)
    return GateResult(name, held, f'{name}: {display.quantity(value, unit)} '
                                  f'{display.interval(metric["interval"], unit)}, {needed}: {judged}')
