# SPDX-License-Identifier: Apache-2.0
"""Text of the next step: one paragraph for the reader of a report."""

from __future__ import annotations

from posegrasp_ros.metrics import formatting

# If at least this share of the inaccurate poses is gross, the initial estimate fails rather than the refinement.
MOSTLY = 0.5
# By the reason of most failures.
REMEDIES = {
    'no_image': 'camera and camera_info; posegrasp evaluate states which images cannot be used, and why.',
    'not_detected': 'a network trained on images like these, posegrasp train MESH --like BAG, after a look at '
                    'what the worst frames have in common.',
    'pose_outside_tolerance': 'a network trained on images like these, posegrasp train MESH --like BAG, or '
                              'trained longer (--start MODEL), after a look at what the worst frames have in '
                              'common.',
    'near_misses': 'the calibration of the camera first; posegrasp feasibility MESH says what a nearer camera, '
                   'more pixels or depth would gain.',
    'stale_pose': 'less time from image to pose; posegrasp bench says what takes it.',
    'no_feasible_grasp': 'more grasps or more room; the planner reports why grasps are discarded, posegrasp '
                         'grasps MESH --gripper NAME finds those of another gripper.',
    'execution': 'the pick itself; posegrasp picks MODEL --pose estimate says whether it should hold with these '
                 'poses.',
}


# Metrics with a remedy of their own, for runs in which no other requirement is missed.
OWN_REMEDIES = {
    'image_to_pose_p50': REMEDIES['stale_pose'],
    'image_to_grasp_p50': REMEDIES['stale_pose'],
    'covariance_coverage_90': 'a calibration on images like these: posegrasp calibrate MODEL --bag RECORDING.',
    'score_ece': 'a calibration on images like these: posegrasp calibrate MODEL --bag RECORDING.',
}


def in_words(headline: dict, needs: dict[str, dict], judged: list[dict], losses: dict, block_s: float) -> str:
    """The goal and its status, where most attempts are lost, and what to work on.

    :param needs: {metric: verdict against its requirement}
    :param judged: [{metric, action, why}]
    """
    need = needs.get(headline['name'])
    sentences = (_goal(headline, need, block_s), _losses(losses, headline), _gain(losses, need),
                 _errors(losses, needs), _advice(judged, needs, headline['name']))
    return ' '.join(sentence for sentence in sentences if sentence)


def _goal(headline: dict, need: dict | None, block_s: float) -> str:
    if headline['value'] is None:
        return ('The accuracy of the poses is not known: measuring it takes ground truth, or a robot that reports '
                'the results of its picks.')
    name = formatting.label(headline['name'])
    text = f'{name} is {formatting.with_interval(headline["value"], headline["interval"], "1")}'
    if need is None:
        return f'{text}; the baselines file states no requirement for it.'
    bound = 'at most' if need['direction'] == 'lower_is_better' else 'at least'
    text = f'{text}, required is {bound} {formatting.quantity(need["reference"], need["unit"])}: '
    if need['verdict'] != 'inconclusive':
        return text + ('the goal is reached.' if need['verdict'] == 'better' else 'the goal is missed.')
    more = formatting.remaining(need['decided_after'], need['metric'], block_s)
    return f'{text}not decided yet' + (f', {more} would decide.' if more else '.')


def is_by_the_grasp(losses: dict, headline: dict | None) -> bool:
    """Whether the losses count other frames than the headline: those that the planned grasps do not tolerate."""
    if headline is None or headline['name'] != 'recall_1cm_5deg' or headline['value'] is None:
        return False
    return (losses['of'] == 'frames' and losses.get('is_judged', True)
            and round(headline['value'] * headline['n']) != losses['successes'])


def _losses(losses: dict, headline: dict) -> str:
    """Where most attempts are lost."""
    total, one = losses['attempts'], losses['of'].removesuffix('s')
    lost = total - losses['successes']
    if not lost:
        how = 'failed' if losses.get('is_judged', True) else 'went without an answer'
        by_the_grasp = 'By what the planned grasps tolerate, none' if is_by_the_grasp(losses, headline) else 'None'
        return f'{by_the_grasp} of {total} {one}s {how}.' if total else ''
    worst = max(losses['steps'], key=lambda step: step['lost'])
    share = 'all' if worst['lost'] == lost else f'{worst["lost"]}'
    start = 'By what the planned grasps tolerate, ' if is_by_the_grasp(losses, headline) else ''
    if not losses.get('is_judged', True):
        return f'{lost} of {total} {one}s have no answer, {share} of them because of: ' \
               f'{formatting.reason(worst["reason"])}.'
    return (f'{start}{lost} of {total} {one}s failed, {share} of them because of: '
            f'{formatting.reason(worst["reason"])}.')


