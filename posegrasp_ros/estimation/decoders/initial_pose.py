# SPDX-License-Identifier: Apache-2.0
"""A network's estimate of an object's pose, before it is refined against the mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.estimation.decoders.crop import CropCamera


@dataclass(frozen=True)
class VisibilityMask:
    """Where a network sees the object, and where something hides it.

    :param probability: (h, w) that a pixel shows the object
    :param crop: what the map covers
    """

    probability: np.ndarray
    crop: CropCamera

    def as_seen_by(self, crop: CropCamera) -> np.ndarray:
        """(S, S) float32 the map in the pixels of another crop; 0 beyond its border."""
        stride = self.crop.size_px / len(self.probability)
        cells = np.array([[stride, 0, (stride - 1) / 2], [0, stride, (stride - 1) / 2], [0, 0, 1]])
        homography = (crop.matrix @ crop.camera_from_crop.T @ self.crop.camera_from_crop
                      @ np.linalg.inv(self.crop.matrix) @ cells)
        return cv2.warpPerspective(self.probability.astype(np.float32), homography, (crop.size_px, crop.size_px))


@dataclass
class InitialPose:
    """One object that a network found.

    :param pose: (4, 4) camera_from_object, metres
    :param covariance: (6, 6) in the camera frame, as in :class:`PoseEstimate`
    :param figures: the decoder's :attr:`Decoder.figures`, of which the score may be made: ``confidence`` (the
        network's own, 0 to 1) and, for example, ``inlier_share`` and ``log_residual`` of the correspondences
    :param seen: which parts are not hidden, where the network tells
    """

    pose: np.ndarray
    covariance: np.ndarray
    figures: dict[str, float]
    seen: VisibilityMask | None = None


@dataclass
class Candidate:
    """A place where an object may be.

    :param confidence: how likely it is one, 0 to 1
    :param solve: works out its pose; None when nothing fits
    :param solve_otherwise: the same, had it been taken for larger or smaller than it is: what hides a part of an
        object misleads about its size
    """

    confidence: float
    solve: Callable[[], InitialPose | None]
    solve_otherwise: tuple[Callable[[], InitialPose | None], ...] = ()
