# SPDX-License-Identifier: Apache-2.0
"""Picture: a blurred crop with its derivatives, sampled at fractional pixels."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled


class Picture:
    """One scale of a crop.

    :param crop: (S, S, 3) float32
    :param blur_px: standard deviation of the Gaussian blur
    """

    def __init__(self, crop: np.ndarray, blur_px: float):
        image = cv2.GaussianBlur(crop, (0, 0), blur_px)
        self.blur_px = blur_px
        # the noise of pixels closer than this is correlated
        self.correlation_length_px: float = 2 * np.sqrt(np.pi) * np.hypot(blur_px, 0.5)
        self.layers: tuple[np.ndarray, np.ndarray, np.ndarray] = (
            image, cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8),
            cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8))
        """Value, derivative by u, derivative by v; each (S, S, 3) float32."""

    @cached_property
    def tensor(self) -> np.ndarray:
        """(S, S, 3) structure tensor: products of the derivatives uu, uv and vv, summed over the channels."""
        _, slope_u, slope_v = self.layers
        pairs = ((slope_u, slope_u), (slope_u, slope_v), (slope_v, slope_v))
        return cv2.merge([cv2.transform(one * other, np.ones((1, 3), np.float32)) for one, other in pairs])


@compiled
def read(layers: tuple, pixels: np.ndarray) -> tuple:
    """Value and derivatives by u and v of a picture, each (N, 3), at (N, 2) pixels.

    The value is extrapolated from the nearest pixel by its derivatives; a blurred image is linear that far.
    """
    image, slope_u, slope_v = layers
    last = len(image) - 1
    value, along_u, along_v = np.empty((len(pixels), 3)), np.empty((len(pixels), 3)), np.empty((len(pixels), 3))
    for i in range(len(pixels)):
        u, v = pixels[i]
        column, row = int(min(max(round(u), 0), last)), int(min(max(round(v), 0), last))
        for channel in range(3):
            along_u[i, channel] = slope_u[row, column, channel]
            along_v[i, channel] = slope_v[row, column, channel]
            value[i, channel] = (image[row, column, channel] + (u - column) * along_u[i, channel]
                                 + (v - row) * along_v[i, channel])
    return value, along_u, along_v


@compiled
def steepness(tensor: np.ndarray, u: float, v: float, along_u: float, along_v: float) -> float:
    """Gradient magnitude of a picture at (u, v) along a unit direction, per pixel; 0 outside the picture.

    :param tensor: :attr:`Picture.tensor`, interpolated bilinearly
    """
    last = len(tensor) - 1
    if not (0 <= u < last and 0 <= v < last):
        return 0.0
    column, row = int(u), int(v)
    right, below = u - column, v - row
    total = 0.0
    for product, weight in enumerate((along_u * along_u, 2 * along_u * along_v, along_v * along_v)):
        above_it = (1 - right) * tensor[row, column, product] + right * tensor[row, column + 1, product]
        below_it = (1 - right) * tensor[row + 1, column, product] + right * tensor[row + 1, column + 1, product]
        total += weight * ((1 - below) * above_it + below * below_it)
    return np.sqrt(max(total, 0.0))
