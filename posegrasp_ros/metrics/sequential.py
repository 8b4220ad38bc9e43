"""Verdicts that may be looked at as often as one likes: tests by betting.

A gambler bets against "the mean is at most m". While that is true no strategy makes money on average, so its
wealth ever reaches 1 / alpha with a probability of at most alpha (Ville's inequality), however often one looks
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2023). The bets here
are constant shares of what can be staked, several side by side: their average is a wealth as well, nearly that of
the best of them, and does not depend on the order in which blocks arrive.

Frames of one block (a scene, an attempt, a second) are alike: a block is one observation, its share of successes.
"""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.metrics.statistics import CONFIDENCE, DIRECTIONS, Interval

# Either side is claimed wrongly in half of the 5 %.
NEEDED_LOG_WEALTH = math.log(2 / (1 - CONFIDENCE))
# Shares of the largest stake that cannot ruin: small ones find small differences, large ones large ones soon.
STAKES = np.array([0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97])
GRID = 201


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


class SequentialVerdict:
    """Whether a rate is better or worse than a reference, block by block; wrong ever in at most 5 % of all runs.

    It follows all blocks so far: one that was reached may be left again when things change.

    :param reference: a rate
    :param direction: one of :data:`posegrasp_ros.metrics.statistics.DIRECTIONS`
    :param tolerance: around the reference, where that is a target
    """

    def __init__(self, reference: float, direction: str, tolerance: float = 0.0):
        if direction not in DIRECTIONS:
            raise ValueError(f'direction: expected {" or ".join(DIRECTIONS)}, got {direction!r}')
        self._direction = direction
        around = tolerance if direction == 'on_target' else 0.0
        self._bounds = np.array([reference - around, reference + around])
        self._more, self._less = BetsOnMore(self._bounds), BetsOnMore(1.0 - self._bounds)
        self.blocks = 0

    def add(self, successes: float, trials: float) -> None:
        """A block that is finished; one without trials says nothing.

        :raises ValueError: when there are more successes than trials
        """
        if not 0 <= successes <= trials:
            raise ValueError(f'add: expected 0 <= successes <= trials, got {successes} of {trials}')
        if trials == 0:
            return
        self._more.add(successes / trials)
        self._less.add(1.0 - successes / trials)
        self.blocks += 1

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``inconclusive``."""
        (more_than_low, more_than_high), (less_than_low, less_than_high) = self._more.are_won, self._less.are_won
        if self._direction == 'on_target':
            if more_than_high or less_than_low:
                return 'worse'
            return 'better' if more_than_low and less_than_high else 'inconclusive'
        if more_than_high:
            return 'better' if self._direction == 'higher_is_better' else 'worse'
        if less_than_low:
            return 'better' if self._direction == 'lower_is_better' else 'worse'
        return 'inconclusive'


class SequentialMedian:
    """The same for a median: it is less than the reference when more than half of the values are.

    Values that are equal to the reference speak for neither side.

    :param direction: ``lower_is_better`` or ``higher_is_better``
    """

    def __init__(self, reference: float, direction: str):
        if direction not in ('lower_is_better', 'higher_is_better'):
            raise ValueError(f'direction: expected lower_is_better or higher_is_better, got {direction!r}')
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


class ConfidenceSequence:
    """A 95 % interval of a mean in [0, 1] that holds it at all times at once, as fine as :data:`GRID`."""

    def __init__(self) -> None:
        self._means = np.linspace(0.0, 1.0, GRID)
        self._more, self._less = BetsOnMore(self._means), BetsOnMore(1.0 - self._means)

    def add(self, successes: float, trials: float) -> None:
        """A block that is finished; one without trials says nothing."""
        if trials:
            self._more.add(successes / trials)
            self._less.add(1.0 - successes / trials)

    @property
    def interval(self) -> Interval:
        """All means that no bet has been won against, and as much as the grid cannot tell."""
        held = self._means[~(self._more.are_won | self._less.are_won)]
        step = 1.0 / (GRID - 1)
        return Interval(float(max(held.min() - step, 0.0)), float(min(held.max() + step, 1.0)))
