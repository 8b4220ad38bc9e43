# SPDX-License-Identifier: Apache-2.0
"""EndEffector: what a gripper of any kind answers. Ours is the parallel one of ``gripper.py``.

Only the sampling of grasps (``grasping/generation``) and what needs it knows of two fingers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import trimesh

from posegrasp_ros.grasping.box import Box


@dataclass(frozen=True)
class HoldingPart:
    """A body of the gripper that has to touch the object to hold it, such as a finger.

    :param box: TCP frame, gripper closed
    :param opens_along: (3,) unit vector, TCP frame: where it slides as the gripper opens
    :param travel_m: from closed to open; 0 for a part that does not move
    """

    box: Box
    opens_along: np.ndarray
    travel_m: float


class HoldLimits(NamedTuple):
    """The gripper holds the object while H points of its surface each move by less than ``room_m``.

    :param points: (H, 3) TCP frame, metres
    :param directions: (H, 3) unit vectors: only motion along them counts
    :param room_m: (H,)
    """

    points: np.ndarray
    directions: np.ndarray
    room_m: np.ndarray


class Closed(NamedTuple):
    """N closed grippers.

    :param widths_m: (N,) the width at which each holds the object; NaN where it closes on nothing
    :param slips: (N,) whether it meets the object so obliquely that it slips off
    """

    widths_m: np.ndarray
    slips: np.ndarray


class EndEffector(Protocol):
    """What planning, tolerance, grasp files, rviz and the simulator ask of a gripper.

    TCP frame: z along the approach, origin where the object is held. Opening and width are what the grasp says:
    how far the gripper is open on the way in, and when it holds; both 0 for one that does not open. Instances are
    immutable and can be pickled: picks run in several processes, and what was computed is kept by gripper.
    """

    @property
    def name(self) -> str:
        """For messages and reports."""

    @property
    def base_frame(self) -> str:
        """Name of the gripper's base in its URDF."""

    @property
    def other_bases(self) -> Mapping[str, np.ndarray]:
        """Other frames that grasp files may place in the base's stead, by name: (4, 4) from the base to each."""

    @property
    def gripper_base_from_tcp(self) -> np.ndarray:
        """(4, 4) from the TCP frame to the base, when open."""

    @property
    def graspgen_base_from_tcp(self) -> np.ndarray | None:
        """(4, 4) the same for the base as GraspGen turns it; None when not known."""

    @property
    def force_n(self) -> float:
        """What it holds with."""

    @property
    def max_opening_m(self) -> float:
        """A grasp of a larger opening, or width, is too wide."""

    @property
    def palm_boxes(self) -> Sequence[Box]:
        """What neither moves nor holds, at least one box, TCP frame."""

    def boxes(self, opening_m: float) -> list[Box]:
        """The whole gripper, TCP frame; number, order and sizes are the same at every opening."""

    def outline(self, opening_m: float) -> np.ndarray:
        """(2 L, 3) ends of L lines that sketch the gripper, TCP frame."""

    def holding_parts(self) -> list[HoldingPart]:
        """The rest of the gripper, beside the palm."""

    def travel_m(self, opening_m: float) -> float:
        """How far each part that moves is from where it is when closed; below 0 to squeeze."""

    def base_from_tcp(self, width_m: float, graspgen: bool = False) -> np.ndarray:
        """(4, 4) from the TCP to the base when it holds.

        :param graspgen: the base as GraspGen turns it
        """

    def joint_positions(self, opening_m: float) -> dict[str, float]:
        """Positions of its joints by the names of the URDF; empty when there are none."""

    def opening_of(self, joint_positions: Mapping[str, float]) -> float:
        """The opening at these positions, with joints of others among them as a grasp file states them.

        :raises ValueError: with what was expected, when they do not tell the opening
        """

    def close(self, object_from_tcp: np.ndarray, openings_m: np.ndarray, solid: trimesh.Trimesh) -> Closed:
        """Close N times on the object, from poses (N, 4, 4) and openings (N,)."""

    def ratings(self, object_from_tcp: np.ndarray, openings_m: np.ndarray, solid: trimesh.Trimesh) -> np.ndarray:
        """(N,) how good such grasps are, in [0, 1]; 0 for one that does not hold."""

    def side_room_m(self, openings_m: np.ndarray, widths_m: np.ndarray) -> np.ndarray:
        """(G,) how far the object may be off along the TCP's x, to either side, on the way in; may be infinite."""

    def hold_limits(self, points: np.ndarray, normals: np.ndarray, width_m: float) -> HoldLimits:
        """How far the object may be off and is held all the same.

        Collision on the way in is not asked here: it follows from the boxes.

        :param points: (M, 3) of the object's surface, TCP frame
        :param normals: (M, 3) outward
        """

    def unknown_object(self, width_m: float) -> Box:
        """A block that it holds, TCP frame, in place of an object without a mesh."""
