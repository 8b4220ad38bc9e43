"""What a network says of an object's pose before it is refined against the mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from posegrasp_ros.camera import Camera


@dataclass
class CoarsePose:
    """One object that a network found.

    :param pose: (4, 4) camera_from_object, metres
    :param covariance: (6, 6) in the camera frame, as in :class:`posegrasp_ros.estimation.estimate.PoseEstimate`
    :param figures: what the score is made of: ``heat`` (the network's own confidence, 0 to 1),
        ``inlier_share`` and ``log_residual`` of the correspondences
    """

    pose: np.ndarray
    covariance: np.ndarray
    figures: dict[str, float]


@dataclass
class Candidate:
    """A place where an object may be.

    :param heat: how likely it is one, 0 to 1
    :param solve: works out its pose; None when nothing fits
    """

    heat: float
    solve: Callable[[], CoarsePose | None]


class CoarseEstimator(Protocol):
    """The networks of one model folder with their decoders."""

    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        """Places where the object may be, the likeliest first.

        :param image: (H, W, 3) uint8 blue green red
        :param camera: intrinsics of exactly this image
        """
