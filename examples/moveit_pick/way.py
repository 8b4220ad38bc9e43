# SPDX-License-Identifier: Apache-2.0
"""Where the tool goes for a grasp, and what the gripper does: numbers from a moveit_msgs/Grasp, without a node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posegrasp_ros.geometry.transforms import invert, transform_from_pose
from posegrasp_ros.ros.messages import transform_from


class PickError(Exception):
    """Why there was no pick.

    :param reason: a short word, such as unreachable or missed
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Way:
    """Three poses of the tool, (4, 4) in the base frame, with straight lines between them; the gripper's figures.

    :param open_at: position of the finger joint on the way in
    :param force_n: most effort as it closes
    """

    grasp_id: str
    before: np.ndarray
    at_grasp: np.ndarray
    lifted: np.ndarray
    open_at: float
    force_n: float


def way_of(grasp: Any, tool_from_gripper_base: Sequence[float]) -> Way:
    """The way for a grasp of the planner, whose pose is that of the gripper's base.

    :raises PickError: when the planner's gripper has no fingers, or the transform is none
    """
    posture = grasp.pre_grasp_posture
    if not posture.joint_names or not posture.points:
        raise PickError('settings', f'grasp {grasp.id}: expected a finger joint in its posture, got none: this is '
                                    'for grippers with fingers; see the parameter gripper of the planner')
    if len(tool_from_gripper_base) != 7:
        raise PickError('settings', 'parameter tool_from_gripper_base: expected x, y, z, qx, qy, qz, qw, got '
                                    f'{len(tool_from_gripper_base)} numbers')
    tool_from_gripper = transform_from_pose(tool_from_gripper_base[:3], tool_from_gripper_base[3:])
    at_grasp = transform_from(grasp.grasp_pose.pose) @ invert(tool_from_gripper)
    return Way(grasp.id, moved(at_grasp, -straight(grasp.pre_grasp_approach)), at_grasp,
               moved(at_grasp, straight(grasp.post_grasp_retreat)),
               float(posture.points[0].positions[0]), float(grasp.max_contact_force))


def straight(translation: Any) -> np.ndarray:
    """(3,) A moveit_msgs/GripperTranslation in metres; the planner's direction has length 1."""
    vector = translation.direction.vector
    return np.array([vector.x, vector.y, vector.z]) * translation.desired_distance


def moved(pose: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A pose shifted in the base frame."""
    shifted = pose.copy()
    shifted[:3, 3] += by
    return shifted


def image_of(grasp_id: str) -> int:
    """Stamp in nanoseconds of the image that a grasp is of: an id is the stamp and the grasp's rank."""
    return int(grasp_id.rsplit('_', 1)[0])


def holds(position: float, closed_at: float, empty_within: float) -> bool:
    """Whether something keeps the gripper from closing all the way; a position that is no number tells nothing."""
    return math.isfinite(position) and abs(position - closed_at) > empty_within
