# SPDX-License-Identifier: Apache-2.0
"""Gripper: a parallel gripper, whose figures are read from a file of config/grippers and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import trimesh
from pydantic import Field, ValidationInfo, field_validator

from posegrasp_ros.geometry.transforms import transform_from_pose
from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.end_effector import Closed, HoldingPart, HoldLimits
from posegrasp_ros.grasping.finger_joints import FingerJoints
from posegrasp_ros.grasping.generation.closing import close_on
from posegrasp_ros.grasping.generation.quality import center_of_mass_of, confidences, force_closure
from posegrasp_ros.grasping.gripper_kinds import other_kind
from posegrasp_ros.grasping.robustness.pinch import pinch_limits
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER, resource_path, shipped_grippers
from posegrasp_ros.runtime.yaml_model import (
    MOST_ENTRIES,
    Name,
    YamlModel,
    numbers,
    unexpected,
    validated,
)

# As shares of the range, widest first.
OPENINGS = (1.0, 0.8, 0.6, 0.4, 0.25)
# A grasp slips off where the contacts are not even in these friction cones. Wider than those of the ratings,
# because an object that a pad meets with an edge turns until it lies flat.
SLIP_CONES = 2.0


class GripperError(InvalidInputError):
    """A gripper file that cannot be used."""


@dataclass(frozen=True)
class Gripper:
    """A parallel gripper with two box-shaped fingers: an
    :class:`posegrasp_ros.grasping.end_effector.EndEffector`.

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
    :param other_bases: frames of other URDFs by name, (4, 4) from the base to each
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
    other_bases: Mapping[str, np.ndarray] = field(default_factory=dict)

    def finger_boxes(self, opening_m: float) -> list[Box]:
        """The two fingers, -x first, in the TCP frame, with their pads ``opening_m`` apart."""
        half = np.array([self.finger_thickness_m, self.finger_width_m, self.finger_length_m]) / 2
        x, z = opening_m / 2 + half[0], self.finger_reach_m - half[2]
        return [Box(np.array([-x, 0.0, z]), half), Box(np.array([x, 0.0, z]), half)]

    def boxes(self, opening_m: float) -> list[Box]:
        """The fingers, then the palm."""
        return self.finger_boxes(opening_m) + self.palm_boxes

    def outline(self, opening_m: float) -> np.ndarray:
        """(8, 3) ends of four lines: both fingers, the palm between them, the stem."""
        tip, x = self.finger_reach_m, opening_m / 2
        palm = tip - self.finger_length_m
        return np.array([[-x, 0, tip], [-x, 0, palm], [x, 0, tip], [x, 0, palm], [-x, 0, palm], [x, 0, palm],
                         [0, 0, palm], [0, 0, 2 * palm]])

    def holding_parts(self) -> list[HoldingPart]:
        """The fingers, -x first; each does half of the opening."""
        travel_m = self.travel_m(self.max_opening_m)
        return [HoldingPart(box, np.array([side, 0.0, 0.0]), travel_m)
                for side, box in zip((-1.0, 1.0), self.finger_boxes(self.min_opening_m))]

    def travel_m(self, opening_m: float) -> float:
        """How far each finger is from where it is when closed."""
        return (opening_m - self.min_opening_m) / 2

    def spans(self, widths_m: np.ndarray, side_gap_m: float) -> np.ndarray:
        """(N,) whether the opening spans a width, with a gap on either side."""
        most_m = self.max_opening_m - 2 * side_gap_m
        return (widths_m > max(1e-3, self.min_opening_m)) & (widths_m <= most_m)

    def side_room_m(self, openings_m: np.ndarray, widths_m: np.ndarray) -> np.ndarray:
        """(G,) gap between object and pad on either side."""
        return np.maximum(openings_m - widths_m, 0.0) / 2

    def openings_to_try_m(self) -> np.ndarray:
        """(N,) openings for the way in, widest first."""
        return self.min_opening_m + (self.max_opening_m - self.min_opening_m) * np.array(OPENINGS)

    def close(self, object_from_tcp: np.ndarray, openings_m: np.ndarray, solid: trimesh.Trimesh) -> Closed:
        """Distance between the pads when both have met the object."""
        grip = close_on(object_from_tcp, openings_m, self, solid)
        widths_m = np.clip(openings_m - grip.travels_m.sum(axis=1), self.min_opening_m, openings_m)
        widths_m[~grip.holds] = np.nan
        slips = np.zeros(len(widths_m), dtype=bool)
        slips[grip.holds] = ~force_closure(grip.points[grip.holds], grip.inward_normals[grip.holds],
                                           SLIP_CONES * self.friction)
        return Closed(widths_m, slips)

    def ratings(self, object_from_tcp: np.ndarray, openings_m: np.ndarray, solid: trimesh.Trimesh) -> np.ndarray:
        """See :func:`posegrasp_ros.grasping.generation.quality.confidences`; takes some milliseconds each."""
        return confidences(close_on(object_from_tcp, openings_m, self, solid), self, center_of_mass_of(solid))

    def hold_limits(self, points: np.ndarray, normals: np.ndarray, width_m: float) -> HoldLimits:
        """See :func:`posegrasp_ros.grasping.robustness.pinch.pinch_limits`."""
        return pinch_limits(points, normals, width_m, self.pad_half_extents, self.friction)

    def unknown_object(self, width_m: float) -> Box:
        """A block as large as the pads between them."""
        return Box(np.zeros(3), np.array([max(width_m, 1e-3) / 2, *self.pad_half_extents]))

    def base_from_tcp(self, width_m: float, graspgen: bool = False) -> np.ndarray:
        """(4, 4) from the TCP to the gripper's base when the pads stand ``width_m`` apart.

        The TCP is where the pads hold, and some grippers swing them forward as they close.

        :param graspgen: the base as GraspGen turns it
        :raises GripperError: when the gripper's file does not tell that
        """
        forward = np.eye(4)
        forward[2, 3] = self.finger_joints.advance_m(self._openness(width_m))
        base_from_tcp = self.graspgen_base_from_tcp if graspgen else self.gripper_base_from_tcp
        if base_from_tcp is None:
            raise GripperError(f'gripper {self.name}: graspgen_base_from_tcp: expected a pose, got nothing')
        return base_from_tcp @ forward

    def joint_positions(self, opening_m: float) -> dict[str, float]:
        """Where each finger joint stands with the pads ``opening_m`` apart."""
        return dict.fromkeys(self.finger_joints.names, self.finger_joints.position(self._openness(opening_m)))

    def opening_m(self, joint_position: float) -> float:
        """Distance between the pads at a position of the finger joints."""
        span = self.max_opening_m - self.min_opening_m
        return self.min_opening_m + span * self.finger_joints.openness(joint_position)

    def opening_of(self, joint_positions: Mapping[str, float]) -> float:
        """The same by some of the finger joints, under any of their names; at least the smallest opening."""
        return max(self.min_opening_m, self.opening_m(self.finger_joints.position_of(joint_positions)))

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
    path = _gripper_path(chosen or DEFAULT_GRIPPER)
    values = read_mapping(path, GripperError)
    kind = other_kind(values.get('name'), values.get('base_frame'))
    if kind:
        raise GripperError(f'{path}: name: expected a gripper with two parallel jaws, got {values["name"]!r}, '
                           f'{kind}; other kinds are classes, see CONTRIBUTING')
    stated = validated(_GripperFields, values, path, GripperError)
    graspgen = stated.graspgen_base_from_tcp
    return Gripper(
        **{name: getattr(stated, name) for name in ('name', 'min_opening_m', 'max_opening_m', 'force_n',
                                                    'friction', 'base_frame', 'finger_joints')},
        **{f'finger_{name}': length_m for name, length_m in stated.finger},
        gripper_base_from_tcp=stated.base_from_tcp.transform(),
        graspgen_base_from_tcp=graspgen.transform() if graspgen else None,
        palm_boxes=[Box(box.center, box.half_extents) for box in stated.palm],
        other_bases={name: base.transform() for name, base in stated.other_bases.items()},
    )


