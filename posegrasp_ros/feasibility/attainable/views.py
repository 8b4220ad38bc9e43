"""Where the camera may see the object from, before there is a camera: resting poses and places of the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.camera import Camera
from posegrasp_ros.geometry import invert, rotate_covariance, transform_points
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.simulation.placement import sample_resting_pose
from posegrasp_ros.simulation.scene import DISTANCES_M, ELEVATIONS_DEG, sample_camera_pose


@dataclass(frozen=True, eq=False)
class View:
    """One look at the object, which lies on the table at z = 0 of the base frame.

    :param base_from_object: (4, 4)
    :param base_from_camera: (4, 4) optical frame
    :param distance_m: from the camera to the middle of the object
    """

    base_from_object: np.ndarray
    base_from_camera: np.ndarray
    distance_m: float

    @property
    def camera_from_object(self) -> np.ndarray:
        """(4, 4) the pose that is to be estimated."""
        return invert(self.base_from_camera) @ self.base_from_object

    def in_base(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) covariance of that pose along the camera's axes, along those of the base frame."""
        turned = rotate_covariance(covariance, self.base_from_camera[:3, :3])
        return (turned + turned.T) / 2


def sample_views(mesh: Mesh, camera: Camera, distances_m: tuple[float, float] = DISTANCES_M,
                 elevations_deg: tuple[float, float] = ELEVATIONS_DEG, count: int = 120,
                 seed: int = 0) -> list[View]:
    """Draw views as simulated scenes have them: any stable face down, any yaw, anywhere in the image.

    :param distances_m: least and greatest, from the camera to the middle of the object
    :param elevations_deg: least and greatest, of the camera above the object's horizon
    """
    rng = np.random.default_rng(seed)
    views = []
    for _ in range(count):
        base_from_object = sample_resting_pose(rng, mesh)
        middle = transform_points(base_from_object, mesh.centre[None])[0]
        base_from_camera = sample_camera_pose(rng, camera, middle, mesh.radius, distances_m, elevations_deg)
        distance_m = float(np.linalg.norm(middle - base_from_camera[:3, 3]))
        views.append(View(base_from_object, base_from_camera, distance_m))
    return views
