# SPDX-License-Identifier: Apache-2.0
"""Camera intrinsics: image size, pinhole matrix and lens distortion; resizing, cropping, projection and rays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np

from posegrasp_ros.geometry.lens import DISTORTION_LENGTHS, fold_tangent
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

# Reprojection error at which the solver for the ray of a pixel stops.
RAY_PRECISION_PX = 1e-3
MOST_NEWTON_STEPS = 30
# Points per batch of the solver: the derivatives take 200 bytes per point.
PART = 20_000
# The principal point of a cropped image may lie outside of it, but not outside of any real sensor.
FARTHEST_CENTRE_PX = 65535.0

# Of width or height: no lens sees that wide, and what is smaller is not in pixels.
LEAST_FOCAL = 0.02


class CameraError(InvalidInputError):
    """Invalid camera intrinsics."""


@dataclass(frozen=True)
class Camera:
    """Camera model of an image, with the conventions of sensor_msgs/CameraInfo.

    :param width: image width, pixels
    :param height: image height, pixels
    :param matrix: (3, 3) K, pixels; pixel centres have integer coordinates
    :param distortion: (n,) coefficients in OpenCV's order, as many as the model has; any number of zeros, as some
        drivers send, means no distortion and is stored as an empty array
    :param model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant`` (fisheye)
    :raises CameraError: on an invalid size, focal length, principal point or distortion
    """

    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(0))
    model: str = 'plumb_bob'

    def __post_init__(self) -> None:
        object.__setattr__(self, 'matrix', np.asarray(self.matrix, dtype=float).reshape(3, 3))
        object.__setattr__(self, 'distortion', np.asarray(self.distortion, dtype=float).ravel())
        if self.width < 1 or self.height < 1:
            raise CameraError(f'camera: expected at least 1x1 pixels, got {self.width}x{self.height}')
        if not (np.isfinite(self.matrix).all() and self.fx > 0 and self.fy > 0):
            raise CameraError(f'camera: K: expected focal lengths above 0, got fx={self.fx}, fy={self.fy}')
        if self.fx < LEAST_FOCAL * self.width or self.fy < LEAST_FOCAL * self.height:
            raise CameraError(f'camera: K: expected focal lengths in pixels of {self.width}x{self.height}, got '
                              f'fx={self.fx:g}, fy={self.fy:g}; those of the image plane from 0 to 1 have to be '
                              'multiplied by its size')
        if max(abs(self.cx), abs(self.cy)) > FARTHEST_CENTRE_PX:
            raise CameraError(f'camera: K: expected a principal point within {FARTHEST_CENTRE_PX:g} pixels, got '
                              f'({self.cx}, {self.cy})')
        if self.matrix[0, 1] or self.matrix[1, 0] or self.matrix[2].tolist() != [0, 0, 1]:
            raise CameraError('camera: K: expected fx 0 cx, 0 fy cy, 0 0 1 row by row, got '
                              f'{self.matrix.ravel().tolist()}')
        if self.model not in DISTORTION_LENGTHS:
            raise CameraError(f'camera: distortion_model: expected one of {", ".join(DISTORTION_LENGTHS)}, '
                              f'got {quoted(self.model)}')
        if not np.isfinite(self.distortion).all():
            raise CameraError(f'camera: D: expected finite coefficients, got {self.distortion.tolist()}')
        if not self.distortion.any():
            object.__setattr__(self, 'distortion', np.zeros(0))
        elif self.distortion.size not in DISTORTION_LENGTHS[self.model]:
            lengths = ', '.join(str(length) for length in DISTORTION_LENGTHS[self.model])
            raise CameraError(f'camera: D: {self.model} has {lengths} coefficients, got {self.distortion.size}')

    @classmethod
    def from_field_of_view(cls, width: int, height: int, horizontal_rad: float) -> Camera:
        """A pinhole camera with square pixels and the principal point at the image centre."""
        focal = width / 2 / np.tan(horizontal_rad / 2)
        return cls(width, height, np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]))

    fx = property(lambda self: float(self.matrix[0, 0]))
    fy = property(lambda self: float(self.matrix[1, 1]))
    cx = property(lambda self: float(self.matrix[0, 2]))
    cy = property(lambda self: float(self.matrix[1, 2]))

    @property
    def is_distorted(self) -> bool:
        return self.model == 'equidistant' or self.distortion.size > 0

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same view at another resolution.

        Pixel centres have integer coordinates, so the image edge is at -0.5 before and after, and cx scales to
        (cx + 0.5) * s - 0.5.
        """
        sx, sy = width / self.width, height / self.height
        scale = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
        return replace(self, width=width, height=height, matrix=scale @ self.matrix)

    def cropped(self, x: int, y: int, width: int, height: int) -> Camera:
        """The camera of an image region with its top left pixel at (x, y)."""
        shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
        return replace(self, width=width, height=height, matrix=shift @ self.matrix)

    @cached_property
    def fold_tangent(self) -> float:
        """See :func:`posegrasp_ros.geometry.lens.fold_tangent`."""
        return fold_tangent(self.model, self.distortion)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of camera-frame points (N, 3), lens distortion included.

        NaN behind the camera and outside the valid range of the lens model (:attr:`fold_tangent`).
        """
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        pixels, _ = self._distort(points)
        is_seen = points[:, 2] > 1e-9
        if self.is_distorted:
            is_seen &= np.hypot(points[:, 0], points[:, 1]) <= self.fold_tangent * points[:, 2]
        pixels[~is_seen] = np.nan
        return pixels

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Normalised image coordinates (N, 2) x/z, y/z of distorted pixels (N, 2).

        NaN where no ray in front of the camera projects to a pixel, else accurate to :data:`RAY_PRECISION_PX`.
        """
        pixels = np.asarray(pixels, dtype=float).reshape(-1, 2)
        if not self.is_distorted:
            return (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        parts = [self._solve_rays(pixels[start:start + PART]) for start in range(0, len(pixels), PART)]
        return np.concatenate(parts) if parts else np.zeros((0, 2))

    def undistorted(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted pixels (N, 2) of pixels (N, 2), with the same matrix; NaN as in :meth:`rays`."""
        rays = self.rays(pixels)
        return np.column_stack([rays, np.ones(len(rays))]) @ self.matrix[:2].T

    def _distort(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) of points (N, 3), and derivatives (N, 2, 2) by x and y, which are valid for z = 1."""
        zero = np.zeros(3)
        if not len(points):
            return np.zeros((0, 2)), np.zeros((0, 2, 2))
        if self.model == 'equidistant':
            distortion = self.distortion if self.distortion.size else np.zeros(4)
            pixels, jacobian = cv2.fisheye.projectPoints(points[:, None], zero, zero, self.matrix, distortion)
            translation = slice(11, 13)
        else:
            pixels, jacobian = cv2.projectPoints(points, zero, zero, self.matrix, self.distortion)
            translation = slice(3, 5)
        # For z = 1 the derivative by the camera's translation is that by x and y.
        return pixels.reshape(-1, 2), jacobian[:, translation].reshape(-1, 2, 2)

    def _solve_rays(self, pixels: np.ndarray) -> np.ndarray:
        """Newton's method; the fixed-point iteration of OpenCV's undistortPoints diverges for wide lenses."""
        rays = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        # A start outside the model's range could send the first step anywhere.
        radii = np.maximum(np.hypot(*rays.T), 1e-12)
        rays *= np.minimum(1.0, 0.9 * self.fold_tangent / radii)[:, None]
        open_rays = np.flatnonzero(np.isfinite(pixels).all(axis=1))
        found = np.full_like(rays, np.nan)
        for _ in range(MOST_NEWTON_STEPS):
            seen, slopes = self._distort(np.column_stack([rays[open_rays], np.ones(len(open_rays))]))
            errors = pixels[open_rays] - seen
            is_solved = np.hypot(*errors.T) <= RAY_PRECISION_PX
            found[open_rays[is_solved]] = rays[open_rays[is_solved]]
            open_rays, errors, slopes = open_rays[~is_solved], errors[~is_solved], slopes[~is_solved]
            if not len(open_rays):
                break
            rays[open_rays] += self._newton_steps(rays[open_rays], errors, slopes)
        found[np.hypot(*found.T) > self.fold_tangent] = np.nan
        return found

    def _newton_steps(self, rays: np.ndarray, errors: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """(N, 2) steps that stay within the range of the model."""
        determinants = np.linalg.det(slopes)
        determinants = np.where(np.abs(determinants) < 1e-9, 1e-9, determinants)
        steps = np.stack([slopes[:, 1, 1] * errors[:, 0] - slopes[:, 0, 1] * errors[:, 1],
                          slopes[:, 0, 0] * errors[:, 1] - slopes[:, 1, 0] * errors[:, 0]], axis=1)
        steps /= determinants[:, None]
        # At most half of the way to the fold, where the slope is zero and a Newton step infinite.
        lengths = np.maximum(np.hypot(*steps.T), 1e-12)
        room = np.maximum(self.fold_tangent - np.hypot(*rays.T), 1e-9)
        outwards = (steps * rays).sum(axis=1) > 0
        limits = np.where(outwards, 0.5 * room, np.maximum(2 * np.hypot(*rays.T), 1e-3))
        return steps * np.minimum(1.0, limits / lengths)[:, None]
