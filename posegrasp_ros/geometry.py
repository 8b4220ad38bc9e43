"""Rigid transforms, rotations and projection.

Transforms are (4, 4) arrays named after what they map: ``camera_from_object`` takes object coordinates to
camera coordinates, so ``base_from_object = base_from_camera @ camera_from_object``. Quaternions are
x, y, z, w everywhere but inside this file, where transforms3d wants w, x, y, z.
"""

from __future__ import annotations

import cv2
import numpy as np
from transforms3d import quaternions


def make_transform(rotation: np.ndarray | None = None, translation=(0.0, 0.0, 0.0)) -> np.ndarray:
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


def matrix_from_quaternion(quaternion_xyzw) -> np.ndarray:
    """(3, 3) rotation from a quaternion x, y, z, w of any length but zero.

    :raises ValueError: when the quaternion is not finite or has no length
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


def transform_from_pose(position, quaternion_xyzw) -> np.ndarray:
    """(4, 4) transform from a position (3,) and a quaternion x, y, z, w."""
    return make_transform(matrix_from_quaternion(quaternion_xyzw), position)


def rotation_from_vector(vector) -> np.ndarray:
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


def look_at(eye, target, up=(0.0, 0.0, 1.0)) -> np.ndarray:
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

    :param rotation: (3, 3) b_from_a; the covariance goes from frame a to frame b
    """
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = rotation
    return adjoint @ covariance @ adjoint.T


def perturb(transform: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Disturb a pose the way its covariance is written.

    :param delta: (6,) translation added to the position, then rotation vector about the fixed axes of the
        target frame, as geometry_msgs/PoseWithCovariance says
    """
    return make_transform(rotation_from_vector(delta[3:]) @ transform[:3, :3], transform[:3, 3] + delta[:3])
