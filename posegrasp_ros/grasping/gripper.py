"""Gripper: a parallel gripper's figures, read from a file of config/grippers and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posegrasp_ros.geometry.transforms import transform_from_pose
from posegrasp_ros.grasping.finger_joints import FingerJoints, read_finger_joints
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.runtime.yaml_fields import Fields

DEFAULT_GRIPPER = 'franka_hand'


class GripperError(InvalidInputError):
    """A gripper file that cannot be used."""


@dataclass(frozen=True)
class Box:
    """A box along the axes of its frame.

    :param center: (3,) metres
    :param half_extents: (3,) metres
    """

    center: np.ndarray
    half_extents: np.ndarray

    def corners(self) -> np.ndarray:
        """(8, 3) corners, metres."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
        return self.center + signs * self.half_extents


@dataclass(frozen=True)
class Gripper:
    """A parallel gripper with two box-shaped fingers.

    TCP frame: origin midway between the fingertips' pads, x along closing, z along the approach.

    :param min_opening_m: smallest distance between the pads
    :param max_opening_m: largest distance between the pads
    :param force_n: closing force
    :param friction: Coulomb coefficient between pad and object
    :param base_frame: what the maker's URDF calls the gripper's base
    :param gripper_base_from_tcp: (4, 4) from the TCP frame to the gripper's base, when open
    :param graspgen_base_from_tcp: (4, 4) the same for the base as GraspGen turns it; None when not known
    :param finger_joints: what moves the pads
    :param finger_length_m: from the palm to the fingertip, along z
    :param finger_width_m: along y
    :param finger_thickness_m: along x, outward from the pad
    :param finger_reach_m: how far the fingertip lies beyond the TCP, along z
    :param palm_boxes: boxes in the TCP frame that stay when the fingers move
    """

    name: str
    min_opening_m: float
    max_opening_m: float
    force_n: float
    friction: float
    base_frame: str
    gripper_base_from_tcp: np.ndarray
    graspgen_base_from_tcp: np.ndarray | None
    finger_joints: FingerJoints
    finger_length_m: float
    finger_width_m: float
    finger_thickness_m: float
    finger_reach_m: float
    palm_boxes: list[Box]

    def finger_boxes(self, opening_m: float) -> list[Box]:
        """The two fingers, -x first, in the TCP frame, with their pads ``opening_m`` apart."""
        half = np.array([self.finger_thickness_m, self.finger_width_m, self.finger_length_m]) / 2
        x, z = opening_m / 2 + half[0], self.finger_reach_m - half[2]
        return [Box(np.array([-x, 0.0, z]), half), Box(np.array([x, 0.0, z]), half)]

    def base_from_tcp(self, width_m: float, graspgen: bool = False) -> np.ndarray:
        """(4, 4) from the TCP to the gripper's base when the pads stand ``width_m`` apart.

        The TCP is where the pads hold, and some grippers swing them forward as they close.

        :param graspgen: the base as GraspGen turns it
        """
        forward = np.eye(4)
        forward[2, 3] = self.finger_joints.advance_m(self._openness(width_m))
        return (self.graspgen_base_from_tcp if graspgen else self.gripper_base_from_tcp) @ forward

    def joint_positions(self, opening_m: float) -> dict[str, float]:
        """Where each finger joint stands with the pads ``opening_m`` apart."""
        return dict.fromkeys(self.finger_joints.names, self.finger_joints.position(self._openness(opening_m)))

    def opening_m(self, joint_position: float) -> float:
        """Distance between the pads at a position of the finger joints."""
        span = self.max_opening_m - self.min_opening_m
        return self.min_opening_m + span * self.finger_joints.openness(joint_position)

    def _openness(self, opening_m: float) -> float:
        return (opening_m - self.min_opening_m) / (self.max_opening_m - self.min_opening_m)

    @property
    def pad_half_extents(self) -> np.ndarray:
        """(2,) half the pad's size along y and z, metres: the TCP lies in the middle of the pads."""
        return np.array([self.finger_width_m / 2, self.finger_reach_m])


def load_gripper(chosen: str | Path | None = None) -> Gripper:
    """Read a gripper from YAML.

    :param chosen: a file, or the name of a gripper that comes with the package; by default the Franka Hand
    :raises GripperError: when the file is missing, no YAML, or a field is missing, no number or out of range
    """
    fields = Fields.read(_gripper_path(chosen or DEFAULT_GRIPPER), GripperError)
    finger = fields.inner('finger')
    length = finger.number('length_m', 0.001, 0.5)
    min_opening = fields.number('min_opening_m', 0.0, 0.5)
    graspgen = 'graspgen_base_from_tcp'
    return Gripper(
        name=fields.text('name'),
        min_opening_m=min_opening,
        max_opening_m=fields.number('max_opening_m', min_opening + 1e-3, 0.5),
        force_n=fields.number('force_n', 0.1, 2000.0),
        friction=fields.number('friction', 0.01, 5.0),
        base_frame=fields.text('base_frame'),
        gripper_base_from_tcp=_pose(fields.inner('base_from_tcp')),
        graspgen_base_from_tcp=_pose(fields.inner(graspgen)) if graspgen in fields.values else None,
        finger_joints=read_finger_joints(fields.inner('finger_joints')),
        finger_length_m=length,
        finger_width_m=finger.number('width_m', 0.001, 0.2),
        finger_thickness_m=finger.number('thickness_m', 0.001, 0.2),
        finger_reach_m=finger.number('reach_m', 0.001, length),
        palm_boxes=[Box(box.vector('center', 3), box.vector('half_extents', 3, low=1e-4))
                    for box in fields.inners('palm')],
    )


def shipped_grippers() -> list[str]:
    """Names of the grippers that come with the package."""
    return sorted(path.stem for path in resource_path('config/grippers').glob('*.yaml'))


def _gripper_path(chosen: str | Path) -> Path:
    """The file itself, or that of a shipped gripper for a bare name."""
    path = Path(chosen)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    if str(chosen) not in shipped_grippers():
        raise GripperError(f'gripper {str(chosen)!r}: expected a file or one of {", ".join(shipped_grippers())}')
    return resource_path('config/grippers') / f'{chosen}.yaml'


def _pose(fields: Fields) -> np.ndarray:
    """(4, 4) from ``position`` and ``orientation_xyzw``."""
    position, quaternion = fields.vector('position', 3), fields.vector('orientation_xyzw', 4)
    if abs(np.linalg.norm(quaternion) - 1.0) > 1e-3:
        raise fields.error('orientation_xyzw', 'a quaternion x, y, z, w of length 1')
    return transform_from_pose(position, quaternion)
