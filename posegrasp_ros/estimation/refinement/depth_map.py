# SPDX-License-Identifier: Apache-2.0
"""Depth map of a crop, and distance of a surface point from it."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.estimation.decoders.crop import CropCamera
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.runtime.numba_cache import compiled

NOISE_M, NOISE_A_SQUARE_METRE = 0.0012, 0.0019
"""Standard deviation of a structured-light camera's depth z: 1.2 mm + 1.9 mm (z - 0.4 m)² (Nguyen et al. 2012)."""
NOISE_FROM_M = 0.4


def depth_of_crop(depth_m: np.ndarray, camera: Camera, crop: CropCamera) -> np.ndarray:
    """(S, S) float32 depth along the crop's optical axis, NaN where unknown.

    :param depth_m: (H, W) registered to the camera's image, metres
    """
    rays, (u, v) = crop.rays(), cv2.split(crop.source_pixels(camera))
    # nearest pixel: interpolation would mix depths across an outline
    read = cv2.remap(depth_m.astype(np.float32), u, v, cv2.INTER_NEAREST, borderValue=float('nan'))
    along_camera_axis = rays @ crop.camera_from_crop[2]
    return (read / along_camera_axis).astype(np.float32)


@compiled
def distance_from(depth_m: np.ndarray, matrix: np.ndarray, point: np.ndarray, normal: np.ndarray) -> tuple:
    """Distance of the measured surface from the tangent plane at a point.

    :param depth_m: (S, S), see :func:`depth_of_crop`
    :param matrix: (3, 3) pinhole matrix of the crop
    :param point: (3,) crop frame, metres
    :param normal: (3,) unit, crop frame
    :return: metres along the normal, NaN where unknown; its standard deviation
    """
    ray = point / point[2]
    last = len(depth_m) - 1
    column = int(min(max(round(ray[0] * matrix[0, 0] + matrix[0, 2]), 0), last))
    row = int(min(max(round(ray[1] * matrix[1, 1] + matrix[1, 2]), 0), last))
    depth = depth_m[row, column]
    noise = NOISE_M + NOISE_A_SQUARE_METRE * max(depth - NOISE_FROM_M, 0.0) ** 2
    along = np.dot(normal, ray)
    return along * depth - np.dot(normal, point), noise * max(abs(along), 0.2)
