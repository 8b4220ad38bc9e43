"""Colour statistics of an object and of what is around it, taken from one crop.

Densities are relative to that of uniform colours: 1 says nothing.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

BINS = 16
SMOOTHING = 0.8
"""Standard deviation of the histograms' smoothing, bins."""
UNKNOWN = 0.1
"""Share of the colours of which the sample shows nothing."""


def densities(sample: np.ndarray) -> np.ndarray:
    """(BINS, BINS, BINS) float32 relative density of colours.

    :param sample: (N, 3) colours, 0 to 255; with few of them the density is flatter
    """
    index = np.clip(sample * (BINS / 256), 0, BINS - 1).astype(int)
    flat = np.bincount(np.ravel_multi_index(tuple(index.T), (BINS,) * 3), minlength=BINS ** 3).astype(np.float32)
    smooth = ndimage.gaussian_filter(flat.reshape((BINS,) * 3), SMOOTHING, mode='nearest')
    share = smooth / max(len(sample), 1)
    return np.float32(UNKNOWN) + np.float32((1 - UNKNOWN) * BINS ** 3) * share


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
