# SPDX-License-Identifier: Apache-2.0
"""Worn print of training images: what is printed is never quite what the mesh's texture says."""

from __future__ import annotations

import cv2
import numpy as np

MOST_WARP = 0.015
"""Largest shift of the print, as a fraction of the picture's side."""
GRID = 4
WARPED, FADED = 0.5, 0.4
"""Probabilities."""


def wear(rng: np.random.Generator, layer: np.ndarray) -> np.ndarray:
    """The colours of a rendered layer (H, W, 4), premultiplied by coverage, shifted smoothly and faded.

    The outline stays where it is.

    :return: (H, W, 3) float32
    """
    colour: np.ndarray = layer[:, :, :3]
    height, width = layer.shape[:2]
    if rng.random() < WARPED:
        coarse = rng.uniform(-1, 1, (GRID, GRID, 2)).astype(np.float32) * np.float32(
            MOST_WARP * rng.random() * max(height, width))
        shift = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        v, u = np.mgrid[:height, :width].astype(np.float32)
        warped = cv2.remap(layer, u + shift[:, :, 0], v + shift[:, :, 1], cv2.INTER_LINEAR)
        inside = (warped[:, :, 3:] == 255) & (layer[:, :, 3:] == 255)
        colour = np.where(inside, warped[:, :, :3], colour)
    faded = colour.astype(np.float32)
    if rng.random() < FADED:
        contrast = np.float32(rng.uniform(0.5, 1.1))
        paper = rng.uniform(60, 200) * np.exp(rng.normal(0, 0.08, 3))
        faded = contrast * faded + (1 - contrast) * paper.astype(np.float32) * (
            layer[:, :, 3:].astype(np.float32) / np.float32(255))
    return faded