def _gripper_path(chosen: str | Path) -> Path:
    """The file itself, or that of a shipped gripper for a bare name."""
    path = Path(chosen)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    if str(chosen) not in shipped_grippers():
        raise GripperError(f'gripper {str(chosen)!r}: expected a file or one of {", ".join(shipped_grippers())}')
    return resource_path('config/grippers') / f'{chosen}.yaml'


class _PoseFields(YamlModel):
    position: Annotated[np.ndarray, numbers(3)]
    orientation_xyzw: Annotated[np.ndarray, numbers(4)]

    @field_validator('orientation_xyzw')
    @classmethod
    def _is_a_rotation(cls, quaternion: np.ndarray) -> np.ndarray:
        if abs(np.linalg.norm(quaternion) - 1.0) > 1e-3:
            raise unexpected('a quaternion x, y, z, w of length 1')
        return quaternion

    def transform(self) -> np.ndarray:
        """(4, 4) base_from_tcp."""
        return transform_from_pose(self.position, self.orientation_xyzw)


class _OtherBaseFields(_PoseFields):
    """Where the gripper's base is in another frame; at its origin and along its axes where not stated."""

    position: Annotated[np.ndarray, numbers(3)] = np.zeros(3)
    orientation_xyzw: Annotated[np.ndarray, numbers(4)] = np.array([0.0, 0.0, 0.0, 1.0])


class _FingerFields(YamlModel):
    length_m: float = Field(ge=0.001, le=0.5)
    width_m: float = Field(ge=0.001, le=0.2)
    thickness_m: float = Field(ge=0.001, le=0.2)
    reach_m: float = Field(ge=0.001, le=0.5)

    @field_validator('reach_m')
    @classmethod
    def _is_part_of_the_finger(cls, reach_m: float, info: ValidationInfo) -> float:
        if reach_m > info.data.get('length_m', np.inf):
            raise unexpected(f'a number between 0.001 and {info.data["length_m"]:g}')
        return reach_m


class _BoxFields(YamlModel):
    center: Annotated[np.ndarray, numbers(3)]
    half_extents: Annotated[np.ndarray, numbers(3, low=1e-4)]


class _GripperFields(YamlModel):
    """A gripper's file."""

    name: Name
    min_opening_m: float = Field(ge=0.0, le=0.5)
    max_opening_m: float = Field(ge=0.001, le=0.5)
    force_n: float = Field(ge=0.1, le=2000.0)
    friction: float = Field(ge=0.01, le=5.0)
    base_frame: Name
    base_from_tcp: _PoseFields
    graspgen_base_from_tcp: _PoseFields | None = None
    other_bases: dict[Name, _OtherBaseFields] = Field(default={}, max_length=MOST_ENTRIES)
    finger_joints: FingerJoints
    finger: _FingerFields
    palm: list[_BoxFields] = Field(max_length=MOST_ENTRIES)

    @field_validator('max_opening_m')
    @classmethod
    def _is_larger_than_the_smallest(cls, max_opening_m: float, info: ValidationInfo) -> float:
        least = info.data.get('min_opening_m', 0.0) + 1e-3
        if max_opening_m < least:
            raise unexpected(f'a number between {least:g} and 0.5')
        return max_opening_m
