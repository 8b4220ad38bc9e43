# SPDX-License-Identifier: Apache-2.0
"""Watched frames for tests, without a network."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.watch.watch_stages import LOOKING_DOWN
from posegrasp_ros.watch.watched_frame import WatchedFrame

CAMERA = Camera.from_field_of_view(128, 96, 1.0)
COVARIANCE = np.diag([1e-6, 4e-6, 9e-6, 1e-4, 1e-4, 1e-4])
MS = 1_000_000


class ByBrightness:
    """Poses that depend on image and stamp: farther in brighter images, more to the right in later ones.

    In dark images it finds nothing.
    """

    def __init__(self, *_):
        pass

    def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None):
        level = float(image.mean())
        if level < 20:
            return Estimation(reason='no_detection', numbers={'detections': 0.0})
        pose = make_transform(rotation_from_vector([0.3, 0.2, 0.001 * level]),
                              (1e-12 * (stamp_ns % 10**10), 0.01, 0.4 + 0.001 * level))
        return Estimation([PoseEstimate(pose, 0.9, COVARIANCE)], numbers={'detect_ms': 1.0})


def image_of(level: int, width: int = 128, height: int = 96) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def watched_frame(number: int = 1, level: int = 100) -> WatchedFrame:
    """A frame without grasps."""
    frame = BagFrame(number * 50 * MS, image_of(level), CAMERA)
    perceived = PerceptionStage(ByBrightness(), 'a model').perceive_decoded(frame)
    return WatchedFrame(number, perceived, None, LOOKING_DOWN, rate_hz=20.0)
