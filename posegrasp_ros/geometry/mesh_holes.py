# SPDX-License-Identifier: Apache-2.0
"""Lids for the holes of a triangle mesh."""

from __future__ import annotations

import numpy as np

# Holes in one plane are closed together: the end of a wall between two circles is a ring. Relative to their size.
FLAT = 1e-3
MOST_TOGETHER = 30  # of the largest holes


def hole_caps(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N, 3) triangles that close a connected surface, wound as it is; flat where the edge of the hole is.

    :param faces: (F, 3) consistently wound
    """
    loops = _loops(_open_edges(faces))
    if not loops:
        return np.empty((0, 3), int)
    return np.vstack([_lid(vertices, together) for together in _in_one_plane(vertices, loops)])


def _open_edges(faces: np.ndarray) -> np.ndarray:
    """(E, 2) directed edges of lids: the reverse of the edges of triangles that no other triangle continues."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    count = int(faces.max()) + 1
    there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    return edges[~np.isin(there, back)][:, ::-1]


def _loops(edges: np.ndarray) -> list[list[int]]:
    """Closed walks along directed edges, each passing a vertex once."""
    onward: dict[int, list[int]] = {}
    for start, end in edges.tolist():
        onward.setdefault(start, []).append(end)
    loops = []
    for first in list(onward):
        while onward.get(first):
            walk, place = [first], {first: 0}
            while onward.get(walk[-1]):
                vertex = onward[walk[-1]].pop()
                if vertex in place:  # a loop, of the whole walk or of its end
                    loops.append(walk[place[vertex]:])
                    for left in walk[place[vertex] + 1:]:
                        del place[left]
                    walk = walk[:place[vertex] + 1]
                else:
                    place[vertex] = len(walk)
                    walk.append(vertex)
    return [loop for loop in loops if len(loop) > 2]


def _in_one_plane(vertices: np.ndarray, loops: list[list[int]]) -> list[list[list[int]]]:
    """The loops, those together that are in one plane, the largest of them first."""
    normals = [_area_vector(vertices[loop]) for loop in loops]
    groups: list[list[int]] = []
    for number in sorted(range(len(loops)), key=lambda k: -float(np.linalg.norm(normals[k]))):
        for group in groups[:MOST_TOGETHER]:
            points, around = vertices[loops[number]], vertices[loops[group[0]]]
            normal = normals[group[0]] / max(np.linalg.norm(normals[group[0]]), 1e-30)
            off = np.abs((np.vstack([points, around]) - around[0]) @ normal)
            if off.max() <= FLAT * np.ptp(around, axis=0).max():
                group.append(number)
                break
        else:
            groups.append([number])
    return [[loops[number] for number in group] for group in groups]


def _area_vector(points: np.ndarray) -> np.ndarray:
    """(3,) normal of a polygon, as long as its area."""
    points = points - points.mean(axis=0)
    return np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0) / 2


def _lid(vertices: np.ndarray, loops: list[list[int]]) -> np.ndarray:
    """Triangles between the loops of one plane."""
    from manifold3d import triangulate

    normal = _area_vector(vertices[loops[0]])
    across = np.linalg.svd(normal[None])[2][1:]
    if np.dot(np.cross(*across), normal) < 0:
        across = across[::-1]
    flat = triangulate([np.ascontiguousarray(vertices[loop] @ across.T) for loop in loops])
    return np.concatenate(loops)[np.asarray(flat, dtype=int).reshape(-1, 3)]
