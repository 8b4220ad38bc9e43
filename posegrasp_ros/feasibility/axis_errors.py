# SPDX-License-Identifier: Apache-2.0
"""Expected pose errors along the axes of the object and of the gripper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.feasibility.attainable.attainable_accuracy import ViewBound
from posegrasp_ros.feasibility.required.success_model import ON_THE_TABLE
from posegrasp_ros.geometry.transforms import rotate_covariance
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.robustness.tolerance import tcp_from_base_delta


@dataclass(frozen=True, eq=False)
class AxisErrors:
    """Expected errors, mean over views.

    :param object_covariance: (6, 6) along the object axes
    :param gripper_covariance: (6, 6) along the axes of the TCP frame, at the TCP; None where no view has a grasp
    :param typical_view: index of the view with the median error at the TCP; ``typical_grasp`` is its grasp
    """

    object_covariance: np.ndarray
    gripper_covariance: np.ndarray | None = None
    typical_view: int | None = None
    typical_grasp: PlannedGrasp | None = None

    def to_dict(self) -> dict:
        """Standard deviations along x, y, z and about them, metres and radians."""
        return {name: None if covariance is None else [float(value) for value in np.sqrt(np.diag(covariance))]
                for name, covariance in (('object', self.object_covariance), ('gripper', self.gripper_covariance))}


def axis_errors(planner: GraspPlanner | None, bounds: Sequence[ViewBound], errors: np.ndarray) -> AxisErrors:
    """Transform the error covariances of each view (V, 6, 6), base frame, and average them."""
    poses = [bound.view.base_from_object for bound in bounds]
    along_object = np.mean([rotate_covariance(error, pose[:3, :3].T) for pose, error in zip(poses, errors)],
                           axis=0)
    if planner is None:
        return AxisErrors(along_object)
    plans = [planner.plan(pose, error, ON_THE_TABLE) for pose, error in zip(poses, errors)]
    grasps = {view: plan.grasps[0] for view, plan in enumerate(plans) if plan.grasps}
    if not grasps:
        return AxisErrors(along_object)
    turns = {view: tcp_from_base_delta(poses[view], grasp.base_from_tcp[None])[0]
             for view, grasp in grasps.items()}
    in_tcp = {view: turn @ errors[view] @ turn.T for view, turn in turns.items()}
    by_size = sorted(in_tcp, key=lambda view: np.trace(in_tcp[view][:3, :3]))
    typical = by_size[len(by_size) // 2]
    return AxisErrors(along_object, np.mean(list(in_tcp.values()), axis=0), typical, grasps[typical])
