# SPDX-License-Identifier: Apache-2.0
"""PosePairs: estimated poses beside the true ones, as arrays, and the error between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry

HALF_TURN_RAD = 3.1
UNKNOWN_RADIUS_M = 0.05
"""Turns an angle into a length where the object's size is not known."""


@dataclass(frozen=True)
class PosePairs:
    """N estimates and what is true of them.

    :param stamps_ns: (N,) of the images, sorted
    :param estimates: (N, 4, 4) camera_from_object
    :param truths: (N, 4, 4)
    :param blocks: (N,) number of the stretch of time or scene; its frames count as one observation
    :param said_ns: (N,) stamps that the estimates came with
    :param symmetry: of the object
    :param radius_m: half the object's diameter
    :param camera: of the images; None where it is not known
    :param cameras: all of the recording, by name
    """

    stamps_ns: np.ndarray
    estimates: np.ndarray
    truths: np.ndarray
    blocks: np.ndarray
    said_ns: np.ndarray
    symmetry: Symmetry = NO_SYMMETRY
    radius_m: float = UNKNOWN_RADIUS_M
    camera: Camera | None = None
    cameras: Mapping[str, Camera] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def chosen(self, mask: np.ndarray) -> PosePairs:
        """The pairs that a mask (N,) selects."""
        return replace(self, stamps_ns=self.stamps_ns[mask], estimates=self.estimates[mask],
                       truths=self.truths[mask], blocks=self.blocks[mask], said_ns=self.said_ns[mask])

    def with_estimates(self, estimates: np.ndarray) -> PosePairs:
        """The pairs with other estimates (N, 4, 4)."""
        return replace(self, estimates=estimates)

    def with_truths(self, truths: np.ndarray) -> PosePairs:
        """The pairs with other truths (N, 4, 4)."""
        return replace(self, truths=truths)

    def residuals(self) -> np.ndarray:
        """(N, 6) error of each estimate, metres: position, then rotation times the radius; up to symmetry."""
        nearest = nearest_truths(self.estimates, self.truths, self.symmetry)
        turns = rotation_vectors(self.estimates[:, :3, :3] @ nearest[:, :3, :3].transpose(0, 2, 1))
        return np.column_stack([self.estimates[:, :3, 3] - nearest[:, :3, 3], self.radius_m * turns])

    def errors(self) -> np.ndarray:
        """(N,) length of each residual, metres."""
        return np.linalg.norm(self.residuals(), axis=1)


def nearest_truths(estimates: np.ndarray, truths: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """(N, 4, 4) the equivalents of the truths that are nearest in rotation to the estimates.

    As :meth:`posegrasp_ros.geometry.transforms.Symmetry.nearest`, for many poses at once.
    """
    if symmetry.is_none:
        return truths
    candidates = truths[:, None] @ symmetry.discrete
    if symmetry.axis is not None:
        between = estimates[:, None, :3, :3].transpose(0, 1, 3, 2) @ candidates[..., :3, :3]
        axis = symmetry.axis
        skew = np.stack([between[..., 1, 2] - between[..., 2, 1], between[..., 2, 0] - between[..., 0, 2],
                         between[..., 0, 1] - between[..., 1, 0]], axis=-1)
        cosine = np.trace(between, axis1=-2, axis2=-1) - np.einsum('i,...ij,j->...', axis, between, axis)
        candidates = candidates @ _turns(np.arctan2(skew @ axis, cosine), axis, symmetry.offset)
    traces = np.einsum('nij,nsij->ns', estimates[:, :3, :3], candidates[..., :3, :3])
    return candidates[np.arange(len(truths)), np.argmax(traces.round(9), axis=1)]


def _turns(angles_rad: np.ndarray, axis: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """(..., 4, 4) turns about an axis through a point."""
    sine, cosine = np.sin(angles_rad)[..., None, None], np.cos(angles_rad)[..., None, None]
    cross = np.cross(axis, np.eye(3)).T
    rotations = np.eye(3) + sine * cross + (1 - cosine) * cross @ cross
    turns = np.zeros((*angles_rad.shape, 4, 4))
    turns[..., :3, :3], turns[..., 3, 3] = rotations, 1.0
    turns[..., :3, 3] = offset - rotations @ offset
    return turns


def rotation_vectors(rotations: np.ndarray) -> np.ndarray:
    """(N, 3) rotation vectors of (N, 3, 3)."""
    skew = np.stack([rotations[:, 2, 1] - rotations[:, 1, 2], rotations[:, 0, 2] - rotations[:, 2, 0],
                     rotations[:, 1, 0] - rotations[:, 0, 1]], axis=1)
    sine = np.linalg.norm(skew, axis=1)
    angles = np.arctan2(sine, np.trace(rotations, axis1=1, axis2=2) - 1.0)
    # The angle by its sine is 1 at zero, of whatever direction.
    vectors = skew * np.divide(angles, sine, out=np.full(len(angles), 0.5), where=sine > 1e-9)[:, None]
    is_half_turn = angles > HALF_TURN_RAD  # the skew part tells no axis there
    if is_half_turn.any():
        vectors[is_half_turn] = Rotation.from_matrix(rotations[is_half_turn]).as_rotvec()
    return vectors


def interpolated(truths: np.ndarray, stamps_ns: np.ndarray, wanted_ns: np.ndarray,
                 longest_gap_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """True poses between the known ones, with constant velocities.

    :param truths: (N, 4, 4) at sorted stamps (N,)
    :param longest_gap_ns: between two stamps to interpolate between; a stamp that is hit needs no other
    :return: (M, 4, 4) at the wanted stamps (M,), and whether they are known
    """
    right = np.clip(np.searchsorted(stamps_ns, wanted_ns), 1, len(stamps_ns) - 1)
    left = right - 1
    gap_ns = stamps_ns[right] - stamps_ns[left]
    share = (wanted_ns - stamps_ns[left]) / np.maximum(gap_ns, 1)
    is_known = (share >= 0) & (share <= 1) & ((gap_ns <= longest_gap_ns) | (share == 0) | (share == 1))
    share = np.clip(share, 0.0, 1.0)
    steps = rotation_vectors(truths[left, :3, :3].transpose(0, 2, 1) @ truths[right, :3, :3])
    poses = truths[left].copy()
    poses[:, :3, :3] = truths[left, :3, :3] @ Rotation.from_rotvec(
        share[:, None] * steps).as_matrix()
    poses[:, :3, 3] += share[:, None] * (truths[right, :3, 3] - truths[left, :3, 3])
    return poses, is_known
