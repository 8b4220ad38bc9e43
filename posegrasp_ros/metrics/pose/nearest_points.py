# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours between a point cloud and the same cloud in another pose: a k-d tree, compiled by Numba.

The query points are the tree's own points, moved by a pose error. The point itself and the neighbour of the
previous query give initial bounds that end most searches early, which a general k-d tree cannot use.
"""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled

MOST_IN_LEAF = 8
DEEPEST = 64


class NearestPoints:
    """k-d tree of a point cloud.

    :param points: (N, 3) metres
    """

    def __init__(self, points: np.ndarray):
        points = np.asarray(points, dtype=float)
        order, spans, bounds = np.arange(len(points)), [(0, len(points))], []
        levels = max(math.ceil(math.log2(len(points) / MOST_IN_LEAF)), 0)
        for node in range(2 ** (levels + 1) - 1):  # the children of one are at 2 node + 1 and 2 node + 2
            low, high = spans[node]
            inside = points[order[low:high]]
            bounds.append((inside.min(axis=0), inside.max(axis=0)))
            order[low:high] = order[low:high][np.argsort(inside[:, np.argmax(np.ptp(inside, axis=0))])]
            spans += [(low, (low + high) // 2), ((low + high) // 2, high)]
        self._points = np.ascontiguousarray(points[order])
        self._bounds = np.array(bounds).reshape(-1, 6)
        self._spans = np.array(spans[:len(bounds)])

    def mean_distance(self, b_from_a: np.ndarray) -> float:
        """Mean distance, metres, from each point, moved by a (4, 4) transform, to the nearest unmoved point."""
        pose = np.require(b_from_a, float, ('C', 'W', 'E'))
        return _mean_distance(pose, self._points, self._bounds, self._spans)


@compiled
def _mean_distance(b_from_a: np.ndarray, points: np.ndarray, bounds: np.ndarray, spans: np.ndarray) -> float:
    total, nearest, moved, waiting = 0.0, 0, np.empty(3), np.empty(DEEPEST, np.int64)
    for index in range(len(points)):
        for i in range(3):
            moved[i] = b_from_a[i, 3]
            for j in range(3):
                moved[i] += b_from_a[i, j] * points[index, j]
        if _squared_distance(moved, points[index]) < _squared_distance(moved, points[nearest]):
            nearest = index
        nearest = _nearest(moved, nearest, points, bounds, spans, waiting)
        total += np.sqrt(_squared_distance(moved, points[nearest]))
    return total / len(points)


@compiled
def _nearest(place: np.ndarray, guess: int, points: np.ndarray, bounds: np.ndarray, spans: np.ndarray,
             waiting: np.ndarray) -> int:
    """Index of the point nearest to a position (3,).

    :param guess: index of a point that is probably near
    :param waiting: buffer for the stack of nodes to visit
    """
    nearest, least = guess, _squared_distance(place, points[guess])
    waiting[0], count = 0, 1
    while count:
        count -= 1
        node = waiting[count]
        if _squared_distance_to_box(place, bounds[node]) >= least:
            continue
        if 2 * node + 2 < len(spans):
            near, far = 2 * node + 1, 2 * node + 2
            if _squared_distance_to_box(place, bounds[far]) < _squared_distance_to_box(place, bounds[near]):
                near, far = far, near
            waiting[count], waiting[count + 1] = far, near
            count += 2
            continue
        for index in range(spans[node, 0], spans[node, 1]):
            squared = _squared_distance(place, points[index])
            if squared < least:
                nearest, least = index, squared
    return nearest


@compiled
def _squared_distance(a: np.ndarray, b: np.ndarray) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2


@compiled
def _squared_distance_to_box(place: np.ndarray, bounds: np.ndarray) -> float:
    squared = 0.0
    for i in range(3):
        outside = max(bounds[i] - place[i], place[i] - bounds[3 + i], 0.0)
        squared += outside * outside
    return squared
