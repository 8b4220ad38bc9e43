# SPDX-License-Identifier: Apache-2.0
"""Constant transforms: another convention of axes, an offset of the camera's mounting or of the mesh's origin."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.rigid import CameraAxes, InCamera, InObject, ObjectAxes, Rays
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.fitting import thinned
from posegrasp_ros.faults.pose_pairs import PosePairs, nearest_truths
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform, rotation_angle, vector_from_rotation

LINK_FROM_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
OPENGL_FROM_OPTICAL = np.diag([1.0, -1, -1])
# A transform whose rotation is so near to a change of axes is that, and the rest is another fault.
NEAR_AXES_RAD = np.radians(20)
SAME_RAD = np.radians(1)
MEDOIDS = 60


@cache
def axis_changes() -> np.ndarray:
    """(23, 3, 3) rotations that take axes to axes, without the identity."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            rotation = np.zeros((3, 3))
            rotation[range(3), order] = signs
            if np.linalg.det(rotation) > 0 and not np.array_equal(rotation, np.eye(3)):
                found.append(rotation)
    return np.array(found)


def _camera_axes(pairs: PosePairs) -> list[Correction]:
    return [CameraAxes(make_transform(rotation)) for rotation in axis_changes()]


def _object_axes(pairs: PosePairs) -> list[Correction]:
    return [ObjectAxes(make_transform(rotation)) for rotation in axis_changes()]


def _is_no_change_of_axes(correction: Correction, pairs: PosePairs) -> bool:
    assert isinstance(correction, (InCamera, InObject))
    away = rotation_angle(np.swapaxes(axis_changes(), 1, 2) @ correction.transform[:3, :3])
    return bool(away.min() > NEAR_AXES_RAD)


def _camera_offset(pairs: PosePairs) -> list[Correction]:
    few = thinned(pairs)
    starts = _medoid(few, nearest_truths(few.estimates, few.truths, few.symmetry), is_of_camera=True)
    return [InCamera(np.eye(4)), InCamera(starts), InCamera(_aligned(few.estimates, few.truths))]


def _object_offset(pairs: PosePairs) -> list[Correction]:
    few = thinned(pairs)
    starts = _medoid(few, nearest_truths(few.estimates, few.truths, few.symmetry), is_of_camera=False)
    return [InObject(np.eye(4)), InObject(starts)]


def _medoid(pairs: PosePairs, truths: np.ndarray, is_of_camera: bool) -> np.ndarray:
    """(4, 4) the transform of one pair that is nearest to those of most others."""
    few = np.linspace(0, len(pairs) - 1, min(len(pairs), MEDOIDS)).round().astype(int)
    estimates, truths = pairs.estimates[few], truths[few]
    found = truths @ np.linalg.inv(estimates) if is_of_camera else np.linalg.inv(estimates) @ truths
    apart_m = np.linalg.norm(found[:, None, :3, 3] - found[None, :, :3, 3], axis=-1)
    turned = rotation_angle(found[:, None, :3, :3].swapaxes(-1, -2) @ found[None, :, :3, :3])
    return found[np.argmin(np.median(apart_m + pairs.radius_m * turned, axis=1))]


