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
    :ivar box_poses: (K, 4, 4)
    :ivar box_sizes: (K, 3) half extents, metres
    :ivar ball_centers: (M, 3) of spheres and points
    :ivar ball_radii: (M,) with the clearance
    """

    def __init__(self, scene: Scene):
        self._normal, self._offset_m = scene.normal, scene.support_offset_m
        self.box_poses, self.box_sizes = scene.box_arrays
        self.ball_centers, self.ball_radii = scene.balls[0], scene.balls[1] + CLEARANCE_M

    def supports(self, vertices: np.ndarray, grasp: np.ndarray) -> bool:
        """Whether a body with these vertices (V, 3) touches the support near a grasp (3,)."""
        if self._offset_m is None:
            return False
        low = vertices[vertices @ self._normal < self._offset_m + CLEARANCE_M] - grasp
        across = low - np.outer(low @ self._normal, self._normal)
        return bool((np.linalg.norm(across, axis=1) < SUPPORT_AROUND_M).any())

    def boxes_near(self, center: np.ndarray, radius_m: float) -> np.ndarray:
        """Numbers of the boxes that touch a sphere, clearance included."""
        if not len(self.box_poses):
            return np.zeros(0, dtype=int)
        local = np.einsum('kji,kj->ki', self.box_poses[:, :3, :3], center - self.box_poses[:, :3, 3])
        apart = np.linalg.norm((np.abs(local) - self.box_sizes).clip(0.0), axis=1)
        return np.flatnonzero(apart <= radius_m + CLEARANCE_M)
