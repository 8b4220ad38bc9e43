"""DepthObstacles: what a depth image shows around the object, as points to keep off."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, transform_points

# Every second pixel, and one point in a cube of this size, that at least so many of the pixels see: edges of
# things smear into single points that hang in the air.
STRIDE, CUBE_M, LEAST_SEEN = 2, 0.008, 2
# Of each point something may be that far off: to the corner of its cube, nearly.
POINT_RADIUS_M = 0.006
# As near to the object's surface or to its support as that, a point is of these, for pose and depth are not exact.
OWN_M, SUPPORT_M = 0.015, 0.012
# How far from the object's surface the gripper may get: approach or lift, and its own size.
AROUND_M = 0.35
SURFACE_POINTS = 2000


class DepthObstacles:
    """Looks at depth images for one object; what does not depend on the image is computed once.

    :param mesh: of the object, whose own points are no obstacle
    """

    def __init__(self, mesh: Mesh):
        surface, _ = trimesh.sample.sample_surface(mesh.solid, SURFACE_POINTS, seed=0)
        self._surface = cKDTree(surface)
        self._centre, self._around_m = mesh.centre, mesh.radius + AROUND_M
        self._rays: tuple[Camera, np.ndarray] | None = None

    def points(self, depth_m: np.ndarray, camera: Camera, base_from_camera: np.ndarray,
               base_from_object: np.ndarray, support_height_m: float | None) -> np.ndarray:
        """(M, 3) base frame, metres: what is seen near the object and is neither it nor its support.

        :param depth_m: (H, W) along the optical axis, NaN where unknown
        """
        distances = depth_m[::STRIDE, ::STRIDE].ravel()
        known = np.flatnonzero(np.isfinite(distances))
        seen = self._rays_of(camera)[known] * distances[known, None]
        centre = transform_points(invert(base_from_camera) @ base_from_object, self._centre[None])[0]
        seen = seen[((seen - centre)**2).sum(axis=1) < self._around_m**2]
        points = _thinned(transform_points(base_from_camera, seen))
        if support_height_m is not None:
            points = points[points[:, 2] > support_height_m + SUPPORT_M]
        from_object, _ = self._surface.query(transform_points(invert(base_from_object), points),
                                             distance_upper_bound=OWN_M)
        return points[np.isinf(from_object)]

    def _rays_of(self, camera: Camera) -> np.ndarray:
        """(N, 3) of every pixel that is looked at, z = 1; they are kept as long as the camera is the same one."""
        if self._rays is None or self._rays[0] is not camera:
            v, u = np.mgrid[:camera.height:STRIDE, :camera.width:STRIDE]
            rays = camera.rays(np.column_stack([u.ravel(), v.ravel()]))
            self._rays = camera, np.column_stack([rays, np.ones(len(rays))])
        return self._rays[1]


def _thinned(points: np.ndarray) -> np.ndarray:
    """One point of each cube that enough of them lie in."""
    cubes = np.floor(points / CUBE_M).astype(np.int64) + 2**20
    keys = (cubes[:, 0] << 42) | (cubes[:, 1] << 21) | cubes[:, 2]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return points[first[counts >= LEAST_SEEN]]
