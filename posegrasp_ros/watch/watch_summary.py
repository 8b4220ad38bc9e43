# SPDX-License-Identifier: Apache-2.0
"""WatchSummary: what was watched, in one line."""

from __future__ import annotations

import time
from collections import Counter, deque

import numpy as np

from posegrasp_ros.watch.watched_frame import WatchedFrame

MOST_TIMES, MOST_REASONS = 10_000, 20
"""Percentiles are of the last so many frames."""


class WatchSummary:
    """Counts frames.

    :ivar frames: looked at
    :ivar dropped: frames of a live camera that were left out
    """

    def __init__(self) -> None:
        self.frames, self.found, self.dropped = 0, 0, 0
        self._began_s = time.monotonic()
        self._last_s = self._began_s
        self._latencies_ms: deque[float] = deque(maxlen=MOST_TIMES)
        self._reasons: Counter[str] = Counter()

    def add(self, frame: WatchedFrame) -> None:
        """Count a frame."""
        self.frames += 1
        self.found += bool(frame.poses)
        self._last_s = time.monotonic()
        self._latencies_ms.append(frame.latency_ms)
        reason = frame.perceived.outcome.reason
        if reason and (reason in self._reasons or len(self._reasons) < MOST_REASONS):
            self._reasons[reason] += 1

    @property
    def line(self) -> str:
        """For people."""
        if not self.frames:
            return 'no frame'
        spent_s = max(self._last_s - self._began_s, 1e-9)
        median_ms, late_ms = np.percentile(self._latencies_ms, (50, 95))
        parts = [f'{self.frames} frame{"s" if self.frames > 1 else ""} in {spent_s:.1f} s, '
                 f'{self.frames / spent_s:.1f} a second',
                 f'pose in {self.found} ({100 * self.found / self.frames:.1f} %)',
                 f'{median_ms:.0f} ms a frame (p95 {late_ms:.0f})']
        parts += [f'{reason} {number}' for reason, number in self._reasons.most_common()]
        if self.dropped:
            parts.append(f'{self.dropped} left out')
        return '; '.join(parts)
