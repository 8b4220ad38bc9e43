# SPDX-License-Identifier: Apache-2.0
"""Anytime-valid sequential tests by betting; verdicts may be read at any time without inflating the error rate.

A bettor bets against the hypothesis "the mean is at most m". If it is true, the wealth is a supermartingale and
reaches 1 / alpha with a probability of at most alpha at any time (Ville's inequality; Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSS-B 2023). The bets here are several constant
fractions of the largest admissible stake, in parallel. Their average is a valid wealth too, close to that of the
best fraction, and does not depend on the order of the blocks.

Frames of one block (a scene, an attempt, a second) are correlated: a block is one observation, its success rate.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from posegrasp_ros.metrics.stats.intervals import CONFIDENCE, DIRECTIONS, Interval
from posegrasp_ros.runtime.errors import quoted
from posegrasp_ros.runtime.numba_cache import compiled

# Two one-sided tests, at half of the 5 % each.
NEEDED_LOG_WEALTH = math.log(2 / (1 - CONFIDENCE))
# Fractions of the largest stake that cannot lose everything: small ones detect small differences, large ones
# detect large differences quickly.
STAKES = np.array([0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97])
# Grid on which shares are counted, with spacing proportional to sqrt(m (1 - m)): finer at both ends.
PLACES = np.sin(np.linspace(0.0, np.pi / 2, 513)) ** 2
_PLACES = PLACES.tolist()
LEAST_MEAN = 1e-300
ABOVE_ZERO, BELOW_ONE = math.nextafter(0.0, 1.0), math.nextafter(1.0, 0.0)
LEAST_DISTANCE = 1e-9


class BetsOnMore:
    """Wealth of bets that the mean of observations in [0, 1] is more than each of some bounds.

    :param bounds: (M,) or one number
    """

    def __init__(self, bounds: np.ndarray | float):
        self._bounds = np.atleast_1d(np.asarray(bounds, dtype=float))
        self._log_wealth = np.zeros((len(self._bounds), len(STAKES)))

    def add(self, observation: np.ndarray | float) -> None:
        """Add an observation in [0, 1], one for all bounds or (M,) with one for each."""
        # A fraction s of the largest stake, 1 / m, multiplies the wealth by 1 + s (x - m) / m. Against a bound of
        # 0 the stake is unlimited: any positive observation wins.
        surplus, bounds = observation - self._bounds, np.maximum(self._bounds, 1e-300)
        with np.errstate(over='ignore'):
            self._log_wealth += np.log1p(np.minimum(surplus / bounds, 1e300)[:, None] * STAKES)

    @property
    def log_wealth(self) -> np.ndarray:
        """(M,) logarithm of the wealth, which starts at 1."""
        most = self._log_wealth.max(axis=1)
        return most + np.log(np.exp(self._log_wealth - most[:, None]).mean(axis=1))

    @property
    def are_won(self) -> np.ndarray:
        """(M,) whether the mean is significantly above each bound."""
        return self.log_wealth >= NEEDED_LOG_WEALTH


class ConfidenceSequence:
    """A 95 % confidence sequence of a mean in [0, 1], valid at all times simultaneously, and matching verdicts.

    The wealth of the bets on "more" decreases with the bound, and is at most 1 where the bound is the mean so far.
    So these bets have won against all bounds below one number, the interval's lower end, which is at most the
    mean; likewise for the bets on "less". The interval is therefore never empty, contains the mean so far, and a
    verdict is reached exactly when the interval excludes the reference. If the rate changes during the run, the
    interval is about the mean so far, not about the current rate.

    Stored is a histogram of the blocks' shares. A share between two of :data:`PLACES` is split between both with
    weights that preserve the mean; as log wealth is concave in the share, this never overestimates it. Memory and
    time per block do not grow with the run.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(len(PLACES))
        self._sum = 0.0
        self._interval: Interval | None = Interval(0.0, 1.0)
        self._distances = [0.1, 0.1]
        self.blocks = 0

    def add(self, successes: float, trials: float) -> None:
        """Add a finished block; one without trials is ignored.

        :raises ValueError: when there are more successes than trials, or either is not a finite number
        """
        if not 0 <= successes <= trials < math.inf:
            raise ValueError(f'add: expected 0 <= successes <= trials, got {successes} of {trials}')
        if trials == 0:
            return
        share = successes / trials
        above = max(bisect.bisect_left(_PLACES, share), 1)
        low, high = _PLACES[above - 1], _PLACES[above]
        weight = (share - low) / (high - low)
        self._counts[above - 1] += 1.0 - weight
        self._counts[above] += weight
        self._sum += share
        self._interval = None
        self.blocks += 1

    @property
    def mean(self) -> float:
        """Mean of the blocks' shares; NaN before the first block."""
        return self._sum / self.blocks if self.blocks else math.nan

    @property
    def interval(self) -> Interval:
        """All means that are not rejected."""
        if self._interval is None:
            shares, counts = self._observed()
            low = self._farthest_won(0, shares, counts)
            more_failures = self._farthest_won(1, 1.0 - shares[::-1], counts[::-1])
            # A single failure proves that the mean is below 1.
            high = min(1.0 - more_failures, BELOW_ONE) if more_failures else 1.0
            self._interval = Interval(min(low, self.mean), max(high, self.mean))
        return self._interval

    def is_above(self, bound: float) -> bool:
        """Whether the mean is significantly above a bound."""
        shares, counts = self._observed()
        return _is_more(shares, counts, bound)

    def is_below(self, bound: float) -> bool:
        """Whether the mean is significantly below a bound."""
        shares, counts = self._observed()
        return _is_more(1.0 - shares, counts, 1.0 - bound)

    def verdict(self, reference: float, direction: str, tolerance: float = 0.0) -> str:
        """``better``, ``worse`` or ``inconclusive``.

        :param reference: a rate
        :param direction: one of :data:`posegrasp_ros.metrics.stats.interval.DIRECTIONS`
        :param tolerance: around the reference, for ``on_target``
        """
        if direction == 'on_target':
            low, high = reference - tolerance, reference + tolerance
            if self.is_above(high) or self.is_below(low):
                return 'worse'
            return 'better' if self.is_above(low) and self.is_below(high) else 'inconclusive'
        if self.is_above(reference):
            return 'better' if direction == 'higher_is_better' else 'worse'
        if self.is_below(reference):
            return 'better' if direction == 'lower_is_better' else 'worse'
        return 'inconclusive'

    def _observed(self) -> tuple[np.ndarray, np.ndarray]:
        """(K,) observed shares, ascending, and the number of blocks with each."""
        seen = np.flatnonzero(self._counts)
        return PLACES[seen], self._counts[seen]

    def _farthest_won(self, side: int, shares: np.ndarray, counts: np.ndarray) -> float:
        """The largest bound rejected by the bets on "more"; the search starts at the previous result."""
        mean = float(counts @ shares / counts.sum())
        if mean <= LEAST_MEAN:
            return 0.0

        def missing(distance: float) -> float:
            """Log wealth still missing for a rejection of the bound at this log distance below the mean."""
            return NEEDED_LOG_WEALTH - _log_wealth(shares, counts, mean * math.exp(-distance))

        most = math.log(mean / LEAST_MEAN)
        # One more block changes it little.
        far, step = min(max(1.01 * self._distances[side], LEAST_DISTANCE), most), 1.02
        while missing(far) > 0:
            if far == most:
                return ABOVE_ZERO  # a single success proves that the mean is above 0
            far, step = min(step * far, most), step**2
        near = far / step
        while missing(near) <= 0:
            far, step = near, step**2
            near = far / step
        self._distances[side] = found = _first_below(missing, near, far)
        return mean * math.exp(-found)


