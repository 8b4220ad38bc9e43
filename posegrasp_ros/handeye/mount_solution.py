# SPDX-License-Identifier: Apache-2.0
"""Hand-eye calibration by one robust least squares over all samples, for both unknowns at once.

The robot-world and hand-eye problem in the form of Dornaika and Horaud (1998): each sample's residual is what the
camera saw against what it should have seen, weighed by the sample's own covariance. Residuals of the arm are not
known beforehand; where the samples scatter more than they state, the covariance grows with them, and where they
scatter less it shrinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.spatial.transform import Rotation

from posegrasp_ros.geometry.transforms import invert, perturb
from posegrasp_ros.handeye.closed_form import closed_form, congruent
from posegrasp_ros.handeye.sample import Mounting, Sample

OUTLIER_CHANCE = 1e-3
"""Of a right sample to be left out."""
FREEDOM = 6
"""Of a sample, and of a pose."""
STUDENT = 6.0
"""Degrees of freedom of the weights: of a sample at distance d they are (STUDENT + 6) / (STUDENT + d²)."""
ITERATIONS, SMALL_STEP = 50, 1e-8
PRIOR_FREEDOM = 40
BULK = stats.chi2(FREEDOM).median()


@dataclass(frozen=True, eq=False)
class MountSolution:
    """Both unknowns with their covariance.

    :param mount_from_camera: (4, 4)
    :param hold_from_target: (4, 4)
    :param covariance: (12, 12) of both, each as :func:`posegrasp_ros.geometry.transforms.perturb` says, in the
        frames of mount and hold
    :param scatter: standard deviation of the samples' residuals against the stated ones
    :param is_used: (N,) bool, samples that count
    """

    mounting: Mounting
    mount_from_camera: np.ndarray
    hold_from_target: np.ndarray
    covariance: np.ndarray
    scatter: float
    is_used: np.ndarray

    @property
    def camera_covariance(self) -> np.ndarray:
        """(6, 6) of mount_from_camera."""
        return self.covariance[:6, :6]

    def predicted(self, sample: Sample) -> np.ndarray:
        """camera_from_target (4, 4) as the calibration has it."""
        return invert(self.mount_from_camera) @ sample.mount_from_hold(self.mounting) @ self.hold_from_target

    def residuals(self, samples: Sequence[Sample]) -> np.ndarray:
        """(N, 6) of what was seen against what should be, camera frame."""
        return _residuals(samples, self.mounting, self.mount_from_camera, self.hold_from_target)


def solve(samples: Sequence[Sample], mounting: Mounting) -> MountSolution:
    """Calibrate from samples whose motions determine it, see :mod:`posegrasp_ros.handeye.motions`.

    :param samples: at least 3
    """
    information = np.array([np.linalg.inv(each.covariance) for each in samples])

    def fitted(start: tuple[np.ndarray, np.ndarray], used: np.ndarray, robust: bool = False) -> _Fit:
        return _least_squares(samples, mounting, start, information * used[:, None, None], robust)

    agreeing = congruent(samples, mounting)
    used = np.isin(np.arange(len(samples)), agreeing)
    fit = fitted(closed_form([samples[place] for place in agreeing], mounting), used, robust=True)
    for _ in range(len(samples)):
        distances = _distances(samples, mounting, fit, used)
        bulk = max(1.0, float(np.median(distances[used])) / BULK)
        fits = distances <= bulk * stats.chi2(FREEDOM).isf(OUTLIER_CHANCE)
        if fits.sum() < 3 or (fits == used).all():
            break
        used = fits
        fit = fitted((fit.mount_from_camera, fit.hold_from_target), used)
    return _solution(samples, mounting, fitted((fit.mount_from_camera, fit.hold_from_target), used), used)


def refit(solution: MountSolution, samples: Sequence[Sample]) -> MountSolution:
    """Calibrate from samples that are all known to fit, starting from a calibration from similar ones."""
    information = np.array([np.linalg.inv(each.covariance) for each in samples])
    start = solution.mount_from_camera, solution.hold_from_target
    fit = _least_squares(samples, solution.mounting, start, information, robust=False)
    return _solution(samples, solution.mounting, fit, np.ones(len(samples), dtype=bool))


def _solution(samples: Sequence[Sample], mounting: Mounting, fit: _Fit, used: np.ndarray) -> MountSolution:
    """A fit to the used samples with its covariance."""
    residuals = _residuals(samples, mounting, fit.mount_from_camera, fit.hold_from_target)[used]
    information = np.array([np.linalg.inv(each.covariance) for each in samples])[used]
    squared = float(np.einsum('ni,nij,nj->', residuals, information, residuals))
    freedom = max(FREEDOM * (int(used.sum()) - 2), 1)
    scatter = np.sqrt(squared / freedom)
    covariance = np.linalg.inv(fit.normal) * _variance_factor(scatter, freedom)
    return MountSolution(mounting, fit.mount_from_camera, fit.hold_from_target, covariance, float(scatter), used)


def _variance_factor(scatter: float, freedom: int) -> float:
    """By what the covariance of samples as stated is multiplied: the a-posteriori variance factor of adjustment.

    Larger scatter counts in full, smaller as if :data:`PRIOR_FREEDOM` residuals more were as stated: what all
    samples share, such as an error of the mesh, does not scatter.
    """
    factor = max(scatter**2, (PRIOR_FREEDOM + freedom * scatter**2) / (PRIOR_FREEDOM + freedom))
    # The variance of a t distribution: the factor itself is estimated.
    return factor * freedom / max(freedom - 2, 1)


def jacobians(samples: Sequence[Sample], mounting: Mounting, mount_from_camera: np.ndarray,
              hold_from_target: np.ndarray) -> np.ndarray:
    """(N, 6, 12) derivative of what the camera should see by both unknowns, camera frame."""
    camera_from_mount = mount_from_camera[:3, :3].T
    found = np.zeros((len(samples), 6, 12))
    for block, sample in zip(found, samples):
        mount_from_hold = sample.mount_from_hold(mounting)
        camera_from_hold = camera_from_mount @ mount_from_hold[:3, :3]
        target = mount_from_hold[:3, :3] @ hold_from_target[:3, 3] + mount_from_hold[:3, 3]
        block[:3, :3] = block[3:, 3:6] = -camera_from_mount
        block[:3, 3:6] = camera_from_mount @ _cross(target - mount_from_camera[:3, 3])
        block[:3, 6:9] = block[3:, 9:] = camera_from_hold
    return found


@dataclass(frozen=True, eq=False)
class _Fit:
    """Both unknowns (4, 4), and the normal matrix (12, 12)."""

    mount_from_camera: np.ndarray
    hold_from_target: np.ndarray
    normal: np.ndarray


def _least_squares(samples: Sequence[Sample], mounting: Mounting, start: tuple[np.ndarray, np.ndarray],
                   information: np.ndarray, robust: bool) -> _Fit:
    """Gauss-Newton, with the weights of a t distribution where robust."""
    mount_from_camera, hold_from_target = start
    normal = np.zeros((12, 12))
    for _ in range(ITERATIONS):
        residuals = _residuals(samples, mounting, mount_from_camera, hold_from_target)
        weights = information
        if robust:
            squared = np.einsum('ni,nij,nj->n', residuals, information, residuals)
            bulk = max(1.0, float(np.median(squared)) / BULK)
            weights = information * ((STUDENT + FREEDOM) / (STUDENT + squared / bulk))[:, None, None]
        rows = jacobians(samples, mounting, mount_from_camera, hold_from_target)
        normal = np.einsum('nki,nkl,nlj->ij', rows, weights, rows)
        step = np.linalg.lstsq(normal, np.einsum('nki,nkl,nl->i', rows, weights, residuals), rcond=None)[0]
        mount_from_camera = perturb(mount_from_camera, step[:6])
        hold_from_target = perturb(hold_from_target, step[6:])
        if np.abs(step).max() < SMALL_STEP:
            break
    return _Fit(mount_from_camera, hold_from_target, normal)


def _distances(samples: Sequence[Sample], mounting: Mounting, fit: _Fit, used: np.ndarray) -> np.ndarray:
    """(N,) squared Mahalanobis distances of the samples to a fit, each as if the fit had not used it."""
    residuals = _residuals(samples, mounting, fit.mount_from_camera, fit.hold_from_target)
    rows = jacobians(samples, mounting, fit.mount_from_camera, fit.hold_from_target)
    covariance = np.linalg.pinv(fit.normal, 1e-12, hermitian=True)
    found = np.zeros(len(samples))
    for place, (sample, residual, row) in enumerate(zip(samples, residuals, rows)):
        of_fit = row @ covariance @ row.T
        # A sample's own share in the fit makes its residual smaller.
        around = sample.covariance - of_fit if used[place] else sample.covariance + of_fit
        gain = sample.covariance @ np.linalg.pinv(around, 1e-6, hermitian=True) if used[place] else np.eye(6)
        left_out = gain @ residual
        total = gain @ sample.covariance if used[place] else around
        found[place] = left_out @ np.linalg.pinv((total + total.T) / 2, 1e-9, hermitian=True) @ left_out
    return found


def _residuals(samples: Sequence[Sample], mounting: Mounting, mount_from_camera: np.ndarray,
               hold_from_target: np.ndarray) -> np.ndarray:
    seen = np.array([each.camera_from_target for each in samples])
    arm = np.array([each.mount_from_hold(mounting) for each in samples])
    expected = invert(mount_from_camera) @ arm @ hold_from_target
    turns = Rotation.from_matrix(seen[:, :3, :3] @ np.swapaxes(expected[:, :3, :3], 1, 2)).as_rotvec()
    return np.column_stack([seen[:, :3, 3] - expected[:, :3, 3], turns])


def _cross(vector: np.ndarray) -> np.ndarray:
    """(3, 3) matrix of the cross product with a vector on the left."""
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
