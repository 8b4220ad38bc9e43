# SPDX-License-Identifier: Apache-2.0
"""Plan: the planner's result, and the planner's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, overload

import numpy as np

from posegrasp_ros.grasping.grasp_set import Grasp
from posegrasp_ros.grasping.planning.joint_path import JointPath
from posegrasp_ros.runtime.errors import InvalidInputError

# Reasons for rejecting a candidate: each counts under the first check that it fails. In this order, these are:
# opening, support at the grasp, support on the way, angle of the approach, obstacles at the grasp, obstacles on
# the way, uncertainty of the pose, reach of the arm, its joints along the approach, its links against each other,
# and against obstacles.
REASONS = ('too_wide', 'below_support', 'collides', 'approach_blocked', 'unreachable', 'pose_too_uncertain',
           'path_limits', 'self_collision', 'arm_collision')
# The same as numbers, for arrays: a candidate rejected by a later check was nearer to a grasp.
VERDICTS, PASSED = {reason: index for index, reason in enumerate(REASONS)}, len(REASONS)


class PlanningError(InvalidInputError):
    """An invalid pose, covariance or planner option."""


@dataclass(frozen=True)
class PlannerOptions:
    """Options of the planner.

    :param pre_grasp_distance_m: length of the final straight part of the approach
    :param lift_m: straight up after closing
    :param max_approach_angle_rad: of the approach direction, from straight down
    :param min_clearance_m: least distance of the gripper from support and obstacles, all the way
    :param min_success_probability: if the covariance is known, grasps less likely to succeed are rejected
    :param use_covariance: False ranks by quality alone, without the pose uncertainty
    :param quality_weight: exponent of the quality in the score, quality ** weight * probability of success.
        Below 1, since among stable grasps the probability predicts success much better than the quality
    :param typical_pose_error_m: standard deviation of the object's position when no covariance is known
    :param typical_turn_error_rad: and of its rotation about each axis
    :param enough_reachable: stop after so many reachable grasps, if the reach of an arm is checked
    :param equal_success: grasps whose probabilities of success, and whose scores, differ by no more than this are
        equals, of which the one with the shortest way for the joints comes first. Two in a hundred picks: it takes
        thousands of picks to measure such a difference, and the pose errors assumed are not known so exactly
    """

    pre_grasp_distance_m: float = 0.10
    lift_m: float = 0.10
    max_approach_angle_rad: float = np.radians(100.0)
    min_clearance_m: float = 0.003
    min_success_probability: float = 0.5
    use_covariance: bool = True
    quality_weight: float = 0.25
    typical_pose_error_m: float = 0.005
    typical_turn_error_rad: float = 0.05
    enough_reachable: int = 20
    equal_success: float = 0.02

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise PlanningError(f'planner option {name}: expected a number of 0 or more, got {value}')


class PlannedGrasp(NamedTuple):
    """A grasp ready to be carried out.

    :param base_from_tcp: (4, 4), metres
    :param score: in [0, 1]; higher is better
    :param opening_m: distance between the pads on the way in
    :param approach: base_from_tcp before the grasp, at the grasp, and lifted
    :param success_probability: probability that the pose error is within the grasp's tolerance
    :param tolerance: (6, 2) how far it may be off along and about each axis of the TCP frame, negative and
        positive, metres and radians; see :meth:`posegrasp_ros.grasping.robustness.tolerance.Tolerance.along`
    :param width_m: distance between the pads when they hold the object
    :param joints: joint positions from pre-grasp to lift; None where no arm's joints are known
    """

    name: str
    base_from_tcp: np.ndarray
    score: float
    opening_m: float
    force_n: float
    approach: list[np.ndarray]
    success_probability: float = 1.0
    tolerance: np.ndarray | None = None
    width_m: float = 0.0
    joints: JointPath | None = None


class DiscardedGrasp(NamedTuple):
    """A rejected grasp, in the best of its places.

    :param base_from_tcp: (4, 4), metres
    :param reason: one of :data:`REASONS`
    """

    name: str
    base_from_tcp: np.ndarray
    opening_m: float
    reason: str


class DiscardedGrasps(Sequence[DiscardedGrasp]):
    """The rejected grasps; each is created on access, since most plans are never inspected.

    :param grasps: the set that was planned with
    :param base_from_tcp: (G, 4, 4) of all of them
    :param verdicts: (G,) index of the reason, :data:`PASSED` for feasible grasps
    """

    def __init__(self, grasps: Sequence[Grasp], base_from_tcp: np.ndarray, verdicts: np.ndarray):
        self._grasps, self._base_from_tcp, self._verdicts = grasps, base_from_tcp, verdicts
        self._rejected = np.flatnonzero(verdicts != PASSED)

    def __len__(self) -> int:
        return len(self._rejected)

    @overload
    def __getitem__(self, index: int) -> DiscardedGrasp: ...

    @overload
    def __getitem__(self, index: slice) -> list[DiscardedGrasp]: ...

    def __getitem__(self, index: int | slice) -> DiscardedGrasp | list[DiscardedGrasp]:
        if isinstance(index, slice):
            return [self._discarded(grasp) for grasp in self._rejected[index]]
        return self._discarded(self._rejected[index])

    def _discarded(self, grasp: int) -> DiscardedGrasp:
        return DiscardedGrasp(self._grasps[grasp].name, self._base_from_tcp[grasp], self._grasps[grasp].opening_m,
                              REASONS[self._verdicts[grasp]])


@dataclass(frozen=True)
class Plan:
    """The planner's result for one pose.

    :param grasps: best first; empty when none is feasible
    :param reason: why there is none: the check after which no candidate was left, so what would have to change
        first for one to remain; ``no_feasible_grasp`` for an empty set; empty when there is a grasp
    :param rejected: how many candidates were rejected, by reason
    :param numbers: named figures for the stage report
    :param discarded: the rejected ones
    :param weakest_direction: the pose uncertainty that reduces the best grasp's probability most, see
        :data:`posegrasp_ros.grasping.robustness.tolerance.DIRECTIONS`; empty if no grasp passed the earlier checks
    :param out_of_reach: what the arm says of grasps that it does not reach, see
        :class:`posegrasp_ros.grasping.planning.reach.Reached`; empty when it reaches one
    """

    grasps: list[PlannedGrasp]
    reason: str
    rejected: dict[str, int]
    numbers: dict[str, float] = field(default_factory=dict)
    discarded: Sequence[DiscardedGrasp] = ()
    weakest_direction: str = ''
    out_of_reach: str = ''

    @property
    def words(self) -> dict[str, str]:
        """Words of the stage report; the grasp is the best one, which is executed."""
        words = {'weakest_direction': self.weakest_direction, 'grasp': self.grasps[0].name if self.grasps else '',
                 'out_of_reach': self.out_of_reach}
        return {name: word for name, word in words.items() if word}
