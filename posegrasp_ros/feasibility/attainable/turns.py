# SPDX-License-Identifier: Apache-2.0
"""Candidate symmetry rotations of an object."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations, product

import numpy as np

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    make_transform,
    random_rotation,
    rotation_angle,
    rotation_from_vector,
    vector_from_rotation,
)

STEP_DEG = 15
"""A symmetry is continuous if all rotations by multiples of this angle look alike."""
SAME_RAD = float(np.radians(2.0))
ANY_TURNS = 6
"""Number of random rotations that test for a sphere."""


def candidate_turns(mesh: Mesh) -> np.ndarray:
    """(K, 4, 4) distinct object-frame rotations, without the identity.

    About the axes of the object frame through the centre of its bounding box, of its oriented bounding box, and
    its principal axes of inertia: by multiples of 15° and of 360°/n for n up to 8; and the 24 rotations of a cube.
    """
    parts_deg = {360 * k / n for n in range(2, 9) for k in range(1, n)}
    angles_deg = sorted(parts_deg | {*range(STEP_DEG, 360, STEP_DEG)})
    about = [rotation_from_vector(axis * np.radians(angle)) for axis in np.eye(3) for angle in angles_deg]
    found: list[np.ndarray] = []
    for frame in _frames(mesh):
        for turn in [*_cube_turns(), *about]:
            moved = frame[:3, :3] @ turn @ frame[:3, :3].T
            _add_new(found, _about(moved, frame[:3, 3]), 0.01 * mesh.diameter)
    return np.array(found)


def any_turns(mesh: Mesh) -> np.ndarray:
    """(:data:`ANY_TURNS`, 4, 4) random rotations about the centre, with a fixed seed."""
    rng = np.random.default_rng(0)
    return np.array([_about(random_rotation(rng), mesh.centre) for _ in range(ANY_TURNS)])


def axis_angle(turn: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit axis (3,), its largest component positive, and angle in (-pi, pi] of a (4, 4) rotation."""
    vector = vector_from_rotation(turn[:3, :3])
    angle = float(np.linalg.norm(vector))
    axis = vector / angle
    sign = np.sign(axis[np.argmax(np.abs(axis))])
    return sign * axis, float(sign) * angle


def _frames(mesh: Mesh) -> Iterable[np.ndarray]:
    """(4, 4) object_from_frame each."""
    solid = mesh.merged
    yield make_transform(translation=mesh.centre)
    yield np.array(solid.bounding_box_oriented.primitive.transform)
    yield np.linalg.inv(solid.principal_inertia_transform)


def _cube_turns() -> list[np.ndarray]:
    """The 24 (3, 3) rotations that map a cube onto itself, including the identity."""
    signed = (np.array(signs)[:, None] * np.eye(3)[list(order)]
              for order in permutations(range(3)) for signs in product((-1.0, 1.0), repeat=3))
    return [matrix for matrix in signed if np.linalg.det(matrix) > 0]


def _about(rotation: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(4, 4) rotation about an axis through a point."""
    return make_transform(rotation, point - rotation @ point)


def _add_new(found: list[np.ndarray], turn: np.ndarray, same_m: float) -> None:
    """Append a rotation unless it is the identity or already in the list."""
    others = np.array([np.eye(4), *found])
    angles = rotation_angle(np.swapaxes(others[:, :3, :3], 1, 2) @ turn[:3, :3])
    if rotation_angle(turn[:3, :3]) < SAME_RAD:
        return
    apart_m = np.linalg.norm(others[:, :3, 3] - turn[:3, 3], axis=1)
    if not ((angles < SAME_RAD) & (apart_m < same_m)).any():
        found.append(turn)
