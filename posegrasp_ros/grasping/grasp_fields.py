# SPDX-License-Identifier: Apache-2.0
"""Fields of an isaac_grasp file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field, field_validator

from posegrasp_ros.runtime.yaml_model import Name, Reads, YamlModel, numbers, unexpected

FORMAT_VERSION = 1.0
# No joint of an arm, whose positions may be among those of the gripper, turns farther.
MOST_TURN_RAD = 4 * np.pi


class OrientationFields(YamlModel):
    """A quaternion."""

    w: float = Field(ge=-1.001, le=1.001)
    xyz: Annotated[np.ndarray, numbers(3)]

    @property
    def xyzw(self) -> np.ndarray:
        """(4,) the quaternion."""
        return np.append(self.xyz, self.w)


def _position(value: Any) -> float:
    """Metres or radians."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST_TURN_RAD:
        raise unexpected(f'a joint position between {-MOST_TURN_RAD:g} and {MOST_TURN_RAD:g}')
    return float(value)


def _joints(joints: Any) -> Any:
    if not isinstance(joints, dict):
        raise unexpected('a mapping of joint positions')
    return joints


Joints = Annotated[dict[Name, Annotated[float, BeforeValidator(_position)]], BeforeValidator(_joints)]
"""Joint positions by name."""


class GraspFields(YamlModel):
    """One entry of ``grasps``."""

    position: Annotated[np.ndarray, numbers(3)]
    orientation: OrientationFields
    confidence: float = Field(ge=0.0, le=1.0)
    cspace_position: Joints | None = None
    pregrasp_cspace_position: Joints | None = None

    @field_validator('orientation')
    @classmethod
    def _is_a_rotation(cls, orientation: OrientationFields) -> OrientationFields:
        if abs(np.linalg.norm(orientation.xyzw) - 1.0) > 1e-2:
            raise unexpected('a quaternion w, xyz of length 1')
        return orientation


def _version(value: Any) -> float:
    if value not in (FORMAT_VERSION, str(FORMAT_VERSION)):
        raise ValueError
    return FORMAT_VERSION


class GraspFileFields(YamlModel):
    """A file. Isaac Sim's Grasp Editor and GraspDataGen call the frames ``_link``; GraspGen names none.

    :param rated_by: whose ratings the confidences are
    """

    format: Literal['isaac_grasp']
    format_version: Annotated[float, Reads(_version, str(FORMAT_VERSION))]
    object_frame: Name = Field('object', validation_alias=AliasChoices('object_frame', 'object_frame_link'))
    gripper_frame: Name | None = Field(None, validation_alias=AliasChoices('gripper_frame', 'gripper_frame_link'))
    gripper_file: Any = None
    rated_by: Any = None
    grasps: dict[Any, GraspFields]

    @field_validator('grasps', mode='before')
    @classmethod
    def _are_some(cls, grasps: Any) -> Any:
        if not isinstance(grasps, dict):
            raise unexpected('a mapping of grasps by name')
        if not grasps:
            raise unexpected('at least one grasp')
        return grasps
