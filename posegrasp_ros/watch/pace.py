# SPDX-License-Identifier: Apache-2.0
"""Pace: plays recorded frames no faster than they were taken."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_WAIT_S, STEP_S = 5.0, 0.1


class Pace:
    """Waits until a frame is due.

    A frame that is late moves all later ones, so that none is skipped and none hurries. Gaps longer than
    :data:`LONGEST_WAIT_S`, and stamps that go back, are not waited for.

    :param clock: seconds
    :param sleep: takes seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep):
        self._clock, self._sleep = clock, sleep
        self._due_s, self._stamp_ns = 0.0, 0

    def wait(self, stamp_ns: int, should_stop: Callable[[], bool]) -> None:
        """Return when the frame is due, or soon after it should stop."""
        step_s = (stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = stamp_ns
        self._due_s = self._due_s + step_s if 0 <= step_s <= LONGEST_WAIT_S else 0.0
        while not should_stop():
            left_s = self._due_s - self._clock()
            if left_s <= 0:
                self._due_s = self._clock() if left_s < -0.5 else self._due_s
                return
            self._sleep(min(left_s, STEP_S))
