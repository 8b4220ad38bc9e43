"""BreakEven: the success rate from which a picking cell pays, from what a pick earns and what a failure costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

DRAWS = 20_000
MINUTES_AN_HOUR = 60.0


class Range(NamedTuple):
    """What is known of a figure: it lies between these, all of it equally likely."""

    low: float
    high: float


@dataclass(frozen=True)
class Business:
    """What the cell's owner states; money in any one currency.

    :param picks_per_hour: attempts of the running cell
    :param pick_value: what a pick that succeeds earns or saves, running costs taken off
    :param failure_cost: what one that fails costs where a person sees it at once: the item, the hand movement
    :param stop_minutes: how long the cell stands still after a failure when nobody watches
    :param unattended: whether nobody watches
    """

    picks_per_hour: Range
    pick_value: Range
    failure_cost: Range
    stop_minutes: Range
    unattended: bool = False


@dataclass(frozen=True, eq=False)
class BreakEven:
    """Draws of what is uncertain, and what follows from them.

    A pick of success rate p earns p * value - (1 - p) * loss, and pays where that is above nothing: from
    p = loss / (value + loss). The loss of a failed pick is its cost; where nobody watches, the picks that the cell
    does not do while it stands still come on top, each at its value: somebody else has to do them.

    :param picks_per_hour: (D,), and so the others
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
        """(D,) success rate from which the cell earns money."""
        loss = self._loss(unattended)
        return loss / (self.pick_value + loss)

    def earned_per_pick(self, success: float, unattended: bool) -> np.ndarray:
        """(D,) mean gain of an attempt at a success rate, below nothing where it costs."""
        return success * self.pick_value - (1 - success) * self._loss(unattended)

    def earned_per_hour(self, success: float, unattended: bool) -> np.ndarray:
        """(D,) the same of the attempts in an hour, fewer where the cell stands still after failures."""
        standing_hours = (1 - success) * self.stop_hours if unattended else 0.0
        return self.earned_per_pick(success, unattended) / (1 / self.picks_per_hour + standing_hours)

    def _loss(self, unattended: bool) -> np.ndarray:
        standing = self.stop_hours * self.picks_per_hour * self.pick_value if unattended else 0.0
        return self.failure_cost + standing

    def to_dict(self, success: float) -> dict:
        """What the report says of it.

        :param success: that can be attained
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
    """Median and the interval that holds 95 % of the draws."""
    low, middle, high = np.percentile(draws, (2.5, 50, 97.5))
    return {'value': float(middle), 'interval': [float(low), float(high)]}
