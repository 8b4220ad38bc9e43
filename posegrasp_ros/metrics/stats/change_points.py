# SPDX-License-Identifier: Apache-2.0
"""Change points of a series of figures that grows day by day, found by a test that may be read every day.

The hypothesis is that all figures have one mean and scatter about it by their standard errors, or so many times
more (days differ in more than chance). Its rival is a mean that changed after the k-th figure. Of both only the
differences between figures are judged, so that the mean itself does not matter. A mixture of rivals, over k, over
the size of the change and over the scatter, divided by the likelihood of the hypothesis with its most likely
scatter, is an e-process: where nothing changes it ever reaches 1 / level with a probability of at most the level
(Ville's inequality; Wasserman, Ramdas and Balakrishnan, "Universal inference", PNAS 2020). The weights of the k
add up to 1, so this is an e-detector that bounds the probability of a false alarm at any time, not only their rate
(Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2022).

It takes independent figures with normal errors. Shares are made so by Anscombe's arc sine ("The transformation of
Poisson, binomial and negative-binomial data", Biometrika 1948). Bets on bounded means as in
:mod:`posegrasp_ros.metrics.stats.sequential` need no law of the figures, but a stake is limited by the worst
figure that is possible: a drop from 90 to 85 % then takes several times as many days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from posegrasp_ros.metrics.stats.interval import Interval

LEVEL = 0.05
"""Probability of ever a false alarm in a series without a change."""
Z_95 = 1.959964
LEAST_FIGURES = 4
"""With fewer, scatter and change cannot be told apart."""
SCATTERS = np.array([1.0, 2.0, 4.0, 10.0, 40.0, 300.0])
"""Variance over that by the standard errors, of the rivals."""
SIZES = np.array([0.7, 2.0, 6.0])
"""Standard deviation of the change in units of that of a figure, of the rivals."""


@dataclass(frozen=True)
class Figure:
    """One figure of a series.

    :param value: on the scale on which errors are normal
    :param weight: 1 / variance of that
    :param is_share: whether the value is the arc sine of a share
    """

    time: float
    value: float
    weight: float
    is_share: bool = False


@dataclass(frozen=True)
class Mean:
    """Mean of some figures in their unit."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class ChangePoint:
    """A change of the mean.

    :param index: of the first figure after it
    :param first: earliest index that it may have, with 95 % probability
    :param last: latest one
    :param noticed: index of the figure with which it was noticed
    :param before: mean since the change before, in the unit of the figures, with its 95 % interval
    :param after: mean until the next change
    """

    index: int
    first: int
    last: int
    noticed: int
    before: Mean
    after: Mean

    @property
    def difference(self) -> float:
        return self.after.value - self.before.value


def share(time: float, successes: float, trials: float) -> Figure:
    """The share of successes of one day; effective numbers where trials are correlated.

    :raises ValueError: when there are no trials, or more successes than trials
    """
    if not 0 <= successes <= trials < math.inf or trials <= 0:
        raise ValueError('share: expected 0 <= successes <= trials and trials above 0, got '
                         f'{successes} of {trials}')
    return Figure(time, math.asin(math.sqrt((successes + 0.375) / (trials + 0.75))), 4 * trials + 2, True)


def mean(time: float, value: float, standard_error: float) -> Figure:
    """The mean, or any other figure, of one day.

    :raises ValueError: when the standard error is not above 0, or a number is not finite
    """
    if not (math.isfinite(value) and 0 < standard_error < math.inf):
        raise ValueError(f'mean: expected a finite value and a standard error above 0, got {value} and '
                         f'{standard_error}')
    return Figure(time, value, 1 / standard_error ** 2)


def find_changes(series: Sequence[Figure], level: float = LEVEL) -> list[ChangePoint]:
    """All changes that are noticed when figures come in one by one, in order of time.

    After each, the test begins anew with the next figure, at a smaller level, so that the probability of ever a
    false alarm stays below ``level``.

    :param series: ascending in time
    :raises ValueError: when it is not, or mixes shares and means
    """
    _check(series)
    starts, noticed = [0], []
    while (alarm := first_alarm(series[starts[-1]:], level / (len(starts) * (len(starts) + 1)))) is not None:
        noticed.append(starts[-1] + alarm)
        starts.append(noticed[-1] + 1)
    places, begin = [], 0
    for alarm in noticed:
        # What follows the alarm may hold a change of its own.
        low, best, high = _located(series[begin:alarm + 1])
        places.append((begin + low, begin + best, begin + high, alarm))
        begin += best
    if not places:
        return []
    edges = [0, *(best for _, best, _, _ in places), len(series)]
    means = [mean_of(series[low:high]) for low, high in pairwise(edges)]
    return [ChangePoint(best, low, high, alarm, means[number], means[number + 1])
            for number, (low, best, high, alarm) in enumerate(places)]


def first_alarm(series: Sequence[Figure], level: float = LEVEL) -> int | None:
    """Index of the figure with which a change is noticed; None for none.

    :param series: ascending in time
    """
    if len(series) < LEAST_FIGURES:
        return None
    over = np.flatnonzero(log_evidence(series) >= -math.log(level))
    over = over[over >= LEAST_FIGURES - 1]
    return int(over[0]) if over.size else None