def _aligned(estimates: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """(4, 4) that brings the estimated positions to the true ones (Kabsch), whatever the rotations."""
    middle, true_middle = np.median(estimates[:, :3, 3], axis=0), np.median(truths[:, :3, 3], axis=0)
    left, _, right = np.linalg.svd((truths[:, :3, 3] - true_middle).T @ (estimates[:, :3, 3] - middle))
    matrix = left @ np.diag([1.0, 1.0, np.linalg.det(left) * np.linalg.det(right)]) @ right
    return make_transform(matrix, true_middle - matrix @ middle)


def _principal_point(pairs: PosePairs) -> list[Correction]:
    return [Rays(0.0, 0.0)]


def _says_axes(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, (InCamera, InObject))
    rotation = correction.transform[:3, :3]
    if isinstance(correction, InCamera):
        if np.allclose(rotation, LINK_FROM_OPTICAL.T):
            return ('poses are in the axes of a camera_link (x forward, y left, z up): state them in the optical '
                    'frame (z forward, x right, y down)')
        if np.allclose(rotation, OPENGL_FROM_OPTICAL.T):
            return 'poses are in the axes of OpenGL (y up, z backward): rotate them by 180° about x'
        if np.allclose(rotation, LINK_FROM_OPTICAL):
            return 'the change from optical axes to those of a camera_link was applied wrongly: undo it'
    vector = vector_from_rotation(rotation)
    if isinstance(correction, InObject) and np.allclose(np.abs(vector), (np.pi / 2, 0, 0)):
        return (f"y and z of the mesh are swapped (y up, or z up): rotate the mesh by "
                f'{np.degrees(vector[0]):+.0f}° about x')
    side = 'camera' if isinstance(correction, InCamera) else 'object'
    return f'axes of the {side} are permuted: {_axes_text(rotation)}'


def _axes_text(rotation: np.ndarray) -> str:
    """Which stated axis each true axis is."""
    def of(row: np.ndarray) -> str:
        place = int(np.argmax(np.abs(row)))
        return f'{"-" if row[place] < 0 else ""}{"xyz"[place]}'

    return ', '.join(f'true {name} is {of(row)} as stated' for name, row in zip('xyz', rotation))


def offset_text(transform: np.ndarray) -> str:
    """Translation and rotation of a (4, 4) as text."""
    mm, vector = 1000 * transform[:3, 3], np.degrees(vector_from_rotation(transform[:3, :3]))
    return f'({_signed(mm, 1)}) mm and ({_signed(vector, 2)})° about x, y, z'


def _signed(values: np.ndarray, digits: int) -> str:
    rounded = np.round(values, digits) + 0.0  # no -0.0
    return ', '.join(f'{value:+.{digits}f}' for value in rounded)


def _says_camera_offset(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, InCamera)
    mm = 1000 * correction.transform[:3, 3]
    is_sideways = abs(mm[0]) > 10 and np.linalg.norm(mm[1:]) < 0.1 * abs(mm[0])
    hint = ' (sideways: the other camera of a stereo pair?)' if is_sideways else ' (hand-eye calibration)'
    return f'in the camera frame add {offset_text(correction.transform)}{hint}'


def _says_object_offset(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, InObject)
    return (f'in the object frame add {offset_text(correction.transform)} (the origin of the mesh is elsewhere, '
            'such as at its centre)')


def _says_principal_point(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Rays)
    degrees = np.degrees(correction.parameters)
    if pairs.camera is None:
        return (f'rays are off by ({degrees[0]:+.2f}, {degrees[1]:+.2f})° (right, down): principal point, or the '
                "camera's mounting")
    matrix = pairs.camera.matrix
    u_px, v_px = correction.u_rad * matrix[0, 0], correction.v_rad * matrix[1, 1]
    hint = _mirror_hint(np.array([u_px, v_px]), pairs.camera)
    return (f'the principal point that was used is off by ({u_px:+.1f}, {v_px:+.1f}) px{hint}, or the camera is '
            f'turned by ({degrees[0]:+.2f}, {degrees[1]:+.2f})° (right, down)')


def _mirror_hint(shift_px: np.ndarray, camera: Camera) -> str:
    """Whether a shift is that of a principal point from the other side of the image, or of swapped numbers."""
    size, point = np.array([camera.width, camera.height]), camera.matrix[:2, 2]
    known = {' (mirrored: measured from the other side of the image)': size - 1 - 2 * point,
             ' (cx and cy are swapped)': point[::-1] - point}
    for hint, expected in known.items():
        for mask in ((1, 1), (1, 0), (0, 1)):
            wanted = expected * mask
            if np.linalg.norm(wanted) > 4 and np.linalg.norm(shift_px - wanted) < 2 + 0.1 * np.linalg.norm(wanted):
                return hint
    return ''


def _is_large_enough(correction: Correction, pairs: PosePairs) -> bool:
    return bool(np.linalg.norm(correction.parameters) > SAME_RAD / 10)


RIGID_FAULTS: Sequence[FaultKind] = (
    FaultKind('camera_axes', _camera_axes, _says_axes),
    FaultKind('object_axes', _object_axes, _says_axes),
    FaultKind('principal_point', _principal_point, _says_principal_point, _is_large_enough),
    FaultKind('camera_offset', _camera_offset, _says_camera_offset,
              _is_no_change_of_axes),
    FaultKind('object_offset', _object_offset, _says_object_offset,
              _is_no_change_of_axes),
)
