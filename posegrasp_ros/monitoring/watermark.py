"""Watermark: which images are old enough that all answers to them should have come."""

from __future__ import annotations

from collections import deque

from posegrasp_ros.metrics.stage_report import SET_BACK_NS

# Of each such stretch the newest image is remembered.
STRETCH_S = 0.5


class Watermark:
    """Translates "so long ago" on a steady clock into a stamp.

    :param patience_s: how long answers may take
    """

    def __init__(self, patience_s: float):
        self._patience_s = patience_s
        self._newest: deque[tuple[float, int]] = deque()

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Something with the stamp of an image came in."""
        if self._newest and stamp_ns < self._newest[-1][1] - SET_BACK_NS:
            self._newest.clear()
        if not self._newest or now_s - self._newest[-1][0] >= STRETCH_S:
            self._newest.append((now_s, stamp_ns))
        elif stamp_ns > self._newest[-1][1]:
            # The stretch ends later by it: its images are settled together.
            self._newest[-1] = self._newest[-1][0], stamp_ns

    def paused(self, seconds: float) -> None:
        """Nobody listened for a while: what came before has its time to be answered still."""
        self._newest = deque((since_s + seconds, stamp_ns) for since_s, stamp_ns in self._newest)

    def until_ns(self, now_s: float) -> int:
        """Stamp of the newest image that had its time; 0 for none."""
        limit_s = now_s - self._patience_s - STRETCH_S
        while len(self._newest) > 1 and self._newest[1][0] <= limit_s:
            self._newest.popleft()
        return self._newest[0][1] if self._newest and self._newest[0][0] <= limit_s else 0
