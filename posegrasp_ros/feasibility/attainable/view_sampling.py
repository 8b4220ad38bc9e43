# SPDX-License-Identifier: Apache-2.0
"""Sampling of views for a planned camera: resting poses of the object and camera poses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, rotate_covariance, transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.placement import sample_resting_pose
from posegrasp_ros.simulation.scene import DISTANCES_M, ELEVATIONS_DEG, sample_camera_pose

# Limit of draws per accepted view, and minimum depth of the object.
MOST_TRIES, LEAST_DEPTH_M = 50, 0.02


class SightError(InvalidInputError):
    """A camera whose image rarely contains the whole object."""


@dataclass(frozen=True, eq=False)
class CameraView:
    """One view of the object, which lies on the table at z = 0 of the base frame.

    :param base_from_object: (4, 4)
    :param base_from_camera: (4, 4) optical frame
    :param distance_m: from the camera to the centre of the object
    """

    base_from_object: np.ndarray
    base_from_camera: np.ndarray
    distance_m: float

    @property
    def camera_from_object(self) -> np.ndarray:
        """(4, 4) the pose to be estimated."""
        return invert(self.base_from_camera) @ self.base_from_object

    def shows_whole(self, mesh: Mesh, camera: Camera) -> bool:
        """Whether the whole object is inside the image."""
        points = transform_points(self.camera_from_object, mesh.vertices)
        if points[:, 2].min() < LEAST_DEPTH_M:
            return False
        pixels = camera.project(points)
        return bool((pixels >= -0.5).all() and (pixels <= np.array([camera.width, camera.height]) - 0.5).all())

    def in_base(self, covariance: np.ndarray) -> np.ndarray:
        """Rotate a (6, 6) covariance of this pose from the camera axes to the base frame."""
        turned = rotate_covariance(covariance, self.base_from_camera[:3, :3])
        return (turned + turned.T) / 2


def sample_views(mesh: Mesh, camera: Camera, distances_m: tuple[float, float] = DISTANCES_M,
                 elevations_deg: tuple[float, float] = ELEVATIONS_DEG, count: int = 120,
                 seed: int = 0) -> list[CameraView]:
    """Draw views as in simulated scenes: any stable resting pose, any yaw, anywhere in the image but complete.

    :param distances_m: minimum and maximum, from the camera to the centre of the object
    :param elevations_deg: minimum and maximum, of the camera above the horizontal plane through the object
    :raises SightError: when the image rarely contains the whole object
    """
    rng = np.random.default_rng(seed)
    drawn = (_sample_view(rng, mesh, camera, distances_m, elevations_deg) for _ in range(MOST_TRIES * count))
    views = list(islice((view for view in drawn if view.shows_whole(mesh, camera)), count))
    if len(views) < count:
        raise SightError(f'camera: expected one whose image holds the whole object from {distances_m[0]:g} to '
                       f'{distances_m[1]:g} m, got {len(views)} such views of {MOST_TRIES * count}')
    return views


def _sample_view(rng: np.random.Generator, mesh: Mesh, camera: Camera, distances_m: tuple[float, float],
                 elevations_deg: tuple[float, float]) -> CameraView:
    base_from_object = sample_resting_pose(rng, mesh)
    middle = transform_points(base_from_object, mesh.centre[None])[0]
    base_from_camera = sample_camera_pose(rng, camera, middle, mesh.radius, distances_m, elevations_deg)
    return CameraView(base_from_object, base_from_camera, float(np.linalg.norm(middle - base_from_camera[:3, 3])))
