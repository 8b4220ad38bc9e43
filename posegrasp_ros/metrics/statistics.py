"""Intervals and verdicts. Frames that are close in time are alike: clusters of them are drawn, never frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
Z_95 = 1.959963984540054
RESAMPLES = 1000
# Resampling fewer clusters than this says nothing about how they scatter.
MIN_CLUSTERS = 5
DIRECTIONS = ('lower_is_better', 'higher_is_better', 'on_target')


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


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
    if successes.size == 0:
        return None
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    count, rate = len(sizes), successes.mean()
    if count == successes.size:
        return wilson_interval(successes.sum(), successes.size)
    if count < MIN_CLUSTERS:
        return None
    residuals = np.bincount(index, successes) - rate * sizes
    between = count / (count - 1) * (residuals ** 2).sum() / successes.size ** 2
    independent = rate * (1 - rate) / successes.size
    # Where all trials agree nothing tells how alike those of a cluster are: count each cluster once.
    effective = successes.size * independent / between if between > 0 and independent > 0 else count
    effective = float(np.clip(effective, 1, successes.size))
    return wilson_interval(rate * effective, effective)


def quantile_interval(values: np.ndarray, clusters: np.ndarray, quantile: float = 0.5,
                      seed: int = 0) -> Interval | None:
    """Interval of a quantile (the median) by cluster bootstrap: whole clusters are drawn with replacement.

    :param values: (N,) finite
    :param clusters: (N,) block of time of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    order = np.argsort(values, kind='stable')
    ordered = np.asarray(values, dtype=float)[order]
    draws = bootstrap(lambda weights: _weighted_quantile(ordered, weights.cumsum(), quantile),
                      np.asarray(clusters)[order], seed)
    if draws is None:
        return None
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Interval(float(low), float(high))


def bootstrap(statistic: Callable[[np.ndarray], float], clusters: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """A statistic of values whose clusters are drawn with replacement, :data:`RESAMPLES` times.

    :param statistic: of the (N,) weights of the values: how often the cluster of each was drawn
    :param clusters: (N,) block of time of each value
    :return: None when there are fewer than :data:`MIN_CLUSTERS` clusters
    """
    names, index = np.unique(clusters, return_inverse=True)
    count = len(names)
    if count < MIN_CLUSTERS:
        return None
    rng = np.random.default_rng(seed)
    return np.array([statistic(np.bincount(rng.integers(count, size=count), minlength=count)[index])
                     for _ in range(RESAMPLES)])


def _weighted_quantile(ordered: np.ndarray, cumulated: np.ndarray, quantile: float) -> float:
    """numpy's linear quantile of sorted values that are repeated by weights with these running sums."""
    position = quantile * (cumulated[-1] - 1)
    below = int(position)
    low, high = np.searchsorted(cumulated, [below, min(below + 1, cumulated[-1] - 1)], side='right')
    return ordered[low] + (position - below) * (ordered[high] - ordered[low])


def verdict(interval: Interval | None, reference: float, direction: str, tolerance: float = 0.0) -> str:
    """``better``, ``worse`` or ``inconclusive``: on which side of the reference the whole interval lies.

    :param direction: one of :data:`DIRECTIONS`; ``on_target`` is better within the tolerance, worse beyond it
    :param tolerance: around the reference, where that is a target
    """
    if direction not in DIRECTIONS:
        raise ValueError(f'direction: expected {" or ".join(DIRECTIONS)}, got {direction!r}')
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
    """Whether a value lies on the wrong side of the reference; on it is not beyond.

    :param direction: one of :data:`DIRECTIONS`
    :param tolerance: around the reference, where that is a target
    """
    if direction == 'on_target':
        return abs(value - reference) > tolerance
    return value > reference if direction == 'lower_is_better' else value < reference
