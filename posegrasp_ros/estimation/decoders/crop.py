# SPDX-License-Identifier: Apache-2.0
"""Virtual cameras: a crop is what a camera turned to the object and zoomed to it would see."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import rotation_angle, rotation_from_vector


@dataclass(frozen=True)
class Detection:
    """An object's place in an image.

    :param centre: (2,) pixels u, v of the object's centre
    :param radius_px: radius of its bounding sphere
    :param confidence: the detector's confidence, in [0, 1]
    """

    centre: np.ndarray
    radius_px: float
    confidence: float


@dataclass(frozen=True)
class CropCamera:
    """A pinhole camera at the place of the real one.

    :param camera_from_crop: (3, 3) rotation from the crop's optical frame to the camera's
    :param focal_px: its focal length
    :param size_px: side of its square image
    """

    camera_from_crop: np.ndarray
    focal_px: float
    size_px: int

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) pinhole matrix, pixels."""
        middle = (self.size_px - 1) / 2
        return np.array([[self.focal_px, 0, middle], [0, self.focal_px, middle], [0, 0, 1]])

    @classmethod
    def around(cls, direction: np.ndarray, angular_radius: float, size_px: int, margin: float) -> CropCamera:
        """Turned to ``direction`` so that a sphere of the given radius over distance fills it but a margin.

        :param direction: (3,) in the camera frame, any length
        :param angular_radius: the sphere's radius divided by its distance
        :param margin: half the crop's side over the sphere's radius in it
        """
        forward = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
        axis = np.cross((0.0, 0.0, 1.0), forward)
        sine = np.linalg.norm(axis)
        turn = axis * (np.arctan2(sine, forward[2]) / sine) if sine > 1e-9 else np.zeros(3)
        return cls(rotation_from_vector(turn), size_px / 2 / margin / angular_radius, size_px)

    @classmethod
    def of_detection(cls, detection: Detection, camera: Camera, size_px: int, margin: float) -> CropCamera:
        """Turned to a detection in the camera's own pixels."""
        direction = np.append(camera.rays(detection.centre[None])[0], 1.0)
        # off the axis a sphere is seen larger: by 1/cos across and 1/cos² along the radius of the image
        cosine = 1 / np.linalg.norm(direction)
        return cls.around(direction, detection.radius_px / camera.fx * cosine ** 1.5, size_px, margin)

    def shows_much_the_same(self, other: CropCamera) -> bool:
        """Whether the crops differ by less than networks are trained to bear: 5 % of the side, 10 % of scale."""
        turn = rotation_angle(self.camera_from_crop.T @ other.camera_from_crop)
        return bool(turn * self.focal_px < 0.05 * self.size_px
                    and abs(np.log(self.focal_px / other.focal_px)) < 0.1)

    def shoot(self, image: np.ndarray, camera: Camera, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
        """The crop (S, S, 3) from the real camera's image.

        :param border: OpenCV's name for what lies outside the image, black if nothing is said
        """
        while camera.fx / self.focal_px > 1.4:  # without this a large object would be sampled with gaps
            halved = camera.resized(camera.width // 2, camera.height // 2)
            image = cv2.resize(image, (halved.width, halved.height), interpolation=cv2.INTER_AREA)
            camera = halved
        if not camera.is_distorted:
            homography = camera.matrix @ self.camera_from_crop @ np.linalg.inv(self.matrix)
            return cv2.warpPerspective(image, homography, (self.size_px, self.size_px),
                                       flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
        u, v = cv2.split(self.source_pixels(camera))
        return cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=border)

    def rays(self) -> np.ndarray:
        """(S, S, 3) what each pixel of the crop looks along, crop frame, z = 1."""
        u, v = np.meshgrid(np.arange(self.size_px), np.arange(self.size_px))
        return np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(self.matrix).T

    def source_pixels(self, camera: Camera) -> np.ndarray:
        """(S, S, 2) float32 pixels of the real camera's image that the crop's pixels are read from."""
        source = camera.project((self.rays() @ self.camera_from_crop.T).reshape(-1, 3))
        return np.nan_to_num(source, nan=-1e6).reshape(self.size_px, self.size_px, 2).astype(np.float32)
