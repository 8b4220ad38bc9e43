"""Edges: points on a mesh's outline and sharp edges, where an image changes whatever the mesh's colours are."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.estimation.refinement.coloured_points import clear_of_print
from posegrasp_ros.estimation.refinement.visibility import Visibility
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.runtime.numba_cache import compiled

EDGE_POINTS = 300
SHARP_RAD, CURVED_RAD = np.radians(30), 1e-3
PRINT_STEP = 0.012
"""As a fraction of the object's radius: about one pixel of the pictures used for the edge search."""


class Edges:
    """Points on a mesh's edges: sharp edges, and curved ones that can be part of the outline.

    :param mesh: metres
    """

    def __init__(self, mesh: Mesh, seed: int = 0):
        solid = mesh.merged
        # plain arrays, because trimesh's tracked arrays update a hash at every operation
        rims = trimesh.grouping.group_rows(solid.edges_sorted, require_count=1)  # of sheets and open scans
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
        """(N,) bool; the others are only used where they are part of the outline."""
        self.length_m = length[sharp].sum() / EDGE_POINTS if sharp.any() else length[curved].sum() / len(chosen)
        """Edge length that one point represents."""
        self._normals = np.array(solid.face_normals)[faces[chosen]]
        across = np.cross(self._normals, self.directions[:, None])
        # along the face, away from the edge: towards the third corner
        to_corner = _third_corners(solid, faces[chosen], ends[chosen]) - self.points[:, None]
        self._inward = across * np.sign(np.einsum('nkd,nkd->nk', across, to_corner))[..., None]
        self._radius_m = mesh.radius
        self._clear_m = self._find_clear_m(mesh, seed)
        self._visibility = Visibility(mesh, self.points, self._normals.mean(axis=1), seed)

    def _find_clear_m(self, mesh: Mesh, seed: int) -> np.ndarray:
        """(N, 2) distance without print on either side of each edge, at most the object's radius."""
        clear_m = np.full((len(self.points), 2), self._radius_m)
        sharp = np.flatnonzero(self.sharp)
        if len(sharp):
            found = clear_of_print(mesh, np.repeat(self.points[sharp], 2, axis=0),
                                   self._inward[sharp].reshape(-1, 3), self._normals[sharp].reshape(-1, 3),
                                   PRINT_STEP * mesh.radius, seed)
            clear_m[sharp] = found.reshape(-1, 2).clip(max=self._radius_m)
        return clear_m

    def visible(self, eye: np.ndarray) -> np.ndarray:
        """(N,) bool: the points on the outline, and those on sharp edges in front.

        :param eye: (3,) the camera in the object's frame
        """
        drawn = _drawn(self.points, self._normals, self.sharp, eye)
        return drawn & self._visibility.seen_from(eye)

    def clear(self, indices: np.ndarray, eye: np.ndarray) -> np.ndarray:
        """(K, 2, 3) vectors from edge points into either face, up to the nearest print, metres.

        The length is the object's radius where there is no print, or where the face is not visible.

        :param indices: (K,) of the points
        """
        seen = np.einsum('nkd,nd->nk', self._normals[indices], eye - self.points[indices]) > 0
        return self._inward[indices] * np.where(seen, self._clear_m[indices], self._radius_m)[..., None]


@compiled
def _drawn(points: np.ndarray, normals: np.ndarray, sharp: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """(N,) bool: one of the two faces at an edge faces the eye, or both at a sharp edge; normals are (N, 2, 3)."""
    drawn = np.empty(len(points), np.bool_)
    for i in range(len(points)):
        first = np.dot(eye - points[i], normals[i, 0]) > 0
        second = np.dot(eye - points[i], normals[i, 1]) > 0
        drawn[i] = (first != second) or (sharp[i] and first)
    return drawn


def _third_corners(solid: trimesh.Trimesh, faces: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N, 2, 3) the corner of either face (N, 2) that is at neither end (N, 2, 3) of the edge."""
    corners = np.array(solid.triangles)[faces]
    away = np.linalg.norm(corners[:, :, :, None] - ends[:, None, None], axis=-1).min(axis=-1)
    return np.take_along_axis(corners, away.argmax(axis=2)[:, :, None, None], axis=2)[:, :, 0]


def _spread(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    """``count`` indices drawn with probability in proportion to their weights; none when all weights are zero."""
    if not weight.any():
        return np.zeros(0, int)
    return rng.choice(len(weight), count, p=weight / weight.sum())
