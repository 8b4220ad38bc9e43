# SPDX-License-Identifier: Apache-2.0
"""Calibration of pose covariances and scores.

A covariance is calibrated if the truth lies in the 90 % region in 90 % of the frames; a score is calibrated if 80
% of the poses with a score of 0.8 are correct.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtr

from posegrasp_ros.geometry.transforms import vector_from_rotation
from posegrasp_ros.geometry.true_pose import check_covariance
from posegrasp_ros.metrics.stats.intervals import (
    CONFIDENCE,
    Interval,
    percentile_interval,
    resample_clusters,
    resampled_clusters,
)
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.numba_cache import compiled

COVERAGE_LEVEL = 0.9
SCORE_BINS = 10
ROUNDING = 1e-6  # of scores that were float32


def confidence_level(estimate: np.ndarray, covariance: np.ndarray, truth: np.ndarray,
                     free_direction: np.ndarray | None = None,
                     truth_covariance: np.ndarray | None = None) -> float:
    """Level of the smallest confidence region around an estimate that contains the truth.

    The squared Mahalanobis distance of a normal error has a chi-square distribution with one degree of freedom per
    dimension. An error about a continuous symmetry axis is not observable: that direction and its degree of
    freedom are removed by projecting on its orthogonal complement (the distance does not depend on the basis).

    :param estimate: (4, 4) camera_from_object
    :param covariance: (6, 6) in the camera frame, see :func:`posegrasp_ros.geometry.transforms.perturb`
    :param truth: (4, 4) camera_from_object; for a symmetric object the equivalent one nearest to the estimate
    :param free_direction: (6,) see :meth:`Symmetry.spin_direction`; None for none
    :param truth_covariance: (6, 6) of the truth; its errors are independent of the estimate's, so the two add up.
        None for an exact truth
    :return: in [0, 1]; 1 where the estimate's covariance is not finite or none, or both together are not positive
        definite
    """
    if not np.isfinite(covariance).all():
        return 1.0
    if truth_covariance is not None:
        try:
            check_covariance(covariance)
        except InvalidInputError:
            return 1.0
        covariance = covariance + truth_covariance
    error = np.concatenate([truth[:3, 3] - estimate[:3, 3],
                            vector_from_rotation(truth[:3, :3] @ estimate[:3, :3].T)])
    seen = np.eye(6) if free_direction is None else np.linalg.svd(free_direction[:, None])[0][:, 1:]
    error, covariance = seen.T @ error, seen.T @ covariance @ seen
    try:
        whitened = np.linalg.solve(np.linalg.cholesky(covariance), error)
    except np.linalg.LinAlgError:
        return 1.0
    return float(chdtr(error.size, whitened @ whitened))


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether finite scores (N,) may be probabilities, and not percent, logits or energies: one outside tells."""
    return bool(((scores >= -ROUNDING) & (scores <= 1 + ROUNDING)).all())


def reliability(scores: np.ndarray, right: np.ndarray) -> list[dict]:
    """Data of a reliability diagram: mean score and share of correct poses for each non-empty bin.

    :param scores: (N,) in [0, 1]
    :param right: (N,) bool
    :return: {low, high, n, score, right} of each, for :data:`SCORE_BINS` bins of equal width
    """
    bins = score_bins(scores)
    return [{'low': index / SCORE_BINS, 'high': (index + 1) / SCORE_BINS, 'n': int((bins == index).sum()),
             'score': float(scores[bins == index].mean()), 'right': float(right[bins == index].mean())}
            for index in np.unique(bins).tolist()]


def expected_calibration_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean absolute gap between score and share of correct poses over bins of equal width, weighted by bin size.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3. It is biased upward for few
    frames: 500 calibrated scores spread over the whole range give about 0.04, mostly near 1 about 0.015.

    :param scores: (N,) in [0, 1]
    :param right: (N,) bool
    """
    gaps = _gaps(np.asarray(scores, dtype=float), right, np.zeros(1, dtype=np.int64), 1)
    return float(np.abs(gaps).sum() / len(scores))


def expected_calibration_error_interval(scores: np.ndarray, right: np.ndarray,
                                        clusters: np.ndarray) -> Interval | None:
    """95 % interval of the ECE by cluster bootstrap; its low end is 0 if calibrated scores could give the value.

    Resampling biases all draws upward by about the same amount, so their spread is centred on the measured value.
    The distribution for calibrated scores is sampled by flipping the signs of the gaps of whole clusters at random
    (sign-flip test).
    """
    groups, value = resampled_clusters(clusters), expected_calibration_error(scores, right)
    by_cluster = _gaps(np.asarray(scores, dtype=float), right, groups.index, len(groups))
    draws = resample_clusters(
        lambda times: np.abs(times @ by_cluster).sum(axis=1) / (times @ groups.sizes), len(groups))
    if draws is None:
        return None
    rng = np.random.default_rng(0)
    by_chance = np.array([np.abs(rng.choice((-1.0, 1.0), len(groups)) @ by_cluster).sum() / len(scores)
                          for _ in draws])
    low, high = percentile_interval(draws - draws.mean() + value, len(groups))
    if (by_chance >= value).mean() > (1 - CONFIDENCE) / 2:
        low = 0.0
    return Interval(float(np.clip(low, 0.0, value)), float(np.clip(high, value, 1.0)))


@compiled
def _gaps(scores: np.ndarray, right: np.ndarray, clusters: np.ndarray, count: int) -> np.ndarray:
    """(count, :data:`SCORE_BINS`) sums of score minus correctness, by each score's cluster and its bin.

    :param clusters: (N,) cluster of each score; not read where there is only one
    """
    gaps = np.zeros((count, SCORE_BINS))
    for each in range(len(scores)):
        score_bin = min(max(int(scores[each] * SCORE_BINS), 0), SCORE_BINS - 1)
        gaps[clusters[each] if count > 1 else 0, score_bin] += scores[each] - right[each]
    return gaps


def score_bins(scores: np.ndarray) -> np.ndarray:
    """(N,) number of the bin that each score in [0, 1] falls into; 1 belongs to the last."""
    scaled = np.asarray(scores) * SCORE_BINS
    return np.clip(scaled, 0, SCORE_BINS - 1, out=scaled).astype(np.int8)
