"""A grasp set in the object's frame; isaac_grasp YAML in and out.

The format is the one of Isaac Sim's grasp editor and of GraspGen: it places the *gripper's base* in the
object's frame and states the fingers' joint positions. Ours places the TCP and states distances between the
pads. Both conversions are here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from posegrasp_ros.errors import BadInput
from posegrasp_ros.fields import Fields
from posegrasp_ros.geometry import invert, quaternion_from_matrix, transform_from_pose
from posegrasp_ros.grasping.gripper import Gripper

FORMAT, FORMAT_VERSION = 'isaac_grasp', 1.0


class GraspError(BadInput):
    """A grasp file, or a mesh for grasping, that cannot be used."""


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


def load_grasps(path: str | Path, gripper: Gripper) -> GraspSet:
    """Read an isaac_grasp file made for ``gripper``.

    :raises GraspError: when the file is missing, of another format, for other finger joints, or empty
    """
    fields = Fields.read(path, GraspError)
    if fields.values.get('format') != FORMAT:
        raise fields.error('format', FORMAT)
    if fields.values.get('format_version') not in (FORMAT_VERSION, str(FORMAT_VERSION)):
        raise fields.error('format_version', str(FORMAT_VERSION))
    entries = fields.inner('grasps')
    if not entries.values:
        raise fields.error('grasps', 'at least one grasp')
    tcp_from_base = invert(gripper.gripper_base_from_tcp)
    grasps = [_read_grasp(str(name), entries.inner(name), gripper, tcp_from_base) for name in entries.values]
    return GraspSet(grasps, fields.text('object_frame'), fields.text('gripper_frame'))


def save_grasps(path: str | Path, grasp_set: GraspSet, gripper: Gripper) -> None:
    """Write an isaac_grasp file, best grasp first, lengths to the micrometre."""
    tcp_from_base = invert(gripper.gripper_base_from_tcp)
    best_first = sorted(grasp_set.grasps, key=lambda grasp: -grasp.confidence)
    document = {
        'format': FORMAT,
        'format_version': FORMAT_VERSION,
        'object_frame': grasp_set.object_frame,
        'gripper_frame': grasp_set.gripper_frame,
        'grasps': {grasp.name: _entry(grasp, gripper, tcp_from_base) for grasp in best_first},
    }
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)
    Path(path).write_text(text, encoding='utf-8')


def _read_grasp(name: str, fields: Fields, gripper: Gripper, tcp_from_base: np.ndarray) -> Grasp:
    """One entry of ``grasps``; its pose is that of the gripper's base."""
    orientation = fields.inner('orientation')
    quaternion = np.append(orientation.vector('xyz', 3), orientation.number('w', -1.001, 1.001))
    if abs(np.linalg.norm(quaternion) - 1.0) > 1e-2:
        raise fields.error('orientation', 'a quaternion w, xyz of length 1')
    object_from_base = transform_from_pose(fields.vector('position', 3), quaternion)
    return Grasp(
        name=name,
        object_from_tcp=object_from_base @ invert(tcp_from_base),
        confidence=fields.number('confidence', 0.0, 1.0),
        opening_m=_opening(fields.inner('pregrasp_cspace_position'), gripper),
        width_m=_opening(fields.inner('cspace_position'), gripper),
    )


def _opening(joints: Fields, gripper: Gripper) -> float:
    """Distance between the pads; a file may leave out the joints that mimic the first."""
    named = [joint for joint in gripper.finger_joints if joint in joints.values]
    if not named:
        raise joints.error(gripper.finger_joints[0], f'a joint position of gripper {gripper.name}')
    travels = [joints.number(joint, 0.0, 0.5) for joint in named]
    return 2.0 * float(np.mean(travels))


def _entry(grasp: Grasp, gripper: Gripper, tcp_from_base: np.ndarray) -> dict:
    """One entry of ``grasps``, as YAML holds it."""
    object_from_base = grasp.object_from_tcp @ tcp_from_base
    x, y, z, w = quaternion_from_matrix(object_from_base[:3, :3]).round(8).tolist()
    return {
        'confidence': round(float(grasp.confidence), 4),
        'position': object_from_base[:3, 3].round(6).tolist(),
        'orientation': {'w': w, 'xyz': [x, y, z]},
        'cspace_position': dict.fromkeys(gripper.finger_joints, round(float(grasp.width_m) / 2, 6)),
        'pregrasp_cspace_position': dict.fromkeys(gripper.finger_joints, round(float(grasp.opening_m) / 2, 6)),
    }