def _gain(losses: dict, need: dict | None) -> str:
    """Gain from a perfect stage, for the stage with the largest gain; where one stage lost all it says nothing."""
    rates = {stage: rate for stage, rate in losses['if_perfect'].items() if rate is not None}
    if not rates or len({step['stage'] for step in losses['steps'] if step['lost']}) < 2:
        return ''
    stage = max(rates, key=lambda name: rates[name])
    now = losses['successes'] / losses['attempts']
    text = (f'A perfect {stage} alone would raise {formatting.quantity(now, "1")} to '
            f'{formatting.quantity(rates[stage], "1")}')
    if need is None or need['verdict'] == 'better' or need['direction'] != 'higher_is_better':
        return f'{text}.'
    return f'{text}, which is {"enough" if rates[stage] >= need["reference"] else "not enough by itself"}.'


def _errors(losses: dict, needs: dict[str, dict]) -> str:
    """Which error components are too large, and whether the errors are near misses or gross."""
    by = losses['outside_by']
    outside = sum(by.values()) - by['gross']
    if not outside:
        return ''
    counts = {'in position': by['position'], 'in rotation': by['rotation'], 'in both': by['both'],
              'only by the tighter tolerance of the grasp': by['neither']}
    named = ', '.join(f'{count if count < outside else "all"} {what}' for what, count in counts.items() if count)
    text = (f'{outside} poses are not accurate enough: {named}' if outside > 1 else
            f'One pose is not accurate enough {named.removeprefix("all ")}')
    medians = [needs[name] for name in ('position_error_median', 'rotation_error_median') if name in needs]
    if medians and all(item['verdict'] == 'better' for item in medians):
        text = f'The median pose is accurate enough, the tail is not. {text}'
    if by['gross'] >= MOSTLY * outside:
        return (f'{text}; {by["gross"]} by more than three times the requirement: the initial estimate fails, not '
                'the refinement.')
    most = 'most ' if outside > 1 else ''
    return f'{text}; {most}by less than three times the requirement, which better refinement could correct.'


def remedy_of(losses: dict, judged: list[dict]) -> str:
    """What helps against the cause of most failures, or against what else is missed, with the command; empty where
    nothing is to be done.

    :param judged: see :func:`in_words`
    """
    work_on = [item['metric'] for item in judged if item['action'] == 'work on']
    if work_on and all(metric in OWN_REMEDIES for metric in work_on):
        return OWN_REMEDIES[work_on[0]]
    lost = losses['attempts'] - losses['successes']
    if not lost or not losses.get('is_judged', True) or not work_on:
        return ''
    worst = max(losses['steps'], key=lambda step: step['lost'])['reason']
    by = losses['outside_by']
    outside = sum(by.values()) - by['gross']
    if worst == 'pose_outside_tolerance' and outside and by['gross'] < MOSTLY * outside:
        worst = 'near_misses'
    return REMEDIES[worst]


def _advice(judged: list[dict], needs: dict[str, dict], headline: str) -> str:
    """Lists of metrics to work on, hold and ignore; that the goal itself is to be worked on was said."""
    def named(action: str) -> str:
        labels = [formatting.label(item['metric']) for item in judged
                  if item['action'] == action and item['metric'] in needs
                  and (action, item['metric']) != ('work on', headline)]
        return '; '.join(labels)

    parts = [f'{start}: {named(action)}.' for start, action in (
        ('Work on', 'work on'), ('Hold', 'hold'), ('Ignore for now', 'ignore')) if named(action)]
    if parts and not any(item['action'] == 'work on' for item in judged):
        decided = all(needs[item['metric']]['verdict'] == 'better' for item in judged if item['metric'] in needs)
        parts.insert(0, 'All requirements that could be measured are met.' if decided else
                     'No measured requirement is missed, but not all are decided yet.')
    return ' '.join(parts)
