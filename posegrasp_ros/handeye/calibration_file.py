# SPDX-License-Identifier: Apache-2.0
"""MountedCamera: handeye.yaml, where a camera is mounted, how exactly, and where its target was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import ConfigDict, Field, model_validator

from posegrasp_ros.geometry.transforms import (
    make_transform,
    matrix_from_quaternion,
    mean_sigmas,
    quaternion_from_matrix,
)
from posegrasp_ros.geometry.true_pose import check_covariance
from posegrasp_ros.handeye.calibrate import HandEye
from posegrasp_ros.handeye.mount_solution import MountSolution
from posegrasp_ros.handeye.sample import Mounting
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.yaml_model import Name, Reads, YamlModel, numbers, unexpected, validated

FORMAT: Literal['posegrasp.handeye/1'] = 'posegrasp.handeye/1'
DIGITS = 9


class CalibrationFileError(InvalidInputError):
    """A calibration file that cannot be used."""


def _read_covariance(rows: Any) -> np.ndarray:
    covariance = np.array(rows, dtype=float)
    if covariance.shape != (12, 12):
        raise ValueError
    try:
        check_covariance(covariance)
    except InvalidInputError as error:
        raise unexpected(str(error)) from error
    return covariance


class Pose(YamlModel):
    """A pose.

    :ivar position_m: (3,)
    :ivar quaternion_xyzw: (4,)
    """

    position_m: Annotated[np.ndarray, numbers(3)]
    quaternion_xyzw: Annotated[np.ndarray, numbers(4, -1.0, 1.0)]

    @property
    def transform(self) -> np.ndarray:
        """(4, 4)"""
        return make_transform(matrix_from_quaternion(self.quaternion_xyzw), self.position_m)


class MountedCamera(YamlModel):
    """A hand-eye calibration.

    :ivar parent_frame: of the robot, which carries the camera
    :ivar held_frame: of the robot, which carries the target
    :ivar covariance: (12, 12) of parent_from_camera and held_from_target, each in its frame of the robot: x y z,
        then the rotation about x y z, m and rad
    :ivar scatter: of the samples against what they state, 1 is as stated
    :ivar samples: how many count
    :ivar target: it was calibrated with
    """

    model_config = ConfigDict(extra='ignore')

    format: Literal['posegrasp.handeye/1']
    mounting: Literal['eye-in-hand', 'eye-to-hand']
    parent_frame: Name
    camera_frame: Name
    held_frame: Name
    target: Name
    parent_from_camera: Pose
    held_from_target: Pose
    covariance: Annotated[np.ndarray, Reads(_read_covariance, '12 rows of 12 numbers')]
    scatter: float = Field(ge=0)
    samples: int = Field(ge=3)

    @model_validator(mode='after')
    def _turns(self) -> MountedCamera:
        for name, pose in (('parent_from_camera', self.parent_from_camera),
                           ('held_from_target', self.held_from_target)):
            if abs(np.linalg.norm(pose.quaternion_xyzw) - 1) > 1e-3:
                raise unexpected(f'{name}.quaternion_xyzw: x y z w of length 1')
        return self

    @property
    def solution(self) -> MountSolution:
        """As the calibration found it."""
        return MountSolution(Mounting(self.mounting), self.parent_from_camera.transform,
                        self.held_from_target.transform, self.covariance, self.scatter,
                        np.ones(self.samples, dtype=bool))

    @property
    def camera_covariance(self) -> np.ndarray:
        """(6, 6) of parent_from_camera, parent frame."""
        return self.covariance[:6, :6]

    @property
    def sigmas(self) -> tuple[float, float]:
        """Standard deviation of the camera's position along an axis, metres, and of its rotation, radians."""
        return mean_sigmas(self.camera_covariance)


def load_mounted_camera(path: str | Path) -> MountedCamera:
    """Read a calibration file.

    :raises CalibrationFileError: naming the field, what was found and what was expected
    """
    values = read_mapping(path, CalibrationFileError)
    if values.get('format') != FORMAT:
        raise CalibrationFileError(f'{path}: format: expected {FORMAT}, as posegrasp handeye writes it, got '
                                   f'{values.get("format")!r}')
    return validated(MountedCamera, values, path, CalibrationFileError)


def mounted_camera(found: HandEye, frames: tuple[str, str, str], target: str) -> MountedCamera:
    """The content of the file.

    :param frames: of base, tool and camera
    """
    solution = found.solution
    robot = dict(zip(('base', 'tool'), frames))
    return MountedCamera(
        format=FORMAT, mounting=solution.mounting.value, parent_frame=robot[solution.mounting.mount],
        camera_frame=frames[2], held_frame=robot[solution.mounting.hold], target=target,
        parent_from_camera=_pose(solution.mount_from_camera), held_from_target=_pose(solution.hold_from_target),
        covariance=solution.covariance.tolist(), scatter=round(solution.scatter, 4), samples=found.used)


def save_mounted_camera(path: Path, camera: MountedCamera, details: dict[str, Any]) -> None:
    """Write a calibration file.

    :param details: further fields, for people
    """
    values = camera.model_dump()
    for name in ('parent_from_camera', 'held_from_target'):
        pose = values[name]
        values[name] = {part: [round(float(each), DIGITS) for each in pose[part]] for part in pose}
    values['covariance'] = [[float(f'{each:.9e}') for each in row] for row in camera.covariance]
    position, rotation = camera.sigmas
    lines = [f'# {camera.camera_frame} in {camera.parent_frame}, known to {1000 * position:.2f} mm along and '
             f'{np.degrees(rotation):.3f} degrees about each axis (standard deviation).']
    text = yaml.safe_dump({**values, **details}, sort_keys=False, default_flow_style=None, width=115)
    write_whole(path, '\n'.join(lines) + '\n' + text, check=load_mounted_camera)


def _pose(transform: np.ndarray) -> Pose:
    return Pose(position_m=transform[:3, 3].tolist(),
                quaternion_xyzw=quaternion_from_matrix(transform[:3, :3]).tolist())
