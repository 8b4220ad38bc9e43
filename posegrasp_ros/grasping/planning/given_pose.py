# SPDX-License-Identifier: Apache-2.0
"""Checks of the planner's input: pose of the object and covariance."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.grasping.planning.plan import PlanningError

# Larger than the reach of any arm.
FARTHEST_M = 100.0
# Accepted standard deviations of a pose estimator. Values below what any camera measures, or above any use, mean
# wrong units or a matrix that was not filled in.
LEAST_SIGMA, MOST_SIGMA_M, MOST_SIGMA_RAD = 1e-7, 10.0, 1e3
# Rounding error of a correlation that is corrected instead of refused.
ROUNDING = 1e-3
# The same of the entries of a covariance that is written with so many decimals, m², m rad and rad²: one unit of
# the last decimal. Each entry is off by half a unit; the nearest covariance may be farther from some of them.
DECIMALS = 6
PRINTED = 10.0**-DECIMALS


def checked_pose(base_from_object: np.ndarray) -> np.ndarray:
    """A pose as (4, 4) floats.

    :raises PlanningError: when it is not a rigid transform, or farther away than :data:`FARTHEST_M`
    """
    pose = np.asarray(base_from_object, dtype=float)
    rigid = pose.shape == (4, 4) and np.isfinite(pose).all() and np.abs(pose[3] - (0, 0, 0, 1)).max() < 1e-6
    rigid = rigid and np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max() < 1e-3
    if not rigid or np.linalg.det(pose[:3, :3]) < 0:
        found = np.array2string(pose, max_line_width=10**6, precision=4).replace('\n', '')
        raise PlanningError(f'pose of the object: expected a finite rigid 4x4 transform, got {found}')
    if not np.abs(pose[:3, 3]).max() <= FARTHEST_M:
        raise PlanningError(f'pose of the object: expected a position within {FARTHEST_M:g} m, got '
                            f'{pose[:3, 3].tolist()}')
    return pose


def checked_covariance(covariance: np.ndarray, least_sigma: float = 0.0) -> np.ndarray:
    """A covariance as (6, 6) floats, symmetric and without negative eigenvalues.

    What is not positive semi-definite by rounding becomes the nearest that is: where the correlations are off by
    up to :data:`ROUNDING`, and where the entries are written with six decimals and are off by up to
    :data:`PRINTED`.

    :param covariance: (6, 6) of x y z in metres, then rotation about x y z in radians
    :param least_sigma: smallest accepted standard deviation, metres and radians: :data:`LEAST_SIGMA` for an
        estimated pose; 0 allows axes that are known exactly
    :raises PlanningError: when it is not a covariance, or its variances are out of range
    """
    covariance = np.asarray(covariance, dtype=float)
    if covariance.shape != (6, 6) or not np.isfinite(covariance).all():
        found = np.array2string(covariance, max_line_width=10**6, threshold=6).replace('\n', '')
        raise PlanningError(f'covariance of the object: expected 6x6 finite numbers, got {found}')
    variances = np.diag(covariance)
    most = np.repeat([MOST_SIGMA_M, MOST_SIGMA_RAD], 3) ** 2
    if not ((variances >= least_sigma**2) & (variances <= most)).all():
        raise PlanningError(f'covariance of the object: expected variances from {least_sigma**2:g} to '
                            f'{MOST_SIGMA_M**2:g} m² and {MOST_SIGMA_RAD**2:g} rad², got '
                            f'{", ".join(f"{variance:.4g}" for variance in variances)}')
    sigmas = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlation = covariance / np.outer(sigmas, sigmas)
    asymmetry = float(np.abs(correlation - correlation.T).max())
    if not asymmetry <= ROUNDING:
        raise PlanningError('covariance of the object: expected a symmetric matrix, got correlations that differ '
                            f'by {asymmetry:.3g} from their transposes')
    eigenvalues, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    if not eigenvalues[0] >= -ROUNDING:
        nearest = _nearest_semidefinite(covariance)
        if np.abs(covariance - covariance.round(DECIMALS)).max() < 1e-12 and (
                np.abs(nearest - covariance).max() <= PRINTED):
            return nearest
        raise PlanningError('covariance of the object: expected a positive definite matrix, got an eigenvalue of '
                            f'{eigenvalues[0]:.3g} of the correlations')
    mended = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
    return mended * np.outer(sigmas, sigmas)


def _nearest_semidefinite(symmetric: np.ndarray) -> np.ndarray:
    """Without the negative eigenvalues."""
    eigenvalues, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2)
    return (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
