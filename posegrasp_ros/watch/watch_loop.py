# SPDX-License-Identifier: Apache-2.0
"""The loop: each frame of a source goes through the stages, then to its consumers."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from posegrasp_ros.watch.pace import Pace
from posegrasp_ros.watch.read_ahead import read_ahead
from posegrasp_ros.watch.watch_source import WatchSource
from posegrasp_ros.watch.watch_stages import WatchStages
from posegrasp_ros.watch.watch_summary import WatchSummary
from posegrasp_ros.watch.watched_frame import WatchedFrame

LOGGER = logging.getLogger(__name__)
RATE_OVER = 20
"""The rate is that of so many frames."""


class TakesFrames(Protocol):
    """Where watched frames go."""

    def take(self, frame: WatchedFrame) -> None:
        """Take a frame, without waiting for anybody."""


def watch(source: WatchSource, stages: WatchStages, takers: Sequence[TakesFrames], pace: Pace | None = None,
          over_and_over: bool = False, should_stop: Callable[[], bool] = lambda: False) -> WatchSummary:
    """Look at all frames, or at those until it should stop.

    :param pace: for recorded frames that are to come at their rate; None for as fast as it goes
    :raises InvalidInputError: when the source breaks off, or a taker cannot write
    """
    summary, warned, first_ns = WatchSummary(), set[str](), None
    ends_s: deque[float] = deque(maxlen=RATE_OVER)
    frames = source.frames(over_and_over)
    coming = frames if source.is_live else read_ahead(frames)
    try:
        for item in coming:
            if should_stop():
                break
            if item is None:
                continue
            if pace and not source.is_live:
                pace.wait(item.undecoded.stamp_ns + item.shift_ns, should_stop)
                if should_stop():
                    break
            looked = stages.look(item.undecoded, item.shift_ns)
            if first_ns is None:
                first_ns = item.undecoded.stamp_ns
            ends_s.append(time.monotonic())
            spent_s = ends_s[-1] - ends_s[0]
            frame = WatchedFrame(summary.frames + 1, *looked, (len(ends_s) - 1) / spent_s if spent_s > 0 else 0.0,
                                 source.dropped(), item.shift_ns, first_ns + item.round_ns)
            summary.add(frame)
            _warn_once(frame, warned)
            for taker in takers:
                taker.take(frame)
    finally:
        for each in (coming, frames):  # ahead of the frames that it reads
            close = getattr(each, 'close', None)
            if close:
                close()
    summary.dropped = source.dropped()
    return summary


def _warn_once(frame: WatchedFrame, warned: set[str]) -> None:
    text = frame.frame.warning
    if text and text not in warned:
        warned.add(text)
        LOGGER.warning('%s', text)
