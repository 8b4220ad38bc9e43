# SPDX-License-Identifier: Apache-2.0
"""CalibrationGuard: notices when live frames are not like those that a model was calibrated on.

Score and covariance are probabilities on frames like those of the calibration. With another lens or light they may
be anything, and without ground truth nothing else shows it.

The share of views whose figure lies below the calibration's 5 % quantile, or above its 95 % quantile, is 5 % at
home, and, as these quantiles are those of a number of views, at most three standard deviations more. The wealth
of a bet that it is :data:`SUSPECTED` times that grows by a likelihood ratio with each view; it restarts where it
falls below 1 (the CUSUM of Page, "Continuous inspection schemes", Biometrika 1954). On average it takes at
least as many views to a false alarm as the wealth that it asks for, whatever the law of the figures (Lorden,
"Procedures for reacting to a change in distribution", Annals of Mathematical Statistics 1971).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.view_change import ViewChange
from posegrasp_ros.runtime.numba_cache import compiled

EXPECTED, SIGMAS, SUSPECTED = 0.05, 3.0, 2.5
MOST_SUSPECTED = 0.9
VIEWS_TO_FALSE_ALARM = 1e6
"""On average at least, at home, over all figures together."""
SIDES = ('below', 'above')
WORSE = {'confidence': 'below', 'inlier_share': 'below', 'log_residual': 'above', 'correlation': 'below',
         'evidence': 'below'}
"""The side of these figures on which image and model agree less; of other figures both count. Frames that agree
better than usual, such as those of one good place, have too low a score and too large a covariance: no harm."""
LATEST = 100
"""So many of the latest views are described."""
UNLIKE = 'unlike_calibration'
"""Field of a run's provenance."""
WAITING = 200
"""Frames of which either figures or pose may be missing yet."""


class UsualRange(NamedTuple):
    """Usual range of a figure: its 5 %, 50 % and 95 % quantiles over a number of independent views."""

    low: float
    median: float
    high: float
    views: int

    @property
    def gains(self) -> tuple[float, float]:
        """Log factor of the wealth by a view inside, and by one beyond."""
        at_most = EXPECTED + SIGMAS * math.sqrt(EXPECTED * (1 - EXPECTED) / self.views)
        suspected = min(SUSPECTED * at_most, MOST_SUSPECTED)
        return math.log((1 - suspected) / (1 - at_most)), math.log(suspected / at_most)

    def is_beyond(self, side: str, values: np.ndarray) -> np.ndarray:
        """(M,) whether values (M,) lie outside on that side; NaN does on both."""
        return ~(values >= self.low if side == 'below' else values <= self.high)


@dataclass(frozen=True)
class Departure:
    """A figure outside its usual range.

    :param figure: its name
    :param side: of its usual range, one of :data:`SIDES`
    :param outside: share of the latest views beyond the range on that side
    :param median: of the latest views
    :param views: how many these are
    :param seen: views until it was noticed
    """

    figure: str
    side: str
    usual: UsualRange
    outside: float
    median: float
    views: int
    seen: int

    @property
    def sentence(self) -> str:
        """What is expected, what is seen and what to do, in one line."""
        limit = self.usual.low if self.side == 'below' else self.usual.high
        return (f'score and covariance no longer hold: {self.figure} is {self.side} {limit:.3g} in '
                f'{self.outside:.0%} of the last {self.views} views (median {self.median:.3g}), expected in '
                f'{EXPECTED:.0%} (median {self.usual.median:.3g}): different lens, light or scene from the '
                'calibration? run posegrasp calibrate MODEL --bag BAG on frames of this camera')


@dataclass(frozen=True)
class ViewFigures:
    """Figures of M views, by name.

    :param values: (M,) of each figure; any number where it is not known
    :param is_known: (M,) bool of each figure
    """

    values: Mapping[str, np.ndarray]
    is_known: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))

    def followed_by(self, others: ViewFigures, count: int) -> ViewFigures:
        """The latest :data:`LATEST` of these and the first ``count`` of others."""
        def latest(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: np.concatenate([one[name], other[name][:count]])[-LATEST:] for name in one}

        return ViewFigures(latest(self.values, others.values), latest(self.is_known, others.is_known))


