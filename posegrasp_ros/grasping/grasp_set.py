# SPDX-License-Identifier: Apache-2.0
"""A grasp set in the object's frame; isaac_grasp YAML in and out.

The format is the one of Isaac Sim's grasp editor and of GraspGen: it places the *gripper's base* in the
object's frame and states the fingers' joint positions. Ours places the TCP and states distances between the
pads. Both conversions are here and nowhere else, by the figures of the gripper's file.

Files of others place another link of the gripper, and call the joints otherwise: the gripper's file has what it
knows of that. GraspGen leaves out the frames' names and the joint positions, and turns the base so that x is the
closing direction: a file without ``gripper_frame`` is taken for one of GraspGen's, and its widths are measured on
the object's mesh.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, quaternion_from_matrix, transform_from_pose
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_check import (
    FAILED,
    LEAST_RATING,
    SLIPS,
    CheckedGrasps,
    check_grasps,
    stated_grasps,
    told,
)
from posegrasp_ros.grasping.grasp_fields import FORMAT_VERSION, GraspFileFields
from posegrasp_ros.grasping.gripper_kinds import other_kind
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.yaml_model import validated

# Of more, no planner answers in time, and reading them costs minutes.
MOST_GRASPS = 10_000
# What ``rated_by`` says in a file with our ratings.
OURS = 'posegrasp'
# All of ours held on the mesh that they were sampled on; a few may slip off when figures were rounded.
OURS_THAT_HOLD = 0.9
# Of others' files with so many grasps, those of which fewer hold than this are taken to be of another mesh.
ENOUGH_TO_JUDGE, OTHERS_THAT_HOLD = 20, 0.5

_log = logging.getLogger(__name__)


class GraspError(InvalidInputError):
    """A grasp file, or a mesh for grasping, that cannot be used."""


class NoGraspError(GraspError):
    """An object for which a gripper has no grasp."""


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
    """Grasps of one object with one gripper; the frames are names for files and messages.

    :param left_out: how many of a file's grasps are not among them, by reason
    :param is_rated: whether the confidences are our ratings
    """

    grasps: list[Grasp]
    object_frame: str
    gripper_frame: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    is_rated: bool = True

    def __len__(self) -> int:
        return len(self.grasps)

    @property
    def object_from_tcp(self) -> np.ndarray:
        """(N, 4, 4) all poses."""
        return np.array([grasp.object_from_tcp for grasp in self.grasps]).reshape(-1, 4, 4)


def load_grasps(path: str | Path, gripper: EndEffector, mesh: Mesh | None = None) -> GraspSet:
    """Read an isaac_grasp file made for ``gripper``, and keep the grasps that hold the object.

    Each is closed on the mesh. One that is marked failed, wider than the opening, in the mesh before it closes,
    touches nothing or slips off is left out, with a line in the log that counts them. Confidences that are not
    ours become our ratings.

    :param mesh: of the object; without it only the file's own word counts, and a file without joint positions
        cannot be read
    :raises GraspError: when the file is missing, of another format, for another gripper, or for another mesh: no
        grasp is left, or only a few of many
    """
    values = read_mapping(path, GraspError)
    if isinstance(values.get('grasps'), dict) and len(values['grasps']) > MOST_GRASPS:
        raise GraspError(f'{path}: grasps: expected at most {MOST_GRASPS}, got {len(values["grasps"])}: keep '
                         'those that are farthest apart')
    stated = validated(GraspFileFields, values, path, GraspError)
    grasps, is_rated = _stated(path, stated, gripper), stated.rated_by == OURS
    confidences = np.array([entry.confidence for entry in stated.grasps.values()])
    if mesh is None:
        _refuse_unknown_widths(path, grasps)
        _log.warning('%s: the grasps are not checked: there is no mesh of the object', path)
    else:
        solid = mesh.outward().solid
        are_its_widths = check_grasps(grasps, gripper, solid)
        if is_rated:
            _refuse_ours_of_another_mesh(path, grasps, are_its_widths)
        else:
            held = grasps.holds
            confidences[held] = gripper.ratings(grasps.object_from_tcp[held], grasps.openings_m[held], solid)
            grasps.leave_out(confidences < LEAST_RATING, SLIPS)
    advice = f'check that they are of this mesh, in its frame and in metres, and of {gripper.name}'
    _refuse_where_few_hold(path, grasps, advice, mesh)
    _say(path, grasps, advice)
    read = [Grasp(str(name), grasps.object_from_tcp[k], float(confidences[k]), float(grasps.openings_m[k]),
                  float(grasps.widths_m[k])) for k, name in enumerate(stated.grasps) if grasps.holds[k]]
    return GraspSet(read, stated.object_frame, _own_name(stated.gripper_frame, gripper), grasps.left_out,
                    is_rated or mesh is not None)


def save_grasps(path: str | Path, grasp_set: GraspSet, gripper: EndEffector) -> None:
    """Write an isaac_grasp file, best grasp first, lengths to the micrometre."""
    best_first = sorted(grasp_set.grasps, key=lambda grasp: -grasp.confidence)
    document = {
        'format': 'isaac_grasp',
        'format_version': FORMAT_VERSION,
        'object_frame': grasp_set.object_frame,
        'gripper_frame': grasp_set.gripper_frame,
        **({'rated_by': OURS} if grasp_set.is_rated else {}),
        'grasps': {grasp.name: _entry(grasp, gripper) for grasp in best_first},
    }
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)
    write_whole(Path(path), text)


def _stated(path: str | Path, stated: GraspFileFields, gripper: EndEffector) -> CheckedGrasps:
    """The grasps as the file has them."""
    theirs_from_base = _theirs_from_base(path, stated, gripper)
    object_from_theirs, openings_m, widths_m = [], [], []
    for name, entry in stated.grasps.items():
        object_from_theirs.append(transform_from_pose(entry.position, entry.orientation.xyzw))
        place, before, held = f'{path}: grasps.{name}', entry.pregrasp_cspace_position, entry.cspace_position
        openings_m.append(_opening(f'{place}.pregrasp_cspace_position', before, gripper.max_opening_m, gripper))
        widths_m.append(_opening(f'{place}.cspace_position', held, np.nan, gripper))
    confidences = np.array([entry.confidence for entry in stated.grasps.values()])
    return stated_grasps(np.array(object_from_theirs) @ theirs_from_base, np.array(openings_m), np.array(widths_m),
                         confidences, gripper)


def _opening(place: str, joints: dict[str, float] | None, otherwise: float, gripper: EndEffector) -> float:
    """The opening that joint positions mean."""
    if joints is None:
        return otherwise
    try:
        return gripper.opening_of(joints)
    except ValueError as error:
        kind = other_kind(*joints)
        found = ', '.join(f'{name} {position:g}' for name, position in joints.items()) or 'none'
        raise GraspError(f'{place}: expected {error}, for {gripper.name}, got {quoted(found)}'
                         + (f', of {kind}: only parallel jaws are known' if kind else '')) from error


def _theirs_from_base(path: str | Path, stated: GraspFileFields, gripper: EndEffector) -> np.ndarray:
    """(4, 4) from the gripper's base to what the file places in the object's frame."""
    if stated.gripper_frame is None:
        if gripper.graspgen_base_from_tcp is None:
            raise GraspError(f"{path}: gripper_frame: expected a name (GraspGen's files have none, and the file "
                             f'of {gripper.name} has no graspgen_base_from_tcp to read them by), got nothing')
        opening_m = gripper.max_opening_m
        return gripper.base_from_tcp(opening_m, graspgen=True) @ invert(gripper.base_from_tcp(opening_m))
    name = _last_part(stated.gripper_frame)
    if name in (gripper.base_frame, gripper.name):
        return np.eye(4)
    if name not in gripper.other_bases:
        kind = other_kind(stated.gripper_frame, stated.gripper_file)
        known = ', '.join(dict.fromkeys((gripper.base_frame, gripper.name, *gripper.other_bases)))
        raise GraspError(f'{path}: gripper_frame: expected one of {gripper.name}: {known}, got {quoted(name)}'
                         + (f', of {kind}: only parallel jaws are known' if kind else
                            '; name it in the gripper file as one of other_bases, or choose another gripper'))
    return gripper.other_bases[name]


def _own_name(stated: str | None, gripper: EndEffector) -> str:
    """What to call the base that the grasps are kept for: as the file does, where that is the same frame."""
    return stated if stated in (gripper.base_frame, gripper.name) else gripper.base_frame


def _last_part(frame: str) -> str:
    """The name of a frame without the path of a USD stage, or the prefix of tf."""
    return frame.rstrip('/').rsplit('/', 1)[-1]


def _refuse_unknown_widths(path: str | Path, grasps: CheckedGrasps) -> None:
    if np.isnan(grasps.widths_m[grasps.holds]).any():
        raise GraspError(f'{path}: grasps: expected cspace_position, found none, and the widths cannot be '
                         "measured without the object's mesh; give the mesh")


def _refuse_ours_of_another_mesh(path: str | Path, grasps: CheckedGrasps, are_its_widths: bool) -> None:
    """Refuse grasps of ours that do not hold as they did on the mesh that they were sampled on."""
    count, held = len(grasps.reasons), int(grasps.holds.sum())
    if held and not (are_its_widths and held >= OURS_THAT_HOLD * count):
        found = told(grasps.left_out) if grasps.left_out else 'at other widths'
        raise GraspError(f'{path}: grasps: expected that those rated by posegrasp hold on this mesh, found {held} '
                         f'of {count} ({found}): they are of another mesh, or its frame or unit was changed; make '
                         'them anew with posegrasp grasps')


def _refuse_where_few_hold(path: str | Path, grasps: CheckedGrasps, advice: str, mesh: Mesh | None) -> None:
    """Refuse a file in which no grasp holds, or only a minority of enough to judge by."""
    count, held = len(grasps.reasons), int(grasps.holds.sum())
    tried = count - grasps.left_out.get(FAILED, 0)
    if not held:
        what = f'the mesh of {1000 * mesh.diameter:.0f} mm' if mesh else 'the object'
        raise GraspError(f'{path}: grasps: expected some that hold {what}, found none of {count}: '
                         f'{told(grasps.left_out)}; {advice}')
    if tried >= ENOUGH_TO_JUDGE and held < OTHERS_THAT_HOLD * tried:
        raise GraspError(f'{path}: grasps: expected that most of them hold, found {held} of {tried} '
                         f'({told(grasps.left_out)}); {advice}, or mark those that do not hold by confidence 0')


def _say(path: str | Path, grasps: CheckedGrasps, advice: str) -> None:
    """Log how many grasps are left out, and why."""
    count, left_out = len(grasps.reasons), sum(grasps.left_out.values())
    if left_out:
        few = count - left_out < OTHERS_THAT_HOLD * (count - grasps.left_out.get(FAILED, 0))
        _log.warning('%s: %d of %d grasps are left out: %s%s', path, left_out, count, told(grasps.left_out),
                     f'; {advice}' if few else '')


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
