# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals and verdicts for correlated frames: clusters of frames are resampled, not frames."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, stdtrit

from posegrasp_ros.metrics.stats.clusters import Clusters, clusters_of, count_of
from posegrasp_ros.metrics.stats.interval import DIRECTIONS, Interval
from posegrasp_ros.runtime.errors import quoted
from posegrasp_ros.runtime.numba_cache import compiled

CONFIDENCE = 0.95
Z_95 = 1.959963984540054
RESAMPLES = 1000
# Fewer clusters than this are too few to estimate the scatter between clusters.
MIN_CLUSTERS = 5
# More clusters than this are joined before they are resampled: the interval of so many is as narrow.
MOST_RESAMPLED = 20_000
# Weights held in memory at a time by the bootstrap: 2 MB.
MOST_WEIGHTS = 250_000
# Above this number of further clusters a verdict counts as out of reach.
MOST_CLUSTERS = 1_000_000
# A draw's quantile is rarely further below that of all values, in standard deviations of its rank.
MOST_SIGMAS = 6


def wilson_interval(successes: float, trials: float) -> Interval:
    """Interval of a success rate (Wilson, JASA 1927): valid for few trials and for rates of 0 and 1.

    :raises ValueError: when there are no trials, or more successes than trials
    """
    if not 0 <= successes <= trials or trials <= 0:
        raise ValueError(f'wilson_interval: expected 0 <= successes <= trials, got {successes} of {trials}')
    rate, z2 = successes / trials, Z_95 ** 2
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * np.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials ** 2))
    # Set these two exactly: rounding must not put the bound for 0 of n above 0.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(float(low), float(high))


def rate_interval(successes: np.ndarray, clusters: np.ndarray) -> Interval | None:
    """Interval of the success rate of correlated trials.

    Wilson's interval with the effective number of trials: the trials divided by the design effect, which is the
    variance of the rate between clusters over that of independent trials (Dean and Pagano, "Evaluating Confidence
    Interval Methods for Binomial Proportions in Clustered Surveys", 2015). A bootstrap would give an interval of
    zero width where every trial succeeded.

    :param successes: (N,) bool
    :param clusters: (N,) time block or attempt of each trial
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters of several trials each
    """
    successes = np.asarray(successes, dtype=float)
    if successes.size and count_of(clusters) == successes.size:
        return wilson_interval(float(successes.sum()), successes.size)
    return _clustered_interval(successes, clusters, successes.size)


def mean_interval(values: np.ndarray, clusters: np.ndarray) -> Interval | None:
    """Interval of the mean of correlated numbers between 0 and 1, as for a rate.

    Unlike successes, such numbers may scatter very little, so the effective number of trials may exceed N.

    :param values: (N,)
    :param clusters: (N,) time block or attempt of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    return _clustered_interval(np.asarray(values, dtype=float), clusters, math.inf)


def _clustered_interval(values: np.ndarray, clusters: np.ndarray, most_trials: float) -> Interval | None:
    """Wilson's interval with the effective number of trials, from the scatter between clusters."""
    groups = clusters_of(clusters)
    sizes, count = groups.sizes, len(groups)
    if count < MIN_CLUSTERS:
        return None
    rate, sums = values.mean(), groups.sums(values)
    residuals = sums - rate * sizes
    between = count / (count - 1) * (residuals ** 2).sum() / values.size ** 2
    independent = rate * (1 - rate) / values.size
    effective = float(count)
    if between > 1e-12 and independent > 0:
        # Where all trials agree, the correlation within clusters cannot be estimated: each cluster counts once.
        # This prior fades as more clusters dissent; the rate was tuned in simulations.
        dissent = min((sums < sizes).sum(), (sums > 0).sum())
        prior = 1 / (1 + dissent ** 2)
        design_effect = between / independent
        design_effect += prior * max(values.size / count - design_effect, 0.0)
        # The variance is estimated too: Student's quantile for the normal one (Korn and Graubard, "Confidence
        # Intervals for Proportions with Small Expected Number of Positive Counts", 1998).
        student = stdtrit(_degrees_of_freedom(residuals), 1 - (1 - CONFIDENCE) / 2)
        effective = values.size / design_effect * (Z_95 / student) ** 2
    effective = float(np.clip(effective, 1, most_trials))
    return wilson_interval(rate * effective, effective)


def _degrees_of_freedom(residuals: np.ndarray) -> float:
    """Degrees of freedom of the variance of residuals (K,): 2 / its squared relative error (Satterthwaite, 1946).

    K - 1 for normal residuals; 2 where a single failed cluster accounts for all the variance.
    """
    kurtosis = len(residuals) * (residuals ** 4).sum() / (residuals ** 2).sum() ** 2
    return min(len(residuals) - 1, 2 * len(residuals) / (kurtosis - 1)) if kurtosis > 1 else len(residuals) - 1


