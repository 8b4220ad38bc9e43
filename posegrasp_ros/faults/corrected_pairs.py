# SPDX-License-Identifier: Apache-2.0
"""Pose pairs after corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.symmetry import DeclaredSymmetry
from posegrasp_ros.faults.pose_pairs import PosePairs, interpolated

LONGEST_GAP_NS = 350_000_000
"""True poses further apart are not interpolated."""


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


def corrected_pose(corrections: Sequence[Correction], camera_from_object: np.ndarray,
                   covariance: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A pose (4, 4) after corrections, in their order, and its (6, 6) covariance; None where it is not known."""
    for correction in corrections:
        camera_from_object = correction.apply(camera_from_object[None])[0]
        covariance = None if covariance is None else correction.moved_covariance(covariance)
    return camera_from_object, covariance if covariance is not None and covariance.any() else None
