# SPDX-License-Identifier: Apache-2.0
"""Maximum point distances minimised over symmetries, for MSSD and MSPD, compiled by Numba.

A symmetry is abandoned at the first point that is worse than the best maximum so far. The point that ended the
previous symmetry is checked first, as it usually ends the next one too (after Taha and Hanbury, "An Efficient
Algorithm for Calculating the Exact Hausdorff Distance", TPAMI 2015). The results are exact.
"""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled

LEAST_DEPTH_M = 1e-9


@compiled
def least_worst_distance(estimate: np.ndarray, truths: np.ndarray, points: np.ndarray) -> float:
    """Maximum distance between points under the estimate and under the truth, minimised over the truths.

    :param estimate: (4, 4)
    :param truths: (S, 4, 4) equivalent poses, likely ones first
    :param points: (N, 3)
    """
    seen, least, telling = in_camera(estimate, points), np.inf, 0
    for truth in truths:
        worst, telling = _worst_distance(truth, points, seen, telling, least)
        least = min(least, worst)
    return _root(least)


@compiled
def least_worst_pixels(estimate: np.ndarray, truths: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> float:
    """Same for projections, pixels; infinite where a point is not in front of the camera.

    :param matrix: (3, 3) pinhole matrix
    """
    seen, least, telling = pixels(estimate, points, matrix), np.inf, 0
    for truth in truths:
        worst, telling = _worst_pixels(truth, points, matrix, seen, telling, least)
        least = min(least, worst)
    return _root(least)


@compiled
def mean_pixels(estimate: np.ndarray, truth: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> float:
    """Mean distance of projections under two poses (4, 4), pixels; infinite as in :func:`least_worst_pixels`."""
    seen, true, total = pixels(estimate, points, matrix), pixels(truth, points, matrix), 0.0
    for index in range(len(points)):
        if np.isinf(seen[index, 0]) or np.isinf(true[index, 0]):
            return np.inf
        total += math.sqrt((seen[index, 0] - true[index, 0]) ** 2 + (seen[index, 1] - true[index, 1]) ** 2)
    return total / len(points)


@compiled
def in_camera(camera_from_object: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) points in the camera frame."""
    moved = np.empty_like(points)
    for index in range(len(points)):
        for i in range(3):
            moved[index, i] = _coordinate(camera_from_object, points[index], i)
    return moved


@compiled
def pixels(camera_from_object: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 2) projections; infinite where a point is not in front of the camera."""
    seen = np.empty((len(points), 2))
    for index in range(len(points)):
        seen[index, 0], seen[index, 1] = _pixel(camera_from_object, points[index], matrix)
    return seen


@compiled
def _worst_distance(truth: np.ndarray, points: np.ndarray, seen: np.ndarray, telling: int,
                    enough: float) -> tuple[float, int]:
    """Largest squared distance and the index of its point; stops at the first one of at least ``enough``."""
    worst, at = -1.0, telling
    for step in range(-1, len(points)):
        index = telling if step < 0 else step
        squared = 0.0
        for i in range(3):
            squared += (_coordinate(truth, points[index], i) - seen[index, i]) ** 2
        if squared > worst:
            worst, at = squared, index
            if worst >= enough:
                break
    return worst, at


@compiled
def _worst_pixels(truth: np.ndarray, points: np.ndarray, matrix: np.ndarray, seen: np.ndarray, telling: int,
                  enough: float) -> tuple[float, int]:
    """Same for projections."""
    worst, at = -1.0, telling
    for step in range(-1, len(points)):
        index = telling if step < 0 else step
        u, v = _pixel(truth, points[index], matrix)
        squared = np.inf
        if not np.isinf(u) and not np.isinf(seen[index, 0]):
            squared = (u - seen[index, 0]) ** 2 + (v - seen[index, 1]) ** 2
        if squared > worst:
            worst, at = squared, index
            if worst >= enough:
                break
    return worst, at


@compiled
def _root(squared: float) -> float:
    """Square root; NaN for the initial value -1, which remains when the poses contain NaN."""
    return math.sqrt(squared) if squared >= 0 else np.nan


@compiled
def _pixel(camera_from_object: np.ndarray, point: np.ndarray, matrix: np.ndarray) -> tuple[float, float]:
    x, y = _coordinate(camera_from_object, point, 0), _coordinate(camera_from_object, point, 1)
    depth = _coordinate(camera_from_object, point, 2)
    if depth <= LEAST_DEPTH_M:
        return np.inf, np.inf
    return ((matrix[0, 0] * x + matrix[0, 1] * y) / depth + matrix[0, 2],
            (matrix[1, 0] * x + matrix[1, 1] * y) / depth + matrix[1, 2])


@compiled
def _coordinate(transform: np.ndarray, point: np.ndarray, i: int) -> float:
    return transform[i, 0] * point[0] + transform[i, 1] * point[1] + transform[i, 2] * point[2] + transform[i, 3]
