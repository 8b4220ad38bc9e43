# SPDX-License-Identifier: Apache-2.0
"""Faults to put into poses: for tests, for teaching, and to try alarms with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from posegrasp_ros.faults.corrected_pairs import LONGEST_GAP_NS
from posegrasp_ros.faults.corrections.conventions import Inverse, Mirror, QuaternionOrder
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.lengths import Depth, Scale
from posegrasp_ros.faults.corrections.other_intrinsics import OtherIntrinsics
from posegrasp_ros.faults.corrections.rigid import InCamera, InObject, Rays
from posegrasp_ros.faults.pose_pairs import interpolated
from posegrasp_ros.faults.rigid_faults import LINK_FROM_OPTICAL, OPENGL_FROM_OPTICAL
from posegrasp_ros.faults.scale_faults import UNITS
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform, random_rotation, rotation_from_vector
from posegrasp_ros.runtime.errors import InvalidInputError

SCENE_NS = 1_000_000_000
LARGEST = 2e12  # of any size: milliseconds between a clock that began at boot and that of the world
MOST_STAMP_NS = 2**31 * 1_000_000_000  # seconds in a message have 32 bits
"""The pose of a wrong object is another one after so long."""


@dataclass(frozen=True)
class PoseTrack:
    """Poses of one object in the order of their stamps.

    :param stamps_ns: (N,)
    :param poses: (N, 4, 4) camera_from_object
    :param cameras: of the recording, by name; the first is that of the images
    """

    stamps_ns: np.ndarray
    poses: np.ndarray
    cameras: Mapping[str, Camera] = field(default_factory=dict)


Make = Callable[[PoseTrack, Sequence[float], np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class InjectedFault:
    """A fault that can be put into poses.

    :param sizes: what its numbers are, for the help; empty where there are none
    :param default: numbers where none are given
    :param make: stamps and poses with the fault
    :param is_positive: whether numbers below 0 make no sense
    """

    sizes: str
    default: tuple[float, ...]
    make: Make
    is_positive: bool = False


def _mapped(fault: Callable[[Sequence[float], Mapping[str, Camera]], Correction]) -> Make:
    """A fault that is a map of each pose by itself."""
    def make(track: PoseTrack, sizes: Sequence[float], _: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return track.stamps_ns, fault(sizes, track.cameras).apply(track.poses)

    return make


def _moved(sizes: Sequence[float]) -> np.ndarray:
    """(4, 4) of x y z in millimetres and, where they are given, turns about x y z in degrees."""
    turn = rotation_from_vector(np.radians(sizes[3:] or (0.0, 0.0, 0.0)))
    return make_transform(turn, np.array(sizes[:3]) / 1e3)


def _rays(sizes: Sequence[float], cameras: Mapping[str, Camera]) -> Rays:
    if not cameras:
        raise InvalidInputError('principal_point: expected a recording with camera_info, found none')
    camera = next(iter(cameras.values()))
    return Rays(-sizes[0] / camera.matrix[0, 0], -sizes[1] / camera.matrix[1, 1])


def _other_intrinsics(_: Sequence[float], cameras: Mapping[str, Camera]) -> Correction:
    if len(cameras) < 2:
        raise InvalidInputError('other_camera: expected a recording with usable camera_info of two cameras, found '
                                f'it on {", ".join(cameras) or "none"}')
    (own, other), name = list(cameras.values())[:2], list(cameras)[1]
    return OtherIntrinsics.between(name, other, own).inverse()


def _turned(track: PoseTrack, sizes: Sequence[float], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order = round(sizes[0])
    turns = np.array([make_transform(rotation_from_vector((0, 0, 2 * np.pi / order * step)))
                      for step in range(order)])
    return track.stamps_ns, track.poses @ turns[rng.integers(order, size=len(track.poses))]


def _late(track: PoseTrack, sizes: Sequence[float], _: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if len(track.poses) < 2:
        raise InvalidInputError(f'lag: expected at least two poses, found {len(track.poses)}')
    poses, is_known = interpolated(track.poses, track.stamps_ns, track.stamps_ns - round(1e6 * sizes[0]),
                                   LONGEST_GAP_NS)
    return track.stamps_ns, np.where(is_known[:, None, None], poses, np.nan)


def _other_clock(track: PoseTrack, sizes: Sequence[float],
                 _: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    stamps_ns = track.stamps_ns + round(1e6 * sizes[0])
    if len(stamps_ns) and not 0 <= stamps_ns.min() <= stamps_ns.max() < MOST_STAMP_NS:
        raise InvalidInputError(f'--fault: clock_offset: expected stamps from 0 to {MOST_STAMP_NS} ns with it, '
                                f'got {stamps_ns.min()} to {stamps_ns.max()} ns')
    return stamps_ns, track.poses


def _other_object(track: PoseTrack, sizes: Sequence[float],
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    poses, scenes = track.poses.copy(), track.stamps_ns // SCENE_NS
    for scene in np.unique(scenes):
        away = rng.normal(size=3)
        elsewhere = make_transform(random_rotation(rng), sizes[0] / 1e3 * away / np.linalg.norm(away))
        poses[scenes == scene] = track.poses[scenes == scene] @ elsewhere
    return track.stamps_ns, poses


INJECTED: Mapping[str, InjectedFault] = {
    'object_offset': InjectedFault('x y z mm [about x y z degrees]', (12.0, 0.0, 0.0),
                                   _mapped(lambda sizes, _: InObject(_moved(sizes)))),
    'camera_offset': InjectedFault('x y z mm [about x y z degrees]', (10.0, 0.0, 20.0, 0.0, 0.0, 2.0),
                                   _mapped(lambda sizes, _: InCamera(_moved(sizes)))),
    'unit': InjectedFault('metres in a unit of the poses', (UNITS['millimetres'],),
                          _mapped(lambda sizes, _: Scale(1 / sizes[0])), True),
    'mesh_scale': InjectedFault('factor of distances', (1.1,), _mapped(lambda sizes, _: Scale(sizes[0])), True),
    'focal_length': InjectedFault('factor of depth', (1.1,), _mapped(lambda sizes, _: Depth(sizes[0])), True),
    'principal_point': InjectedFault('right down px', (20.0, 0.0), _mapped(_rays)),
    'other_camera': InjectedFault('', (), _mapped(_other_intrinsics)),
    'camera_link_axes': InjectedFault('', (), _mapped(lambda *_: InCamera(make_transform(LINK_FROM_OPTICAL)))),
    'opengl_axes': InjectedFault('', (), _mapped(lambda *_: InCamera(make_transform(OPENGL_FROM_OPTICAL)))),
    'object_axes': InjectedFault('degrees about x of the mesh', (90.0,), _mapped(
        lambda sizes, _: InObject(make_transform(rotation_from_vector((np.radians(sizes[0]), 0, 0)))))),
    'left_handed': InjectedFault('', (), _mapped(lambda *_: Mirror(1))),
    'quaternion_order': InjectedFault('', (), _mapped(lambda *_: QuaternionOrder(3))),
    'inverted': InjectedFault('', (), _mapped(lambda *_: Inverse())),
    'undeclared_symmetry': InjectedFault('turns in a full one, about z, by chance', (2.0,), _turned, True),
    'lag': InjectedFault('milliseconds that poses are old', (100.0,), _late, True),
    'clock_offset': InjectedFault('milliseconds added to stamps', (40.0,), _other_clock),
    'wrong_object': InjectedFault('mm between the objects', (200.0,), _other_object, True),
}


def inject(track: PoseTrack, name: str, sizes: Sequence[float] = (),
           seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Put a fault into poses.

    :param name: one of :data:`INJECTED`
    :param sizes: its numbers; none for the default ones
    :param seed: of what is left to chance
    :return: (N,) stamps and (N, 4, 4) poses, NaN where there is none any more
    :raises InvalidInputError: when there is no such fault, or it takes other numbers
    """
    if name not in INJECTED:
        raise InvalidInputError(f'--fault: expected one of {", ".join(INJECTED)}, got {name!r}')
    fault = INJECTED[name]
    sizes = tuple(sizes) or fault.default
    counts = {len(fault.default)} | ({3, 6} if '[' in fault.sizes else set())
    is_usable = len(sizes) in counts and (np.abs(sizes) <= LARGEST).all()  # false of NaN
    if not is_usable or (fault.is_positive and min(sizes) <= 0):
        raise InvalidInputError(f'--fault: {name}: expected {fault.sizes or "no numbers"}, got '
                                f'{" ".join(f"{size:g}" for size in sizes)}')
    return fault.make(track, sizes, np.random.default_rng(seed))
