"""Edges: points of a mesh where an image changes, whatever the mesh's colours are."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.estimation.visibility import Visibility
from posegrasp_ros.mesh import Mesh

EDGE_POINTS = 300
SHARP_RAD, CURVED_RAD = np.radians(30), 1e-3


class Edges:
    """Points on the mesh's edges: sharp ones, and those that are the outline from somewhere.

    :param mesh: metres
    """

    def __init__(self, mesh: Mesh, seed: int = 0):
        solid = mesh.solid
        # plain arrays: trimesh's own keep a hash up to date at every step of arithmetic
        rims = trimesh.grouping.group_rows(solid.edges_sorted, require_count=1)  # of a sheet, of an open scan
        ends = np.array(solid.vertices)[np.concatenate([solid.face_adjacency_edges, solid.edges_sorted[rims]])]
        faces = np.concatenate([solid.face_adjacency, np.repeat(solid.edges_face[rims, None], 2, axis=1)])
        angles = np.concatenate([solid.face_adjacency_angles, np.full(len(rims), np.pi)])
        vector = ends[:, 1] - ends[:, 0]
        length = np.linalg.norm(vector, axis=1)
        sharp, curved = angles > SHARP_RAD, angles > CURVED_RAD
        rng = np.random.default_rng(seed)
        chosen = np.concatenate([_spread(rng, length * sharp, EDGE_POINTS),
                                 _spread(rng, length * (curved & ~sharp), 8 * EDGE_POINTS)])
        place = rng.random((len(chosen), 1))
        self.points = ends[chosen, 0] + place * vector[chosen]
        """(N, 3) metres, object frame."""
        self.directions = vector[chosen] / length[chosen, None]
        """(N, 3) unit, along the edge."""
        self.sharp = sharp[chosen]
        """(N,) bool; the others count where they are the outline."""
        self.length_m = length[sharp].sum() / EDGE_POINTS if sharp.any() else length[curved].sum() / len(chosen)
        """Of the edges that one point stands for."""
        self._normals = np.array(solid.face_normals)[faces[chosen]]
        self._visibility = Visibility(mesh, self.points, self._normals.mean(axis=1), seed)

    def visible(self, eye: np.ndarray) -> np.ndarray:
        """(N,) bool: the points on the outline, and those on sharp edges in front.

        :param eye: (3,) the camera in the object's frame
        """
        facing = np.einsum('nd,nkd->nk', eye - self.points, self._normals) > 0
        drawn = (facing[:, 0] != facing[:, 1]) | (self.sharp & facing.all(axis=1))
        return drawn & self._visibility.seen_from(eye)


def _spread(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    """``count`` indices, as often as their weight; none when all weigh nothing."""
    if not weight.any():
        return np.zeros(0, int)
    return rng.choice(len(weight), count, p=weight / weight.sum())
