# SPDX-License-Identifier: Apache-2.0
"""The pose that most of several uncertain poses of one resting object agree on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.spatial.transform import Rotation

from posegrasp_ros.geometry.transforms import Symmetry, perturb

MOST_STARTS = 25
ITERATIONS = 30
SMALL_STEP = 1e-6
"""Metres and radians: far below any pose's error."""
CAUCHY = 2.5
"""Distance, in standard deviations of the bulk, at which a pose weighs half."""


def steps_to(reference: np.ndarray, poses: Sequence[np.ndarray], symmetry: Symmetry) -> np.ndarray:
    """(N, 6) steps from a pose (4, 4) to others, up to symmetry.

    See :func:`posegrasp_ros.geometry.transforms.perturb`.
    """
    nearest = np.array([symmetry.nearest(pose, reference) for pose in poses]).reshape(-1, 4, 4)
    turns = Rotation.from_matrix(nearest[:, :3, :3] @ reference[:3, :3].T).as_rotvec()
    return np.column_stack([nearest[:, :3, 3] - reference[:3, 3], turns])


def pose_consensus(poses: Sequence[np.ndarray], covariances: Sequence[np.ndarray],
                   symmetry: Symmetry, start: np.ndarray | None = None) -> np.ndarray:
    """(4, 4) robust mean: each pose weighs by its information and, with Cauchy's weight, by how near it is.

    It starts at the pose with the smallest median distance to all, so it is right as long as more than half of the
    poses agree.

    :param poses: (4, 4) each, at least one
    :param covariances: (6, 6) each, in the frame of the poses, up to symmetry; only their proportions count
    :param start: (4, 4) that is near the consensus already; None for none
    """
    information = np.array([np.linalg.pinv(each, 1e-9, hermitian=True) for each in covariances])
    freedom = 6 if symmetry.axis is None else 5

    def squared(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = steps_to(reference, poses, symmetry)
        return steps, np.einsum('ni,nij,nj->n', steps, information, steps)

    found = start
    if found is None:
        starts = [poses[index] for index in np.unique(np.linspace(0, len(poses) - 1, MOST_STARTS).astype(int))]
        found = min(starts, key=lambda each: float(np.median(squared(each)[1])))
    for _ in range(ITERATIONS):
        steps, distances = squared(found)
        bulk = max(float(np.median(distances)) / stats.chi2(freedom).median(), 1e-12)
        weighted = information / (1 + distances / (bulk * freedom * CAUCHY**2))[:, None, None]
        total = weighted.sum(axis=0)
        step = np.linalg.pinv(total, 1e-9, hermitian=True) @ np.einsum('nij,nj->i', weighted, steps)
        found = perturb(found, step)
        if np.abs(step).max() < SMALL_STEP:
            break
    return found
