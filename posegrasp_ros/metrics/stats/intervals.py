"""Intervals and verdicts. Frames that are close in time are alike: clusters of them are drawn, never frames."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, stdtrit

from posegrasp_ros.metrics.stats.interval import DIRECTIONS, Interval
from posegrasp_ros.runtime.errors import quoted
from posegrasp_ros.runtime.numba_cache import compiled

CONFIDENCE = 0.95
Z_95 = 1.959963984540054
RESAMPLES = 1000
# Resampling fewer clusters than this says nothing about how they scatter.
MIN_CLUSTERS = 5
# Weights that a bootstrap holds at a time: 2 MB of them.
MOST_WEIGHTS = 250_000
# More than anybody will wait for.
MOST_CLUSTERS = 1_000_000


def wilson_interval(successes: float, trials: float) -> Interval:
    """Interval of a success rate (Wilson, JASA 1927): honest for few trials and for rates of 0 and 1.

    :raises ValueError: when there are no trials, or more successes than trials
    """
    if not 0 <= successes <= trials or trials <= 0:
        raise ValueError(f'wilson_interval: expected 0 <= successes <= trials, got {successes} of {trials}')
    rate, z2 = successes / trials, Z_95 ** 2
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * np.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials ** 2))
    # the formula gives these two exactly, its rounding does not: 0 of n must not come out above 0
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(float(low), float(high))


def rate_interval(successes: np.ndarray, clusters: np.ndarray) -> Interval | None:
    """Interval of the share of successes among correlated trials.

    Wilson's interval with the effective number of trials: the trials divided by the design effect, which is the
    variance of the rate between clusters over what independent trials would show (Dean and Pagano, "Evaluating
    Confidence Interval Methods for Binomial Proportions in Clustered Surveys", 2015). A bootstrap would give no
    width at all where every trial succeeded.

    :param successes: (N,) bool
    :param clusters: (N,) block of time or attempt of each trial
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters of several trials each
    """
    successes = np.asarray(successes, dtype=float)
    if successes.size and len(np.unique(clusters)) == successes.size:
        return wilson_interval(successes.sum(), successes.size)
    return _clustered_interval(successes, clusters, successes.size)


def mean_interval(values: np.ndarray, clusters: np.ndarray) -> Interval | None:
    """Interval of the mean of correlated numbers between 0 and 1: the same as of a rate.

    Other than successes they may scatter as little as they like, and count for more trials than they are.

    :param values: (N,)
    :param clusters: (N,) block of time or attempt of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    return _clustered_interval(np.asarray(values, dtype=float), clusters, math.inf)


def _clustered_interval(values: np.ndarray, clusters: np.ndarray, most_trials: float) -> Interval | None:
    """Wilson's interval with the trials that the scatter between clusters is worth."""
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    count = len(sizes)
    if count < MIN_CLUSTERS:
        return None
    rate, sums = values.mean(), np.bincount(index, values)
    residuals = sums - rate * sizes
    between = count / (count - 1) * (residuals ** 2).sum() / values.size ** 2
    independent = rate * (1 - rate) / values.size
    effective = count
    if between > 1e-12 and independent > 0:
        # Where all trials agree, nothing tells how alike those of a cluster are: each cluster counts once. That is
        # the prior, left behind as more clusters dissent; simulations chose how fast.
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
    """Of a variance estimated from these (K,), after Satterthwaite (1946): 2 over its squared relative error.

    With normal ones that is K - 1. Where one cluster in which all went wrong makes up all the variance it is 2.
    """
    kurtosis = len(residuals) * (residuals ** 4).sum() / (residuals ** 2).sum() ** 2
    return min(len(residuals) - 1, 2 * len(residuals) / (kurtosis - 1)) if kurtosis > 1 else len(residuals) - 1


def quantile_interval(values: np.ndarray, clusters: np.ndarray, quantile: float = 0.5,
                      seed: int = 0) -> Interval | None:
    """Interval of a quantile (the median) by cluster bootstrap: whole clusters are drawn with replacement.

    :param values: (N,)
    :param clusters: (N,) block of time of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    draws = resample(quantile_of(values, quantile), clusters, seed)
    return None if draws is None else percentile_interval(draws, len(np.unique(clusters)))


def percentile_interval(draws: np.ndarray, clusters: int) -> Interval:
    """Interval that leaves out the outermost draws of a bootstrap on both sides.

    Draws from a few clusters scatter less than new clusters would, by the square root of (n - 1) / n, and are
    taken for normal: both are made up for by leaving out fewer ("expanded percentiles" of Hesterberg, "What
    Teachers Should Know about the Bootstrap", 2015).
    """
    wide = math.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, (1 - CONFIDENCE) / 2)
    tail = float(100 * ndtr(wide))
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Interval(float(low), float(high))


def bootstrap(statistic: Callable[[np.ndarray], float], clusters: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """A statistic of values whose clusters are drawn with replacement, :data:`RESAMPLES` times.

    :param statistic: of the (N,) weights of the values: how often the cluster of each was drawn
    :param clusters: (N,) block of time of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    return resample(lambda weights: np.array([statistic(each) for each in weights]), clusters, seed)


def resample(statistic: Callable[[np.ndarray], np.ndarray], clusters: np.ndarray,
             seed: int = 0) -> np.ndarray | None:
    """The same for a statistic (D,) of many draws' weights (D, N) at once."""
    names, index = np.unique(clusters, return_inverse=True)
    count = len(names)
    if count < MIN_CLUSTERS:
        return None
    rng = np.random.default_rng(seed)
    # All draws one generator, whatever the batches: a result must not depend on how much memory one takes.
    batch, draws = max(1, MOST_WEIGHTS // len(index)), []
    for first in range(0, RESAMPLES, batch):
        size = min(batch, RESAMPLES - first)
        drawn = rng.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        draws.append(statistic(times[:, index]))
    return np.concatenate(draws)


def quantile_of(values: np.ndarray, quantile: float = 0.5) -> Callable[[np.ndarray], np.ndarray]:
    """numpy's linear quantile (D,) of values (N,) that are repeated by weights (D, N)."""
    values = np.asarray(values, dtype=float)
    order = np.argsort(values, kind='stable')
    return lambda weights: _weighted_quantiles(weights, order, values[order], quantile)


@compiled
def _weighted_quantiles(weights: np.ndarray, order: np.ndarray, ordered: np.ndarray,
                        quantile: float) -> np.ndarray:
    found = np.empty(len(weights))
    for draw in range(len(weights)):
        position = quantile * (weights[draw].sum() - 1)
        rank, index, passed = int(position), -1, 0
        while passed <= rank:
            index += 1
            passed += weights[draw, order[index]]
        low, share = ordered[index], position - rank
        while share > 0 and passed <= rank + 1:
            index += 1
            passed += weights[draw, order[index]]
        # Infinite values, of frames without an answer, may lie next to each other.
        found[draw] = low if ordered[index] == low else low + share * (ordered[index] - low)
    return found


def mean_of(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Mean (D,) of values (N,) that are repeated by weights (D, N)."""
    values = np.asarray(values, dtype=float)
    return lambda weights: weights @ values / weights.sum(axis=1)


def verdict(interval: Interval | None, reference: float, direction: str, tolerance: float = 0.0) -> str:
    """``better``, ``worse`` or ``inconclusive``: on which side of the reference the whole interval lies.

    :param direction: one of :data:`DIRECTIONS`; ``on_target`` is better within the tolerance, worse beyond it
    :param tolerance: around the reference, where that is a target
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
    """Whether a value lies on the wrong side of the reference; on it is not beyond, and NaN is beyond anything.

    :param direction: one of :data:`DIRECTIONS`
    :param tolerance: around the reference, where that is a target
    """
    if direction == 'on_target':
        return not abs(value - reference) <= tolerance
    return not (value <= reference if direction == 'lower_is_better' else value >= reference)


def more_clusters_to_decide(value: float, interval: Interval | None, clusters: int, reference: float,
                            direction: str, tolerance: float = 0.0, is_rate: bool = False) -> int | None:
    """How many more scenes or attempts would decide an inconclusive verdict, if they are like those before.

    The interval shrinks with the square root of their number; that of a rate as Wilson's, whose ends shrink faster
    where all went well.

    :param clusters: how many there were
    :param is_rate: whether the interval is that of a share of trials
    :return: None where there is an answer already, no interval, or :data:`MOST_CLUSTERS` more would not do
    """
    if interval is None or verdict(interval, reference, direction, tolerance) != 'inconclusive':
        return None
    trials = _effective_trials(value, interval) if is_rate else 0.0

    def is_decided(more: int) -> bool:
        growth = (clusters + more) / clusters
        if is_rate:
            shrunk = wilson_interval(value * trials * growth, trials * growth)
        else:
            shrunk = Interval(*(value + (end - value) / math.sqrt(growth) for end in interval))
        return verdict(shrunk, reference, direction, tolerance) != 'inconclusive'

    more = 1 + bisect.bisect_left(range(1, MOST_CLUSTERS + 1), True, key=is_decided)
    return more if more <= MOST_CLUSTERS else None


def _effective_trials(rate: float, interval: Interval) -> float:
    """The number of trials whose Wilson interval is as wide as this one."""
    def excess(log_trials: float) -> float:
        trials = math.exp(log_trials)
        low, high = wilson_interval(rate * trials, trials)
        return (high - low) - (interval[1] - interval[0])

    return math.exp(brentq(excess, -7.0, 35.0)) if excess(-7.0) > 0 > excess(35.0) else 1.0
