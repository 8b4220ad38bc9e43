# SPDX-License-Identifier: Apache-2.0
"""DepthObstacles: obstacle points around the object from a depth image."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, transform_points
from posegrasp_ros.grasping.planning.planning_scene import Scene

# Every second pixel is used, thinned to one point per cube of this size with at least LEAST_SEEN pixels. This
# drops the isolated flying pixels at depth edges.
STRIDE, CUBE_M, LEAST_SEEN = 2, 0.008, 2
# Radius of an obstacle about each point: nearly the distance to the corner of its cube.
POINT_RADIUS_M = 0.006
# Points within this distance of the object's surface or support belong to these; pose and depth are not exact.
OWN_M, SUPPORT_M = 0.015, 0.012
# Largest distance of the gripper from the object's surface: approach or lift, plus its own size.
AROUND_M = 0.35
SURFACE_POINTS = 2000


class DepthObstacles:
    """Extracts obstacle points for one object; everything independent of the image is computed once.

    :param mesh: of the object, whose own points are not obstacles
    """

    def __init__(self, mesh: Mesh):
        surface, _ = trimesh.sample.sample_surface(mesh.solid, SURFACE_POINTS, seed=0)
        self._surface = cKDTree(surface)
        self._centre, self._around_m = mesh.centre, mesh.radius + AROUND_M
        self._rays: tuple[Camera, np.ndarray] | None = None

    def points(self, depth_m: np.ndarray, camera: Camera, base_from_camera: np.ndarray,
               base_from_object: np.ndarray, scene: Scene) -> np.ndarray:
        """(M, 3) base frame, metres: points near the object that belong neither to it nor to its support.

        :param depth_m: (H, W) along the optical axis, NaN where unknown
        :param scene: whose support counts
        """
        distances = depth_m[::STRIDE, ::STRIDE].ravel()
        known = np.flatnonzero(np.isfinite(distances))
        seen = self._rays_of(camera)[known] * distances[known, None]
        centre = transform_points(invert(base_from_camera) @ base_from_object, self._centre[None])[0]
        seen = seen[((seen - centre)**2).sum(axis=1) < self._around_m**2]
        points = _thinned(transform_points(base_from_camera, seen))
        if scene.support_offset_m is not None:
            points = points[points @ scene.normal > scene.support_offset_m + SUPPORT_M]
        from_object, _ = self._surface.query(transform_points(invert(base_from_object), points),
                                             distance_upper_bound=OWN_M)
        return points[np.isinf(from_object)]

    def _rays_of(self, camera: Camera) -> np.ndarray:
        """(N, 3) rays of the used pixels, z = 1; cached for the last camera."""
        if self._rays is None or self._rays[0] is not camera:
            v, u = np.mgrid[:camera.height:STRIDE, :camera.width:STRIDE]
            rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
            self._rays = camera, np.column_stack([rays, np.ones(len(rays))])
        return self._rays[1]


def _thinned(points: np.ndarray) -> np.ndarray:
    """One point of each cube with enough points."""
    cubes = np.floor(points / CUBE_M).astype(np.int64) + 2**20
    keys = (cubes[:, 0] << 42) | (cubes[:, 1] << 21) | cubes[:, 2]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return points[first[counts >= LEAST_SEEN]]
