# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms, rotations, projection, pose covariances and object symmetries.

Transforms are (4, 4) arrays named after what they map: ``camera_from_object`` takes object coordinates to
camera coordinates, so ``base_from_object = base_from_camera @ camera_from_object``. Quaternions are
x, y, z, w everywhere except inside this file, where transforms3d uses w, x, y, z.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike
from transforms3d import quaternions

FARTHEST_M = 1e6
"""Nothing is farther away: numbers beyond are no positions, and their squares overflow."""


def make_transform(rotation: np.ndarray | None = None, translation: ArrayLike = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Build a (4, 4) transform from a (3, 3) rotation (identity when None) and a (3,) translation."""
    transform = np.eye(4)
    if rotation is not None:
        transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def invert(transform: np.ndarray) -> np.ndarray:
    """Invert a rigid (..., 4, 4) transform."""
    inverse = np.zeros_like(transform)
    rotation_t = np.swapaxes(transform[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -(rotation_t @ transform[..., :3, 3, None])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def transform_points(b_from_a: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map (N, 3) points from frame a to frame b."""
    return points @ b_from_a[:3, :3].T + b_from_a[:3, 3]


def matrix_from_quaternion(quaternion_xyzw: Iterable[float]) -> np.ndarray:
    """(3, 3) rotation from a quaternion x, y, z, w of any non-zero length.

    :raises ValueError: when the quaternion is not finite or its length is zero
    """
    x, y, z, w = (float(v) for v in quaternion_xyzw)
    norm = np.sqrt(x * x + y * y + z * z + w * w)
    if not np.isfinite(norm) or norm < 1e-6:
        raise ValueError(f'quaternion: expected x, y, z, w of length 1, got ({x}, {y}, {z}, {w})')
    return quaternions.quat2mat((w / norm, x / norm, y / norm, z / norm))


def quaternion_from_matrix(rotation: np.ndarray) -> np.ndarray:
    """Quaternion (4,) x, y, z, w of a (3, 3) rotation, w never negative."""
    w, x, y, z = quaternions.mat2quat(rotation)
    quaternion = np.array([x, y, z, w])
    return -quaternion if w < 0 else quaternion


def transform_from_pose(position: ArrayLike, quaternion_xyzw: Iterable[float]) -> np.ndarray:
    """(4, 4) transform from a position (3,) and a quaternion x, y, z, w.

    :raises ValueError: when the quaternion has no length, or the position is farther away than :data:`FARTHEST_M`
    """
    if (np.abs(position) > FARTHEST_M).any():
        found = ', '.join(f'{value:g}' for value in np.ravel(position))
        raise ValueError(f'position: expected metres, {FARTHEST_M:g} at most, got ({found})')
    return make_transform(matrix_from_quaternion(quaternion_xyzw), position)


def rotation_from_vector(vector: ArrayLike) -> np.ndarray:
    """(3, 3) rotation about ``vector`` by its length in radians (Rodrigues)."""
    return cv2.Rodrigues(np.asarray(vector, dtype=float))[0]


def vector_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Rotation vector (3,), radians, of a (3, 3) rotation; its length is in [0, pi]."""
    w, x, y, z = quaternions.mat2quat(rotation)
    axis = np.array([x, y, z]) * (1.0 if w >= 0 else -1.0)
    sine = np.linalg.norm(axis)
    if sine < 1e-12:
        return 2.0 * axis
    return axis * (2.0 * np.arctan2(sine, abs(w)) / sine)


def rotation_angle(rotation: np.ndarray) -> np.ndarray:
    """Angle in radians of (..., 3, 3) rotations, exact near zero and near pi."""
    trace = np.trace(rotation, axis1=-2, axis2=-1)
    sine = np.stack([
        rotation[..., 2, 1] - rotation[..., 1, 2],
        rotation[..., 0, 2] - rotation[..., 2, 0],
        rotation[..., 1, 0] - rotation[..., 0, 1],
    ], axis=-1)
    return np.arctan2(np.linalg.norm(sine, axis=-1), trace - 1.0)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A (3, 3) rotation, uniform over all rotations."""
    return matrix_from_quaternion(rng.normal(size=4))


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Pose ``world_from_camera`` of an optical frame at ``eye`` that looks at ``target``.

    z points to the target, x right, y down; ``up`` must not be parallel to the view.
    """
    eye = np.asarray(eye, dtype=float)
    z = np.asarray(target, dtype=float) - eye
    z /= np.linalg.norm(z)
    x = np.cross(z, np.asarray(up, dtype=float))
    if np.linalg.norm(x) < 1e-6:
        x = np.cross(z, (0.0, 1.0, 0.0))
    x /= np.linalg.norm(x)
    return make_transform(np.column_stack([x, np.cross(z, x), z]), eye)


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Project camera-frame points to pixels.

    :param points: (N, 3) in the optical frame, metres
    :param intrinsics: (3, 3) pinhole matrix, pixels
    :return: (N, 2) pixels (u, v); NaN where the point is not in front of the camera
    """
    depth = np.where(points[:, 2] > 1e-9, points[:, 2], np.nan)
    return (points @ intrinsics.T)[:, :2] / depth[:, None]


def rotate_covariance(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Express a (6, 6) pose covariance (x y z, rotation about x y z) in another frame.

    :param rotation: (3, 3) b_from_a; the covariance is converted from frame a to frame b
    """
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = rotation
    return adjoint @ covariance @ adjoint.T


def move_covariance(covariance: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(6, 6) covariance of a pose for another reference point of the same rigid body.

    :param shift: (3,) from the first point to the other, in the frame of the covariance
    """
    x, y, z = shift
    lever = np.eye(6)
    lever[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]  # a rotation by d moves the other point by d x shift
    return lever @ covariance @ lever.T


def mean_sigmas(covariance: np.ndarray) -> tuple[float, float]:
    """Standard deviations of a (6, 6) pose covariance along and about an axis, metres and radians, mean square."""
    position, rotation = (float(np.sqrt(np.trace(covariance[part, part]) / 3)) for part in (slice(3), slice(3, 6)))
    return position, rotation


def perturb(transform: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Perturb a pose in the convention of its covariance.

    :param delta: (6,) translation added to the position, then rotation vector about the fixed axes of the
        target frame, as geometry_msgs/PoseWithCovariance says
    """
    return make_transform(rotation_from_vector(delta[3:]) @ transform[:3, :3], transform[:3, 3] + delta[:3])


# The closure below would not end for an infinite group. The largest group of a real object has 60 (icosahedron).
MOST_DISCRETE = 120
# Symmetries are written by hand with few digits: two closer than this are considered identical.
SAME_RAD, SAME_M = 0.02, 0.002
# In the camera frame. No choice of spin is continuous for all directions of an axis. This one is discontinuous for
# an axis opposite to the reference, and the axis of an object that stands or lies in front of a level camera is
# always at least 30 degrees from that direction.
_REFERENCE_AXIS = np.array([-np.sqrt(0.5), 0.5, 0.5])
# The BOP benchmark discretises a continuous axis in steps in which no vertex moves more than this fraction of the
# object's diameter; over a full turn a vertex moves at most pi times the diameter.
BOP_STEP = 0.01
BOP_STEPS = math.ceil(math.pi / BOP_STEP)


@dataclass(frozen=True, eq=False)
class Symmetry:
    """The rigid motions that leave an object's appearance unchanged: any turn about the axis, then a discrete one.

    :param discrete: (S, 4, 4) object-frame transforms, a complete group (without the turns), identity first
    :param axis: (3,) unit vector of a continuous symmetry, object frame; None for none
    :param offset: (3,) a point on that axis, metres
    """

    discrete: np.ndarray = field(default_factory=lambda: np.eye(4)[None])
    axis: np.ndarray | None = None
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def generated(cls, transforms: Iterable[np.ndarray] = (), axis: ArrayLike | None = None,
                  offset: ArrayLike = (0.0, 0.0, 0.0)) -> Symmetry:
        """The smallest group with the given symmetries; half-turns about x and y also imply the one about z.

        :param transforms: (4, 4) each
        :param axis: (3,) of any length, None for no continuous symmetry
        :raises ValueError: when the transforms generate no finite group, or do not map the axis to itself
        """
        unit = None if axis is None else np.asarray(axis, dtype=float) / np.linalg.norm(axis)
        turns, generators = cls(axis=unit, offset=np.asarray(offset, dtype=float)), list(transforms)
        if not all(turns._keeps_axis(generator) for generator in generators):
            raise ValueError('a discrete symmetry moves the axis of the continuous one')
        found = [np.eye(4)]
        for element in found:
            for product in (generator @ element for generator in generators):
                if not any(turns._same(product, other) for other in found):
                    found.append(product)
            if len(found) > MOST_DISCRETE:
                raise ValueError(f'the discrete symmetries have more than {MOST_DISCRETE} combinations')
        return cls(np.array(found), turns.axis, turns.offset)

    @property
    def is_none(self) -> bool:
        """Whether the object has no symmetry."""
        return len(self.discrete) == 1 and self.axis is None

    def turn(self, angle_rad: float) -> np.ndarray:
        """(4, 4) turn about the continuous axis, object frame.

        :raises ValueError: when there is none
        """
        rotation = rotation_from_vector(self._turned_about() * angle_rad)
        return make_transform(rotation, self.offset - rotation @ self.offset)

    def transforms(self, steps: int = 64) -> np.ndarray:
        """(S, 4, 4) symmetry transforms, identity first; a continuous axis is sampled with ``steps`` turns."""
        if self.axis is None:
            return self.discrete
        turns = np.array([self.turn(angle) for angle in np.arange(steps) * 2 * np.pi / steps])
        return (self.discrete[:, None] @ turns).reshape(-1, 4, 4)

    @cached_property
    def discretised(self) -> np.ndarray:
        """(S, 4, 4) symmetry transforms with the BOP benchmark's discretisation of an axis, identity first."""
        return self.transforms(BOP_STEPS)

    def nearest(self, camera_from_object: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Of all poses (4, 4) equivalent to the first, the one whose rotation is closest to the reference's.

        Exact for a continuous axis. Ties in rotation are decided by position.
        """
        if self.is_none:
            return camera_from_object
        candidates = camera_from_object @ self.discrete
        if self.axis is not None:
            candidates = np.array([pose @ self.turn(self._best_angle(pose, reference)) for pose in candidates])
        angles = rotation_angle(reference[:3, :3].T @ candidates[:, :3, :3])
        distances = np.linalg.norm(candidates[:, :3, 3] - reference[:3, 3], axis=1)
        return candidates[np.lexsort((distances, angles.round(9)))[0]]

    def canonical(self, camera_from_object: np.ndarray) -> np.ndarray:
        """The representative of all poses equivalent to this one, for estimates without a previous pose.

        It depends continuously on the direction of the axis, except opposite to the reference.
        """
        x, z = np.cross(_REFERENCE_AXIS, (1.0, 0.0, 0.0)), self.axis if self.axis is not None else (0.0, 0.0, 1.0)
        x /= np.linalg.norm(x)
        across = np.cross(z, np.eye(3)[np.argmin(np.abs(z))])
        across /= np.linalg.norm(across)
        camera_frame = np.column_stack([x, np.cross(_REFERENCE_AXIS, x), _REFERENCE_AXIS])
        object_frame = np.column_stack([across, np.cross(z, across), z])
        return self.nearest(camera_from_object, make_transform(camera_frame @ object_frame.T))

    def spin_direction(self, camera_from_object: np.ndarray) -> np.ndarray | None:
        """(6,) change of a pose per radian about the axis, in the covariance's convention; None without axis."""
        if self.axis is None:
            return None
        rotation = camera_from_object[:3, :3]
        return np.concatenate([rotation @ np.cross(self.offset, self.axis), rotation @ self.axis])

    def without_spin(self, covariance: np.ndarray, camera_from_object: np.ndarray) -> np.ndarray:
        """(6, 6) covariance of the pose up to symmetry: the rotation about the axis is projected out."""
        spin = self.spin_direction(camera_from_object)
        if spin is None:
            return covariance
        turned_back = np.eye(6) - np.outer(spin, np.concatenate([np.zeros(3), spin[3:]]))
        return turned_back @ covariance @ turned_back.T

    def _best_angle(self, pose: np.ndarray, reference: np.ndarray) -> float:
        """The angle about the axis that brings a pose's rotation closest to the reference's (maximum trace)."""
        between, a = reference[:3, :3].T @ pose[:3, :3], self._turned_about()
        sine = a @ [between[1, 2] - between[2, 1], between[2, 0] - between[0, 2], between[0, 1] - between[1, 0]]
        return float(np.arctan2(sine, np.trace(between) - a @ between @ a))

    def _turned_about(self) -> np.ndarray:
        if self.axis is None:
            raise ValueError('expected a continuous symmetry, found none')
        return self.axis

    def _same(self, first: np.ndarray, second: np.ndarray) -> bool:
        """Whether two motions differ at most by a turn about the axis."""
        rest = invert(second) @ first
        if self.axis is not None:
            rest = rest @ self.turn(self._best_angle(rest, np.eye(4)))
        return bool(rotation_angle(rest[:3, :3]) < SAME_RAD and np.linalg.norm(rest[:3, 3]) < SAME_M)

    def _keeps_axis(self, transform: np.ndarray) -> bool:
        """Whether a motion maps the axis to itself, in either direction."""
        if self.axis is None:
            return True
        tilt = np.linalg.norm(np.cross(transform[:3, :3] @ self.axis, self.axis))
        shift = transform_points(transform, self.offset[None])[0] - self.offset
        return bool(tilt < SAME_RAD and np.linalg.norm(np.cross(shift, self.axis)) < SAME_M)


NO_SYMMETRY = Symmetry()
