"""DepthMap: what a depth camera says of a crop, and how far a surface is from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.camera import Camera
from posegrasp_ros.estimation.crop import CropCamera

NOISE_M, NOISE_A_SQUARE_METRE = 0.0012, 0.0019
"""Standard deviation of a structured-light camera's depth z: 1.2 mm + 1.9 mm (z - 0.4 m)² (Nguyen et al. 2012)."""
NOISE_FROM_M = 0.4


@dataclass(frozen=True)
class DepthMap:
    """Depth along the crop's optical axis.

    :param depth_m: (S, S), NaN where unknown
    :param matrix: (3, 3) pinhole matrix of the crop
    """

    depth_m: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of_crop(cls, depth_m: np.ndarray, camera: Camera, crop: CropCamera) -> DepthMap:
        """Read a depth image (H, W), registered to the camera's image, as the crop's camera would see it."""
        rays, source = crop.rays(), crop.source_pixels(camera)
        # depths on both sides of an outline do not mix: the nearest pixel's is taken
        read = cv2.remap(depth_m.astype(np.float32), source, None, cv2.INTER_NEAREST, borderValue=float('nan'))
        along_camera_axis = rays @ crop.camera_from_crop[2]
        return cls(read / along_camera_axis, crop.matrix)

    def distance(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far the measured surface lies from a plane at each point.

        :param points: (..., 3) crop frame, metres
        :param normals: (..., 3) unit, crop frame
        :return: (...) metres along the normal, NaN where unknown; (...) its standard deviation
        """
        ray = points / points[..., 2:]
        pixels = ray[..., :2] * self.matrix[0, 0] + self.matrix[:2, 2]
        column, row = np.moveaxis(np.rint(pixels).astype(np.intp).clip(0, len(self.depth_m) - 1), -1, 0)
        depth = self.depth_m[row, column]
        distance = np.sum(normals * (ray * depth[..., None] - points), axis=-1)
        noise = NOISE_M + NOISE_A_SQUARE_METRE * np.maximum(depth - NOISE_FROM_M, 0) ** 2
        return distance, noise * np.abs(np.sum(normals * ray, axis=-1)).clip(0.2)
