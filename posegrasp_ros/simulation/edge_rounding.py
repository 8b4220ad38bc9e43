# SPDX-License-Identifier: Apache-2.0
"""Rounding of a convex mesh's edges, which no real box or can has as sharp as its mesh."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from posegrasp_ros.geometry.mesh import Mesh

# A smooth mesh of more faces than this has no sharp edges to round.
MOST_PLANES = 300
ON_HULL_M = 1e-4
# Triangles are divided until their edges follow the rounded surface so closely, and are no longer than this: light
# is computed at vertices, and shall fall off across a face.
FLATNESS_M, LONGEST_EDGE_M = 2e-4, 0.012
MOST_DIVISIONS = 14
SWEEPS = 20
# Planes that move a point; where it is near to more, as at a can's rim, the farther ones hardly count.
NEAREST_PLANES = 12


def can_be_rounded(mesh: Mesh) -> bool:
    """Whether :func:`rounded` changes the mesh: a convex one of few faces, without inner walls."""
    return _planes(mesh) is not None


@lru_cache(maxsize=16)
def rounded(mesh: Mesh, radius_m: float) -> Mesh:
    """The mesh with its edges rounded as a ball of ``radius_m`` would from inside, and its triangles divided.

    It is the morphological opening of the solid: each point x of the surface moves to q + r (x - q) / |x - q|,
    where q is the nearest point to x of the solid shrunk by r. Meshes that are not convex keep their shape.
    """
    planes = _planes(mesh)
    if planes is None or radius_m <= 0:
        return divided(mesh)
    fine = divided(mesh, planes, radius_m)
    # Vertices that coincide, as at a seam of the print, are moved together: the last digit depends on the rest.
    places, which = np.unique(fine.vertices, axis=0, return_inverse=True)
    return replace(fine, vertices=_rounded_points(places, planes, radius_m)[which.ravel()])


def divided(mesh: Mesh, planes: np.ndarray | None = None, radius_m: float = 0.0) -> Mesh:
    """The same surface in smaller triangles.

    Edges are halved by a rule that sees the edge alone, so triangles on both sides stay together.

    :param planes: (K, 4) where the triangles have to be small enough to be rounded with ``radius_m``
    """
    vertices, faces = mesh.vertices, mesh.faces
    uv = np.zeros((len(vertices), 2)) if mesh.uv is None else mesh.uv
    known = 0
    for _ in range(MOST_DIVISIONS):
        pairs, edge_of_face = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0,
                                        return_inverse=True)
        halved = pairs.max(axis=1) >= known  # an edge between vertices of the pass before was fine enough then
        halved[halved] = _is_too_coarse(vertices[pairs[halved]], planes, radius_m)
        if not halved.any():
            break
        known = len(vertices)
        middle_of_edge = np.full(len(pairs), -1)
        middle_of_edge[halved] = len(vertices) + np.arange(int(halved.sum()))
        vertices = np.concatenate([vertices, vertices[pairs[halved]].mean(axis=1)])
        uv = np.concatenate([uv, uv[pairs[halved]].mean(axis=1)])
        faces = _split(faces, middle_of_edge[edge_of_face.reshape(-1, 3)])
    return replace(mesh, vertices=vertices, faces=faces, uv=None if mesh.uv is None else uv)


def _planes(mesh: Mesh) -> np.ndarray | None:
    """(K, 4) outward normals and offsets n x = d of a convex mesh's faces; None when it is not convex."""
    hull = mesh.solid.convex_hull
    normals = hull.face_normals
    offsets = np.einsum('fi,fi->f', normals, hull.triangles[:, 0])
    planes = np.unique(np.round(np.column_stack([normals, offsets]), 5), axis=0)
    if len(planes) > MOST_PLANES:
        return None
    points = np.concatenate([mesh.vertices, mesh.vertices[mesh.faces].mean(axis=1)])
    inside_m = -(points @ planes[:, :3].T - planes[:, 3]).max(axis=1)
    return planes if inside_m.max() < ON_HULL_M else None


def _is_too_coarse(ends: np.ndarray, planes: np.ndarray | None, radius_m: float) -> np.ndarray:
    """(E,) bool: edges (E, 2, 3) to halve."""
    lengths_m = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    coarse = lengths_m > LONGEST_EDGE_M
    if planes is None:
        return coarse
    open_ = ~coarse & (lengths_m > 2 * FLATNESS_M)
    points = np.stack([ends[open_, 0], ends[open_, 1], ends[open_].mean(axis=1)])
    first, last, middle = _rounded_points(points.reshape(-1, 3), planes, radius_m).reshape(3, -1, 3)
    coarse[open_] = np.linalg.norm(middle - (first + last) / 2, axis=1) > FLATNESS_M
    return coarse


def _rounded_points(points: np.ndarray, planes: np.ndarray, radius_m: float) -> np.ndarray:
    """(N, 3) points of a convex surface moved to the rounded one."""
    excess_m = points @ planes[:, :3].T - (planes[:, 3] - radius_m)
    near = (excess_m > 1e-9).sum(axis=1) > 1  # one plane alone moves nothing
    inner = _nearest_inside(points[near], planes - (0, 0, 0, radius_m), excess_m[near])
    out = points[near] - inner
    result = points.copy()
    result[near] = inner + radius_m * out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    return result


def _nearest_inside(points: np.ndarray, planes: np.ndarray, excess_m: np.ndarray) -> np.ndarray:
    """(N, 3) nearest points of the polytope n x <= d, by Dykstra's alternating projections.

    :param excess_m: (N, K) by which each point is outside of each plane
    """
    count = min(NEAREST_PLANES, len(planes))
    nearest = np.sort(np.argpartition(-excess_m, count - 1, axis=1)[:, :count], axis=1).T
    normals, limits = planes[nearest, :3], planes[nearest, 3]
    found, pushed_m = points.copy(), np.zeros((count, len(points)))
    for _ in range(SWEEPS):
        before = found.copy()
        for index in range(count):
            height_m = np.einsum('ni,ni->n', found, normals[index]) - limits[index]
            push_m = np.maximum(height_m + pushed_m[index], 0.0)
            found += (pushed_m[index] - push_m)[:, None] * normals[index]
            pushed_m[index] = push_m
        if np.abs(found - before).max(initial=0.0) < 1e-6:
            break
    return found


def _split(faces: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """(G, 3) faces with each halved edge's middle as a corner.

    :param middles: (F, 3) index of the middle of the edges 0-1, 1-2, 2-0; -1 where not halved
    """
    count = (middles >= 0).sum(axis=1)
    # Turn each triangle so that the halved edges are the first, or the first and the second.
    first = np.where(count == 1, np.argmax(middles >= 0, axis=1), (np.argmin(middles >= 0, axis=1) + 1) % 3)
    turn = (first[:, None] + np.arange(3)) % 3
    (a, b, c), (m, n, o) = np.take_along_axis(faces, turn, 1).T, np.take_along_axis(middles, turn, 1).T
    pieces = {
        0: [(a, b, c)],
        1: [(a, m, c), (m, b, c)],
        2: [(m, b, n), (a, m, n), (a, n, c)],
        3: [(a, m, o), (m, b, n), (o, n, c), (m, n, o)],
    }
    return np.concatenate([np.column_stack(corners)[count == number]
                           for number, triangles in pieces.items() for corners in triangles])