def quantile_interval(values: np.ndarray, clusters: np.ndarray, quantile: float = 0.5,
                      seed: int = 0) -> Interval | None:
    """Interval of a quantile (default: the median) by cluster bootstrap: whole clusters are resampled.

    :param values: (N,)
    :param clusters: (N,) time block of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    groups = resampled_clusters(clusters)
    draws = resample_clusters(cluster_quantile(values, groups, quantile), len(groups), seed)
    return None if draws is None else percentile_interval(draws, len(groups))


def percentile_interval(draws: np.ndarray, clusters: int) -> Interval:
    """Percentile interval of bootstrap draws, corrected for few clusters.

    Draws from n clusters scatter too little, by the square root of (n - 1) / n, and the normal quantile is too
    small for an estimated variance. Both are corrected by widening the percentiles ("expanded percentiles" of
    Hesterberg, "What Teachers Should Know about the Bootstrap", 2015).
    """
    wide = math.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, (1 - CONFIDENCE) / 2)
    tail = float(100 * ndtr(wide))
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Interval(float(low), float(high))


def bootstrap(statistic: Callable[[np.ndarray], float], clusters: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """Bootstrap draws of a statistic, with clusters resampled :data:`RESAMPLES` times.

    :param statistic: function of the (N,) weights of the values: how often the cluster of each was drawn
    :param clusters: (N,) time block of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    return resample(lambda weights: np.array([statistic(each) for each in weights]), clusters, seed)


