"""Fields of an isaac_grasp file, checked for the gripper that it is read for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.runtime.yaml_model import Name, Reads, YamlModel, numbers, unexpected

FORMAT_VERSION = 1.0


class OrientationFields(YamlModel):
    """A quaternion."""

    w: float = Field(ge=-1.001, le=1.001)
    xyz: Annotated[np.ndarray, numbers(3)]

    @property
    def xyzw(self) -> np.ndarray:
        """(4,) the quaternion."""
        return np.append(self.xyz, self.w)


def _gripper(info: ValidationInfo) -> EndEffector:
    assert info.context is not None
    return info.context


def _of_the_gripper(joints: Any, info: ValidationInfo) -> Any:
    """Those of the gripper's joints that are stated, or its first, without a position, where none is."""
    if not isinstance(joints, dict):
        raise unexpected('a mapping of joint positions')
    gripper = _gripper(info)
    names = list(gripper.joint_positions(gripper.max_opening_m))
    return {name: joints[name] for name in names if name in joints} or dict.fromkeys(names[:1])


def _position(value: Any, info: ValidationInfo) -> float:
    """Metres or radians."""
    if value is None:
        raise unexpected(f'a joint position of gripper {_gripper(info).name}')
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= np.pi:
        raise unexpected(f'a number between {-np.pi:g} and {np.pi:g}')
    return float(value)


Joints = Annotated[dict[str, Annotated[float, BeforeValidator(_position)]], BeforeValidator(_of_the_gripper)]
"""Positions of the gripper's joints by name; a file may leave out those that mimic the first."""


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


class GraspgenFileFields(YamlModel):
    """A file as GraspGen writes it, without ``gripper_frame``."""

    format: Literal['isaac_grasp']
    format_version: Annotated[float, Reads(_version, str(FORMAT_VERSION))]
    object_frame: Name = 'object'
    grasps: dict[Any, GraspFields]

    @field_validator('grasps', mode='before')
    @classmethod
    def _are_some(cls, grasps: Any) -> Any:
        if not isinstance(grasps, dict):
            raise unexpected('a mapping of grasps by name')
        if not grasps:
            raise unexpected('at least one grasp')
        return grasps


class GraspFileFields(GraspgenFileFields):
    """A file as Isaac Sim and we write it."""

    object_frame: Name
    gripper_frame: Name
