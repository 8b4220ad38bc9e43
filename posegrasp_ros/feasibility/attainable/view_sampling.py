"""Where the camera may see the object from, before there is a camera: resting poses and places of the camera."""

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

# So many views are drawn for each that shows the whole object, and nothing is seen from nearer than that.
MOST_TRIES, LEAST_DEPTH_M = 50, 0.02


class SightError(InvalidInputError):
    """A camera that can hardly see the whole object."""


@dataclass(frozen=True, eq=False)
class CameraView:
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

    def shows_whole(self, mesh: Mesh, camera: Camera) -> bool:
        """Whether no part of the object is cut off at the image's border."""
        points = transform_points(self.camera_from_object, mesh.vertices)
        if points[:, 2].min() < LEAST_DEPTH_M:
            return False
        pixels = camera.project(points)
        return bool((pixels >= -0.5).all() and (pixels <= np.array([camera.width, camera.height]) - 0.5).all())

    def in_base(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) covariance of that pose along the camera's axes, along those of the base frame."""
        turned = rotate_covariance(covariance, self.base_from_camera[:3, :3])
        return (turned + turned.T) / 2


def sample_views(mesh: Mesh, camera: Camera, distances_m: tuple[float, float] = DISTANCES_M,
                 elevations_deg: tuple[float, float] = ELEVATIONS_DEG, count: int = 120,
                 seed: int = 0) -> list[CameraView]:
    """Draw views as simulated scenes have them: any stable face down, any yaw, anywhere in the image, but whole.

    :param distances_m: least and greatest, from the camera to the middle of the object
    :param elevations_deg: least and greatest, of the camera above the object's horizon
    :raises SightError: when the image can hardly hold the object
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
