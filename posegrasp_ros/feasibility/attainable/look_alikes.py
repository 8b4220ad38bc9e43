"""How much of an object's image tells a pose from that of the object turned.

With its shape on itself, a turned object shows at each pixel the colour of another point of its surface. So the
images of two poses are compared point by point on the mesh, weighted by how large each point is in the image. What
of the turned object lies nowhere on the surface tells the poses apart as a colour does.
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
"""Whose mean is the colour of a pixel."""
MOST_DENSE, LEAST_DENSE = 100_000, 5_000
OFF_SHARE = 0.02
"""Of the diameter: farther from the surface is off it."""
SAME_COLOUR = 40.0
"""Grey levels, over the three channels: light and shadow make as much of one print."""
LEAST_SAME_NORMAL = 0.5


class LookAlikes:
    """Compares an object with itself, turned.

    :param mesh: metres
    :param pixel_m: width of a pixel at the object's distance: finer print does not show
    """

    def __init__(self, mesh: Mesh, pixel_m: float, seed: int = 0):
        disc_m2 = np.pi * (1.2 * pixel_m) ** 2
        count = int(np.clip(NEIGHBOURS * mesh.solid.area / disc_m2, LEAST_DENSE, MOST_DENSE)) // 1000 * 1000
        self._points, self._normals, self._colours = coloured_points(mesh, seed, count)
        self._tree = cKDTree(self._points)
        self._off_m = max(OFF_SHARE * mesh.diameter, 2 * np.sqrt(mesh.solid.area / count))
        self._count = min(POINTS, count)
        self._own = self._colours_at(self._points[:self._count])
        self._visibility = Visibility(mesh, self._points[:self._count], self._normals[:self._count], seed)

    @property
    def normals(self) -> np.ndarray:
        """(N, 3) unit, of the compared points."""
        return self._normals[:self._count]

    @property
    def colours(self) -> np.ndarray:
        """(N, 3) grey levels, of the compared points."""
        return self._own

    def on_itself(self, turn: np.ndarray) -> float:
        """Share of the surface that a (4, 4) turn puts on the surface."""
        return 1.0 - float(self._is_off(turn, 400).mean())

    def tells(self, turn: np.ndarray) -> np.ndarray:
        """(N,) bool: the points at which the object looks other than ``object @ turn``."""
        tells = self._is_off(turn, self._count)
        on = np.flatnonzero(~tells)
        if len(on):
            colours = self._colours_at(transform_points(invert(turn), self._points[on]))
            tells[on] = np.linalg.norm(colours - self._own[on], axis=1) > SAME_COLOUR
        return tells

    def weights(self, eye: np.ndarray) -> np.ndarray:
        """(N,) share of the object's image that each point stands for; they sum to 1.

        :param eye: (3,) the camera in the object's frame
        """
        rays = eye - self._points[:self._count]
        squared = np.einsum('nd,nd->n', rays, rays)
        seen = np.maximum(np.einsum('nd,nd->n', rays, self.normals), 0) / squared**1.5
        seen = np.where(self._visibility.seen_from(eye), seen, 0.0)
        return seen / seen.sum()

    def _is_off(self, turn: np.ndarray, count: int) -> np.ndarray:
        """(count,) bool: where the turned object has no surface, or one that faces elsewhere."""
        back = invert(turn)
        _, near = self._tree.query(transform_points(back, self._points[:count]), k=6,
                                   distance_upper_bound=self._off_m)
        is_far = near == len(self._points)  # as scipy says that there is no such neighbour
        facing = np.einsum('nkd,nd->nk', self._normals[np.where(is_far, 0, near)],
                           self._normals[:count] @ back[:3, :3].T)
        return np.where(is_far, -1.0, facing).max(axis=1) < LEAST_SAME_NORMAL

    def _colours_at(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) mean colours about points (N, 3) on the surface."""
        return self._colours[self._tree.query(points, k=NEIGHBOURS)[1]].mean(axis=1)
