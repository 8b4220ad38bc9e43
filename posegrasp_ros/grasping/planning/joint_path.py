# SPDX-License-Identifier: Apache-2.0
"""JointPath: the joints of an arm along an approach, and how far they are from where they stand now."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.grasping.planning.arm_model import ArmModel

# So far apart are the poses of the gripper that are solved one from the other, along a straight line.
STEP_M = 0.01
# Joints that move more between two of them leap to another posture, as an elbow or a wrist that flips does. At
# 0.1 m/s a step takes 0.1 s: 4 rad/s is more than the joints of usual arms turn (Panda 2.6, UR5e 3.1 rad/s).
LEAP_RAD, LEAP_M = 0.4, 0.04
# Sliding so far counts as much as turning by one radian.
RADIAN_M = 0.3


class JointPath(NamedTuple):
    """Joint positions along an approach: pre-grasp, grasp, lift and steps between.

    :param names: (J,) of the joints
    :param positions: (K, J) radians or metres
    :param at: rows of pre-grasp, grasp and lift
    :param travel: distance of the joints from where they stand to the pre-grasp, the norm over the joints,
        radians; a sliding joint counts by :data:`RADIAN_M`. None where it is not known where they stand
    """

    names: tuple[str, ...]
    positions: np.ndarray
    at: tuple[int, int, int]
    travel: float | None = None

    @property
    def waypoints(self) -> np.ndarray:
        """(3, J) at pre-grasp, grasp and lift."""
        return self.positions[list(self.at)]


def follow(arm: ArmModel, approach: np.ndarray, posture: np.ndarray) -> JointPath | None:
    """The joint path of an approach, from a posture at the grasp; None where it leaves limits or leaps.

    Straight lines of the tip, which keeps the orientation of the grasp, from the grasp to either end.

    :param approach: (3, 4, 4) root_from_tip at pre-grasp, grasp and lift
    :param posture: (J,) at the grasp
    """
    leap = np.where(arm.slides, LEAP_M, LEAP_RAD)
    ways = []
    for end in (approach[0], approach[2]):
        way, at = [], posture
        for target in _steps(approach[1], end):
            after, _ = arm.solve(target, at)
            if after is None or (np.abs(after - at) > leap).any():
                return None
            way.append(after)
            at = after
        ways.append(way)
    back, on = ways
    return JointPath(arm.names, np.array([*back[::-1], posture, *on]), (0, len(back), len(back) + len(on)))


def travelled(path: JointPath, arm: ArmModel, present: np.ndarray) -> JointPath:
    """The path with its joints turned as near to where they stand as their limits allow, and how far that is.

    :param present: (J,) radians or metres
    """
    positions = path.positions + _whole_turns(path.positions, arm, present)
    units = np.where(arm.slides, RADIAN_M, 1.0)
    return path._replace(positions=positions, travel=float(np.linalg.norm((positions[0] - present) / units)))


def _whole_turns(positions: np.ndarray, arm: ArmModel, present: np.ndarray) -> np.ndarray:
    """(J,) multiples of 2 pi to add: joints that turn more than once reach a pose in several ways."""
    turn, (low, high) = 2 * np.pi, arm.limits
    least, most = np.ceil((low - positions.min(axis=0)) / turn), np.floor((high - positions.max(axis=0)) / turn)
    wanted = np.round((present - positions[0]) / turn)
    # A path within its limits needs none; at the limit itself, rounding must not turn it away.
    return np.where(arm.slides, 0.0, wanted.clip(np.minimum(least, 0.0), np.maximum(most, 0.0))) * turn


def _steps(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(n, 4, 4) poses after the start up to the end; none where they are the same place."""
    way = end[:3, 3] - start[:3, 3]
    count = int(np.ceil(np.linalg.norm(way) / STEP_M - 1e-6))
    poses = np.repeat(start[None], max(count, 0), axis=0)
    poses[:, :3, 3] += np.arange(1, count + 1)[:, None] / max(count, 1) * way
    return poses
