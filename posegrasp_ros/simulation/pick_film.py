# SPDX-License-Identifier: Apache-2.0
"""Films of simulated picks: the states that a pick passes are taken down, to draw them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np

from posegrasp_ros.metrics.pick_metrics import Attempt

FILM_HZ = 5.0
FILM_SIZE = (240, 180)
MOST_FILMS = 8
"""Of a run."""


class StateTape:
    """Takes down the state of a simulation a few times a second, which costs next to nothing.

    :ivar states: (nq,) joint positions, in order of time
    """

    def __init__(self, data: mujoco.MjData):
        self._data, self._next_s = data, data.time
        self.states: list[np.ndarray] = []

    def note(self) -> None:
        """Take down the state if it is time for that."""
        if self._data.time >= self._next_s:
            self.states.append(self._data.qpos.copy())
            self._next_s += 1.0 / FILM_HZ


@dataclass(frozen=True)
class TriedPick:
    """An attempt, and what is needed to draw it.

    :param states: (nq,) joint positions of the world during the pick; empty where none was tried
    """

    attempt: Attempt
    states: Sequence[np.ndarray] = field(default=(), compare=False)


class PicksToFilm:
    """Keeps of each object the first pick that held and the first that failed, those of one condition if possible.

    :param condition: the preferred one
    """

    def __init__(self, condition: str):
        self._condition = condition
        self._kept: dict[tuple[str, bool], TriedPick] = {}

    def consider(self, tried: TriedPick) -> None:
        """Keep a pick if it is the first of its kind."""
        key = tried.attempt.object, tried.attempt.ok
        kept = self._kept.get(key)
        if kept is None or self._rank(tried) > self._rank(kept):
            self._kept[key] = tried

    def picks(self) -> list[TriedPick]:
        """Those to film, the failed ones first where there are too many."""
        few = sorted(self._kept.items(), key=lambda item: item[0][1])[:MOST_FILMS]
        return [tried for _, tried in sorted(few, key=lambda item: (item[0][0], not item[0][1]))]

    def _rank(self, tried: TriedPick) -> tuple[bool, bool]:
        """A pick that was tried shows more than one that was not."""
        return tried.attempt.condition == self._condition, bool(tried.states)
