# SPDX-License-Identifier: Apache-2.0
"""Paired statistics of two estimators on the same frames, so that differences in difficulty cancel."""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.metrics.stats.clusters import clusters_of
from posegrasp_ros.metrics.stats.intervals import (
    Interval,
    cluster_mean,
    cluster_quantile,
    percentile_interval,
    resample_clusters,
    resampled_clusters,
)

STATISTICS = {'mean': cluster_mean, 'median': cluster_quantile}


def paired_difference(values_a: np.ndarray, values_b: np.ndarray, clusters: np.ndarray,
                      statistic: str = 'mean') -> tuple[float, Interval | None]:
    """Difference of a statistic, a minus b, and its 95 % interval by paired cluster bootstrap.

    Each draw takes whole scenes with the frames of both estimators.

    :param values_a: (N,) errors, or 1 for correct and 0 for wrong; infinite where the estimator has no answer
    :param values_b: (N,) of the same frames
    :param clusters: (N,) scene, attempt or time block of each frame
    :param statistic: a name in :data:`STATISTICS`
    :return: the difference, infinite where only one statistic is finite, NaN where neither is; and the interval,
        None where a draw has no finite difference or there are fewer than five clusters
    """
    if not len(clusters):
        return math.nan, None
    groups = resampled_clusters(clusters)
    of_a, of_b = STATISTICS[statistic](values_a, groups), STATISTICS[statistic](values_b, groups)

    def difference(times: np.ndarray) -> np.ndarray:
        with np.errstate(invalid='ignore'):
            return of_a(times) - of_b(times)

    value = float(difference(np.ones((1, len(groups)), dtype=int))[0])
    draws = resample_clusters(difference, len(groups))
    if draws is None or not np.isfinite(draws).all():
        return value, None
    return value, percentile_interval(draws, len(groups))


def mcnemar_exact(a_right: np.ndarray, b_right: np.ndarray, clusters: np.ndarray | None = None) -> float:
    """Two-sided p-value of "both are correct equally often" (McNemar, 1947, exact binomial test).

    Only frames on which the estimators disagree count. Frames of one scene are correlated, so with clusters each
    scene has one vote, for the estimator with more correct frames in it: a sign test over scenes.

    :param a_right: (N,) bool
    :param b_right: (N,) bool, of the same frames
    :param clusters: (N,) scene or attempt of each frame; None where every frame is a separate scene
    """
    from scipy.stats import binomtest  # slow to import

    leads = np.asarray(a_right, dtype=int) - np.asarray(b_right, dtype=int)
    if clusters is not None:
        leads = clusters_of(clusters).sums(leads)
    for_a, votes = int((leads > 0).sum()), int((leads != 0).sum())
    return float(binomtest(for_a, votes).pvalue) if votes else 1.0
