"""Camera: image size, pinhole matrix and lens distortion, kept right through resizing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from posegrasp_ros.errors import BadInput

# How many coefficients OpenCV takes; the first ones mean the same in each of its pinhole models.
PINHOLE_LENGTHS = (4, 5, 8, 12, 14)
DISTORTION_LENGTHS = {'plumb_bob': PINHOLE_LENGTHS, 'rational_polynomial': PINHOLE_LENGTHS, 'equidistant': (4,)}


class CameraError(BadInput):
    """Intrinsics that no camera has."""


@dataclass(frozen=True)
class Camera:
    """An image's geometry, as sensor_msgs/CameraInfo states it.

    :param width: image width, pixels
    :param height: image height, pixels
    :param matrix: (3, 3) K, pixels; pixel centres lie at whole numbers
    :param distortion: (n,) coefficients in the order of OpenCV, as many as the model has; none, or any number of
        zeros as some drivers send, are no coefficients and kept as an empty array
    :param model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant`` (fisheye)
    :raises CameraError: on a size, focal length, centre or distortion that cannot be
    """

    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))
    model: str = 'plumb_bob'

    def __post_init__(self):
        object.__setattr__(self, 'matrix', np.asarray(self.matrix, dtype=float).reshape(3, 3))
        object.__setattr__(self, 'distortion', np.asarray(self.distortion, dtype=float).ravel())
        if self.width < 1 or self.height < 1:
            raise CameraError(f'camera: expected at least 1x1 pixels, got {self.width}x{self.height}')
        if not (np.isfinite(self.matrix).all() and self.fx > 0 and self.fy > 0):
            raise CameraError(f'camera: K: expected focal lengths above 0, got fx={self.fx}, fy={self.fy}')
        if not (0 <= self.cx <= self.width and 0 <= self.cy <= self.height):
            raise CameraError(f'camera: K: expected the principal point inside {self.width}x{self.height}, '
                              f'got ({self.cx}, {self.cy})')
        if self.model not in DISTORTION_LENGTHS:
            raise CameraError(f'camera: distortion_model: expected one of {", ".join(DISTORTION_LENGTHS)}, '
                              f'got {self.model!r}')
        if not np.isfinite(self.distortion).all():
            raise CameraError(f'camera: D: expected finite coefficients, got {self.distortion.tolist()}')
        if not self.distortion.any():
            object.__setattr__(self, 'distortion', np.zeros(0))
        elif self.distortion.size not in DISTORTION_LENGTHS[self.model]:
            lengths = ', '.join(str(length) for length in DISTORTION_LENGTHS[self.model])
            raise CameraError(f'camera: D: {self.model} has {lengths} coefficients, got {self.distortion.size}')

    @classmethod
    def from_field_of_view(cls, width: int, height: int, horizontal_rad: float) -> Camera:
        """A pinhole camera with square pixels and the principal point in the image's middle."""
        focal = width / 2 / np.tan(horizontal_rad / 2)
        return cls(width, height, [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])

    @classmethod
    def from_info(cls, info) -> Camera:
        """The camera that a sensor_msgs/CameraInfo (of rclpy or of a bag reader) describes.

        :raises CameraError: as the constructor; an uncalibrated camera has zero focal length
        """
        return cls(info.width, info.height, info.k, info.d, info.distortion_model or 'plumb_bob')

    fx = property(lambda self: float(self.matrix[0, 0]))
    fy = property(lambda self: float(self.matrix[1, 1]))
    cx = property(lambda self: float(self.matrix[0, 2]))
    cy = property(lambda self: float(self.matrix[1, 2]))

    @property
    def is_distorted(self) -> bool:
        return self.model == 'equidistant' or self.distortion.size > 0

    def resized(self, width: int, height: int) -> Camera:
        """The same view sampled with another number of pixels.

        Pixel centres lie at whole numbers, so the image's edge is at -0.5 and stays there: cx scales as
        (cx + 0.5) * s - 0.5.
        """
        sx, sy = width / self.width, height / self.height
        scale = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return replace(self, width=width, height=height, matrix=scale @ self.matrix)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of camera-frame points (N, 3), lens distortion included; NaN behind the camera."""
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        zero = np.zeros(3)
        if self.model == 'equidistant':
            distortion = self.distortion if self.distortion.size else np.zeros(4)
            pixels, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, self.matrix, distortion)
        else:
            pixels, _ = cv2.projectPoints(points, zero, zero, self.matrix, self.distortion)
        pixels = pixels.reshape(-1, 2)
        pixels[points[:, 2] <= 1e-9] = np.nan
        return pixels

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Normalised image coordinates (N, 2) x/z, y/z of distorted pixels (N, 2)."""
        pixels = np.asarray(pixels, dtype=float).reshape(-1, 1, 2)
        if self.model == 'equidistant':
            distortion = self.distortion if self.distortion.size else np.zeros(4)
            return cv2.fisheye.undistortPoints(pixels, self.matrix, distortion).reshape(-1, 2)
        if not self.is_distorted:
            return (pixels.reshape(-1, 2) - (self.cx, self.cy)) / (self.fx, self.fy)
        return cv2.undistortPoints(pixels, self.matrix, self.distortion).reshape(-1, 2)

    def undistorted(self, pixels: np.ndarray) -> np.ndarray:
        """Where a camera with the same matrix but no distortion would see (N, 2) pixels."""
        rays = self.rays(pixels)
        return np.column_stack([rays, np.ones(len(rays))]) @ self.matrix[:2].T
