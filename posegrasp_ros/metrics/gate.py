"""The gate: the ledger's requirements that a run misses, for scripts that have to stop at a bad model."""

from __future__ import annotations

from typing import NamedTuple

from posegrasp_ros import display
from posegrasp_ros.metrics.baselines import Entry, Ledger
from posegrasp_ros.metrics.statistics import is_beyond, verdict

# What not every run can tell, held to its requirement where it was measured: nobody picks in a recording, few
# are known to be empty or to show several objects, and not every estimator says how sure it is.
WHERE_MEASURED = ('grasp_success_rate', 'false_poses', 'instance_recall', 'instance_precision',
                  'covariance_coverage_90', 'score_ece')

_BOUNDS = {'lower_is_better': 'at most', 'higher_is_better': 'at least', 'on_target': 'within'}


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
    metric without data, for want of ground truth or of answers, holds nothing. Of images without the object only
    ``false_poses`` is asked.

    :param metrics: of a summary
    """
    asked = [name for name in ledger.metrics if name not in WHERE_MEASURED or metrics[name]['n']]
    if metrics['false_poses']['n']:
        asked = ['false_poses']
    return [_check(name, metrics[name], ledger.metrics[name].direction, entry)
            for name in asked for entry in ledger.metrics[name].entries if entry.kind == 'requirement']


def _check(name: str, metric: dict, direction: str, entry: Entry) -> GateResult:
    unit, value = metric['unit'], metric['value']
    needed = f'needed {_BOUNDS[direction]} {display.target(entry.value, entry.tolerance, unit)}'
    if value is None:
        return GateResult(name, False, f'{name}: not measured ({needed})')
    judged = verdict(metric['interval'], entry.value, direction, entry.tolerance)
    held = judged != 'worse' and not is_beyond(value, entry.value, direction, entry.tolerance)
    return GateResult(name, held, f'{name}: {display.quantity(value, unit)} '
                                  f'{display.interval(metric["interval"], unit)}, {needed}: {judged}')
