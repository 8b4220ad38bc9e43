# SPDX-License-Identifier: Apache-2.0
"""Clutter of training images: things with strong edges behind an object's outline."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.training.backgrounds import Backgrounds

MOST_THINGS = 3
PLAIN = 0.6
"""Probability that a thing has one colour; else it is a patch of a background."""


def add_clutter(rng: np.random.Generator, canvas: np.ndarray, backgrounds: Backgrounds, centre: np.ndarray,
                radius_px: float) -> None:
    """Draw rims, bars and corners that end near an object's outline, in place, before the object is drawn.

    :param canvas: (H, W, 3) float32
    :param centre: (2,) pixels of the object
    :param radius_px: of its bounding sphere
    """
    height, width = canvas.shape[:2]
    for _ in range(rng.integers(1, MOST_THINGS + 1)):
        shape = np.zeros((height, width), np.uint8)
        angle = rng.uniform(0, 2 * np.pi)
        place = centre + radius_px * rng.uniform(0.3, 1.1) * np.array([np.cos(angle), np.sin(angle)])
        size = radius_px * np.exp(rng.uniform(np.log(0.1), np.log(2.0), 2))
        turn_deg = float(rng.uniform(0, 180))
        thickness = int(rng.integers(1, 1 + max(2, int(radius_px / 6)))) if rng.random() < 0.4 else -1
        if rng.random() < 0.4:
            cv2.ellipse(shape, np.rint(place).astype(int).tolist(), np.rint(size).astype(int).tolist(), turn_deg,
                        0, 360, 255, thickness, cv2.LINE_AA)
        else:
            corners = np.rint(cv2.boxPoints((tuple(place), tuple(2 * size), turn_deg))).astype(np.int32)
            if thickness < 0:
                cv2.fillPoly(shape, [corners], 255, cv2.LINE_AA)
            else:
                cv2.polylines(shape, [corners], True, 255, thickness, cv2.LINE_AA)
        if rng.random() < PLAIN:
            surface: np.ndarray = rng.uniform(0, 255, 3).astype(np.float32)
        else:
            surface = backgrounds.patch(rng, width, height).astype(np.float32)
        canvas += (surface - canvas) * (shape[:, :, None] / np.float32(255))
