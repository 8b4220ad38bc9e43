# SPDX-License-Identifier: Apache-2.0
"""An undeclared symmetry: estimates are right up to rotations that look the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.symmetry import DeclaredSymmetry
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.pose_pairs import PosePairs, nearest_truths, rotation_vectors

TURNED_RAD = np.radians(20)
"""Rotation errors above this are turns, below it noise."""
LEAST_TURNED, MOST_ALIKE, MOST_UNEXPLAINED = 0.12, 0.88, 0.25
NEAR_AXIS_RAD, NEAR_ANGLE_RAD = np.radians(8), np.radians(6)
ANGLES_RAD = tuple(2 * np.pi / order for order in (2, 3, 4, 6))


def _symmetries(pairs: PosePairs) -> list[Correction]:
    """Turns about one axis that many of the estimates show."""
    truths = nearest_truths(pairs.estimates, pairs.truths, pairs.symmetry)
    between = np.linalg.inv(pairs.estimates) @ truths  # object frame
    turns = rotation_vectors(between[:, :3, :3])
    angles = np.linalg.norm(turns, axis=1)
    turned = angles > TURNED_RAD
    if turned.mean() < LEAST_TURNED or pairs.symmetry.axis is not None:
        return []
    directions = turns[turned] / angles[turned, None]
    _, vectors = np.linalg.eigh(directions.T @ directions)
    axis = _snapped(vectors[:, -1])
    about = np.abs(directions @ axis) > np.cos(NEAR_AXIS_RAD)
    if about.mean() < 1 - MOST_UNEXPLAINED:
        return []
    point = _fixed_point(between[turned][about], axis)
    found = []
    for angle in ANGLES_RAD:
        steps = angles[turned][about] / angle
        if (np.abs(steps - steps.round()) * angle < NEAR_ANGLE_RAD).mean() > 1 - MOST_UNEXPLAINED:
            found.append(angle)
    # A quarter turn explains half turns too: the largest angle that does is the symmetry.
    chosen = found[:1] or [0.0]
    if chosen[0] and _is_one_turn(turns @ axis, chosen[0]):
        return []
    return [DeclaredSymmetry(tuple(axis), tuple(point), angle) for angle in chosen]


def _is_one_turn(angles_rad: np.ndarray, step_rad: float) -> bool:
    """Whether nearly all (N,) turns about the axis are the same: then it is a convention, no symmetry."""
    steps = np.rint(angles_rad / step_rad).astype(int) % round(2 * np.pi / step_rad)
    return bool(np.bincount(steps).max() > MOST_ALIKE * len(steps))


def _snapped(axis: np.ndarray) -> np.ndarray:
    """A unit vector along an axis of the object, where it is near one."""
    place = int(np.argmax(np.abs(axis)))
    along = np.eye(3)[place] * np.sign(axis[place])
    return np.abs(along) if axis @ along > np.cos(NEAR_AXIS_RAD) else axis * np.sign(axis[place])


def _fixed_point(turns: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(3,) the point nearest to the origin on the axis that (K, 4, 4) turns have in common."""
    matrix = (np.eye(3) - turns[:, :3, :3]).reshape(-1, 3)
    right = turns[:, :3, 3].ravel()
    point = np.linalg.lstsq(np.vstack([matrix, 10 * np.outer(axis, axis)]),
                            np.concatenate([right, np.zeros(3)]), rcond=None)[0]
    return point - axis * (axis @ point)


def _goes_together(correction: Correction, pairs: PosePairs) -> bool:
    assert isinstance(correction, DeclaredSymmetry)
    try:
        correction.added_to(pairs.symmetry)
    except ValueError:
        return False
    return True


def _says_symmetry(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, DeclaredSymmetry)
    axis = ', '.join(f'{value:.2f}' for value in correction.axis)
    turn = f'every turn of {np.degrees(correction.angle_rad):.0f}°' if correction.angle_rad else 'any turn'
    turned = Rotation.from_matrix(
        pairs.estimates[:, :3, :3].transpose(0, 2, 1) @ pairs.truths[:, :3, :3]).magnitude() > TURNED_RAD
    return (f'{turn} about the axis ({axis}) counts as an error, and {100 * turned.mean():.0f} % of the poses are '
            'rotated in this way: declare the symmetry, if the object has it')


SYMMETRY_FAULTS: Sequence[FaultKind] = (
    FaultKind('undeclared_symmetry', _symmetries, _says_symmetry, _goes_together),
)
