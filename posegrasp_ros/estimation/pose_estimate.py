# SPDX-License-Identifier: Apache-2.0
"""What every estimator takes and gives, whether it is a network or a scripted baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from posegrasp_ros.estimation.tracking.track_status import TrackStatus

if TYPE_CHECKING:  # the command line asks for the names of estimators alone
    import numpy as np

    from posegrasp_ros.geometry.camera import Camera

MIN_SCORE = 0.5
"""A pose that is likelier wrong than right is no answer."""


@dataclass
class PoseEstimate:
    """One object found in one image.

    :param camera_from_object: (4, 4), metres
    :param score: how sure the estimator is that the pose is right, in [0, 1]
    :param covariance: (6, 6) in the camera frame: x y z (m²), then rotation about x y z (rad²), see
        :func:`posegrasp_ros.geometry.transforms.perturb`
    """

    camera_from_object: np.ndarray
    score: float
    covariance: np.ndarray


@dataclass
class Estimation:
    """An estimator's answer to one image.

    :param poses: best first; empty when there is no answer
    :param reason: why there is none (``no_detection``, ``no_features``, ...), empty when there is one
    :param numbers: named figures for the stage report; timings end in ``_ms``
    :param tracks: with tracking, the state of each object: of the poses in their order, then of those not seen
    """

    poses: list[PoseEstimate] = field(default_factory=list)
    reason: str = ''
    numbers: dict[str, float] = field(default_factory=dict)
    tracks: list[TrackStatus] = field(default_factory=list)


class Estimator(Protocol):
    """The interface behind ``--estimator onnx|network|feature_match|mean_pose|oracle``."""

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """Estimate the object's poses.

        :param image: (H, W, 3) uint8, blue green red, of the camera's size
        :param camera: intrinsics of exactly this image
        :param truth: (4, 4) reference camera_from_object; only the oracle looks at it
        :param depth_m: (H, W) float32 distances along the optical axis in metres, NaN where unknown, registered to
            the image: pixel by pixel through the same camera; only networks with refinement look at it
        :param stamp_ns: when the image was taken; only tracking looks at it
        """
