# SPDX-License-Identifier: Apache-2.0
"""Watermark: the image stamp up to which all answers should have arrived."""

from __future__ import annotations

from collections import deque

from posegrasp_ros.metrics.stage_report import SET_BACK_NS

# Resolution: one image stamp is stored per interval.
STRETCH_S = 0.5


class Watermark:
    """Maps a waiting time on a monotonic clock to an image stamp.

    :param patience_s: time within which answers should arrive
    """

    def __init__(self, patience_s: float):
        self._patience_s = patience_s
        self._newest: deque[tuple[float, int]] = deque()

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Process a message with the stamp of an image."""
        if self._newest and stamp_ns < self._newest[-1][1] - SET_BACK_NS:
            self._newest.clear()
        if not self._newest or now_s - self._newest[-1][0] >= STRETCH_S:
            self._newest.append((now_s, stamp_ns))
        elif stamp_ns > self._newest[-1][1]:
            # All images of an interval pass the watermark together.
            self._newest[-1] = self._newest[-1][0], stamp_ns

    def paused(self, seconds: float) -> None:
        """Exclude a pause of the monitor itself from the waiting times."""
        self._newest = deque((since_s + seconds, stamp_ns) for since_s, stamp_ns in self._newest)

    def until_ns(self, now_s: float) -> int:
        """Stamp of the newest image whose answers should have arrived; 0 for none."""
        limit_s = now_s - self._patience_s - STRETCH_S
        while len(self._newest) > 1 and self._newest[1][0] <= limit_s:
            self._newest.popleft()
        return self._newest[0][1] if self._newest and self._newest[0][0] <= limit_s else 0
