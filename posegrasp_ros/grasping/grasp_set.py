"""A grasp set in the object's frame; isaac_grasp YAML in and out.

The format is the one of Isaac Sim's grasp editor and of GraspGen: it places the *gripper's base* in the
object's frame and states the fingers' joint positions. Ours places the TCP and states distances between the
pads. Both conversions are here and nowhere else, by the figures of the gripper's file.

GraspGen leaves out the frames' names and the joint positions, and turns the base so that x is the closing
direction: a file without ``gripper_frame`` is taken for one of GraspGen's, and its widths are measured on the
object's mesh.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh
import yaml

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, quaternion_from_matrix, transform_from_pose
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_fields import FORMAT_VERSION, GraspFields, GraspFileFields, GraspgenFileFields
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.yaml_model import validated

# Of more, no planner answers in time, and reading them costs minutes.
MOST_GRASPS = 10_000

_log = logging.getLogger(__name__)


class GraspError(InvalidInputError):
    """A grasp file, or a mesh for grasping, that cannot be used."""


class NoGraspError(GraspError):
    """An object that a gripper has no grasp of."""


@dataclass(frozen=True)
class Grasp:
    """One way to hold the object.

    :param object_from_tcp: (4, 4), metres
    :param confidence: how good the grasp is, in [0, 1]
    :param opening_m: distance between the pads on the way in
    :param width_m: distance between the pads when they touch the object
    """

    name: str
    object_from_tcp: np.ndarray
    confidence: float
    opening_m: float
    width_m: float


@dataclass(frozen=True)
class GraspSet:
    """Grasps of one object with one gripper; the frames are names for files and messages."""

    grasps: list[Grasp]
    object_frame: str
    gripper_frame: str

    def __len__(self) -> int:
        return len(self.grasps)

    @property
    def object_from_tcp(self) -> np.ndarray:
        """(N, 4, 4) all poses."""
        return np.array([grasp.object_from_tcp for grasp in self.grasps]).reshape(-1, 4, 4)


def load_grasps(path: str | Path, gripper: EndEffector, mesh: Mesh | None = None) -> GraspSet:
    """Read an isaac_grasp file made for ``gripper``.

    :param mesh: of the object; only needed for a file without joint positions
    :raises GraspError: when the file is missing, of another format, for other finger joints, or empty
    """
    values = read_mapping(path, GraspError)
    graspgen = 'gripper_frame' not in values
    if isinstance(values.get('grasps'), dict) and len(values['grasps']) > MOST_GRASPS:
        raise GraspError(f'{path}: grasps: expected at most {MOST_GRASPS}, got {len(values["grasps"])}: keep '
                         'those that are farthest apart')
    fields = GraspgenFileFields if graspgen else GraspFileFields
    stated = validated(fields, values, path, GraspError, context=gripper)
    if graspgen and gripper.graspgen_base_from_tcp is None:
        raise GraspError(f"{path}: gripper_frame: expected a name (GraspGen's files have none, and the file of "
                         f'{gripper.name} has no graspgen_base_from_tcp to read them by), got nothing')
    read = [_grasp(str(name), entry, gripper, graspgen) for name, entry in stated.grasps.items()]
    if any(np.isnan(grasp.width_m) for grasp in read):
        read = _with_widths(read, path, gripper, mesh, graspgen)
    gripper_frame = stated.gripper_frame if isinstance(stated, GraspFileFields) else gripper.base_frame
    return GraspSet(read, stated.object_frame, gripper_frame)


def save_grasps(path: str | Path, grasp_set: GraspSet, gripper: EndEffector) -> None:
    """Write an isaac_grasp file, best grasp first, lengths to the micrometre."""
    best_first = sorted(grasp_set.grasps, key=lambda grasp: -grasp.confidence)
    document = {
        'format': 'isaac_grasp',
        'format_version': FORMAT_VERSION,
        'object_frame': grasp_set.object_frame,
        'gripper_frame': grasp_set.gripper_frame,
        'grasps': {grasp.name: _entry(grasp, gripper) for grasp in best_first},
    }
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)
    write_whole(Path(path), text)


def _grasp(name: str, entry: GraspFields, gripper: EndEffector, graspgen: bool) -> Grasp:
    """One entry of ``grasps``; its pose is that of the gripper's base. Without joint positions the width is NaN,
    and the TCP is where it is with the gripper open.
    """
    before, held = entry.pregrasp_cspace_position, entry.cspace_position
    opening_m = gripper.max_opening_m if before is None else gripper.opening_of(before)
    width_m = np.nan if held is None else gripper.opening_of(held)
    held_m = opening_m if np.isnan(width_m) else width_m
    object_from_base = transform_from_pose(entry.position, entry.orientation.xyzw)
    return Grasp(name, object_from_base @ gripper.base_from_tcp(held_m, graspgen), entry.confidence, opening_m,
                 width_m)


def _with_widths(read: list[Grasp], path: str | Path, gripper: EndEffector, mesh: Mesh | None,
                 graspgen: bool) -> list[Grasp]:
    """The grasps with every width known: where the file does not tell, the gripper is closed on the mesh."""
    if mesh is None:
        raise GraspError(f'{path}: grasps: expected cspace_position, found none, and the widths cannot be '
                         "measured without the object's mesh; give the mesh")
    measured = [_measured(grasp, gripper, mesh.solid, graspgen) if np.isnan(grasp.width_m) else grasp
                for grasp in read]
    held = [grasp for grasp in measured if grasp is not None]
    if not held:
        raise GraspError(f'{path}: grasps: expected some that close on the mesh of {1000 * mesh.diameter:.0f} mm, '
                         f'found none of {len(read)}; check that they are of this mesh, in metres, for '
                         f'{gripper.name}')
    if len(held) < len(read):
        _log.warning('%s: %d of %d grasps close on nothing and are left out', path, len(read) - len(held),
                     len(read))
    return held


def _measured(grasp: Grasp, gripper: EndEffector, solid: trimesh.Trimesh, graspgen: bool) -> Grasp | None:
    """The grasp with its width, and its TCP where the pads then are; None when it closes on nothing."""
    object_from_base = grasp.object_from_tcp @ invert(gripper.base_from_tcp(grasp.opening_m, graspgen))
    # pads that swing forward while closing may meet the object elsewhere: the second look is where they do
    for _ in range(2):
        width_m = gripper.closed_width_m(grasp.object_from_tcp, grasp.opening_m, solid)
        if width_m is None:
            return None
        object_from_tcp = object_from_base @ gripper.base_from_tcp(width_m, graspgen)
        grasp = replace(grasp, object_from_tcp=object_from_tcp, width_m=width_m)
    return grasp


def _entry(grasp: Grasp, gripper: EndEffector) -> dict:
    """One entry of ``grasps``, as YAML holds it."""
    object_from_base = grasp.object_from_tcp @ invert(gripper.base_from_tcp(grasp.width_m))
    x, y, z, w = quaternion_from_matrix(object_from_base[:3, :3]).round(8).tolist()
    return {
        'confidence': round(float(grasp.confidence), 4),
        'position': object_from_base[:3, 3].round(6).tolist(),
        'orientation': {'w': w, 'xyz': [x, y, z]},
        'cspace_position': _rounded(gripper.joint_positions(grasp.width_m)),
        'pregrasp_cspace_position': _rounded(gripper.joint_positions(grasp.opening_m)),
    }


def _rounded(positions: dict[str, float]) -> dict[str, float]:
    return {name: round(position, 6) for name, position in positions.items()}
