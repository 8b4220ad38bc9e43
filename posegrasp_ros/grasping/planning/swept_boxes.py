# SPDX-License-Identifier: Apache-2.0
"""Collision of boxes swept along a straight path with boxes and spheres: compiled loops with early exit.

The gripper's boxes are aligned with the TCP frame, and obstacles are transformed into it.
"""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled

STEP_M = 0.02
# Smaller motion across the TCP's z is ignored: a box swept along its own edge is just a longer box.
_ACROSS_M = 1e-9
# Tolerance, so that an exact contact is found independently of the scene's orientation.
_ROUNDING = 1.0 + 1e-9


@compiled
def touch_boxes(base_from_tcp: np.ndarray, centers: np.ndarray, half_extents: np.ndarray, half_ways: np.ndarray,
                base_from_obstacle: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) whether any of a gripper's boxes (center ± half extents ± half way) touches any obstacle.

    :param base_from_tcp: (N, 4, 4)
    :param centers: (N, B, 3) at the midpoint of the path, TCP frame, metres
    :param half_extents: (B, 3)
    :param half_ways: (N, 3) TCP frame
    :param base_from_obstacle: (K, 4, 4)
    :param sizes: (K, 3) half extents of the obstacles
    """
    hit = np.zeros(len(base_from_tcp), np.bool_)
    radii = np.sqrt((sizes**2).sum(axis=1))
    middle, edges, room = np.empty(3), np.empty((3, 3)), np.empty((2, 3))
    for pose in range(len(base_from_tcp)):
        tcp, half_way = base_from_tcp[pose], half_ways[pose]
        bounds = _bounds(centers[pose], half_extents, half_way)
        for obstacle in range(len(sizes)):
            _to_tcp(tcp, base_from_obstacle[obstacle, :3, 3], middle)
            if not _is_near(middle, radii[obstacle], bounds):
                continue
            for i in range(3):
                for j in range(3):
                    edges[i, j] = 0.0
                    for k in range(3):
                        edges[i, j] += tcp[k, i] * base_from_obstacle[obstacle, k, j]
            if _any_meets(middle, centers[pose], half_extents, half_way, edges, sizes[obstacle], room):
                hit[pose] = True
                break
    return hit


@compiled
def _bounds(centers: np.ndarray, half_extents: np.ndarray, half_way: np.ndarray) -> np.ndarray:
    """(2, 3) lowest and highest corner of the common bounds of all swept boxes."""
    bounds = np.empty((2, 3))
    for i in range(3):
        bounds[0, i], bounds[1, i] = np.inf, -np.inf
        for box in range(len(half_extents)):
            reach = half_extents[box, i] + abs(half_way[i])
            bounds[0, i] = min(bounds[0, i], centers[box, i] - reach)
            bounds[1, i] = max(bounds[1, i], centers[box, i] + reach)
    return bounds


@compiled
def _to_tcp(tcp: np.ndarray, point: np.ndarray, seen: np.ndarray) -> None:
    """Transform a point from the base frame to the TCP frame, into ``seen``."""
    for i in range(3):
        seen[i] = (tcp[0, i] * (point[0] - tcp[0, 3]) + tcp[1, i] * (point[1] - tcp[1, 3])
                   + tcp[2, i] * (point[2] - tcp[2, 3]))


@compiled
def _is_near(middle: np.ndarray, radius: float, bounds: np.ndarray) -> bool:
    """Whether a sphere may overlap the bounds."""
    apart = 0.0
    for i in range(3):
        apart = max(apart, bounds[0, i] - middle[i], middle[i] - bounds[1, i])
    return apart <= radius


@compiled
def _any_meets(middle: np.ndarray, centers: np.ndarray, half_extents: np.ndarray, half_way: np.ndarray,
               edges: np.ndarray, sizes: np.ndarray, room: np.ndarray) -> bool:
    """Whether any of the swept boxes touches the oriented box centred at ``middle``."""
    offset, axis = room
    for box in range(len(half_extents)):
        for i in range(3):
            offset[i] = middle[i] - centers[box, i]
        if _meet(offset, half_extents[box], half_way, edges, sizes, axis):
            return True
    return False


@compiled
def _meet(offset: np.ndarray, half_extents: np.ndarray, half_way: np.ndarray, edges: np.ndarray, sizes: np.ndarray,
          axis: np.ndarray) -> bool:
    """Whether a swept box and an oriented box at ``offset`` have a point in common.

    Separating axis test of two convex solids: face normals and cross products of edges. A box swept along a
    straight path has the path as its fourth edge direction. Face normals separate most pairs, so they are tested
    first.

    :param edges: (3, 3) unit edges of the oriented box, in columns
    :param axis: (3,) work space
    """
    for i in range(3):
        reach = half_extents[i] + abs(half_way[i])
        for j in range(3):
            reach += abs(edges[i, j]) * sizes[j]
        if abs(offset[i]) > reach * _ROUNDING:
            return False
    for j in range(3):
        distance, way, reach = 0.0, 0.0, sizes[j]
        for i in range(3):
            distance += edges[i, j] * offset[i]
            way += edges[i, j] * half_way[i]
            reach += abs(edges[i, j]) * half_extents[i]
        if abs(distance) > (reach + abs(way)) * _ROUNDING:
            return False
    for i in range(3):
        for j in range(3):
            _cross_unit(i, edges[:, j], axis)
            if _parts(axis, offset, half_extents, half_way, edges, sizes):
                return False
    if _runs_along_z(half_way):
        return True
    for i in range(3):
        _cross_unit(i, half_way, axis)
        if _parts(axis, offset, half_extents, half_way, edges, sizes):
            return False
        for j in range(3):
            axis[j] = half_way[(j + 1) % 3] * edges[(j + 2) % 3, i] - half_way[(j + 2) % 3] * edges[(j + 1) % 3, i]
        if _parts(axis, offset, half_extents, half_way, edges, sizes):
            return False
    return True


@compiled
def _parts(axis: np.ndarray, offset: np.ndarray, half_extents: np.ndarray, half_way: np.ndarray, edges: np.ndarray,
           sizes: np.ndarray) -> bool:
    """Whether the projections of the two solids onto an axis of any length are disjoint."""
    distance, way, reach = 0.0, 0.0, 0.0
    for i in range(3):
        distance += axis[i] * offset[i]
        way += axis[i] * half_way[i]
        reach += abs(axis[i]) * half_extents[i]
        reach += abs(axis[0] * edges[0, i] + axis[1] * edges[1, i] + axis[2] * edges[2, i]) * sizes[i]
    return abs(distance) > (reach + abs(way)) * _ROUNDING


@compiled
def _cross_unit(unit: int, vector: np.ndarray, product: np.ndarray) -> None:
    """Cross product of a unit axis with a vector."""
    product[unit] = 0.0
    product[(unit + 1) % 3] = -vector[(unit + 2) % 3]
    product[(unit + 2) % 3] = vector[(unit + 1) % 3]


@compiled
def _runs_along_z(half_way: np.ndarray) -> bool:
    return abs(half_way[0]) <= _ACROSS_M and abs(half_way[1]) <= _ACROSS_M


@compiled
def touch_balls(base_from_tcp: np.ndarray, centers: np.ndarray, half_extents: np.ndarray, half_ways: np.ndarray,
                middles: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(N,) whether a sphere's centre is closer to any of a gripper's swept boxes than its radius.

    The path is divided into steps, with the box extended along it by half a step. This is exact along the TCP's z,
    as for the approach, and conservative by up to :data:`STEP_M` / 2 otherwise.

    :param middles: (M, 3) base frame
    :param radii: (M,)
    """
    hit = np.zeros(len(base_from_tcp), np.bool_)
    seen = np.empty(3)
    for pose in range(len(base_from_tcp)):
        bounds = _bounds(centers[pose], half_extents, half_ways[pose])
        for ball in range(len(middles)):
            _to_tcp(base_from_tcp[pose], middles[ball], seen)
            if _is_near(seen, radii[ball], bounds) and _ball_meets(
                    seen, radii[ball], centers[pose], half_extents, half_ways[pose]):
                hit[pose] = True
                break
    return hit


@compiled
def _ball_meets(middle: np.ndarray, radius: float, centers: np.ndarray, half_extents: np.ndarray,
                half_way: np.ndarray) -> bool:
    """Whether one sphere in the TCP frame touches any of the swept boxes."""
    length_m = 2.0 * math.sqrt((half_way**2).sum())
    steps = 1 if _runs_along_z(half_way) else math.ceil(length_m / STEP_M - 1e-6)
    for step in range(steps):
        share = (2.0 * step + 1.0) / steps - 1.0
        for box in range(len(half_extents)):
            square = 0.0
            for i in range(3):
                offset = abs(middle[i] - centers[box, i] - share * half_way[i])
                square += max(offset - half_extents[box, i] - abs(half_way[i]) / steps, 0.0)**2
            if square <= radius**2 * _ROUNDING:
                return True
    return False
