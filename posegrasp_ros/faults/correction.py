# SPDX-License-Identifier: Apache-2.0
"""Correction: what undoes one fault, and its inverse, which is the fault itself. One kind of map each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from posegrasp_ros.faults.pose_pairs import PosePairs, interpolated
from posegrasp_ros.geometry.transforms import (
    Symmetry,
    invert,
    make_transform,
    rotate_covariance,
    rotation_from_vector,
    vector_from_rotation,
)
from posegrasp_ros.runtime.errors import InvalidInputError

LOG_MOST = 20.0
LONGEST_GAP_NS = 350_000_000
"""True poses further apart are not interpolated."""
IN_CAMERA, IN_OBJECT, SCALE, DEPTH, MIRROR, INVERSE, QUATERNION, TIME, RAYS, SYMMETRY = (
    'camera', 'object', 'scale', 'depth', 'mirror', 'inverse', 'quaternion', 'time', 'rays', 'symmetry')


class Correction(Protocol):
    """A map of poses, with its parameters.

    :ivar kind: its name in files
    """

    kind: ClassVar[str]

    @property
    def parameters(self) -> np.ndarray:
        """(P,) what may be refined; empty for a map without numbers."""

    def moved(self, parameters: np.ndarray) -> Correction:
        """The map with other parameters (P,)."""

    def inverse(self) -> Correction:
        """The map that undoes this one."""

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4) of poses camera_from_object (N, 4, 4)."""

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) in the camera frame after the map; zeros where it is not known any more."""

    def shift_ns(self) -> int:
        """What is added to the stamps of poses."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""


class _Untimed:
    """Part of the maps that leave stamps alone, and of which the covariance does not say what they do to it."""

    def shift_ns(self) -> int:
        """What is added to the stamps of poses."""
        return 0

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Not known: zeros (6, 6)."""
        return np.zeros((6, 6))


class _Fixed(_Untimed):
    """Part of the maps that have no numbers."""

    @property
    def parameters(self) -> np.ndarray:
        """(0,)"""
        return np.empty(0)

    def moved(self, parameters: np.ndarray) -> Any:
        """The same."""
        return self


class _Rigid(_Untimed):
    """A constant transform (4, 4), refined by a small motion after it."""

    transform: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """(6,) translation, metres, and rotation vector."""
        return np.concatenate([self.transform[:3, 3], vector_from_rotation(self.transform[:3, :3])])

    def moved(self, parameters: np.ndarray) -> Any:
        """From translation and rotation vector (6,)."""
        return type(self)(make_transform(rotation_from_vector(parameters[3:]), parameters[:3]))  # type: ignore

    def inverse(self) -> Any:
        """The inverse transform on the same side."""
        return type(self)(invert(self.transform))  # type: ignore[call-arg]


@dataclass(frozen=True)
class InCamera(_Rigid):
    """A constant transform on the camera's side: camera_from_stated, (4, 4)."""

    transform: np.ndarray
    kind: ClassVar[str] = IN_CAMERA

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        return self.transform @ poses

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) turned."""
        return rotate_covariance(covariance, self.transform[:3, :3])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'camera_from_stated': self.transform.tolist()}


@dataclass(frozen=True)
class InObject(_Rigid):
    """A constant transform on the object's side: stated_from_object, (4, 4)."""

    transform: np.ndarray
    kind: ClassVar[str] = IN_OBJECT

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        return poses @ self.transform

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same: the origin moves by little."""
        return covariance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'stated_from_object': self.transform.tolist()}


class CameraAxes(_Fixed, InCamera):
    """A change of axes on the camera's side, without numbers."""


class ObjectAxes(_Fixed, InObject):
    """A change of axes on the object's side, without numbers."""


