# SPDX-License-Identifier: Apache-2.0
"""Noise, blur, JPEG quality, level and colour cast of a camera, measured in its frames without a target."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image

from posegrasp_ros.sensing.images import ByteData, flat_bytes

BLOCK_PX = 16
FLATTEST = 0.25
"""Fraction of the blocks, the flattest, in which noise is measured."""
UNCLIPPED = (8, 247)
"""Range of a block's mean level, beyond which clipping hides noise."""
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
REBLUR_PX = (1.0, 2.0)
STRONGEST = 0.2
"""Fraction of the edge points, the strongest, at which blur is measured."""
MOST_BLUR_PX = 8.0
LEAST_EDGES = 30
JPEG_MAGIC = b'\xff\xd8\xff'


@dataclass(frozen=True)
class CameraFigures:
    """What a camera did to one frame.

    :param width: of the frame, pixels
    :param height: of the frame, pixels
    :param noise: standard deviation of a channel, levels of 255
    :param blur_px: standard deviation of the Gaussian that blurs edges as much; NaN in a frame without edges
    :param jpeg_quality: 1 to 100 on the scale of libjpeg; None when the frame is not a JPEG
    :param level: mean of all channels, 0 to 255
    :param cast: (3,) factors on blue, green, red with the geometric mean 1
    """

    width: int
    height: int
    noise: float
    blur_px: float
    jpeg_quality: int | None
    level: float
    cast: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, coded: ByteData = b'') -> CameraFigures:
        """Measure an image.

        :param image: (H, W, 3) uint8 blue green red
        :param coded: the bytes that it was decoded from, if any
        """
        return cls(image.shape[1], image.shape[0], noise_level(image), blur_px(image), jpeg_quality(coded),
                   float(image.mean()), colour_cast(image))


def noise_level(image: np.ndarray) -> float:
    """Standard deviation of the noise of one channel, levels of 255.

    Immerkaer (Fast noise variance estimation, 1996), eq. 4, in the flattest blocks of each channel, of which the
    median counts. Noise that is correlated over pixels, as after a strong compression, is underestimated.

    :param image: (H, W, 3) uint8
    """
    pixels = image.astype(np.float32)
    laplacian = np.abs(cv2.filter2D(pixels, -1, _NOISE_MASK))
    soft = cv2.GaussianBlur(pixels, (0, 0), 2.0)
    slope = np.abs(cv2.Sobel(soft, -1, 1, 0, ksize=1)) + np.abs(cv2.Sobel(soft, -1, 0, 1, ksize=1))
    size = max(1, image.shape[1] // BLOCK_PX), max(1, image.shape[0] // BLOCK_PX)
    responses, slopes, means = (cv2.resize(each, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
                                for each in (laplacian, slope, pixels))
    found = []
    for response, flatness, mean in zip(responses.T, slopes.T, means.T):
        inside = (mean > UNCLIPPED[0]) & (mean < UNCLIPPED[1])
        if inside.any():
            flat = inside & (flatness <= np.quantile(flatness[inside], FLATTEST))
            found.append(np.sqrt(np.pi / 2) / 6 * np.median(response[flat]))
    return float(np.mean(found)) if found else 0.0


def blur_px(image: np.ndarray) -> float:
    """Standard deviation, in pixels, of the Gaussian that blurs a step edge as the image's strong edges are.

    The image is blurred again by two known Gaussians; the ratio of the gradients that are left at an edge tells
    the blur that it had (Zhuo and Sim, Defocus map estimation from a single image, 2011, eq. 5, here with two
    Gaussians, of which the first suppresses noise). Strong noise makes it smaller: a blur of 2 pixels by a fifth
    at a noise of 8 levels.

    :param image: (H, W, 3) uint8
    :return: NaN when there are too few edges
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    sharper, softer = (_slope(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in REBLUR_PX)
    # blurred white noise has slopes of 0.4 of its own standard deviation, so this is five times that
    is_edge = (sharper == cv2.dilate(sharper, np.ones((3, 3), np.uint8))) & (sharper > 4 + 2 * noise_level(image))
    border = int(4 * REBLUR_PX[1])
    is_edge[:border], is_edge[-border:], is_edge[:, :border], is_edge[:, -border:] = False, False, False, False
    if np.count_nonzero(is_edge) < LEAST_EDGES:
        return float('nan')
    strong = is_edge & (sharper >= np.quantile(sharper[is_edge], 1 - STRONGEST))
    squared_ratio = np.maximum((sharper[strong] / softer[strong]) ** 2, 1 + 1e-6)
    first, second = np.square(REBLUR_PX)
    # 1/3 is the variance of the box that a central difference averages over
    variance = (second - squared_ratio * first) / (squared_ratio - 1) - 1 / 3
    return float(np.sqrt(np.clip(np.median(variance), 0, MOST_BLUR_PX ** 2)))


def _slope(grey: np.ndarray) -> np.ndarray:
    """(H, W) magnitude of the central differences, levels in two pixels."""
    return cv2.magnitude(cv2.Sobel(grey, -1, 1, 0, ksize=1), cv2.Sobel(grey, -1, 0, 1, ksize=1))


def colour_cast(image: np.ndarray) -> np.ndarray:
    """(3,) factors on blue, green, red of the light and white balance, with the geometric mean 1.

    Edges are taken to be grey on average (van de Weijer et al., Edge-based color constancy, 2007): other than the
    average colour, this does not take a wooden table for yellow light.

    :param image: (H, W, 3) uint8
    """
    soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5)
    slopes = np.hypot(cv2.Sobel(soft, -1, 1, 0, ksize=1), cv2.Sobel(soft, -1, 0, 1, ksize=1)).mean(axis=(0, 1))
    logs = np.log(np.maximum(slopes, 1e-3))
    return np.exp(logs - logs.mean())


def jpeg_quality(coded: ByteData) -> int | None:
    """The quality, on libjpeg's scale, whose quantisation of brightness is nearest to that of a JPEG.

    :param coded: bytes of an image file
    :return: None for what is not a JPEG
    """
    content = flat_bytes(coded).tobytes()
    if not content.startswith(JPEG_MAGIC):
        return None
    steps = _quantisation(content)
    return min(range(1, 101), key=lambda quality: abs(_steps_of_qualities()[quality - 1] - steps))


def _quantisation(content: bytes) -> float:
    """Sum of the quantisation steps of the first table, that of brightness."""
    with Image.open(io.BytesIO(content), formats=('JPEG',)) as image:
        return float(sum(image.quantization[0]))


@lru_cache(maxsize=1)
def _steps_of_qualities() -> list[float]:
    """What :func:`_quantisation` gives for the qualities 1 to 100."""
    blank = np.zeros((8, 8, 3), np.uint8)
    return [_quantisation(cv2.imencode('.jpg', blank, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
            for quality in range(1, 101)]
