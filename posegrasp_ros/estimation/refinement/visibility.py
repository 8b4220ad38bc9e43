"""Visibility: which points of a mesh stand behind other parts of it."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh

CELL_SHARE = 0.02
"""Side of the depth maps' cells, of the diameter."""
STEEPEST = 6.0
"""Inside a cell a surface may fall off by this many cells before its points count as hidden."""
DENSE_POINTS = 60_000


class Visibility:
    """Hidden points from a few hundred directions, worked out once; the nearest direction answers.

    A depth map of dense surface points stands for a renderer. Nothing of a convex mesh is hidden by another part.

    :param mesh: metres
    :param points: (N, 3) to ask about, object frame
    :param normals: (N, 3) of the surface there
    """

    def __init__(self, mesh: Mesh, points: np.ndarray, normals: np.ndarray, seed: int = 0):
        self._seen: np.ndarray | None = None
        if mesh.solid.is_convex:
            return
        dense, _ = trimesh.sample.sample_surface(mesh.solid, DENSE_POINTS, seed=seed)
        self._directions = np.asarray(trimesh.creation.icosphere(subdivisions=2).vertices)
        cell = CELL_SHARE * mesh.diameter
        seen = []
        for direction in self._directions:
            cosine = np.abs(normals @ direction)
            fall = np.minimum(np.sqrt(1 - cosine ** 2) / np.maximum(cosine, 1e-3), STEEPEST)
            seen.append(_behind_front(np.asarray(dense), points, direction, cell) < (1.5 + fall) * cell)
        self._seen = np.array(seen)

    def seen_from(self, eye: np.ndarray) -> np.ndarray | bool:
        """(N,) bool, or True for all.

        :param eye: (3,) the camera in the object's frame
        """
        return True if self._seen is None else self._seen[np.argmax(self._directions @ eye)]


def _behind_front(dense: np.ndarray, points: np.ndarray, direction: np.ndarray, cell: float) -> np.ndarray:
    """(N,) how far points are behind the foremost surface, seen from far away along ``direction``."""
    across = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(direction, across), direction])
    surface, asked = dense @ frame.T, points @ frame.T
    low = surface[:, :2].min(axis=0)
    size = np.ceil((surface[:, :2].max(axis=0) - low) / cell).astype(int) + 1
    front = np.full(size.prod(), -np.inf)
    column, row = ((surface[:, :2] - low) / cell).astype(int).T
    np.maximum.at(front, column * size[1] + row, surface[:, 2])  # with one index a tenth of the time of two
    column, row = ((asked[:, :2] - low) / cell).astype(int).clip(0, size - 1).T
    return front[column * size[1] + row] - asked[:, 2]
