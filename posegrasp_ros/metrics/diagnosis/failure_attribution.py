# SPDX-License-Identifier: Apache-2.0
"""Failure attribution: assigns every failed attempt to one reason and estimates what a perfect stage would gain.

A failure is assigned to the first thing that went wrong between the image and the lifted object. Where picks are
reported an attempt is a pick; otherwise it is a frame that shows the object, and success is a pose that is good
enough and has a feasible grasp.
"""

from __future__ import annotations

import numpy as np

from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.stage_report import STAGES

# Reasons in the order in which they are checked, with the stage that each is assigned to.
REASONS = {
    'no_image': 'camera',
    'not_detected': 'perception',
    'pose_outside_tolerance': 'perception',
    'stale_pose': 'perception',
    'no_feasible_grasp': 'planning',
    'execution': 'execution',
}
# Stage reasons for an unusable image or camera info, and for a pose that is too old.
NO_IMAGE_WORDS = ('no_image', 'bad_image', 'no_camera_info', 'bad_camera_info', 'size_mismatch')
STALE_WORDS = ('stale_pose',)
# Planner refusals that are due to the pose: too uncertain, or not a valid pose.
UNCERTAIN_WORDS = ('pose_too_uncertain',)
NO_POSE_WORDS = ('bad_pose',)
# An error above this multiple of the stated need is gross: refinement cannot correct it.
GROSS = 3.0
NOT_TRIED, SUCCESS = -2, -1


def charge(table: FrameTable) -> np.ndarray:
    """(N,) outcome of each frame's attempt: index of a reason, :data:`SUCCESS` or :data:`NOT_TRIED`."""
    tried = attempts(table)
    succeeded = table.answered('execution') & tried
    causes = np.select([~tried, succeeded, *_failed_for(table)],
                       [NOT_TRIED, SUCCESS, *range(len(REASONS))], default=SUCCESS)
    return causes


def attempts(table: FrameTable) -> np.ndarray:
    """(N,) which frames are attempts: picks where any is reported, else the frames that show the object.

    Without ground truth, all inputs of perception but those that are known not to show it.
    """
    picks = table.inputs('execution')
    if picks.any():
        return picks
    if table.counts_for_recall.any():
        return table.counts_for_recall
    return table.inputs('perception') & ~table.is_without_object & ~table.is_hidden


def waterfall(table: FrameTable) -> dict:
    """Attempts lost to each reason, from all attempts down to the successes.

    :return: {of, is_judged, attempts, successes, steps: [{reason, stage, lost, left}], if_perfect: {stage: rate},
        outside_by: {position, rotation, both, neither, gross}}; a rate is null where it is unknown. Without
        ground truth and picks successes are answers that nobody has checked, and ``is_judged`` is false
    """
    causes = charge(table)
    total = left = int((causes != NOT_TRIED).sum())
    steps = []
    for index, (reason, stage) in enumerate(REASONS.items()):
        lost = int((causes == index).sum())
        left -= lost
        steps.append({'reason': reason, 'stage': stage, 'lost': lost, 'left': left})
    return {'of': 'attempts' if table.inputs('execution').any() else 'frames',
            'is_judged': bool(table.inputs('execution').any() or table.counts_for_recall.any()), 'attempts': total,
            'successes': left, 'steps': steps, 'if_perfect': _if_perfect(table, steps, total),
            'outside_by': _outside_by(table, causes)}


def with_oracle(losses: dict, oracle: dict) -> dict:
    """Replace the estimated gain of perfect perception by one measured with an oracle on the same frames.

    :param losses: waterfall of the estimator
    :param oracle: waterfall of the estimator that returns the truth
    """
    if not oracle['attempts']:
        return losses
    rate = oracle['successes'] / oracle['attempts']
    return {**losses, 'if_perfect': {**losses['if_perfect'], 'perception': rate}}


def _failed_for(table: FrameTable) -> list[np.ndarray]:
    """For each reason (N,) whether it applies to a frame; the first that applies counts."""
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
    """Success rate if one stage alone lost nothing and the others did as well on these frames as on the rest.

    This is the product of the pass rates of the other stages. It is None for a stage that did not run, and where
    nothing reaches the stages after it.
    """
    passed, before = {}, total
    for stage in ('camera', *STAGES):
        after = [step['left'] for step in steps if step['stage'] == stage][-1]
        passed[stage] = after / before if before else None
        before = after
    rates = {}
    for stage in STAGES:
        others = [share for name, share in passed.items() if name != stage and share is not None]
        runs = stage == 'perception' or table.reported(stage).any()
        rates[stage] = float(np.prod(others)) if runs and len(others) == len(passed) - 1 else None
    return rates


def _outside_by(table: FrameTable, causes: np.ndarray) -> dict[str, int]:
    """Number of poses outside tolerance by the component that exceeds the stated need, and of gross errors.

    ``neither``: good enough for the stated need, but not for the grasp that was tried.
    """
    outside = (causes == list(REASONS).index('pose_outside_tolerance')) & table.counts_for_recall
    position = table.position_error_m[outside] / STATED_NEED.position_m
    rotation = table.rotation_error_rad[outside] / STATED_NEED.rotation_rad
    far, turned = position >= 1, rotation >= 1
    return {'position': int((far & ~turned).sum()), 'rotation': int((turned & ~far).sum()),
            'both': int((far & turned).sum()), 'neither': int((~far & ~turned).sum()),
            'gross': int((np.maximum(position, rotation) >= GROSS).sum())}
