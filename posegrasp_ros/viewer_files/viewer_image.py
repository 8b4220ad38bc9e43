# SPDX-License-Identifier: Apache-2.0
"""Images as viewers take them: compressed, and without the lens distortion that they do not draw with."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from posegrasp_ros.geometry.camera import Camera

JPEG_QUALITY = 90


class ViewerImage(NamedTuple):
    """An image in a file.

    :param jpeg: None where the image cannot be decoded
    :param camera: of the image, without distortion; None where it is not known
    """

    jpeg: bytes | None
    camera: Camera | None


class ViewerImages:
    """Prepares images; the maps of the last distorted camera are kept."""

    def __init__(self) -> None:
        self._camera: Camera | None = None
        self._maps: tuple[np.ndarray, np.ndarray] | None = None

    def prepare(self, image: np.ndarray | None, camera: Camera | None) -> ViewerImage:
        """An image (H, W, 3) uint8 blue green red as a file, rectified with the same pinhole matrix."""
        if image is not None and camera is not None and camera.is_distorted:
            image = cv2.remap(image, *self._maps_of(camera), interpolation=cv2.INTER_LINEAR)
        if camera is not None and camera.is_distorted:
            camera = Camera(camera.width, camera.height, camera.matrix)
        if image is None:
            return ViewerImage(None, camera)
        _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return ViewerImage(data.tobytes(), camera)

    def _maps_of(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """(H, W) u and v in the distorted image of each rectified pixel; outside of it where none is seen."""
        if self._maps is None or camera is not self._camera:
            v, u = np.mgrid[:camera.height, :camera.width].astype(float)
            rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
            pixels = np.nan_to_num(camera.project(rays.reshape(-1, 3)), nan=-1e4).astype(np.float32)
            first, second = pixels.reshape(camera.height, camera.width, 2).transpose(2, 0, 1)
            self._camera, self._maps = camera, (np.ascontiguousarray(first), np.ascontiguousarray(second))
        return self._maps
