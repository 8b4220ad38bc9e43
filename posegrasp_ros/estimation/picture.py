"""Picture: a blurred crop with its derivatives, read at fractional pixels."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np


class Picture:
    """One level of a crop, from coarse to fine.

    :param crop: (S, S, 3) float32
    :param blur_px: standard deviation of the Gaussian that is laid over it
    """

    def __init__(self, crop: np.ndarray, blur_px: float):
        image = cv2.GaussianBlur(crop, (0, 0), blur_px)
        self.blur_px = blur_px
        # neighbours closer than this share their noise: they count together
        self.correlation_length_px = 2 * np.sqrt(np.pi) * np.hypot(blur_px, 0.5)
        self._image = image
        self._slope_u = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        self._slope_v = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)

    @cached_property
    def _tensor(self) -> np.ndarray:
        """(S, S, 3) products of the slopes, summed over the channels: u with u, u with v, v with v."""
        pairs = ((self._slope_u, self._slope_u), (self._slope_u, self._slope_v), (self._slope_v, self._slope_v))
        return cv2.merge([cv2.transform(one * other, np.ones((1, 3), np.float32)) for one, other in pairs])

    def read(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, slope along u and along v, each (..., 3) float32, at (..., 2) pixels.

        The value is the nearest pixel's, carried on by its slopes: the image is blurred, it is straight that far.
        """
        nearest = np.rint(pixels).astype(np.intp).clip(0, len(self._image) - 1)
        column, row = nearest[..., 0], nearest[..., 1]
        value, along_u, along_v = (layer[row, column] for layer in (self._image, self._slope_u, self._slope_v))
        rest = (pixels - nearest).astype(np.float32)
        return value + along_u * rest[..., :1] + along_v * rest[..., 1:], along_u, along_v

    def slopes(self, pixels: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(N, K) steepness of the image at (N, K, 2) pixels along (N, 2) directions."""
        tensor = cv2.remap(self._tensor, pixels.reshape(-1, 1, 2).astype(np.float32), None, cv2.INTER_LINEAR)
        uu, uv, vv = np.moveaxis(tensor.reshape(*pixels.shape[:-1], 3), -1, 0)
        u, v = directions.astype(np.float32).T[:, :, None]
        return np.sqrt(np.maximum(uu * u * u + 2 * uv * u * v + vv * v * v, 0))
