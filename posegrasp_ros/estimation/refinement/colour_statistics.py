# SPDX-License-Identifier: Apache-2.0
"""Colour statistics of an object and of what is around it, taken from one crop.

Densities are relative to that of uniform colours: 1 says nothing.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from posegrasp_ros.runtime.numba_cache import compiled

BINS = 16
SMOOTHING = 0.8
"""Standard deviation of the histograms' smoothing, bins."""
UNKNOWN = 0.1
"""Share of the colours of which the sample shows nothing."""
# (BINS, BINS) the histogram of a single bin after smoothing; a small matrix product is faster than a filter
_SMOOTHED_BINS = ndimage.gaussian_filter1d(np.eye(BINS, dtype=np.float32), SMOOTHING, axis=1, mode='nearest')


@compiled
def densities(sample: np.ndarray) -> np.ndarray:
    """(BINS, BINS, BINS) float32 relative density of colours.

    :param sample: (N, 3) colours, 0 to 255; with few of them the density is flatter
    """
    table = np.zeros((BINS, BINS, BINS), np.float32)
    for i in range(len(sample)):
        table[bin_of(sample[i, 0]), bin_of(sample[i, 1]), bin_of(sample[i, 2])] += 1
    flat = table.reshape(BINS, BINS ** 2)
    for _ in range(3):  # each product smooths the first axis and makes it the last
        flat = (np.ascontiguousarray(flat.T) @ _SMOOTHED_BINS).reshape(BINS, BINS ** 2)
    scale = np.float32((1 - UNKNOWN) * BINS ** 3 / max(len(sample), 1))
    return (np.float32(UNKNOWN) + scale * flat).reshape(BINS, BINS, BINS)


@compiled
def bin_of(value: float) -> int:
    """Bin of a channel's value, 0 to 255."""
    return min(max(int(value * (BINS / 256)), 0), BINS - 1)


def surroundings(crop: np.ndarray, outline: np.ndarray, gap_px: float) -> np.ndarray:
    """(N, 3) colours of a crop's pixels outside an outline.

    :param outline: (K, 2) pixels; its convex hull counts
    :param gap_px: pixels nearer to the outline than this are left out
    """
    hull = np.rint(cv2.convexHull(outline.astype(np.float32))).astype(np.int32)
    inside = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, hull, 1)
    cv2.polylines(inside, [hull], True, 1, max(1, round(2 * gap_px)))
    return crop[::2, ::2][inside[::2, ::2] == 0]
