# SPDX-License-Identifier: Apache-2.0
"""Surface: mesh points with colour and normal, with which the image is compared during refinement."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from posegrasp_ros.estimation.refinement.coloured_points import coloured_points
from posegrasp_ros.estimation.refinement.edges import Edges
from posegrasp_ros.estimation.refinement.visibility import Visibility
from posegrasp_ros.geometry.mesh import Mesh

POINTS = 1200
LEAST_COSINE = 0.08
"""Surface seen at a more grazing angle than this is not compared."""
CLEAR_OF_EDGES = 1.5
"""Minimum distance to an edge in standard deviations of the blur; nearer points mix with the other side."""
ROUNDED_M, MOST_ROUNDED = 0.005, 0.08
"""Surface nearer to a sharp edge is not compared, for real edges are rounded; at most this share of the radius."""


CURVED_OVER, SMOOTH = 0.25, 0.6
"""Curvature is that over this share of the radius, among normals that differ by less (as vectors)."""


class Surface:
    """Random points of the surface, each with its normal and its colour at several blurs.

    :param mesh: metres
    :param edges: of the mesh
    :param blurs_m: standard deviations of the Gaussians that the colours are averaged with, coarse to fine
    """

    def __init__(self, mesh: Mesh, edges: Edges, blurs_m: tuple[float, ...], seed: int = 0):
        dense, normals, colours = coloured_points(mesh, seed)
        self.points, self.normals = dense[:POINTS], normals[:POINTS]
        """(N, 3) metres and (N, 3) unit, object frame."""
        self.area_m2 = float(mesh.merged.area)
        """Of the whole surface."""
        self._blurs_m = np.array(blurs_m)
        self._colours = np.stack([_blurred(dense, normals, colours, POINTS, blur) for blur in blurs_m])
        sharp = edges.points[edges.sharp]
        self._to_edge_m = cKDTree(sharp).query(self.points)[0] if len(sharp) else np.full(POINTS, np.inf)
        self._clear = self._to_edge_m > min(ROUNDED_M, MOST_ROUNDED * mesh.radius)
        self._curvature = _curvatures(dense, normals, POINTS, CURVED_OVER * mesh.radius)
        self._visibility = Visibility(mesh, self.points, self.normals, seed)

    def cosines(self, eye: np.ndarray, blur_m: float | None = None) -> np.ndarray:
        """(N,) cosines of the viewing angles of the points; 0 where they are not visible.

        :param eye: (3,) the camera in the object's frame
        :param blur_m: of the image, at the object's distance; points so near to an edge, or to the outline of a
            curved surface, that the blur mixes them with what is beyond it get 0. None where colours are not used
        """
        rays = eye - self.points
        cosine = np.einsum('ij,ij->i', rays, self.normals) / np.sqrt(np.einsum('ij,ij->i', rays, rays))
        shown = cosine > LEAST_COSINE
        if blur_m is not None:
            shown &= self._clear & (self._to_edge_m * cosine > CLEAR_OF_EDGES * blur_m)
            # A point on a circle, seen at this cosine, lies radius * cosine² / 2 within its outline.
            shown &= cosine**2 >= 2 * self._curvature * CLEAR_OF_EDGES * blur_m
        return np.where(shown & self._visibility.seen_from(eye), cosine, 0.0)

    def colours(self, indices: np.ndarray, cosines: np.ndarray, blur_m: float) -> np.ndarray:
        """(K, 3) colours of points in a blurred image.

        At an oblique angle the blur covers more of the surface, so the colour at a coarser blur is used.

        :param indices: (K,) of the points
        :param cosines: (K,) of the angles at which they are seen
        :param blur_m: of the image, at the object's distance
        """
        wanted = blur_m / np.sqrt(np.maximum(cosines, LEAST_COSINE))
        level = np.argmin(np.abs(np.log(self._blurs_m[:, None] / wanted)), axis=0)
        return self._colours[level, indices]


def _curvatures(points: np.ndarray, normals: np.ndarray, count: int, over_m: float) -> np.ndarray:
    """(count,) curvature of the surface at the first points, 1/m, in the direction in which it is curved most.

    From how much the normals differ over a distance, across the facets of a mesh but not across its sharp edges.
    That of a cylinder is exact on average, that of a sphere is by the square root of 2 too large.
    """
    tree = cKDTree(points)
    found = np.zeros(count)
    for index, neighbours in enumerate(tree.query_ball_point(points[:count], over_m)):
        near = np.array(neighbours)
        turned = np.sum((normals[near] - normals[index]) ** 2, axis=1)
        is_smooth = turned < SMOOTH**2
        moved = np.sum((points[near] - points[index]) ** 2, axis=1)[is_smooth].sum()
        found[index] = np.sqrt(2 * turned[is_smooth].sum() / moved) if moved else 0.0
    return found


def _blurred(points: np.ndarray, normals: np.ndarray, colours: np.ndarray, count: int,
             blur_m: float) -> np.ndarray:
    """(N, 3) Gaussian averages of colour about the first ``count`` points, over points with similar normals."""
    tree = cKDTree(points)
    result = np.empty((count, 3))
    for index, neighbours in enumerate(tree.query_ball_point(points[:count], 2.5 * blur_m)):
        near = np.array(neighbours)
        squared = np.sum((points[near] - points[index]) ** 2, axis=1)
        weight = np.exp(-squared / (2 * blur_m ** 2)) * (normals[near] @ normals[index] > 0.8)
        result[index] = weight @ colours[near] / weight.sum()
    return result
