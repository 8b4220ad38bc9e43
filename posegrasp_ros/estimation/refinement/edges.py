# SPDX-License-Identifier: Apache-2.0
"""Edges: points on a mesh's outline and sharp edges, where an image changes whatever the mesh's colours are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import trimesh

from posegrasp_ros.estimation.refinement.coloured_points import colours_beside
from posegrasp_ros.estimation.refinement.visibility import Visibility
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.runtime.numba_cache import compiled

EDGE_POINTS = 300
SHARP_RAD, CURVED_RAD = np.radians(30), 1e-3
STEP_SHARE = 0.02
"""Distance of the colours beside an edge, as a fraction of the object's radius: about 1.4 pixels of the crops."""


class Faces(NamedTuple):
    """The two faces at edge points, the one that the camera sees first.

    :param shown: (N, 2) bool: faces the camera
    :param normals: (N, 2, 3) unit, object frame
    :param inward: (N, 2, 3) unit, from the edge into the face
    :param colours: (N, 2, K, 3) blue green red at :attr:`Edges.step_m` and its multiples, NaN beyond the face
    :param variances: (N, 2, K) of the colours
    :param sharp: (N,) bool
    """

    shown: np.ndarray
    normals: np.ndarray
    inward: np.ndarray
    colours: np.ndarray
    variances: np.ndarray
    sharp: np.ndarray


@compiled
def insets(faces: Faces, outward: np.ndarray) -> np.ndarray:
    """(N,) how far an edge appears to move into the object if it is rounded, in radii of the rounding.

    The arc touches both faces, so its centre is the edge less r (n1 + n2) / (1 + n1 . n2). The outline is r
    beyond it; an edge between two faces in view is the middle of the arc.

    :param outward: (N, 3) unit, across edge and line of sight, away from the first face, object frame
    """
    found = np.zeros(len(outward))
    for i in range(len(outward)):
        if faces.sharp[i]:
            first, second = faces.normals[i, 0], faces.normals[i, 1]
            opening = max(1 + np.dot(first, second), 0.1)
            along = np.dot(first, outward[i]) + np.dot(second, outward[i])
            if faces.shown[i, 0] and faces.shown[i, 1]:
                found[i] = along / opening - along / np.sqrt(2 * opening)  # |n1 + n2|² = 2 (1 + n1 . n2)
            else:
                found[i] = min(max(along / opening - 1, 0.0), 1.0)
    return found


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
        self.step_m = STEP_SHARE * mesh.radius
        """Distance between the colours beside an edge."""
        colours, variances = colours_beside(mesh, np.repeat(self.points, 2, axis=0), self._inward.reshape(-1, 3),
                                            self._normals.reshape(-1, 3), self.step_m, seed)
        self._colours = colours.reshape(-1, 2, *colours.shape[1:])
        self._variances = variances.reshape(-1, 2, variances.shape[1])
        self._is_rim = faces[chosen, 0] == faces[chosen, 1]
        self._visibility = Visibility(mesh, self.points, self._normals.mean(axis=1), seed)

    def visible(self, eye: np.ndarray) -> np.ndarray:
        """(N,) bool: the points on the outline, and those on sharp edges in front.

        :param eye: (3,) the camera in the object's frame
        """
        drawn = _drawn(self.points, self._normals, self.sharp, eye)
        return drawn & self._visibility.seen_from(eye)

    def faces(self, indices: np.ndarray, eye: np.ndarray) -> Faces:
        """The two faces at each of some edges, as the camera sees them.

        :param indices: (K,) of the points
        :param eye: (3,) the camera in the object's frame
        """
        return _faces(indices, eye, self.points, self.sharp, self._is_rim, self._normals, self._inward,
                      self._colours, self._variances)


@compiled
def _drawn(points: np.ndarray, normals: np.ndarray, sharp: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """(N,) bool: one of the two faces at an edge faces the eye, or both at a sharp edge; normals are (N, 2, 3)."""
    drawn = np.empty(len(points), np.bool_)
    for i in range(len(points)):
        first = np.dot(eye - points[i], normals[i, 0]) > 0
        second = np.dot(eye - points[i], normals[i, 1]) > 0
        drawn[i] = (first != second) or (sharp[i] and first)
    return drawn


@compiled
def _faces(indices: np.ndarray, eye: np.ndarray, points: np.ndarray, sharp: np.ndarray, is_rim: np.ndarray,
           normals: np.ndarray, inward: np.ndarray, colours: np.ndarray, variances: np.ndarray) -> Faces:
    """See :meth:`Edges.faces`; the arrays are those of all edges."""
    count, steps = len(indices), colours.shape[2]
    faces = Faces(np.empty((count, 2), np.bool_), np.empty((count, 2, 3)), np.empty((count, 2, 3)),
                  np.empty((count, 2, steps, 3), colours.dtype), np.empty((count, 2, steps), variances.dtype),
                  np.empty(count, np.bool_))
    for i in range(count):
        at = indices[i]
        ray = eye - points[at]
        shows_first = np.dot(normals[at, 0], ray) > 0
        shows_second = np.dot(normals[at, 1], ray) > 0 and not is_rim[at]
        first = 0 if shows_first else 1
        faces.shown[i, 0], faces.shown[i, 1] = shows_first or shows_second, shows_first and shows_second
        for side, face in enumerate((first, 1 - first)):
            faces.normals[i, side], faces.inward[i, side] = normals[at, face], inward[at, face]
            faces.colours[i, side], faces.variances[i, side] = colours[at, face], variances[at, face]
        faces.sharp[i] = sharp[at] and not is_rim[at]
    return faces


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