def log_evidence(series: Sequence[Figure]) -> np.ndarray:
    """(T,) logarithm of the e-process with each figure: where the mean does not change, its mean is at most 1."""
    sums, count = _Sums(*_columns(series)), len(series)
    # Weights of a change after 1, 2, ... figures: they fall off slowly, and what is left is that of none so far.
    left = 1 / np.log2(np.arange(2, count + 2))
    log_weights = np.log(left[:-1] - left[1:])
    evidence = np.zeros(count)
    for seen in range(2, count + 1):
        changed = log_weights[:seen - 1] + _log_changed(sums, np.arange(1, seen), seen)
        same = _log_unchanged(sums, seen, SCATTERS)
        rivals = np.append(changed, math.log(left[seen - 1]) + _log_mean(same[:, None])[0])
        evidence[seen - 1] = _log_sum(rivals) - _log_unchanged(sums, seen, _scatter(sums, seen))
    return evidence


def mean_of(series: Sequence[Figure]) -> Mean:
    """Mean of figures in their unit; its interval allows for scatter beyond the standard errors.

    :raises ValueError: when there are none
    """
    if not series:
        raise ValueError('mean_of: expected at least one figure, got none')
    values, weights = _columns(series)
    total = weights.sum()
    centre = float(weights @ values / total)
    scatter = max(1.0, float(weights @ (values - centre) ** 2) / max(1, len(series) - 1))
    half = Z_95 * math.sqrt(scatter / total)
    low, middle, high = (_in_unit(end, series[0].is_share) for end in (centre - half, centre, centre + half))
    return Mean(middle, Interval(low, high))


def _in_unit(value: float, is_share: bool) -> float:
    return math.sin(min(max(value, 0.0), math.pi / 2)) ** 2 if is_share else value


class _Sums:
    """Sums over the first figures: of weights, of weighted values and of their squares, (T + 1,) each."""

    def __init__(self, values: np.ndarray, weights: np.ndarray):
        centred = values - values[0]
        self.weights = weights
        self.weight, self.first, self.second = (np.append(0.0, np.cumsum(each)) for each in (
            weights, weights * centred, weights * centred ** 2))

    def of(self, low: np.ndarray | int, high: np.ndarray | int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weight, mean and weighted sum of squares about it, of figures ``low`` to ``high - 1``."""
        weight, first = self.weight[high] - self.weight[low], self.first[high] - self.first[low]
        return weight, first / weight, np.maximum(self.second[high] - self.second[low] - first ** 2 / weight, 0.0)


def _log_changed(sums: _Sums, before: np.ndarray, count: int) -> np.ndarray:
    """(K,) log likelihood of the differences between the first figures where the mean changed after ``before``.

    The change is normal about 0. The product of the weights of figures, which is in all likelihoods, is left out.
    """
    one, mean_one, squares_one = sums.of(0, before)
    two, mean_two, squares_two = sums.of(before, count)
    scatter, size = SCATTERS[:, None, None], SIZES[None, :, None]
    spread = 1 / one + 1 / two + size ** 2 / sums.weights[before]
    squares = squares_one + squares_two + (mean_one - mean_two) ** 2 / spread
    logs = (-0.5 * squares / scatter - 0.5 * (count - 1) * np.log(2 * np.pi * scatter)
            - 0.5 * np.log(one * two * spread))
    return _log_mean(logs.reshape(-1, len(before)))


def _log_unchanged(sums: _Sums, count: int, scatter: np.ndarray | float) -> np.ndarray:
    """The same where the mean has not changed, for each scatter."""
    weight, _, squares = sums.of(0, count)
    return np.asarray(-0.5 * squares / scatter - 0.5 * (count - 1) * np.log(2 * np.pi * np.asarray(scatter))
                      - 0.5 * np.log(weight))


def _scatter(sums: _Sums, count: int) -> float:
    """The most likely scatter of the hypothesis: figures never scatter less than by their standard errors."""
    return max(1.0, float(sums.of(0, count)[2]) / (count - 1))


def _located(series: Sequence[Figure]) -> tuple[int, int, int]:
    """Earliest, most probable and latest index of the first figure after the change in a series that has one."""
    values, weights = _columns(series)
    before = np.arange(1, len(series))
    logs = _log_changed(_Sums(values, weights), before, len(series))
    probable = np.exp(logs - logs.max())
    probable /= probable.sum()
    order = np.argsort(-probable, kind='stable')
    needed = int(np.searchsorted(np.cumsum(probable[order]), 0.95)) + 1
    inside = before[order[:needed]]
    return int(inside.min()), int(before[order[0]]), int(inside.max())


def _columns(series: Sequence[Figure]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([each.value for each in series]), np.array([each.weight for each in series])


def _log_mean(logs: np.ndarray) -> np.ndarray:
    """(K,) logarithm of the mean over rows of exp of (N, K)."""
    most = logs.max(axis=0)
    return most + np.log(np.exp(logs - most).mean(axis=0))


def _log_sum(logs: np.ndarray) -> float:
    most = logs.max()
    return float(most + np.log(np.exp(logs - most).sum()))


def _check(series: Sequence[Figure]) -> None:
    times = [each.time for each in series]
    if times != sorted(times):
        raise ValueError('find_changes: expected figures ascending in time, got some that are not')
    if len({each.is_share for each in series}) > 1:
        raise ValueError('find_changes: expected shares alone or means alone, got both')