@dataclass(frozen=True)
class Rays(_Untimed):
    """All rays turned about the camera's centre, as a shifted principal point does.

    :param u_rad: to the right, the principal point's shift over the focal length
    :param v_rad: down
    """

    u_rad: float
    v_rad: float
    kind: ClassVar[str] = RAYS

    @property
    def parameters(self) -> np.ndarray:
        """(2,) radians."""
        return np.array([self.u_rad, self.v_rad])

    def moved(self, parameters: np.ndarray) -> Rays:
        """From radians (2,)."""
        return Rays(*map(float, parameters))

    def inverse(self) -> Rays:
        """The other way round."""
        return Rays(-self.u_rad, -self.v_rad)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        return make_transform(rotation_from_vector((-self.v_rad, self.u_rad, 0.0))) @ poses

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same: rays turn by little."""
        return covariance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'u_rad': self.u_rad, 'v_rad': self.v_rad}


@dataclass(frozen=True)
class DeclaredSymmetry(_Fixed):
    """A symmetry of the object that nobody has declared: poses stay, what counts as an error changes.

    :param axis: (3,) unit vector, object frame
    :param point_m: (3,) on the axis
    :param angle_rad: the smallest turn that changes nothing; 0 for any turn
    """

    axis: tuple[float, ...]
    point_m: tuple[float, ...]
    angle_rad: float
    kind: ClassVar[str] = SYMMETRY

    def inverse(self) -> DeclaredSymmetry:
        """The same."""
        return self

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4), the same."""
        return poses

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same."""
        return covariance

    def added_to(self, symmetry: Symmetry) -> Symmetry:
        """The symmetry with this one.

        :raises ValueError: when they do not go together
        """
        if not self.angle_rad:
            return Symmetry.generated(symmetry.discrete[1:], self.axis, self.point_m)
        turn = rotation_from_vector(self.angle_rad * np.asarray(self.axis))
        moved = make_transform(turn, self.point_m - turn @ np.asarray(self.point_m))
        return Symmetry.generated([*symmetry.discrete[1:], moved], symmetry.axis, symmetry.offset)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'axis': list(self.axis), 'point_m': list(self.point_m),
                'angle_deg': float(np.degrees(self.angle_rad))}


class _Factor(_Untimed):
    """A factor, refined as its logarithm."""

    factor: float

    @property
    def parameters(self) -> np.ndarray:
        """(1,) its logarithm."""
        return np.array([np.log(self.factor)])

    def moved(self, parameters: np.ndarray) -> Any:
        """From the logarithm (1,)."""
        return type(self)(float(np.exp(np.clip(parameters[0], -LOG_MOST, LOG_MOST))))  # type: ignore[call-arg]

    def inverse(self) -> Any:
        """By the inverse factor."""
        return type(self)(1 / self.factor)  # type: ignore[call-arg]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'factor': float(self.factor)}


@dataclass(frozen=True)
class Scale(_Factor):
    """All distances from the camera by a factor: of the unit or of the mesh."""

    factor: float
    kind: ClassVar[str] = SCALE

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        scaled = poses.copy()
        scaled[:, :3, 3] *= self.factor
        return scaled


class Unit(_Fixed, Scale):
    """Another unit of length, without a number to refine."""


@dataclass(frozen=True)
class Depth(_Factor):
    """Distances along the optical axis by a factor: of the focal length."""

    factor: float
    kind: ClassVar[str] = DEPTH

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        scaled = poses.copy()
        scaled[:, 2, 3] *= self.factor
        return scaled


@dataclass(frozen=True)
class Mirror(_Fixed):
    """One axis of camera and object points the other way: 0, 1 or 2."""

    axis: int
    kind: ClassVar[str] = MIRROR

    def inverse(self) -> Mirror:
        """The same."""
        return self

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        flip = np.eye(4)
        flip[self.axis, self.axis] = -1
        return flip @ poses @ flip

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'axis': 'xyz'[self.axis]}


@dataclass(frozen=True)
class Inverse(_Fixed):
    """object_from_camera in the place of camera_from_object."""

    kind: ClassVar[str] = INVERSE

    def inverse(self) -> Inverse:
        """The same."""
        return self

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        inverse = poses.copy()
        inverse[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
        inverse[:, :3, 3] = -np.einsum('nij,nj->ni', inverse[:, :3, :3], poses[:, :3, 3])
        return inverse

    def to_dict(self) -> dict[str, Any]:
        """Plain values: none."""
        return {}


@dataclass(frozen=True)
class QuaternionOrder(_Fixed):
    """The four numbers of a quaternion moved on by so many places: 1 makes x y z w of w x y z, 3 undoes that."""

    places: int
    kind: ClassVar[str] = QUATERNION

    def inverse(self) -> QuaternionOrder:
        """The other way round."""
        return QuaternionOrder(4 - self.places)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        moved = poses.copy()
        quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
        moved[:, :3, :3] = Rotation.from_quat(np.roll(quaternions, -self.places, axis=1)).as_matrix()
        return moved

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'places': self.places}


@dataclass(frozen=True)
class Time:
    """Stamps moved by so many seconds."""

    shift_s: float
    kind: ClassVar[str] = TIME

    @property
    def parameters(self) -> np.ndarray:
        """(1,) seconds."""
        return np.array([self.shift_s])

    def moved(self, parameters: np.ndarray) -> Time:
        """From seconds (1,)."""
        return Time(float(parameters[0]))

    def inverse(self) -> Time:
        """The other way round."""
        return Time(-self.shift_s)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4), the same."""
        return poses

    def shift_ns(self) -> int:
        """What is added to the stamps of poses."""
        return round(1e9 * self.shift_s)

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same."""
        return covariance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'shift_ms': 1e3 * self.shift_s}


def corrected(pairs: PosePairs, corrections: tuple[Correction, ...]) -> tuple[PosePairs, np.ndarray]:
    """The pairs after corrections, in their order.

    :return: all pairs, and (N,) whether each can be judged: a stamp that was moved needs a true pose near it
    """
    estimates, symmetry, shift_ns = pairs.estimates, pairs.symmetry, 0
    for correction in corrections:
        estimates = correction.apply(estimates)
        shift_ns += correction.shift_ns()
        if isinstance(correction, DeclaredSymmetry):
            symmetry = correction.added_to(symmetry)
    pairs = replace(pairs, estimates=estimates, symmetry=symmetry)
    if not shift_ns or len(pairs) < 2:
        return pairs, np.ones(len(pairs), dtype=bool)
    truths, is_known = interpolated(pairs.truths, pairs.stamps_ns, pairs.said_ns + shift_ns, LONGEST_GAP_NS)
    return pairs.with_truths(truths), is_known


def correction_from(stated: Mapping[str, Any], place: str) -> Correction:
    """Inverse of ``to_dict`` with ``kind``.

    :param place: for messages
    :raises InvalidInputError: when it is none
    """
    makers: dict[str, Callable[[], Correction]] = {
              IN_CAMERA: lambda: InCamera(_transform(stated['camera_from_stated'])),
              IN_OBJECT: lambda: InObject(_transform(stated['stated_from_object'])),
              SCALE: lambda: Scale(_positive(stated['factor'])), DEPTH: lambda: Depth(_positive(stated['factor'])),
              MIRROR: lambda: Mirror('xyz'.index(stated['axis'])), INVERSE: Inverse,
              QUATERNION: lambda: QuaternionOrder(int(stated['places']) % 4),
              TIME: lambda: Time(float(stated['shift_ms']) / 1e3),
              RAYS: lambda: Rays(float(stated['u_rad']), float(stated['v_rad'])),
              SYMMETRY: lambda: DeclaredSymmetry(tuple(map(float, stated['axis'])),
                                                 tuple(map(float, stated['point_m'])),
                                                 math.radians(float(stated['angle_deg'])))}
    kind = stated.get('kind')
    if kind not in makers:
        raise InvalidInputError(f'{place}: kind: expected one of {", ".join(makers)}, got {kind!r}')
    try:
        return makers[kind]()
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f'{place}: {kind}: expected the fields that posegrasp evaluate writes, got '
                                f'{dict(stated)}: {error}') from error


def _transform(stated: Any) -> np.ndarray:
    matrix = np.asarray(stated, dtype=float).reshape(4, 4)
    is_rotation = np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-6)
    if not is_rotation or np.linalg.det(matrix[:3, :3]) < 0 or not np.isfinite(matrix).all():
        raise ValueError('expected a rigid transform')
    return matrix


def _positive(stated: Any) -> float:
    value = float(stated)
    if not 0 < value < np.inf:
        raise ValueError('expected a number above 0')
    return value
