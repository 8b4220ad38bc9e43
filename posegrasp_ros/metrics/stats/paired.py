"""Two estimators on the same frames: what is hard for both of them is not charged to either."""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.metrics.stats.intervals import Interval, mean_of, percentile_interval, quantile_of, resample

STATISTICS = {'mean': mean_of, 'median': quantile_of}


def paired_difference(values_a: np.ndarray, values_b: np.ndarray, clusters: np.ndarray,
                      statistic: str = 'mean') -> tuple[float, Interval | None]:
    """A statistic of one estimator less that of the other, and its 95 % interval by paired cluster bootstrap.

    Each draw takes whole scenes, with both estimators' frames of them.

    :param values_a: (N,) errors, or right and wrong as 1 and 0; infinite where the estimator has no answer
    :param values_b: (N,) of the same frames
    :param clusters: (N,) scene, attempt or stretch of time of each frame
    :param statistic: a name in :data:`STATISTICS`
    :return: the difference; infinite where only one of them has a finite statistic, NaN where neither has. No
        interval where a draw has no finite difference, or of fewer than five clusters
    """
    of_a, of_b = STATISTICS[statistic](values_a), STATISTICS[statistic](values_b)

    def difference(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid='ignore'):
            return of_a(weights) - of_b(weights)

    if not len(clusters):
        return math.nan, None
    value = float(difference(np.ones((1, len(clusters)), dtype=int))[0])
    draws = resample(difference, clusters)
    if draws is None or not np.isfinite(draws).all():
        return value, None
    return value, percentile_interval(draws, len(np.unique(clusters)))


def mcnemar_exact(a_right: np.ndarray, b_right: np.ndarray, clusters: np.ndarray | None = None) -> float:
    """Two-sided p-value of "both are right equally often" (McNemar, 1947, with the exact binomial).

    Only frames that one has right and the other wrong tell anything. Frames of one scene are alike, so with
    clusters a scene has one vote, for the estimator with more right frames in it: a sign test of scenes.

    :param a_right: (N,) bool
    :param b_right: (N,) bool, of the same frames
    :param clusters: (N,) scene or attempt of each frame; None where every frame is a scene of its own
    """
    from scipy.stats import binomtest  # takes longer to import than all else here

    leads = np.asarray(a_right, dtype=int) - np.asarray(b_right, dtype=int)
    if clusters is not None:
        leads = np.bincount(np.unique(clusters, return_inverse=True)[1], leads)
    for_a, votes = int((leads > 0).sum()), int((leads != 0).sum())
    return float(binomtest(for_a, votes).pvalue) if votes else 1.0
