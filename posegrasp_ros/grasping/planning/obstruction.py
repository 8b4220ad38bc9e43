# SPDX-License-Identifier: Apache-2.0
"""Collision check of the gripper with obstacles along a straight path, for many grasps at once."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.grasping.planning.swept_boxes import touch_balls, touch_boxes


class GripperBoxes:
    """The gripper at several openings, as boxes aligned with the TCP frame.

    :ivar centers: (N, B, 3) metres
    :ivar half_extents: (B, 3)
    """

    def __init__(self, gripper: EndEffector, openings_m: np.ndarray):
        different_m, of = np.unique(openings_m, return_inverse=True)
        self.half_extents = np.array([box.half_extents for box in gripper.boxes(0.0)])
        centers = [[box.center for box in gripper.boxes(opening_m)] for opening_m in different_m]
        self.centers = np.reshape(centers, (-1, *self.half_extents.shape))[of]

    def lowest(self, up_in_tcp: np.ndarray) -> np.ndarray:
        """(N, P) height of the lowest point relative to the TCP, metres.

        :param up_in_tcp: (3, N, P) up vectors of P orientations of each gripper
        """
        heights = np.full(up_in_tcp.shape[1:], np.inf)
        for box, half in enumerate(self.half_extents):
            middle = sum(self.centers[:, box, axis, None] * up_in_tcp[axis] for axis in range(3))
            reach = sum(half[axis] * np.abs(up_in_tcp[axis]) for axis in range(3))
            heights = np.minimum(heights, middle - reach)
        return heights


def touches(base_from_tcp: np.ndarray, boxes: GripperBoxes, of: np.ndarray, ways: np.ndarray, scene: Scene,
            clearance_m: float) -> np.ndarray:
    """(N,) whether a gripper that moves straight from each pose by ``ways`` (N, 3) metres touches an obstacle.

    :param base_from_tcp: (N, 4, 4)
    :param boxes: of all grasps; ``of`` (N,) is the grasp of each pose
    :param ways: (N, 3) base frame; zeros for a stationary gripper
    :param clearance_m: smaller distances count as contact
    """
    ways_in_tcp = np.einsum('nji,nj->ni', base_from_tcp[:, :3, :3], ways)
    centers, half_ways = boxes.centers[of] + ways_in_tcp[:, None] / 2, ways_in_tcp / 2
    half_extents = boxes.half_extents + clearance_m
    hit = touch_boxes(base_from_tcp, centers, half_extents, half_ways, *scene.box_arrays)
    free = np.flatnonzero(~hit)
    hit[free] = touch_balls(base_from_tcp[free], centers[free], half_extents, half_ways[free], *scene.balls)
    return hit
