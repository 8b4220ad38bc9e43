"""Cell: the planned work cell, before anything of it is built."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
from posegrasp_ros.feasibility.attainable.efficiency import Efficiency
from posegrasp_ros.feasibility.attainable.image_information import Imaging
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.simulation.pick_objects import NamedObject, PickObject

DEFAULT_IMAGING = Imaging()


@dataclass(frozen=True)
class Needs:
    """What is asked of the cell.

    :param success: wanted share of picks that lift
    :param orientation: whether it matters which way round the object is, beyond the symmetries on its card
    :param rate_hz: images per second that are to be answered
    """

    success: float = 0.95
    orientation: bool = True
    rate_hz: float = 10.0


@dataclass(frozen=True, eq=False)
class Cell:
    """What decides how well an object is seen and gripped.

    :param named: the object
    :param item: the same with its grasps; None where the gripper has none for it
    :param distances_m: nearest and farthest that the camera is from the object
    :param calibration: what is left of the camera's errors after calibrating it
    :param efficiency: how many times the errors of a good estimator are those of the Cramér-Rao bound, for all
        axes or (6,) for those of the camera
    :param imaging: noise and blur of the camera, and whether it sees depth too
    :param measured: the object's own estimator beside the bound; None where it was not measured
    """

    named: NamedObject
    item: PickObject | None
    gripper: Gripper
    camera: Camera
    distances_m: tuple[float, float]
    calibration: CalibrationErrors
    efficiency: float | np.ndarray
    imaging: Imaging = DEFAULT_IMAGING
    needs: Needs = Needs()
    measured: Efficiency | None = None

    @property
    def mesh(self) -> Mesh:
        return self.named.mesh

    @property
    def distance_text(self) -> str:
        """``0.4 to 0.8 m``, or ``1.2 m``."""
        near_m, far_m = self.distances_m
        return f'{near_m:.3g} m' if near_m == far_m else f'{near_m:.3g} to {far_m:.3g} m'

    def with_distances(self, factor: float) -> Cell:
        """The camera so many times as far away."""
        near, far = self.distances_m
        return replace(self, distances_m=(factor * near, factor * far))

    def with_focal_length(self, factor: float) -> Cell:
        """A lens of so many times the focal length on the same chip."""
        matrix = self.camera.matrix.copy()
        matrix[0, 0] *= factor
        matrix[1, 1] *= factor
        return replace(self, camera=replace(self.camera, matrix=matrix))

    def with_resolution(self, factor: float) -> Cell:
        """So many times the pixels along each side, of the same view."""
        size = (round(factor * side) for side in (self.camera.width, self.camera.height))
        return replace(self, camera=self.camera.resized(*size))

    def sees_whole_object(self) -> bool:
        """Whether the object, in the middle of the image, fits into it from nearest."""
        return self.distances_m[0] > nearest_whole(self.camera, self.mesh.radius)


def nearest_whole(camera: Camera, radius_m: float) -> float:
    """From how far on the middle of an image holds an object of that radius, metres to the object's middle."""
    return radius_m * (1 + 2 * max(camera.fx / camera.width, camera.fy / camera.height))
