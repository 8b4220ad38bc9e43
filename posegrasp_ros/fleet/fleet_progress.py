# SPDX-License-Identifier: Apache-2.0
"""Progress of a fleet's evaluation: a bar on a terminal, else one line per minute."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from posegrasp_ros.runtime.console import remark
from posegrasp_ros.runtime.errors import one_line

EVERY_S = 60.0


class FleetProgress:
    """Counts recordings as they are done.

    :param total: how many there are to do
    """

    def __init__(self, total: int):
        self._total, self._done, self._failed = total, 0, 0
        self._began = self._told = time.monotonic()
        self._bar = tqdm(total=total, unit='bag', dynamic_ncols=True) if sys.stderr.isatty() else None

    def __enter__(self) -> FleetProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, reason: str = '') -> None:
        """Count a recording.

        :param reason: why it has no result; empty where it has one
        """
        self._done += 1
        self._failed += bool(reason)
        if reason:
            self.say(f'failed: {reason}')
        if self._bar is not None:
            self._bar.update()
            return
        now = time.monotonic()
        if now - self._told >= EVERY_S and self._done < self._total:
            self._told = now
            remark(f'posegrasp: {self.line(now - self._began)}')

    def say(self, text: str) -> None:
        """Print a line, above a bar that is shown."""
        if self._bar is None:
            remark(f'posegrasp: {text}')
        else:
            self._bar.write(one_line(f'posegrasp: {text}'), file=sys.stderr)

    def line(self, passed_s: float) -> str:
        """What is done after so many seconds, and the time left."""
        left_s = passed_s / self._done * (self._total - self._done) if self._done else 0.0
        failed = f', {self._failed} failed' if self._failed else ''
        return f'{self._done} of {self._total} recordings{failed}, {_clock(left_s)} left'


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02} min' if minutes >= 60 else f'{max(minutes, 1)} min'