class CalibrationGuard:
    """Watches the figures of answered frames; frames of one view count as one.

    See :class:`posegrasp_ros.geometry.view_change.ViewChange`.

    The figures and the pose of a frame may come in any order.

    :param usual: the range of each figure at home; without any, nothing is ever noticed
    :ivar departure: how the latest views differ; None while they do not
    :ivar history: where it is not None, the figures of the views by the stamps of their first frames
    :ivar noticed: the latest departure, also where the views are as at home again
    """

    def __init__(self, usual: Mapping[str, UsualRange]):
        self._usual = dict(usual)
        self._bets = [(name, side) for name in self._usual for side in SIDES if WORSE.get(name, side) == side]
        self._gains = np.array([self._usual[name].gains for name, _ in self._bets])
        self._log_wealth = np.zeros(len(self._bets))
        self._needed = math.log(VIEWS_TO_FALSE_ALARM * max(len(self._bets), 1))
        self._latest = ViewFigures(*({name: np.zeros(0, kind) for name in self._usual} for kind in (float, bool)))
        self._numbers: dict[int, Mapping[str, float]] = {}
        self._poses: dict[int, np.ndarray] = {}
        self._change = ViewChange()
        self._views = 0
        self.history: dict[int, Mapping[str, float]] | None = None
        self.departure: Departure | None = None
        self.noticed: Departure | None = None

    @property
    def usual(self) -> Mapping[str, UsualRange]:
        """The range of each figure at home."""
        return self._usual

    @property
    def views(self) -> int:
        """Views so far."""
        return self._views

    def figures(self, stamp_ns: int, numbers: Mapping[str, float]) -> None:
        """Add the figures of an answered frame; those without a usual range are ignored."""
        if self._usual:
            self._numbers[stamp_ns] = {name: numbers[name] for name in self._usual if name in numbers}
            self._join(stamp_ns)

    def pose(self, stamp_ns: int, camera_from_object: np.ndarray) -> None:
        """Add the pose (4, 4) of a frame."""
        if self._usual and np.isfinite(camera_from_object).all():
            self._poses[stamp_ns] = camera_from_object
            self._join(stamp_ns)

    def begin_recording(self) -> None:
        """Frames of two recordings are never of one view."""
        self._change = ViewChange()

    def _join(self, stamp_ns: int) -> None:
        if stamp_ns in self._numbers and stamp_ns in self._poses:
            numbers = self._numbers.pop(stamp_ns)
            if self._change.is_new(self._poses.pop(stamp_ns)):
                if self.history is not None:
                    self.history[stamp_ns] = numbers
                self.add_view(numbers)
        for waiting in (self._numbers, self._poses):
            while len(waiting) > WAITING:
                del waiting[next(iter(waiting))]

    def add_view(self, numbers: Mapping[str, float]) -> None:
        """Bet on a view by its first frame."""
        self.add_views(ViewFigures({name: np.array([numbers.get(name, np.nan)]) for name in self._usual},
                             {name: np.array([name in numbers]) for name in self._usual}))

    def add_views(self, views: ViewFigures) -> None:
        """Bet on views, one after the other."""
        if not len(views):
            return
        is_beyond, is_known = (np.stack(each, axis=1) for each in (
            [self._usual[name].is_beyond(side, views.values[name]) for name, side in self._bets],
            [views.is_known[name] for name, _ in self._bets]))
        departed, seen = (self._bets.index((self.departure.figure, self.departure.side)), self.departure.seen) \
            if self.departure else (-1, 0)
        noticed, bet, departed, seen = _bet_on(self._log_wealth, self._gains, is_beyond, is_known, self._needed,
                                               departed, seen, self._views)
        if noticed >= 0:
            latest = self._latest.followed_by(views, noticed + 1)
            self.noticed = self.departure = self._described(latest, bet, seen)
        if departed < 0:
            self.departure = None
        self._latest = self._latest.followed_by(views, len(views))
        self._views += len(views)

    def _described(self, latest: ViewFigures, bet: int, seen: int) -> Departure:
        name, side = self._bets[bet]
        values = latest.values[name][latest.is_known[name]]
        return Departure(name, side, self._usual[name], float(self._usual[name].is_beyond(side, values).mean()),
                         float(np.median(values)), len(values), seen)


@compiled
def _bet_on(log_wealth: np.ndarray, gains: np.ndarray, is_beyond: np.ndarray, is_known: np.ndarray, needed: float,
            departed: int, seen: int, views: int) -> tuple[int, int, int, int]:
    """Change the wealth (B,) of bets by views (M, B).

    :param gains: (B, 2), see :attr:`UsualRange.gains`
    :param departed: bet of the present departure; -1 for none
    :param seen: views until that was noticed
    :param views: views before
    :return: place of the last view at which a departure was noticed, -1 for none, and its bet; then the bet of
        the departure that lasts, -1 for none, and the views until what was noticed last was
    """
    noticed, bet = -1, -1
    for view in range(len(is_beyond)):
        worst = 0
        for each in range(len(log_wealth)):
            if is_known[view, each]:
                log_wealth[each] = max(log_wealth[each], 0.0) + gains[each, int(is_beyond[view, each])]
            if log_wealth[each] > log_wealth[worst]:
                worst = each
        if log_wealth[worst] >= needed and is_known[view, worst]:
            if departed < 0:
                seen = views + view + 1
            departed, noticed, bet = worst, view, worst
        elif departed >= 0 and log_wealth[departed] <= 0:
            departed = -1  # it is as at home again
    return noticed, bet, departed, seen


def told_as_provenance(guards: Mapping[str, CalibrationGuard]) -> dict[str, dict[str, str]]:
    """What guards noticed, by the names of their objects, as a run's provenance keeps it; empty for nothing."""
    noticed = {name: guard.noticed.sentence for name, guard in guards.items() if guard.noticed}
    return {UNLIKE: noticed} if noticed else {}
