# SPDX-License-Identifier: Apache-2.0
"""Model: what a model folder can do, from image to grasps, for programs that import the package."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import ModelCard, load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation, Estimator
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.plan import Plan
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.runtime.resources import model_folder

if TYPE_CHECKING:
    from posegrasp_ros.grasping.end_effector import EndEffector


class Model:
    """A model folder: its card, its networks and its grasps, each loaded when it is first needed.

    :param card: the checked model.yaml
    :param gripper: that grasps are planned for
    :param estimator: one of :func:`posegrasp_ros.estimation.create.estimator_names`
    :param threads: processor threads of the networks; None takes every core
    """

    def __init__(self, card: ModelCard, gripper: EndEffector, estimator: str = 'onnx', threads: int | None = None):
        self.card, self.gripper = card, gripper
        self._estimator_name, self._threads = estimator, threads

    @cached_property
    def estimator(self) -> Estimator:
        """What finds the object in images."""
        return create_estimator(self._estimator_name, self.card, self._threads)

    @cached_property
    def planner(self) -> GraspPlanner:
        """What ranks the folder's grasps.

        :raises GraspError: when the folder has no grasps for the gripper
        """
        grasps = load_grasps(self.card.grasps_path, self.gripper, self.card.mesh)
        return GraspPlanner(self.gripper, grasps, symmetry=self.card.symmetry, mesh=self.card.mesh)

    def estimate(self, image: np.ndarray, camera: Camera, depth_m: np.ndarray | None = None) -> Estimation:
        """The poses of the object in an image, best first, or the reason for none.

        :param image: (H, W, 3) uint8 blue green red
        :param camera: intrinsics of exactly this image
        :param depth_m: (H, W) registered to the image, metres, NaN where unknown; None without a depth camera
        :raises CameraError: when the intrinsics are of another size
        """
        return self.estimator.estimate(image, camera, depth_m=depth_m)

    def plan(self, base_from_object: np.ndarray, covariance: np.ndarray | None = None,
             scene: Scene | None = None) -> Plan:
        """The grasps that the scene allows, best first, or the reason for none.

        :param base_from_object: (4, 4), metres; z up
        :param covariance: (6, 6) of that pose in the base frame; None when it is not known
        :param scene: what surrounds the object; None for a support at z = 0 alone
        :raises PlanningError: when the pose is no rigid transform or the covariance no covariance
        """
        return self.planner.plan(base_from_object, covariance, scene or Scene())


def load_model(folder: str | Path | None = None, gripper: str | Path | None = None, estimator: str = 'onnx',
               threads: int | None = None) -> Model:
    """Read and check a model folder.

    :param folder: path, or the name of a shipped model (``box``, ``can``); None for the box
    :param gripper: file, or the name of a shipped gripper; None for the Franka Hand
    :raises InvalidInputError: naming the file, the field, what was found and what was expected
    """
    return Model(load_model_card(model_folder(folder)), load_gripper(gripper), estimator, threads)
