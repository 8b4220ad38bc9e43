# SPDX-License-Identifier: Apache-2.0
"""Camera augmentation of training images: light, white balance, blur, noise, sharpening, tone curve, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

AUTO_EXPOSED, MEAN_LEVELS, GAINS = 0.6, (60.0, 150.0), (0.5, 4.0)
"""Probability of auto exposure; mean levels of 255 that it aims at; limits of its gain."""
# Precomputed Gaussian noise, read from a random offset: drawing it each time would take longer than all the rest.
_NOISE = np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)


def photograph(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Simulate a camera: uneven light, white balance, exposure, blur, noise, sharpening, contrast,
    JPEG.

    :return: (H, W, 3) uint8 red green blue
    """
    canvas = uneven_light(rng, canvas)
    canvas *= (_exposure(rng, canvas) * np.exp(rng.normal(0, 0.10, 3))).astype(np.float32)
    canvas = _blur(rng, saturate(rng, canvas))
    if rng.random() < 0.8:
        canvas = add_noise(rng, canvas)
    if rng.random() < 0.35:  # sharpening by the camera leaves halos along edges
        soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.7, 2.0))
        amount = rng.uniform(0.2, 1.5)
        canvas = cv2.addWeighted(canvas, 1 + amount, soft, -amount, 0)
    picture = cv2.LUT(cv2.convertScaleAbs(np.clip(canvas, 0, 255, out=canvas)), tone_curve(rng))
    if rng.random() < 0.35:
        picture = as_jpeg(picture, int(rng.integers(30, 95)))
    return picture[:, :, ::-1]


def _exposure(rng: np.random.Generator, canvas: np.ndarray) -> float:
    """Factor on the light: that of auto exposure, or any."""
    if rng.random() > AUTO_EXPOSED:
        return rng.uniform(0.5, 1.5)
    mean = float(canvas[::4, ::4].mean())
    return float(np.clip(rng.uniform(*MEAN_LEVELS) / max(mean, 1.0), *GAINS))


def uneven_light(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Brighten and darken parts of half of the pictures, in place."""
    height, width = canvas.shape[:2]
    if rng.random() < 0.5:
        cells = rng.uniform(0.5, 1.3, (rng.integers(2, 5), rng.integers(2, 5))).astype(np.float32)
        canvas *= cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)[:, :, None]
    return canvas


def saturate(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Change the saturation of some pictures, from grey to vivid."""
    if rng.random() < 0.4:
        grey = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        strength = 0.0 if rng.random() < 0.15 else rng.uniform(0.4, 1.4)
        canvas = cv2.addWeighted(canvas, strength, grey, 1 - strength, 0)
    return canvas


def add_noise(rng: np.random.Generator, canvas: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """Add white noise to each channel.

    :param sigma: levels of 255; None for a random one
    """
    start = rng.integers(len(_NOISE) - canvas.size)
    noise = _NOISE[start:start + canvas.size].reshape(canvas.shape)
    return cv2.addWeighted(canvas, 1.0, noise, abs(rng.normal(0, 6)) if sigma is None else sigma, 0)


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """A picture (H, W, 3) uint8 after compression.

    :param quality: 1 to 100
    """
    coded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError('expected OpenCV to decode the JPEG that it encoded')
    return decoded


def tone_curve(rng: np.random.Generator) -> np.ndarray:
    """(256,) uint8 tone curve: black level and gamma."""
    levels = np.clip(np.arange(256) + rng.uniform(-15, 30), 0, 255) / 255
    gamma = np.exp(rng.normal(0, 0.25)) if rng.random() < 0.5 else 1.0
    return np.rint(255 * levels ** gamma).astype(np.uint8)


def _blur(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Apply no blur, defocus, motion blur or a lower resolution."""
    kind = rng.random()
    if kind < 0.35:
        return cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.5))
    if kind < 0.5:
        length = int(rng.integers(2, 8))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        middle, reach = (length - 1) / 2, (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
        ends = np.rint([middle - reach, middle + reach]).astype(int)
        cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0)
        return cv2.filter2D(canvas, -1, kernel / kernel.sum())
    if kind < 0.65:
        height, width = canvas.shape[:2]
        factor = rng.uniform(1.2, 2.5)
        small = cv2.resize(canvas, (int(width / factor), int(height / factor)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas
