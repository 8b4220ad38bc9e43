# SPDX-License-Identifier: Apache-2.0
"""StablePose: the poses in which an object comes to rest on a table, and how many grasps each of them leaves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.generation.farthest_point_sampling import TABLE_GAP_M, usable_lying
from posegrasp_ros.grasping.generation.quality import center_of_mass_of
from posegrasp_ros.grasping.grasp_set import GraspSet

# Poses less likely after a fall do not count.
LEAST_PROBABILITY = 0.02
ALONG = 0.99  # cosine of what counts as along an axis


class StablePose(NamedTuple):
    """A pose of an object that stands on a table.

    :param down: (3,) what points down, object frame
    :param probability: that the object comes to rest in it when dropped
    :param height_m: of the object, from the table
    :param usable: how many grasps of a set keep the gripper off the table
    """

    down: np.ndarray
    probability: float
    height_m: float
    usable: int

    def problem(self, gripper: EndEffector) -> str:
        """Why it may have no grasp."""
        down = ' '.join(f'{value:.2f}' for value in self.down + 0.0)
        return (f'lying with ({down}) down, as after {100 * self.probability:.0f} % of falls, it is '
                f'{1000 * self.height_m:.3g} mm high and has no grasp that keeps {gripper.name} '
                f'{1000 * TABLE_GAP_M:.0f} mm off the table')


def stable_poses(mesh: Mesh, grasp_set: GraspSet, gripper: EndEffector) -> list[StablePose]:
    """The stable poses of an object, likeliest first, with the number of its grasps that are usable in each."""
    solid = mesh.outward().solid
    downs, probabilities = resting(solid)
    openings_m = np.array([grasp.opening_m for grasp in grasp_set.grasps])
    usable = usable_lying(grasp_set.object_from_tcp, openings_m, gripper, solid, downs).sum(axis=0)
    heights_m = np.ptp(solid.convex_hull.vertices @ downs.T, axis=0)
    return [StablePose(*each) for each in zip(downs, probabilities.tolist(), heights_m.tolist(), usable.tolist())]


@lru_cache(maxsize=8)  # a second or two where the hull has thousands of faces
def resting(solid: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Directions (K, 3), object frame, that point down in the stable poses, and the poses' probabilities (K,).

    The likeliest is first. K is 0 for a ball, of whose poses none is likely enough.
    """
    poses, probabilities = trimesh.poses.compute_stable_poses(solid, center_of_mass_of(solid),
                                                              threshold=LEAST_PROBABILITY)
    return -np.reshape(poses, (-1, 4, 4))[:, 2, :3], probabilities


def is_y_up(poses: Sequence[StablePose]) -> bool:
    """Whether the object stands with y up but not upside down, and has no such pose with z: as files with Y up do.

    A lying bottle rests on any side; what tells is the axis along which it stands one way only.
    """
    ups = -np.array([pose.down for pose in poses]).reshape(-1, 3)

    def stands_one_way(axis: int) -> bool:
        return bool((ups[:, axis] > ALONG).any() and not (ups[:, axis] < -ALONG).any())

    return stands_one_way(1) and not stands_one_way(2)
