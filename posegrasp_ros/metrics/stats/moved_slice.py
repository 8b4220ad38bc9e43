# SPDX-License-Identifier: Apache-2.0
"""Which slice of the figures, such as an object, a site or a camera, moved farthest at a change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from posegrasp_ros.metrics.baselines.verdicts import difference_interval
from posegrasp_ros.metrics.stats.change_points import Figure, Mean, mean_of
from posegrasp_ros.metrics.stats.interval import Interval


class MovedSlice(NamedTuple):
    """A slice and its means before and after a change.

    :param interval: 95 % interval of their difference, of this slice by itself
    """

    name: str
    before: Mean
    after: Mean
    interval: Interval

    @property
    def difference(self) -> float:
        return self.after.value - self.before.value

    @property
    def surely(self) -> float:
        """How far it moved at least; below 0 where it may not have moved."""
        return max(self.interval.low, -self.interval.high)


def farthest_moved(slices: Mapping[str, Sequence[Figure]], time: float, since: float = -math.inf,
                   until: float = math.inf) -> MovedSlice | None:
    """The slice that surely moved farthest; None where none surely moved.

    :param slices: figures of each slice by its name
    :param time: of the first figures after the change
    :param since: earlier figures do not count, such as those before the change before
    :param until: nor do figures from this time on
    """
    moved = []
    for name, figures in slices.items():
        before = [figure for figure in figures if since <= figure.time < time]
        after = [figure for figure in figures if time <= figure.time < until]
        if before and after:
            old, new = mean_of(before), mean_of(after)
            moved.append(MovedSlice(name, old, new, difference_interval(new.value, new.interval, old.value,
                                                                        old.interval)))
    farthest = max(moved, key=lambda each: each.surely, default=None)
    return farthest if farthest and farthest.surely > 0 else None