def resample(statistic: Callable[[np.ndarray], np.ndarray], clusters: np.ndarray,
             seed: int = 0) -> np.ndarray | None:
    """Same as :func:`bootstrap`, for a statistic that maps the weights (D, N) of many draws to (D,) values."""
    groups = resampled_clusters(clusters)
    return resample_clusters(lambda times: statistic(times[:, groups.index]), len(groups), seed,
                             max(1, MOST_WEIGHTS // max(1, len(groups.index))))


def resampled_clusters(names: np.ndarray) -> Clusters:
    """The clusters that a bootstrap resamples: those with names (N,), joined where they are many."""
    return clusters_of(names).joined(MOST_RESAMPLED)


def resample_clusters(statistic: Callable[[np.ndarray], np.ndarray], count: int, seed: int = 0,
                      batch: int | None = None) -> np.ndarray | None:
    """Same as :func:`resample`, for a statistic of how often each of K clusters was drawn: (D, K) to (D,).

    Its cost grows with the number of clusters, not with that of the values in them.

    :param count: of the clusters
    :param batch: draws at a time; the result does not depend on it
    """
    if count < MIN_CLUSTERS:
        return None
    rng = np.random.default_rng(seed)
    # One generator for all batches, so that the result does not depend on the batch size.
    batch, draws = batch or max(1, MOST_WEIGHTS // count), []
    for first in range(0, RESAMPLES, batch):
        size = min(batch, RESAMPLES - first)
        drawn = rng.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        draws.append(statistic(np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)))
    return np.concatenate(draws)


def quantile_of(values: np.ndarray, quantile: float = 0.5) -> Callable[[np.ndarray], np.ndarray]:
    """Function of weights (D, N): numpy's linear quantile (D,) of values (N,) repeated by these weights."""
    each = Clusters(np.arange(len(values)), np.ones(len(values), dtype=np.int64))
    return cluster_quantile(values, each, quantile)


def cluster_quantile(values: np.ndarray, groups: Clusters,
                     quantile: float = 0.5) -> Callable[[np.ndarray], np.ndarray]:
    """Function of how often clusters were drawn (D, K): numpy's linear quantile (D,) of the values in them.

    Exact for any draws, and quick for those of a bootstrap: their quantiles lie near that of all values, so the
    values well below it are counted by cluster, once, and only those near it are sorted and walked through.

    :param values: (N,)
    :param groups: the K clusters of the values
    """
    values, sizes = np.asarray(values, dtype=float), groups.sizes.astype(np.int64)
    near = _sorted_between(values, groups, *_likely_range(values, groups, quantile))

    def quantiles(times: np.ndarray) -> np.ndarray:
        times = np.ascontiguousarray(times, dtype=np.int64)
        found, is_known = _cluster_quantiles(times, sizes, *near, quantile)
        if not is_known.all():  # far from all others
            everything = _sorted_between(values, groups, -np.inf, np.inf)
            found[~is_known] = _cluster_quantiles(times[~is_known], sizes, *everything, quantile)[0]
        return found

    return quantiles


def _likely_range(values: np.ndarray, groups: Clusters, quantile: float) -> tuple[float, float]:
    """Smallest and largest value that a draw's quantile is likely to be, or to lie beside."""
    if not len(values):
        return -np.inf, np.inf
    last = len(values) - 1
    at = int(quantile * last)
    ranked = np.partition(values, at)
    below = np.bincount(groups.index[values < ranked[at]], minlength=len(groups))
    most = math.ceil(MOST_SIGMAS * math.sqrt(np.square(below - quantile * groups.sizes).sum()))
    first, end = max(0, at - most), min(last, at + most + 1)
    ranked.partition((first, end))
    return float(ranked[first]), float(ranked[end])


def _sorted_between(values: np.ndarray, groups: Clusters, low: float,
                    high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of values below ``low`` by cluster (K,), then clusters (M,) and values (M,) to ``high``, sorted."""
    near = np.flatnonzero((values >= low) & (values <= high))
    near = near[np.argsort(values[near], kind='stable')]
    below = np.bincount(groups.index[values < low], minlength=len(groups))
    return below.astype(np.int64), groups.index[near].astype(np.int32), values[near]


@compiled
def _cluster_quantiles(times: np.ndarray, sizes: np.ndarray, below: np.ndarray, owners: np.ndarray,
                       ordered: np.ndarray, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (D,), and whether each is known (D,): it is not where it lies outside the sorted values."""
    found, is_known = np.empty(len(times)), np.zeros(len(times), dtype=np.bool_)
    for draw in range(len(times)):
        total, passed = 0, 0
        for cluster in range(len(sizes)):
            total += times[draw, cluster] * sizes[cluster]
            passed += times[draw, cluster] * below[cluster]
        position = quantile * (total - 1)
        rank, index, last = int(position), -1, len(ordered) - 1
        share = position - rank
        if passed > rank:
            continue
        while passed <= rank and index < last:
            index += 1
            passed += times[draw, owners[index]]
        low = ordered[index]
        while share > 0 and passed <= rank + 1 and index < last:
            index += 1
            passed += times[draw, owners[index]]
        is_known[draw] = passed > rank + (1 if share > 0 else 0)
        # Both neighbours may be infinite (frames without an answer): inf - inf must not give NaN.
        found[draw] = low if ordered[index] == low else low + share * (ordered[index] - low)
    return found, is_known


def mean_of(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function of weights (D, N): mean (D,) of values (N,) repeated by these weights."""
    values = np.asarray(values, dtype=float)
    return lambda weights: weights @ values / weights.sum(axis=1)


def cluster_mean(values: np.ndarray, groups: Clusters) -> Callable[[np.ndarray], np.ndarray]:
    """Function of how often clusters were drawn (D, K): mean (D,) of the values (N,) in them."""
    sums = groups.sums(np.asarray(values, dtype=float))
    return lambda times: times @ sums / (times @ groups.sizes)


def verdict(interval: Interval | None, reference: float, direction: str, tolerance: float = 0.0) -> str:
    """``better`` or ``worse`` if the whole interval lies on one side of the reference, else ``inconclusive``.

    :param direction: one of :data:`DIRECTIONS`; ``on_target`` is better within the tolerance, worse beyond it
    :param tolerance: around the reference, for ``on_target``
    """
    if direction not in DIRECTIONS:
        raise ValueError(f'direction: expected {" or ".join(DIRECTIONS)}, got {quoted(direction)}')
    if interval is None:
        return 'inconclusive'
    low, high = interval
    if direction == 'on_target':
        if reference - tolerance <= low and high <= reference + tolerance:
            return 'better'
        return 'worse' if high < reference - tolerance or low > reference + tolerance else 'inconclusive'
    if high < reference:
        return 'better' if direction == 'lower_is_better' else 'worse'
    if low > reference:
        return 'worse' if direction == 'lower_is_better' else 'better'
    return 'inconclusive'


def is_beyond(value: float, reference: float, direction: str, tolerance: float = 0.0) -> bool:
    """Whether a value is on the wrong side of the reference. Equality is not beyond; NaN always is.

    :param direction: one of :data:`DIRECTIONS`
    :param tolerance: around the reference, for ``on_target``
    """
    if direction == 'on_target':
        return not abs(value - reference) <= tolerance
    return not (value <= reference if direction == 'lower_is_better' else value >= reference)


def more_clusters_to_decide(value: float, interval: Interval | None, clusters: int, reference: float,
                            direction: str, tolerance: float = 0.0, is_rate: bool = False) -> int | None:
    """Number of further scenes or attempts, like those so far, that would decide an inconclusive verdict.

    The interval is assumed to shrink with the square root of the number of clusters; that of a rate as Wilson's,
    which shrinks faster near 0 and 1.

    :param clusters: number of clusters so far
    :param is_rate: whether the interval is that of a rate
    :return: None where the verdict is decided, there is no interval, or :data:`MOST_CLUSTERS` more would not
        suffice
    """
    if interval is None or verdict(interval, reference, direction, tolerance) != 'inconclusive':
        return None
    trials = effective_trials(value, interval) if is_rate else 0.0

    def is_decided(more: int) -> bool:
        growth = (clusters + more) / clusters
        if is_rate:
            shrunk = wilson_interval(value * trials * growth, trials * growth)
        else:
            shrunk = Interval(*(value + (end - value) / math.sqrt(growth) for end in interval))
        return verdict(shrunk, reference, direction, tolerance) != 'inconclusive'

    more = 1 + bisect.bisect_left(range(1, MOST_CLUSTERS + 1), True, key=is_decided)
    return more if more <= MOST_CLUSTERS else None


def effective_trials(rate: float, interval: Interval) -> float:
    """The number of trials whose Wilson interval is as wide as this one."""
    def excess(log_trials: float) -> float:
        trials = math.exp(log_trials)
        low, high = wilson_interval(rate * trials, trials)
        return (high - low) - (interval[1] - interval[0])

    return math.exp(brentq(excess, -7.0, 35.0)) if excess(-7.0) > 0 > excess(35.0) else 1.0
