# SPDX-License-Identifier: Apache-2.0
"""Next step: which metrics to work on, hold or ignore, from missed requirements and failure attribution."""

from __future__ import annotations

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.diagnosis.next_step_text import in_words, remedy_of
from posegrasp_ros.metrics.stats.intervals import is_beyond

WORK_ON, HOLD, IGNORE = ACTIONS = ('work on', 'hold', 'ignore')
# A missed metric is worked on if it costs at least this share of the failures of the costliest one.
WORTH_WORK = 0.5
# Metrics that count the failures themselves.
HEADLINES = ('grasp_success_rate', 'recall_1cm_5deg')


def next_step(headline: dict, metrics: dict[str, dict], verdicts: list[dict], losses: dict,
              block_s: float) -> dict:
    """Recommend what to work on.

    :param headline: of the summary; likewise metrics, verdicts and losses (its waterfall)
    :param block_s: length of the time block that counts as one observation
    :return: {text: one paragraph, remedy: what helps against the cause of most failures, metrics: [{metric,
        action, why}]}, metrics to work on first; without those of tracking where nothing was tracked
    """
    needs = {item['metric']: item for item in verdicts if item['kind'] == 'requirement'}
    missed = {name: item for name, item in needs.items() if is_missed(item)}
    costs = {name: cost(name, losses) for name in missed}
    to_work_on = _to_work_on(headline['name'], missed, costs)
    judged = []
    for name, metric in _applicable(metrics).items():
        if name in to_work_on:
            judged.append((name, WORK_ON, _why_work(missed[name], costs[name], losses)))
        elif name in missed and missed[name]['verdict'] != 'worse' and name != headline['name']:
            judged.append((name, HOLD, _why_hold(needs[name], block_s)))
        elif name in missed:
            judged.append((name, IGNORE, _why_not(missed[name], missed, costs[name], losses)))
        elif name in needs:
            judged.append((name, HOLD, _why_hold(needs[name], block_s)))
        else:
            judged.append((name, IGNORE, 'nothing requires it' if metric['n'] else
                           f'not measured: {catalogue()[name].no_data}'))
    notes = {name: f'; {metric["note"]}' for name, metric in metrics.items() if metric.get('note')}
    sorted_metrics = [{'metric': name, 'action': action, 'why': why + notes.get(name, '')}
                      for name, action, why in sorted(judged, key=lambda item: ACTIONS.index(item[1]))]
    return {'text': in_words(headline, needs, sorted_metrics, losses, block_s),
            'remedy': remedy_of(losses, sorted_metrics), 'metrics': sorted_metrics}


def _applicable(metrics: dict[str, dict]) -> dict[str, dict]:
    of_tracking = {name for name in metrics if catalogue()[name].is_for_tracking}
    if any(metrics[name]['n'] for name in of_tracking):
        return metrics
    return {name: metric for name, metric in metrics.items() if name not in of_tracking}


def is_missed(item: dict) -> bool:
    """Whether a verdict's value is on the wrong side of its reference, significant or not."""
    return is_beyond(item['value'], item['reference'], item['direction'], item['tolerance'])


def cost(metric: str, losses: dict) -> int:
    """Number of failed attempts that the metric is related to."""
    lost = {step['reason']: step['lost'] for step in losses['steps']}
    by = losses['outside_by']
    too_uncertain = lost['pose_outside_tolerance'] - sum(by.values()) + by['gross']
    return {
        'grasp_success_rate': losses['attempts'] - losses['successes'],
        'recall_1cm_5deg': lost['not_detected'] + lost['pose_outside_tolerance'],
        'instance_recall': lost['not_detected'],
        'position_error_median': by['position'] + by['both'],
        'rotation_error_median': by['rotation'] + by['both'],
        'covariance_coverage_90': too_uncertain,
        'image_to_pose_p50': lost['stale_pose'],
        'image_to_grasp_p50': lost['stale_pose'],
    }.get(catalogue()[metric].same_poses_as or metric, 0)


def gap(item: dict) -> float:
    """How far a verdict's value misses its reference, relative to the reference; negative where it is met."""
    away = item['value'] - item['reference']
    if item['direction'] == 'on_target':
        away = abs(away) - item['tolerance']
    elif item['direction'] == 'higher_is_better':
        away = -away
    return away / max(abs(item['reference']), 1e-12)


def _to_work_on(headline: str, missed: dict[str, dict], costs: dict[str, int]) -> set[str]:
    """The missed headline and the missed metrics that cost most; where none costs anything, the widest gap."""
    levers = [name for name, item in missed.items() if name != headline and item['verdict'] == 'worse'
              and catalogue()[name].same_poses_as not in missed]
    most = max((costs[name] for name in levers), default=0)
    chosen = {name for name in levers if most and costs[name] >= WORTH_WORK * most}
    if headline in missed:
        return chosen | {headline}
    return chosen or {max(levers, key=lambda name: gap(missed[name]))} if levers else chosen


def figures(item: dict) -> str:
    """A verdict's value and its requirement, such as ``12.0 mm where at most 10.0 mm is needed``."""
    bounds = {'lower_is_better': 'at most', 'higher_is_better': 'at least', 'on_target': 'within'}
    needed = formatting.target(item['reference'], item['tolerance'], item['unit'])
    found = formatting.quantity(item['value'], item['unit'])
    return f'{found} where {bounds[item["direction"]]} {needed} is needed'


def _share_of_losses(count: int, losses: dict) -> str:
    one = losses['of'].removesuffix('s')
    return f'{count} of {losses["attempts"] - losses["successes"]} failed {one}s'


def _why_work(item: dict, count: int, losses: dict) -> str:
    if item['metric'] in HEADLINES and count == losses['attempts'] - losses['successes']:
        return figures(item)  # that all failures are related to what counts them says nothing
    if not count:
        return f'{figures(item)}; the largest gap of the missed requirements'
    return f'{figures(item)}; related to {_share_of_losses(count, losses)}'


def _why_not(item: dict, missed: dict[str, dict], count: int, losses: dict) -> str:
    first = catalogue()[item['metric']].same_poses_as
    if first in missed:
        return f'{figures(item)}, but it measures the same poses as {first}'
    if catalogue()[item['metric']].is_for_planning and losses['if_perfect']['planning'] is None:
        return f'{figures(item)}; its cost can only be measured where grasps are planned'
    if losses['attempts'] == losses['successes']:
        return f'{figures(item)}, but no {losses["of"].removesuffix("s")} failed, and other gaps are larger'
    if not count:
        return f'{figures(item)}, but no failed {losses["of"].removesuffix("s")} is related to it'
    return f'{figures(item)}, but only related to {_share_of_losses(count, losses)}'


def _why_hold(item: dict, block_s: float) -> str:
    if item['verdict'] == 'better':
        return figures(item)
    more = formatting.remaining(item['decided_after'], item['metric'], block_s)
    return f'{figures(item)}; not decided yet' + (f', {more} would decide' if more else '')
