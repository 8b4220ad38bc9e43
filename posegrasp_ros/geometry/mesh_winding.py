# SPDX-License-Identifier: Apache-2.0
"""Triangles of a mesh with a winding opposite to their neighbours."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def against_neighbours(faces: np.ndarray) -> np.ndarray:
    """The triangles to flip so that each connected component is wound consistently, as few as possible.

    The graph has two nodes per triangle, original and flipped, joined where two neighbours are consistent. Each
    component therefore occurs twice, once with the opposite winding. Unlike trimesh's fix_winding, which walks
    from triangle to triangle, this takes a second for a million triangles.

    :param faces: (F, 3) indices of merged vertices
    :return: (F,) whether to flip; False for a non-orientable component such as a Moebius strip
    """
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    first, second = trimesh.grouping.group_rows(np.sort(edges, axis=1), require_count=2).T
    rises = edges[:, 0] < edges[:, 1]
    # Consistently wound neighbours traverse their shared edge in opposite directions.
    is_against = rises[first] == rises[second]
    first, second, count = first // 3, second // 3, len(faces)
    # SciPy up to 1.11 (Ubuntu 24.04) only supports 32-bit indices here, and does not report others as an error.
    starts = np.concatenate([first, first + count]).astype(np.int32)
    ends = np.concatenate([second + count * is_against, second + count * ~is_against]).astype(np.int32)
    graph = coo_array((np.ones(len(starts), bool), (starts, ends)), shape=(2 * count, 2 * count))
    pieces = connected_components(graph, directed=False)[1]
    as_it_is, turned = pieces[:count], pieces[count:]
    left_alone = np.bincount(as_it_is, minlength=2 * count)
    return left_alone[turned] > left_alone[as_it_is]
