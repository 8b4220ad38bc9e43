"""Blame: every failed attempt is charged to exactly one reason, and each stage asked what it alone would gain.

A failure belongs to the first thing that went wrong on the way from the image to the lifted object: what follows
never had a chance. Where picks are reported an attempt is a pick; elsewhere it is a frame that shows the object,
and success is a pose that is good enough with a grasp for it.
"""

from __future__ import annotations

import numpy as np

from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.stage_report import STAGES

# In the order in which they are looked for, with the stage that each is charged to.
REASONS = {
    'no_image': 'camera',
    'not_detected': 'perception',
    'pose_outside_tolerance': 'perception',
    'stale_pose': 'perception',
    'no_feasible_grasp': 'planning',
    'execution': 'execution',
}
# What stages say when the image or what belongs to it cannot be used, and when a pose is too old to act on.
NO_IMAGE_WORDS = ('no_image', 'bad_image', 'no_camera_info', 'bad_camera_info', 'size_mismatch')
STALE_WORDS = ('stale_pose',)
# Planned for, the pose fails by its own uncertainty, not by the planner; or it was none.
UNCERTAIN_WORDS = ('pose_too_uncertain',)
NO_POSE_WORDS = ('bad_pose',)
# An error beyond so many times the stated need is no near miss: nothing that polishes a pose mends it.
GROSS = 3.0
NOT_TRIED, SUCCESS = -2, -1


def charge(table: FrameTable) -> np.ndarray:
    """(N,) what each frame's attempt came to: the number of a reason, :data:`SUCCESS` or :data:`NOT_TRIED`."""
    tried = attempts(table)
    succeeded = table.answered('execution') & tried
    causes = np.select([~tried, succeeded, *_failed_for(table)],
                       [NOT_TRIED, SUCCESS, *range(len(REASONS))], default=SUCCESS)
    return causes


def attempts(table: FrameTable) -> np.ndarray:
    """(N,) which frames are attempts: picks where any is reported, else the frames that show the object.

    Where no truth tells which these are, all that perception was given.
    """
    picks = table.inputs('execution')
    if picks.any():
        return picks
    if table.counts_for_recall.any():
        return table.counts_for_recall
    return table.inputs('perception') & ~table.is_without_object


def waterfall(table: FrameTable) -> dict:
    """From all attempts to the successes, reason by reason.

    :return: {of, attempts, successes, steps: [{reason, stage, lost, left}], if_perfect: {stage: rate},
        outside_by: {position, rotation, both, neither, gross}}; a rate is null where it cannot be told
    """
    causes = charge(table)
    total = left = int((causes != NOT_TRIED).sum())
    steps = []
    for index, (reason, stage) in enumerate(REASONS.items()):
        lost = int((causes == index).sum())
        left -= lost
        steps.append({'reason': reason, 'stage': stage, 'lost': lost, 'left': left})
    return {'of': 'attempts' if table.inputs('execution').any() else 'frames', 'attempts': total,
            'successes': left, 'steps': steps, 'if_perfect': _if_perfect(table, steps, total),
            'outside_by': _outside_by(table, causes)}


def with_oracle(losses: dict, oracle: dict) -> dict:
    """A waterfall whose perfect perception was measured: by an estimator that knows the truth, on the same frames.

    :param losses: of the estimator in question
    :param oracle: of the one that knows
    """
    if not oracle['attempts']:
        return losses
    rate = oracle['successes'] / oracle['attempts']
    return {**losses, 'if_perfect': {**losses['if_perfect'], 'perception': rate}}


def _failed_for(table: FrameTable) -> list[np.ndarray]:
    """For each reason (N,) whether it is why a frame fails, provided that none before it is."""
    seen = table.has_image | table.reported('perception')
    unseen = ~seen if seen.any() else np.zeros(len(table), dtype=bool)
    answered = table.answered('perception') if table.reported('perception').any() else np.ones(len(table), bool)
    answered = answered | table.lost['perception']
    has_pose = np.where(table.counts_for_recall, np.isfinite(table.position_error_m), answered)
    return [
        unseen | table.gave_reason('perception', NO_IMAGE_WORDS),
        ~has_pose | table.gave_reason('planning', NO_POSE_WORDS),
        (table.counts_for_recall & ~table.is_tolerated) | table.gave_reason('planning', UNCERTAIN_WORDS),
        table.gave_reason('planning', STALE_WORDS) | table.gave_reason('execution', STALE_WORDS),
        table.inputs('planning') & ~table.answered('planning'),
        table.inputs('execution') & ~table.answered('execution'),
    ]


def _if_perfect(table: FrameTable, steps: list[dict], total: int) -> dict[str, float | None]:
    """Success rate if one stage alone lost nothing, and the others did as well with what it lost as with the rest.

    That is the product of the shares that the other stages let pass. It is not known for a stage that did not
    run, and where nothing reaches the stages behind it.
    """
    passed, before = {}, total
    for stage in ('camera', *STAGES):
        after = [step['left'] for step in steps if step['stage'] == stage][-1]
        passed[stage] = after / before if before else None
        before = after
    rates = {}
    for stage in STAGES:
        others = [share for name, share in passed.items() if name != stage]
        runs = stage == 'perception' or table.reported(stage).any()
        rates[stage] = float(np.prod(others)) if runs and None not in others else None
    return rates


def _outside_by(table: FrameTable, causes: np.ndarray) -> dict[str, int]:
    """What measured poses that are charged to their error are off in, by the stated need, and how many far off.

    ``neither`` are good enough for the stated need, not for the grasp that was tried.
    """
    outside = (causes == list(REASONS).index('pose_outside_tolerance')) & table.counts_for_recall
    position = table.position_error_m[outside] / STATED_NEED.position_m
    rotation = table.rotation_error_rad[outside] / STATED_NEED.rotation_rad
    far, turned = position >= 1, rotation >= 1
    return {'position': int((far & ~turned).sum()), 'rotation': int((turned & ~far).sum()),
            'both': int((far & turned).sum()), 'neither': int((~far & ~turned).sum()),
            'gross': int((np.maximum(position, rotation) >= GROSS).sum())}
