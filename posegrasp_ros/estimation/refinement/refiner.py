# SPDX-License-Identifier: Apache-2.0
"""Refiner: interface of pose refinement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from posegrasp_ros.estimation.decoders.initial_pose import VisibilityMask
from posegrasp_ros.geometry.camera import Camera


@dataclass(frozen=True)
class Refinement:
    """A refined pose.

    :param pose: (4, 4) camera_from_object, metres
    :param covariance: (6, 6) in the camera frame
    :param agreement: how well image and model agree at the pose, at most 1; used as the score until a score was
        fitted
    :param figures: by the names of :attr:`Refiner.figures_when_lost`
    :param visible_share: estimate of how much of the object nothing hides; None where there is none
    """

    pose: np.ndarray
    covariance: np.ndarray
    agreement: float
    figures: dict[str, float]
    visible_share: float | None = None


class Refiner(Protocol):
    """Interface between the estimator and a refinement; the score is fitted to the figures that it returns."""

    @property
    def figures_when_lost(self) -> Mapping[str, float]:
        """The names of the figures, each with its value for a refinement that failed."""

    def refine(self, image: np.ndarray, camera: Camera, camera_from_object: np.ndarray, covariance: np.ndarray,
               depth_m: np.ndarray | None = None, seen: VisibilityMask | None = None) -> Refinement | None:
        """The refined pose; None when the refinement failed.

        :param image: (H, W, 3) uint8 blue green red
        :param camera_from_object: (4, 4) initial pose
        :param covariance: (6, 6) of it, in the camera frame
        :param depth_m: (H, W) registered to the image, metres, NaN where unknown; None without a depth camera
        :param seen: which parts are not occluded; None if unknown
        """
