# SPDX-License-Identifier: Apache-2.0
"""Framing: how a whole image is laid into a network's input, and where its pixels come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Fit = Literal['letterbox', 'stretch']
PADDING = 114
"""Grey of what the image does not cover, as Ultralytics pads."""


@dataclass(frozen=True)
class Framing:
    """An image's place in a network's input.

    :param size: (width, height) of the input, pixels
    :param inner: (width, height) of the image in it
    :param offset: (left, top) of the image in it
    :param scale: (2,) input pixels over image pixels, along u and v
    :param edge: coordinate that scaling leaves in place. -0.5, the image's edge, is true to what the input shows,
        pixel centres being at whole numbers. 0 is how Ultralytics scales labels, which its networks learn.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    offset: tuple[int, int]
    scale: np.ndarray
    edge: float = -0.5

    @classmethod
    def of(cls, fit: Fit, image_size: tuple[int, int], size: tuple[int, int], edge: float = -0.5) -> Framing:
        """Stretched over all of the input, or with its proportions kept and grey at both sides (``letterbox``)."""
        inner = size
        if fit == 'letterbox':
            ratio = min(size[0] / image_size[0], size[1] / image_size[1])
            width, height = (min(whole, max(1, round(side * ratio))) for side, whole in zip(image_size, size))
            inner = (width, height)
        # an odd pixel of padding goes to the right and to the bottom
        offset = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
        return cls(size, inner, offset, np.array(inner) / np.array(image_size), edge)

    def apply(self, image: np.ndarray, shrink: int = cv2.INTER_LINEAR) -> np.ndarray:
        """The input picture (height, width, 3) uint8 for the image.

        :param shrink: OpenCV's interpolation where the image is the larger: the one the network learned from
        """
        smaller = self.inner[0] < image.shape[1]
        shrunk = cv2.resize(image, self.inner, interpolation=shrink if smaller else cv2.INTER_LINEAR)
        if self.inner == self.size:
            return shrunk
        (left, top), (width, height) = self.offset, self.inner
        picture = np.full((*self.size[::-1], 3), PADDING, np.uint8)
        picture[top:top + height, left:left + width] = shrunk
        return picture

    def to_image(self, pixels: np.ndarray) -> np.ndarray:
        """Image pixels (..., 2) of input pixels."""
        return (pixels - self.offset - self.edge) / self.scale + self.edge
