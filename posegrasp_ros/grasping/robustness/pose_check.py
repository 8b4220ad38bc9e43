# SPDX-License-Identifier: Apache-2.0
"""PoseCheck: whether the error of a pose is within the tolerance of the grasp that was planned with it."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry, vector_from_rotation
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_set import GraspSet
from posegrasp_ros.grasping.planning.candidates import TURNS
from posegrasp_ros.grasping.robustness.tolerance import Tolerance
from posegrasp_ros.grasping.robustness.tolerance_fit import ToleranceAsked


class PoseCheck:
    """Checks pose errors against the tolerance of every grasp of a set, at every symmetric placement.

    :param tolerance: of the grasps of the set
    :param symmetry: of the object, the same as in the planner
    """

    def __init__(self, tolerance: Tolerance | ToleranceAsked, grasp_set: GraspSet,
                 symmetry: Symmetry = NO_SYMMETRY):
        self._tolerance = tolerance
        self._numbers = {grasp.name: number for number, grasp in enumerate(grasp_set.grasps)}
        self._object_from_tcp = grasp_set.object_from_tcp
        self._places = symmetry.transforms(TURNS)

    @classmethod
    def fitted(cls, mesh: Mesh, gripper: EndEffector, grasp_set: GraspSet,
               symmetry: Symmetry = NO_SYMMETRY) -> PoseCheck:
        """The check without a planner; takes some milliseconds at the first query of a grasp."""
        return cls(ToleranceAsked(mesh, gripper, grasp_set), grasp_set, symmetry)

    def holds(self, grasp: str, symmetry_copy: int, estimate_from_truth: np.ndarray) -> bool | None:
        """Whether a grasp works in spite of a pose error.

        :param grasp: its name in the set
        :param symmetry_copy: number of the symmetry that the planner applied to it, from the plan
        :param estimate_from_truth: (4, 4) pose of the true object in the frame of the estimated one; for a
            symmetric object the nearest equivalent one
        :return: None if the set has no such grasp
        """
        number = self._numbers.get(grasp)
        if number is None or not 0 <= symmetry_copy < len(self._places):
            return None
        object_from_tcp = self._places[symmetry_copy] @ self._object_from_tcp[number]
        delta = tcp_delta(estimate_from_truth, object_from_tcp)
        return bool(self._tolerance.contains(delta[None], np.array([number]))[0])


def tcp_delta(estimate_from_truth: np.ndarray, object_from_tcp: np.ndarray) -> np.ndarray:
    """(6,) disturbance as defined by :class:`posegrasp_ros.grasping.robustness.tolerance.Tolerance`, of any size.

    :param estimate_from_truth: (4, 4) see :meth:`PoseCheck.holds`
    :param object_from_tcp: (4, 4)
    """
    axes = object_from_tcp[:3, :3].T
    moved = estimate_from_truth @ object_from_tcp
    return np.concatenate([axes @ (moved[:3, 3] - object_from_tcp[:3, 3]),
                           axes @ vector_from_rotation(estimate_from_truth[:3, :3])])
