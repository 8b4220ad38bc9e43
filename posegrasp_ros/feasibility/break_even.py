# SPDX-License-Identifier: Apache-2.0
"""BreakEven: the break-even success rate of a picking cell, from the value of a pick and the cost of a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

DRAWS = 20_000
MINUTES_AN_HOUR = 60.0


class Range(NamedTuple):
    """Uniform distribution of an uncertain figure."""

    low: float
    high: float


@dataclass(frozen=True)
class Business:
    """Economic figures stated by the user; money in any one currency.

    :param picks_per_hour: attempts per hour of operation
    :param pick_value: value of a successful pick, net of running costs
    :param failure_cost: cost of a failed pick in an attended cell: the item and manual handling
    :param stop_minutes: downtime after a failure in an unattended cell
    :param unattended: whether the cell runs unattended
    """

    picks_per_hour: Range
    pick_value: Range
    failure_cost: Range
    stop_minutes: Range
    unattended: bool = False


@dataclass(frozen=True, eq=False)
class BreakEven:
    """Monte Carlo draws of the uncertain figures, and the results.

    At success rate p an attempt earns p * value - (1 - p) * loss, which is positive above p = loss / (value +
    loss). The loss of a failed pick is its cost. In an unattended cell the value of the picks missed during the
    downtime is added, because they have to be done in another way.

    :param picks_per_hour: (D,), as are the others
    """

    unattended: bool
    picks_per_hour: np.ndarray
    pick_value: np.ndarray
    failure_cost: np.ndarray
    stop_hours: np.ndarray

    @classmethod
    def draw(cls, business: Business, seed: int) -> BreakEven:
        """Monte Carlo over the stated ranges."""
        rng = np.random.default_rng(seed)

        def drawn(known: Range) -> np.ndarray:
            return rng.uniform(known.low, known.high, DRAWS)

        return cls(business.unattended, drawn(business.picks_per_hour), drawn(business.pick_value),
                   drawn(business.failure_cost), drawn(business.stop_minutes) / MINUTES_AN_HOUR)

    def pays_from(self, unattended: bool) -> np.ndarray:
        """(D,) break-even success rate."""
        loss = self._loss(unattended)
        return loss / (self.pick_value + loss)

    def earned_per_pick(self, success: float, unattended: bool) -> np.ndarray:
        """(D,) mean gain of an attempt at a success rate; negative for a loss."""
        return success * self.pick_value - (1 - success) * self._loss(unattended)

    def earned_per_hour(self, success: float, unattended: bool) -> np.ndarray:
        """(D,) gain per hour, including the downtime after failures of an unattended cell."""
        standing_hours = (1 - success) * self.stop_hours if unattended else 0.0
        return self.earned_per_pick(success, unattended) / (1 / self.picks_per_hour + standing_hours)

    def _loss(self, unattended: bool) -> np.ndarray:
        standing = self.stop_hours * self.picks_per_hour * self.pick_value if unattended else 0.0
        return self.failure_cost + standing

    def to_dict(self, success: float) -> dict:
        """Plain values for the summary.

        :param success: expected success rate
        """
        asked = self.pays_from(self.unattended)
        return {
            'unattended': self.unattended, 'success': success,
            'pays_from': _middle_and_interval(asked),
            'pays_from_attended': _middle_and_interval(self.pays_from(False)),
            'pays_from_unattended': _middle_and_interval(self.pays_from(True)),
            'probability_that_it_pays': float((success >= asked).mean()),
            'per_hour': _middle_and_interval(self.earned_per_hour(success, self.unattended)),
            'per_pick': _middle_and_interval(self.earned_per_pick(success, self.unattended)),
        }


def _middle_and_interval(draws: np.ndarray) -> dict:
    """Median and 95 % interval of the draws."""
    low, middle, high = np.percentile(draws, (2.5, 50, 97.5))
    return {'value': float(middle), 'interval': [float(low), float(high)]}
