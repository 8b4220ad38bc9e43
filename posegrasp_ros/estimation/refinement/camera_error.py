# SPDX-License-Identifier: Apache-2.0
"""What an error of the camera's intrinsics does to a pose: it is common to all pixels, so no residual shows it."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.geometry.camera import Camera

FOCAL_SIGMA = 0.003
"""Standard deviation of the focal length, relative."""
CENTRE_SIGMA_PX, STATED_WIDTH_PX = 1.5, 640
"""Standard deviation of the principal point, in an image of the second width; in others in proportion."""


def camera_covariance(camera: Camera, centre_m: np.ndarray, with_depth: bool) -> np.ndarray:
    """(6, 6) covariance of a pose from the uncertainty of the intrinsics, in the camera's frame.

    A wrong principal point turns what the camera sees about its centre; a wrong focal length moves it along the
    optical axis.

    :param centre_m: (3,) of the object, in the camera's frame
    :param with_depth: whether distances were measured, so that the focal length tells nothing of them
    """
    sigma_px = CENTRE_SIGMA_PX * camera.width / STATED_WIDTH_PX
    effects = np.zeros((3, 6))
    for effect, axis in zip(effects, ((0.0, sigma_px / camera.fx, 0.0), (-sigma_px / camera.fy, 0.0, 0.0))):
        effect[:3], effect[3:] = np.cross(axis, centre_m), axis
    effects[2, 2] = 0.0 if with_depth else FOCAL_SIGMA * centre_m[2]
    return effects.T @ effects
