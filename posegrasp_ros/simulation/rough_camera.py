# SPDX-License-Identifier: Apache-2.0
"""A camera as cameras are: not quite the stated one, moved while exposed, badly exposed, sharpened, compressed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.simulation.sensor import Sensor, expose, sample_sensor

FOCAL_ERROR = 0.005
CENTRE_ERROR_PX = 3.0
"""In an image 640 pixels wide; in others in proportion."""
MOST_K1 = 0.05
JPEG_QUALITIES = (50, 95)
STATED_WIDTH_PX = 640
# Lens distortion is solved for on a grid of so many pixels; between, it is as good as linear.
LENS_STEP_PX = 8
# Auto exposure brings the mean grey level here, with a gain within these limits.
MEAN_LEVELS, GAINS = (70.0, 140.0), (0.6, 3.0)
# The ideal image is rendered wider than the camera sees, because of distortion, and finer, for smooth edges.
MARGIN, FINENESS = 1.06, 1.3


@dataclass(frozen=True)
class CameraMismatch:
    """By how much the camera that took the image differs from the stated one.

    :param focal: true focal length by the stated one
    :param centre_px: (x, y) true principal point less the stated one, in an image 640 pixels wide
    :param k1: radial distortion, which is in the image alone
    """

    focal: float = 1.0
    centre_px: tuple[float, float] = (0.0, 0.0)
    k1: float = 0.0

    def true_camera(self, stated: Camera) -> Camera:
        """The camera that took the image."""
        matrix = stated.matrix.copy()
        matrix[[0, 1], [0, 1]] *= self.focal
        matrix[:2, 2] += np.array(self.centre_px) * stated.width / STATED_WIDTH_PX
        return replace(stated, matrix=matrix, distortion=np.array([self.k1, 0.0, 0.0, 0.0, 0.0]))


@dataclass(frozen=True)
class RoughSensor:
    """What a camera does to its image beyond :class:`posegrasp_ros.simulation.sensor.Sensor`, in this order.

    :param mean_level: mean grey level of 255 that auto exposure aims at; None for a fixed exposure
    :param sensor: its exposure, which may be far off, is a factor on that
    :param motion_px: length and direction (x, y) of the image's movement during exposure; none below 1 pixel
    :param sharpening: strength of the unsharp mask; above 0 edges have halos
    :param sharpening_px: its standard deviation
    :param jpeg_quality: None for no compression
    """

    sensor: Sensor
    mean_level: float | None = None
    motion_px: tuple[float, float] = (0.0, 0.0)
    sharpening: float = 0.0
    sharpening_px: float = 1.0
    jpeg_quality: int | None = None


def sample_mismatch(rng: np.random.Generator) -> CameraMismatch:
    """Draw a calibration as done by hand; distortion is left in half of the images."""
    x, y = CENTRE_ERROR_PX * rng.uniform(-1.0, 1.0, 2)
    k1 = rng.uniform(-MOST_K1, MOST_K1) if rng.random() < 0.5 else 0.0
    return CameraMismatch(float(1.0 + FOCAL_ERROR * rng.uniform(-1.0, 1.0)), (float(x), float(y)), float(k1))


def sample_rough_sensor(rng: np.random.Generator) -> RoughSensor:
    """Draw the sensor: exposure off by up to two in a third of the images, motion blur in a third."""
    sensor = sample_sensor(rng)
    is_misexposed, is_moved, is_sharpened = rng.random() < 0.35, rng.random() < 0.35, rng.random() < 0.7
    exposure = float(np.exp(rng.uniform(-0.8, 0.6)))
    direction, length_px = rng.uniform(0.0, np.pi), rng.uniform(1.0, 6.0)
    motion_px = (float(length_px * np.cos(direction)), float(length_px * np.sin(direction)))
    return RoughSensor(
        sensor=replace(sensor, exposure=exposure) if is_misexposed else sensor,
        mean_level=float(rng.uniform(*MEAN_LEVELS)),
        motion_px=motion_px if is_moved else (0.0, 0.0),
        sharpening=float(rng.uniform(0.2, 1.5)) if is_sharpened else 0.0,
        sharpening_px=float(rng.uniform(0.7, 2.0)),
        jpeg_quality=int(rng.integers(JPEG_QUALITIES[0], JPEG_QUALITIES[1] + 1)),
    )


def ideal_camera(true_camera: Camera) -> Camera:
    """The pinhole camera to render with: a little wider and finer than the true one, centred."""
    width, height = (round(MARGIN * FINENESS * side) for side in (true_camera.width, true_camera.height))
    focal = FINENESS * true_camera.fx
    return Camera(width, height, np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]))


class LensMap:
    """Warps ideal images to those of the true camera."""

    def __init__(self, ideal: Camera, true_camera: Camera):
        rows, columns = np.indices((true_camera.height, true_camera.width), dtype=np.float32) / LENS_STEP_PX
        coarse = LENS_STEP_PX * np.indices([int(side.max()) + 2 for side in (rows, columns)])
        rays = true_camera.rays(coarse[::-1].reshape(2, -1).T)
        pixels = (rays * (ideal.fx, ideal.fy) + (ideal.cx, ideal.cy)).astype(np.float32)
        self._columns, self._rows = (cv2.remap(side.reshape(coarse.shape[1:]), columns, rows, cv2.INTER_LINEAR)
                                     for side in pixels.T)

    def image(self, ideal: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
        """The image, (H, W) or (H, W, 3), as it falls through the lens."""
        return cv2.remap(ideal, self._columns, self._rows, interpolation, borderMode=cv2.BORDER_REPLICATE)


def expose_roughly(rough: RoughSensor, image: np.ndarray, index: int = 0) -> np.ndarray:
    """Apply the sensor to an image as it falls through the lens.

    :param image: (H, W, 3) uint8, blue green red
    :param index: frame number; each frame has its own reproducible noise
    :return: (H, W, 3) uint8, blue green red
    """
    if np.hypot(*rough.motion_px) >= 1.0:
        image = cv2.filter2D(image, -1, _motion_kernel(*rough.motion_px))
    gain = 1.0 if rough.mean_level is None else float(np.clip(rough.mean_level / max(image.mean(), 1.0), *GAINS))
    image = expose(replace(rough.sensor, exposure=gain * rough.sensor.exposure), image, index)
    if rough.sharpening > 0.0:
        smooth = cv2.GaussianBlur(image, (0, 0), rough.sharpening_px)
        image = cv2.addWeighted(image, 1.0 + rough.sharpening, smooth, -rough.sharpening, 0.0)
    if rough.jpeg_quality is None:
        return image
    coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, rough.jpeg_quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def _motion_kernel(x_px: float, y_px: float) -> np.ndarray:
    """Even line through the kernel's middle, of that length and direction."""
    side = 2 * int(np.ceil(np.hypot(x_px, y_px) / 2)) + 3
    places = (side - 1) / 2 + np.linspace(-0.5, 0.5, 64)[:, None] * (x_px, y_px)
    kernel = np.zeros((side, side))
    low, share = np.floor(places).astype(int), places - np.floor(places)
    for right in (0, 1):
        for down in (0, 1):
            weight = np.abs(1 - right - share[:, 0]) * np.abs(1 - down - share[:, 1])
            np.add.at(kernel, (low[:, 1] + down, low[:, 0] + right), weight)
    return kernel / kernel.sum()
