# SPDX-License-Identifier: Apache-2.0
"""Sensor models: lens blur, exposure and noise of a colour camera, and noise and range of a depth camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.estimation.refinement.depth_map import NOISE_A_SQUARE_METRE, NOISE_FROM_M, NOISE_M

# As specified for depth cameras on robot arms.
DEPTH_RANGE_M = (0.15, 4.0)


@dataclass(frozen=True)
class Sensor:
    """Imperfections of one camera under one illumination.

    :param exposure: factor on all values
    :param white_balance: factors on blue, green, red
    :param blur_px: standard deviation of the lens blur, pixels
    :param shot_noise: standard deviation at full scale, proportional to the square root of the signal
    :param read_noise: standard deviation without light; both in grey levels of 255
    :param seed: of the noise
    """

    exposure: float
    white_balance: tuple[float, float, float]
    blur_px: float
    shot_noise: float
    read_noise: float
    seed: int


def sample_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a typical webcam: small errors of auto exposure and white balance, visible noise."""
    return Sensor(
        exposure=float(np.exp(rng.normal(0.0, 0.12))),
        white_balance=tuple(np.exp(rng.normal(0.0, 0.04, 3)).tolist()),
        blur_px=float(rng.uniform(0.0, 0.8)),
        shot_noise=float(rng.uniform(0.0, 5.0)),
        read_noise=float(rng.uniform(0.5, 3.0)),
        seed=int(rng.integers(2**31)),
    )


def expose(sensor: Sensor, image: np.ndarray, index: int = 0) -> np.ndarray:
    """Apply the sensor model to an ideal image.

    :param image: (H, W, 3) uint8, blue green red
    :param index: frame number; each frame has its own reproducible noise
    :return: (H, W, 3) uint8, blue green red
    """
    rng = np.random.default_rng([sensor.seed, index])
    gains = np.array([*(sensor.exposure * gain for gain in sensor.white_balance), 0.0])
    values: np.ndarray = cv2.multiply(image, gains, dtype=cv2.CV_32F)
    if sensor.blur_px > 0.2:
        values = cv2.GaussianBlur(values, (0, 0), sensor.blur_px)
    spread = cv2.sqrt(values * (sensor.shot_noise**2 / 255) + sensor.read_noise**2)
    values += spread * rng.standard_normal(values.shape, dtype=np.float32)
    return np.clip(values, 0, 255).astype(np.uint8)


def measure_depth(sensor: Sensor, depth_m: np.ndarray, index: int = 0) -> np.ndarray:
    """Apply the depth camera model to ideal distances: noise that grows with distance, and a limited range.

    :param depth_m: (H, W) metres along the optical axis, NaN where there is no surface
    :param index: frame number; each frame has its own reproducible noise
    :return: (H, W) float32 metres, NaN where unknown
    """
    rng = np.random.default_rng([sensor.seed, index, 1])
    noise_m = NOISE_M + NOISE_A_SQUARE_METRE * np.maximum(depth_m - NOISE_FROM_M, 0) ** 2
    measured = depth_m + noise_m * rng.standard_normal(depth_m.shape, dtype=np.float32)
    nearest_m, farthest_m = DEPTH_RANGE_M
    return np.where((measured > nearest_m) & (measured < farthest_m), measured, np.nan).astype(np.float32)
