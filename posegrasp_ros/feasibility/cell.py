# SPDX-License-Identifier: Apache-2.0
"""Cell: description of a planned picking cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.feasibility.archetype import DEFAULT_SUCCESS, Kind
from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
from posegrasp_ros.feasibility.attainable.efficiency import Efficiency
from posegrasp_ros.feasibility.attainable.image_information import Imaging
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.simulation.pick_objects import NamedObject, PickObject

DEFAULT_IMAGING = Imaging()


@dataclass(frozen=True)
class Needs:
    """Requirements of the cell.

    :param success: required success rate of picks
    :param orientation: whether the orientation matters, beyond the symmetries declared on the model card
    :param rate_hz: images per second to be processed
    :param archetype: kind of project; None where it was not stated
    """

    success: float = DEFAULT_SUCCESS
    orientation: bool = True
    rate_hz: float = 10.0
    archetype: Kind | None = None


@dataclass(frozen=True, eq=False)
class Cell:
    """Object, gripper, camera and requirements of a cell.

    :param named: the object
    :param item: the object with its grasps; None where the gripper has none for it
    :param distances_m: minimum and maximum distance from camera to object
    :param calibration: residual calibration errors of the camera
    :param efficiency: ratio of a good estimator's errors to the Cramér-Rao bound, one for all axes or (6,) along
        the camera axes
    :param imaging: noise and blur of the camera, and whether it measures depth
    :param measured: efficiency measured for the object's estimator; None where it was not measured
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
    def planner(self) -> GraspPlanner:
        """Planner with the gripper's grasps.

        :raises ValueError: where it has none for the object
        """
        if self.item is None:
            raise ValueError(f'expected a cell with grasps, {self.gripper.name} has none for {self.named.name}')
        return self.item.planner

    @property
    def distance_text(self) -> str:
        """``0.4 to 0.8 m``, or ``1.2 m``."""
        near_m, far_m = self.distances_m
        return f'{near_m:.3g} m' if near_m == far_m else f'{near_m:.3g} to {far_m:.3g} m'

    def with_distances(self, factor: float) -> Cell:
        """The cell with the camera distance multiplied by a factor."""
        near, far = self.distances_m
        return replace(self, distances_m=(factor * near, factor * far))

    def with_focal_length(self, factor: float) -> Cell:
        """The cell with the focal length multiplied by a factor, on the same sensor."""
        matrix = self.camera.matrix.copy()
        matrix[0, 0] *= factor
        matrix[1, 1] *= factor
        return replace(self, camera=replace(self.camera, matrix=matrix))

    def with_resolution(self, factor: float) -> Cell:
        """The cell with the number of pixels per side multiplied by a factor, with the same field of view."""
        size = (round(factor * side) for side in (self.camera.width, self.camera.height))
        return replace(self, camera=self.camera.resized(*size))

    def sees_whole_object(self) -> bool:
        """Whether the object, centred in the image, fits into it at the minimum distance."""
        return self.distances_m[0] > nearest_whole(self.camera, self.mesh.radius)


def nearest_whole(camera: Camera, radius_m: float) -> float:
    """Minimum distance at which a centred object of this radius fits into the image, metres to its centre."""
    return radius_m * (1 + 2 * max(camera.fx / camera.width, camera.fy / camera.height))
