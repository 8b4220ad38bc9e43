# SPDX-License-Identifier: Apache-2.0
"""ArmObstacles: what the bodies of an arm must not touch, from the planner's scene."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.grasping.planning.planning_scene import Scene

# Distance that the arm keeps; half of the 20 mm between two poses of the gripper that are checked.
CLEARANCE_M = 0.01
# The support is known to be where the object stands, not where the arm does: it counts so near to the grasp.
SUPPORT_AROUND_M = 0.35


class ArmObstacles:
    """Support, boxes, spheres and points, for one plan.

    :param scene: in the frame of the arm's root
    :ivar boxes: poses (K, 4, 4) and half extents (K, 3), metres, with the clearance
    :ivar balls: centers (M, 3) and radii (M,) of spheres and points, with the clearance
    """

    def __init__(self, scene: Scene):
        self._normal, self._offset_m = scene.normal, scene.support_offset_m
        (poses, sizes), (centers, radii) = scene.box_arrays, scene.balls
        self.boxes = np.ascontiguousarray(poses), sizes + CLEARANCE_M
        self.balls = np.ascontiguousarray(centers), radii + CLEARANCE_M

    def supports(self, vertices: np.ndarray, root_from_body: np.ndarray, grasp: np.ndarray) -> bool:
        """Whether a body with vertices (V, 3) touches the support near a grasp (3,), in one of its places.

        :param root_from_body: (K, 4, 4)
        """
        if self._offset_m is None:
            return False
        heights = (root_from_body[:, :3, :3].transpose(0, 2, 1) @ self._normal) @ vertices.T
        heights += (root_from_body[:, :3, 3] @ self._normal)[:, None]
        place, vertex = np.nonzero(heights < self._offset_m + CLEARANCE_M)
        if not len(place):
            return False
        low = np.einsum('nij,nj->ni', root_from_body[place, :3, :3], vertices[vertex])
        low += root_from_body[place, :3, 3] - grasp
        across = low - np.outer(low @ self._normal, self._normal)
        return bool((np.linalg.norm(across, axis=1) < SUPPORT_AROUND_M).any())
