"""Verdicts that may be looked at as often as one likes: tests by betting.

A gambler bets against "the mean is at most m". While that is true no strategy makes money on average, so its
wealth ever reaches 1 / alpha with a probability of at most alpha (Ville's inequality), however often one looks
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2023). The bets here
are constant shares of what can be staked, several side by side: their average is a wealth as well, nearly that of
the best of them, and does not depend on the order in which blocks arrive.

Frames of one block (a scene, an attempt, a second) are alike: a block is one observation, its share of successes.
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

# Either side is claimed wrongly in half of the 5 %.
NEEDED_LOG_WEALTH = math.log(2 / (1 - CONFIDENCE))
# Shares of the largest stake that cannot ruin: small ones find small differences, large ones large ones soon.
STAKES = np.array([0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97])
# Where shares are counted, as far apart as the square root of m (1 - m): closer at both ends.
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
        """One more in [0, 1], for all bounds or (M,) of them, one for each."""
        # The share s of the largest stake, 1 / m, makes 1 + s (x - m) / m of a wealth. Against a bound of nothing
        # the stake has no limit: whatever is more wins for ever.
        surplus, bounds = observation - self._bounds, np.maximum(self._bounds, 1e-300)
        with np.errstate(over='ignore'):
            self._log_wealth += np.log1p(np.minimum(surplus / bounds, 1e300)[:, None] * STAKES)

    @property
    def log_wealth(self) -> np.ndarray:
        """(M,) logarithm of what the wealth has become, from 1."""
        most = self._log_wealth.max(axis=1)
        return most + np.log(np.exp(self._log_wealth - most[:, None]).mean(axis=1))

    @property
    def are_won(self) -> np.ndarray:
        """(M,) whether the mean is more than each bound, as far as is known now."""
        return self.log_wealth >= NEEDED_LOG_WEALTH


class ConfidenceSequence:
    """A 95 % interval of a mean in [0, 1] that holds it at all times at once, and verdicts that agree with it.

    The wealth of the bets on more falls with the bound that is bet against, and is no more than at its beginning
    where that bound is the mean so far. So they have won against all bounds below one number, the interval's low
    end, which is at most the mean; the same holds for the bets on less. The interval is therefore never empty,
    holds the mean so far, and a verdict is reached exactly when the interval leaves out the reference. Where the
    rate changes during the run, it tells of the mean so far and promises nothing about the rate of today.

    What is kept is how many blocks had which share. A share between two of :data:`PLACES` counts for both, with
    weights that keep the mean: as wealth is concave in the share, this never makes one larger than it is. Memory
    and the time that a block takes are the same in a long run.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(len(PLACES))
        self._sum = 0.0
        self._interval: Interval | None = Interval(0.0, 1.0)
        self._distances = [0.1, 0.1]
        self.blocks = 0

    def add(self, successes: float, trials: float) -> None:
        """A block that is finished; one without trials says nothing.

        :raises ValueError: when there are more successes than trials, or either is no number
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
        """Of the blocks' shares; NaN before the first block."""
        return self._sum / self.blocks if self.blocks else math.nan

    @property
    def interval(self) -> Interval:
        """All means that no bet has been won against."""
        if self._interval is None:
            shares, counts = self._observed()
            low = self._farthest_won(0, shares, counts)
            more_failures = self._farthest_won(1, 1.0 - shares[::-1], counts[::-1])
            # One failure is proof that the mean is below 1, however close to it.
            high = min(1.0 - more_failures, BELOW_ONE) if more_failures else 1.0
            self._interval = Interval(min(low, self.mean), max(high, self.mean))
        return self._interval

    def is_above(self, bound: float) -> bool:
        """Whether the mean is more than a bound, as far as is known now."""
        shares, counts = self._observed()
        return _is_more(shares, counts, bound)

    def is_below(self, bound: float) -> bool:
        """Whether the mean is less than a bound, as far as is known now."""
        shares, counts = self._observed()
        return _is_more(1.0 - shares, counts, 1.0 - bound)

    def verdict(self, reference: float, direction: str, tolerance: float = 0.0) -> str:
        """``better``, ``worse`` or ``inconclusive``.

        :param reference: a rate
        :param direction: one of :data:`posegrasp_ros.metrics.stats.interval.DIRECTIONS`
        :param tolerance: around the reference, where that is a target
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
        """(K,) shares that there were, ascending, and how many blocks had each."""
        seen = np.flatnonzero(self._counts)
        return PLACES[seen], self._counts[seen]

    def _farthest_won(self, side: int, shares: np.ndarray, counts: np.ndarray) -> float:
        """The largest bound that bets on more were won against; it is searched for from where it was last."""
        mean = float(counts @ shares / counts.sum())
        if mean <= LEAST_MEAN:
            return 0.0

        def missing(distance: float) -> float:
            """Of the wealth that is needed, against a bound so far below the mean, as a logarithm of both."""
            return NEEDED_LOG_WEALTH - _log_wealth(shares, counts, mean * math.exp(-distance))

        most = math.log(mean / LEAST_MEAN)
        # One block more or less moves it little.
        far, step = min(max(1.01 * self._distances[side], LEAST_DISTANCE), most), 1.02
        while missing(far) > 0:
            if far == most:
                return ABOVE_ZERO  # one success is proof of that, however many failures there are
            far, step = min(step * far, most), step**2
        near = far / step
        while missing(near) <= 0:
            far, step = near, step**2
            near = far / step
        self._distances[side] = found = _first_below(missing, near, far)
        return mean * math.exp(-found)


def _first_below(function: Callable[[float], float], near: float, far: float) -> float:
    """Where a falling function crosses nothing, on the side where it is at most nothing.

    :param near: where it is more than nothing
    :param far: where it is not
    """
    found = brentq(function, near, far, xtol=1e-14, rtol=1e-12)
    while function(found) > 0:
        found = min(found * (1 + 1e-12), far)
    return found


def _is_more(shares: np.ndarray, counts: np.ndarray, bound: float) -> bool:
    """Whether bets that the mean of shares in [0, 1] is more than a bound are won."""
    if bound <= 0:
        return bound < 0 or bool((shares > 0).any())
    if not counts.size or bound >= counts @ shares / counts.sum():
        return False
    return _log_wealth(shares, counts, bound) >= NEEDED_LOG_WEALTH


@compiled
def _log_wealth(shares: np.ndarray, counts: np.ndarray, bound: float) -> float:
    """Logarithm of what the wealth of bets on more than a bound has become, from 1.

    The share s of the largest stake, 1 / m, makes 1 + s (x - m) / m of a wealth.
    """
    each = np.zeros(len(STAKES))
    for place in range(len(shares)):
        gain = min((shares[place] - bound) / bound, 1e300)
        for stake in range(len(STAKES)):
            each[stake] += counts[place] * np.log1p(STAKES[stake] * gain)
    most = each.max()
    return most + np.log(np.exp(each - most).mean())


class SequentialVerdict:
    """Whether a rate is better or worse than a reference, block by block; wrong ever in at most 5 % of all runs.

    It follows all blocks so far: one that was reached may be left again when things change.

    :param reference: a rate
    :param direction: one of :data:`posegrasp_ros.metrics.stats.interval.DIRECTIONS`
    :param tolerance: around the reference, where that is a target
    :param mean: what is known of the rate, where several verdicts share it; None for one of its own
    """

    def __init__(self, reference: float, direction: str, tolerance: float = 0.0,
                 mean: ConfidenceSequence | None = None):
        if direction not in DIRECTIONS:
            raise ValueError(f'direction: expected {" or ".join(DIRECTIONS)}, got {quoted(direction)}')
        self._reference, self._direction, self._tolerance = reference, direction, tolerance
        self._mean = mean or ConfidenceSequence()

    @property
    def blocks(self) -> int:
        """How many there were."""
        return self._mean.blocks

    def add(self, successes: float, trials: float) -> None:
        """A block that is finished; see :meth:`ConfidenceSequence.add`."""
        self._mean.add(successes, trials)

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``inconclusive``."""
        return self._mean.verdict(self._reference, self._direction, self._tolerance)


class SequentialMedian:
    """The same for a median: it is less than the reference when more than half of the values are.

    Values that are equal to the reference speak for neither side.

    :param direction: ``lower_is_better`` or ``higher_is_better``
    """

    def __init__(self, reference: float, direction: str):
        if direction not in ('lower_is_better', 'higher_is_better'):
            raise ValueError(f'direction: expected lower_is_better or higher_is_better, got {quoted(direction)}')
        self._reference, self._direction = reference, direction
        self._sides = BetsOnMore([0.5, 0.5])
        self.blocks = 0

    def add(self, values: np.ndarray) -> None:
        """The values of a block that is finished, infinite ones included; one without values says nothing."""
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
