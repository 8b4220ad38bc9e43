# SPDX-License-Identifier: Apache-2.0
"""An object with a pose model as the target."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.handeye.targets.target import SeenTarget, TargetError


class ModelledObject:
    """An object that a model finds, without symmetries: all six numbers of its pose count.

    :param folder: of the model
    :raises TargetError: when the object looks the same in several poses
    """

    def __init__(self, folder: Path, threads: int | None = None):
        card = load_model_card(folder)
        if not card.symmetry.is_none:
            raise TargetError(f'--target: expected an object without symmetries, got {card.name}, which looks the '
                              'same in several poses')
        self._estimator, self._name = PoseEstimator(card, threads), card.name
        self.size_m = 0.6 * float(card.mesh.extents.max())

    def __str__(self) -> str:
        return f'the object {self._name}'

    def find(self, image: np.ndarray, camera: Camera) -> SeenTarget:
        """The best pose, with the covariance of the model's card."""
        found = self._estimator.estimate(image, camera)
        if not found.poses:
            raise NotSeen(found.reason, f'{self._name} was not found: {found.reason}')
        return SeenTarget(found.poses[0].camera_from_object, found.poses[0].covariance)