def _first_below(function: Callable[[float], float], near: float, far: float) -> float:
    """Zero of a decreasing function, rounded to the side where it is not positive.

    :param near: point at which it is positive
    :param far: point at which it is not
    """
    found = brentq(function, near, far, xtol=1e-14, rtol=1e-12)
    while function(found) > 0:
        found = min(found * (1 + 1e-12), far)
    return found


def _is_more(shares: np.ndarray, counts: np.ndarray, bound: float) -> bool:
    """Whether the bets that the mean of shares in [0, 1] exceeds a bound are won."""
    if bound <= 0:
        return bound < 0 or bool((shares > 0).any())
    if not counts.size or bound >= counts @ shares / counts.sum():
        return False
    return _log_wealth(shares, counts, bound) >= NEEDED_LOG_WEALTH


@compiled
def _log_wealth(shares: np.ndarray, counts: np.ndarray, bound: float) -> float:
    """Log wealth of the bets that the mean exceeds a bound, starting at 0.

    A fraction s of the largest stake, 1 / m, multiplies the wealth by 1 + s (x - m) / m.
    """
    each: np.ndarray = np.zeros(len(STAKES))
    for place in range(len(shares)):
        gain = min((shares[place] - bound) / bound, 1e300)
        for stake in range(len(STAKES)):
            each[stake] += counts[place] * np.log1p(STAKES[stake] * gain)
    most = each.max()
    return most + np.log(np.exp(each - most).mean())


class SequentialVerdict:
    """Sequential verdict of a rate against a reference; the probability that it is ever wrong is at most 5 %.

    It is based on all blocks so far, and may be withdrawn if the rate changes.

    :param reference: a rate
    :param direction: one of :data:`posegrasp_ros.metrics.stats.interval.DIRECTIONS`
    :param tolerance: around the reference, for ``on_target``
    :param mean: confidence sequence shared by several verdicts; None to create one
    """

    def __init__(self, reference: float, direction: str, tolerance: float = 0.0,
                 mean: ConfidenceSequence | None = None):
        if direction not in DIRECTIONS:
            raise ValueError(f'direction: expected {" or ".join(DIRECTIONS)}, got {quoted(direction)}')
        self._reference, self._direction, self._tolerance = reference, direction, tolerance
        self._mean = mean or ConfidenceSequence()

    @property
    def blocks(self) -> int:
        """Number of blocks so far."""
        return self._mean.blocks

    def add(self, successes: float, trials: float) -> None:
        """Add a finished block; see :meth:`ConfidenceSequence.add`."""
        self._mean.add(successes, trials)

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``inconclusive``."""
        return self._mean.verdict(self._reference, self._direction, self._tolerance)


class SequentialMedian:
    """Sequential verdict of a median: it is below the reference if more than half of the values are.

    Values equal to the reference count for neither side.

    :param direction: ``lower_is_better`` or ``higher_is_better``
    """

    def __init__(self, reference: float, direction: str):
        if direction not in ('lower_is_better', 'higher_is_better'):
            raise ValueError(f'direction: expected lower_is_better or higher_is_better, got {quoted(direction)}')
        self._reference, self._direction = reference, direction
        self._sides = BetsOnMore(np.array([0.5, 0.5]))
        self.blocks = 0

    def add(self, values: np.ndarray) -> None:
        """Add the values of a finished block, including infinite ones; one without values is ignored."""
        values = np.asarray(values, dtype=float)
        if values.size:
            self._sides.add(np.array([(values < self._reference).mean(), (values > self._reference).mean()]))
            self.blocks += 1

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``inconclusive``."""
        is_less, is_more = self._sides.are_won
        if not (is_less or is_more):
            return 'inconclusive'
        return 'better' if is_less == (self._direction == 'lower_is_better') else 'worse'
