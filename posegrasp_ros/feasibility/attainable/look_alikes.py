# SPDX-License-Identifier: Apache-2.0
"""Share of an object's image that distinguishes a pose from that of the rotated object.

If a rotation preserves the shape, each pixel shows the colour of another surface point. So the images of two poses
are compared point by point on the mesh, weighted by the image area of each point. Parts of the rotated object that
do not lie on the surface distinguish the poses like a colour difference.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from posegrasp_ros.estimation.refinement.coloured_points import coloured_points
from posegrasp_ros.estimation.refinement.visibility import Visibility
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, transform_points

POINTS = 1500
NEIGHBOURS = 16
"""Number of points whose mean is the colour of a pixel."""
MOST_DENSE, LEAST_DENSE = 100_000, 5_000
OFF_SHARE = 0.02
"""Share of the diameter: points farther from the surface are off it."""
SAME_COLOUR = 40.0
"""Colour distance in grey levels over the three channels; lighting changes the same print by this much."""
LEAST_SAME_NORMAL = 0.5


class LookAlikes:
    """Compares an object with its rotated self.

    :param mesh: metres
    :param pixel_m: width of a pixel at the object's distance; finer texture is not resolved
    """

    def __init__(self, mesh: Mesh, pixel_m: float, seed: int = 0):
        disc_m2 = np.pi * (1.2 * pixel_m) ** 2
        count = int(np.clip(NEIGHBOURS * mesh.merged.area / disc_m2, LEAST_DENSE, MOST_DENSE)) // 1000 * 1000
        self._points, self._normals, self._colours = coloured_points(mesh, seed, count)
        self._tree = cKDTree(self._points)
        self._off_m = max(OFF_SHARE * mesh.diameter, 2 * np.sqrt(mesh.merged.area / count))
        self._count = min(POINTS, count)
        self._own = self._colours_at(self._points[:self._count])
        self._visibility = Visibility(mesh, self._points[:self._count], self._normals[:self._count], seed)

    @property
    def normals(self) -> np.ndarray:
        """(N, 3) unit normals of the compared points."""
        return self._normals[:self._count]

    @property
    def colours(self) -> np.ndarray:
        """(N, 3) colours of the compared points, grey levels."""
        return self._own

    def on_itself(self, turn: np.ndarray) -> float:
        """Share of the surface that a (4, 4) rotation maps onto the surface."""
        return 1.0 - float(self._is_off(turn, 400).mean())

    def tells(self, turn: np.ndarray) -> np.ndarray:
        """(N,) bool: points at which the object looks different from ``object @ turn``."""
        tells = self._is_off(turn, self._count)
        on = np.flatnonzero(~tells)
        if len(on):
            colours = self._colours_at(transform_points(invert(turn), self._points[on]))
            tells[on] = np.linalg.norm(colours - self._own[on], axis=1) > SAME_COLOUR
        return tells

    def weights(self, eye: np.ndarray) -> np.ndarray:
        """(N,) share of the object's image that each point represents; they sum to 1.

        :param eye: (3,) camera position, object frame
        """
        rays = eye - self._points[:self._count]
        squared = np.einsum('nd,nd->n', rays, rays)
        seen = np.maximum(np.einsum('nd,nd->n', rays, self.normals), 0) / squared**1.5
        seen = np.where(self._visibility.seen_from(eye), seen, 0.0)
        return seen / seen.sum()

    def _is_off(self, turn: np.ndarray, count: int) -> np.ndarray:
        """(count,) bool: points where the rotated object has no surface, or one with another normal."""
        back = invert(turn)
        _, near = self._tree.query(transform_points(back, self._points[:count]), k=6,
                                   distance_upper_bound=self._off_m)
        is_far = near == len(self._points)  # scipy's index for a missing neighbour
        facing = np.einsum('nkd,nd->nk', self._normals[np.where(is_far, 0, near)],
                           self._normals[:count] @ back[:3, :3].T)
        return np.where(is_far, -1.0, facing).max(axis=1) < LEAST_SAME_NORMAL

    def _colours_at(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) mean colours about points (N, 3) on the surface."""
        return self._colours[self._tree.query(points, k=NEIGHBOURS)[1]].mean(axis=1)
