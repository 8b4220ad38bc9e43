# SPDX-License-Identifier: Apache-2.0
"""Trial: an estimate beside the truth, of which score and covariance are calibrated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.geometry.transforms import vector_from_rotation
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.metrics.pose.pose_errors import PoseTolerance


@dataclass(frozen=True)
class Trial:
    """The estimate in one image.

    :param disturbance: (6,) step from estimate to ground truth, see transforms.perturb, up to symmetry
    :param covariance: (6, 6), up to symmetry
    :param figures: inputs of the score
    :param is_there: False if the object was not in the image: no pose is correct then
    :param truth_covariance: (6, 6) of the ground truth's own errors, up to symmetry; None for an exact one
    """

    disturbance: np.ndarray
    covariance: np.ndarray
    figures: dict[str, float]
    is_there: bool
    tolerance: PoseTolerance
    truth_covariance: np.ndarray | None = None

    @property
    def position_error_m(self) -> float:
        return float(np.linalg.norm(self.disturbance[:3]))

    @property
    def rotation_error_rad(self) -> float:
        return float(np.linalg.norm(self.disturbance[3:]))

    @property
    def is_right(self) -> bool:
        return (self.is_there and self.position_error_m < self.tolerance.position_m
                and self.rotation_error_rad < self.tolerance.rotation_rad)

    def squared_distance(self, part: slice = slice(0, 6), scale: np.ndarray | float = 1.0) -> float:
        """Squared Mahalanobis distance of the ground truth, without directions of zero variance (a spin).

        :param scale: (6,) factor on the estimate's variances
        """
        root = np.sqrt(np.broadcast_to(scale, 6))
        covariance = self.covariance * np.outer(root, root)
        if self.truth_covariance is not None:
            covariance = covariance + self.truth_covariance
        step, inverse = self.disturbance[part], np.linalg.pinv(covariance[part, part], 1e-9, hermitian=True)
        return float(step @ inverse @ step)


def trial_of(estimation: Estimation, figures: Iterable[str], truth: TruePose, card: ModelCard,
             is_there: bool = True) -> Trial:
    """The best pose of an estimation beside the truth.

    :param figures: names of the inputs of the score
    :param truth: of the image, in the camera's frame
    """
    best = estimation.poses[0]
    found, symmetry = best.camera_from_object, card.symmetry
    nearest = symmetry.nearest(truth.pose, found)
    turn = vector_from_rotation(nearest[:3, :3] @ found[:3, :3].T)
    shift = nearest[:3, 3] - found[:3, 3]
    own = None if truth.covariance is None else symmetry.without_spin(truth.covariance, found)
    return Trial(np.concatenate([shift, turn]), symmetry.without_spin(best.covariance, found),
                 {name: estimation.numbers[name] for name in figures}, is_there, card.tolerance, own)
