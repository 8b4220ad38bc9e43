# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: a bar on a terminal, elsewhere, such as in a log file, one line per minute; phases."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

from tqdm import tqdm

from posegrasp_ros.runtime.console import remark

EVERY_S = 60.0


class Progress(tqdm):
    """tqdm's bar, with its arguments. Where stderr is no terminal, work of less than a minute prints nothing."""

    def __init__(self, *arguments: Any, **options: Any):
        self._is_bar = sys.stderr.isatty()
        self._began_s = self._told_s = time.monotonic()
        if not self._is_bar:
            options |= {'mininterval': 0, 'miniters': 1}  # display() decides
        super().__init__(*arguments, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw the bar, or print a line if it is time for one."""
        if self._is_bar:
            super().display(msg, pos)
        elif (now_s := time.monotonic()) - self._told_s >= EVERY_S and self.n != self.total:
            self._told_s = now_s
            remark(f'posegrasp: {self.line(now_s - self._began_s)}')

    def clear(self, *arguments: Any, **options: Any) -> None:
        """Remove the bar for other output."""
        if self._is_bar:
            super().clear(*arguments, **options)

    def close(self) -> None:
        """End the bar; it stays or goes, as ``leave`` says."""
        if self._is_bar:
            super().close()
        self.disable = True

    def line(self, passed_s: float) -> str:
        """What is done after so many seconds, and the time left."""
        what = f'{self.desc.removesuffix(": ")}: ' if self.desc else ''
        done, tail = self.n - self.initial, f', {self.postfix}' if self.postfix else ''
        if not self.total or not done:
            return f'{what}{self._amount(self.n)} after {clock(passed_s)}{tail}'
        left = clock(passed_s / done * (self.total - self.n))
        return f'{what}{100 * self.n / self.total:.0f} % of {self._amount(self.total)}{tail}, {left} left'

    def _amount(self, count: float) -> str:
        if self.unit_scale:
            return f'{self.format_sizeof(count)}{self.unit}'
        return f'{count:.0f}' if self.unit == 'it' else f'{count:.0f} {self.unit}s'  # tqdm's default unit


class Phases:
    """Announces each phase of a long command with its number and the time left for all of them.

    :param expected_s: seconds that each takes, by name and in order
    :param budgeted: names of phases that take exactly that long; the others are scaled by what the first of them
        took
    """

    def __init__(self, expected_s: Mapping[str, float], budgeted: Collection[str] = (), is_shown: bool = True):
        self._expected_s, self._budgeted, self._is_shown = dict(expected_s), budgeted, is_shown
        self._current, self._began_s = '', time.monotonic()
        self._spent_s = self._planned_s = 0.0

    def begin(self, name: str) -> None:
        """End the phase before, and announce this one."""
        now_s = time.monotonic()
        if self._current and self._current not in self._budgeted:
            self._spent_s += now_s - self._began_s
            self._planned_s += self._expected_s[self._current]
        self._current, self._began_s = name, now_s
        if self._is_shown:
            done = [*self._expected_s].index(name)
            remark(f'posegrasp: {done + 1} of {len(self._expected_s)}: {name}; about {clock(self._left_s(done))} '
                   'left in all')

    def _left_s(self, done: int) -> float:
        slower = self._spent_s / self._planned_s if self._planned_s else 1.0
        return sum(seconds * (1.0 if name in self._budgeted else slower)
                   for name, seconds in [*self._expected_s.items()][done:])


def clock(seconds: float) -> str:
    """Minutes or hours as text, such as ``1 h 05 min``."""
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02} min' if minutes >= 60 else f'{max(minutes, 1)} min'
