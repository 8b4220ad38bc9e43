# SPDX-License-Identifier: Apache-2.0
"""WatchedFrame: a frame with all that the stages say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.perception_stage import Perceived
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.grasping.planning.planning_stage import PlanningAnswer


@dataclass(frozen=True)
class WatchedFrame:
    """One frame and its answers.

    :param number: of the frame, from 1
    :param planned: for the best pose; None without a pose, and without grasps
    :param base_from_camera: (4, 4) that was planned with
    :param rate_hz: of the frames lately; 0 of the first
    :param dropped: frames of a live camera that were left out so far
    :param shift_ns: added to the stamp where time is to go on, such as in the next round of a file
    :param first_ns: stamp of the first frame, of this round of a file
    """

    number: int
    perceived: Perceived
    planned: PlanningAnswer | None
    base_from_camera: np.ndarray
    rate_hz: float = 0.0
    dropped: int = 0
    shift_ns: int = 0
    first_ns: int = 0

    @property
    def time_s(self) -> float:
        """Since the first frame, as reports name frames."""
        return (self.frame.stamp_ns + self.shift_ns - self.first_ns) / 1e9

    @property
    def frame(self) -> BagFrame:
        return self.perceived.frame

    @property
    def poses(self) -> list[PoseEstimate]:
        """Best first."""
        return self.perceived.estimation.poses

    @property
    def grasps(self) -> list[PlannedGrasp]:
        """Best first, in the base frame."""
        return self.planned.plan.grasps if self.planned else []

    @property
    def latency_ms(self) -> float:
        """From the encoded image to its poses and grasps."""
        return self.perceived.outcome.latency_ms + (self.planned.outcome.latency_ms if self.planned else 0.0)

    @property
    def rejected(self) -> str:
        """What was rejected and why, for people; empty where there is a pose and a grasp."""
        outcome = self.perceived.outcome
        if outcome.reason:
            return f'{outcome.reason}{_seen_of_none(outcome.numbers)}{_detail(outcome.problem)}'
        if self.planned and self.planned.outcome.reason:
            plan = self.planned.plan
            counts = ', '.join(f'{name} {count}' for name, count in plan.rejected.items() if count)
            return f'grasps: {plan.reason} ({counts})' if counts else f'grasps: {plan.reason}'
        return ''

    def camera_from_tcp(self, grasp: PlannedGrasp) -> np.ndarray:
        """(4, 4) of a grasp."""
        return invert(self.base_from_camera) @ grasp.base_from_tcp


def _detail(problem: str) -> str:
    return f': {problem}' if problem else ''


def _seen_of_none(numbers: dict[str, float]) -> str:
    """How far the search came that ended without a pose."""
    said = [f'{numbers[name]:.0f} {name}' for name in ('detections', 'candidates') if name in numbers]
    if 'score' in numbers:
        said.append(f'best score {numbers["score"]:.2f}')
    return f' ({", ".join(said)})' if said else ''
