"""The camera's sensor: what a lens and a chip do to a perfectly rendered image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Sensor:
    """Imperfections of one camera in one light.

    :param exposure: factor on all values
    :param white_balance: factors on blue, green, red
    :param blur_px: standard deviation of the lens blur, pixels
    :param shot_noise: standard deviation at full scale that grows with the square root of the light
    :param read_noise: standard deviation that is there in the dark, both in grey levels of 255
    :param seed: of the noise
    """

    exposure: float
    white_balance: tuple[float, float, float]
    blur_px: float
    shot_noise: float
    read_noise: float
    seed: int


def sample_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a decent webcam: auto exposure and white balance a little off, visible noise."""
    return Sensor(
        exposure=float(np.exp(rng.normal(0.0, 0.12))),
        white_balance=tuple(np.exp(rng.normal(0.0, 0.04, 3)).tolist()),
        blur_px=float(rng.uniform(0.0, 0.8)),
        shot_noise=float(rng.uniform(0.0, 5.0)),
        read_noise=float(rng.uniform(0.5, 3.0)),
        seed=int(rng.integers(2**31)),
    )


def expose(sensor: Sensor, image: np.ndarray, index: int = 0) -> np.ndarray:
    """What the sensor delivers for an ideal image.

    :param image: (H, W, 3) uint8, blue green red
    :param index: number of the frame: each has noise of its own, the same one each time
    :return: (H, W, 3) uint8, blue green red
    """
    rng = np.random.default_rng([sensor.seed, index])
    values = cv2.multiply(image, tuple(sensor.exposure * gain for gain in sensor.white_balance) + (0.0,),
                          dtype=cv2.CV_32F)
    if sensor.blur_px > 0.2:
        values = cv2.GaussianBlur(values, (0, 0), sensor.blur_px)
    spread = cv2.sqrt(values * (sensor.shot_noise**2 / 255) + sensor.read_noise**2)
    values += spread * rng.standard_normal(values.shape, dtype=np.float32)
    return np.clip(values, 0, 255).astype(np.uint8)
