# SPDX-License-Identifier: Apache-2.0
"""NewestFrame: the one frame that the loop shares; who is slow misses the ones in between."""

from __future__ import annotations

from collections.abc import Callable

from posegrasp_ros.watch.watched_frame import WatchedFrame


class NewestFrame:
    """Written by the loop, read by any thread; keeps one frame alone.

    :ivar frame: the newest; None before the first
    :ivar is_over: whether no more will come
    """

    def __init__(self) -> None:
        self.frame: WatchedFrame | None = None
        self.is_over = False
        self._wake: Callable[[], object] = lambda: None

    def wake(self, wake: Callable[[], object]) -> None:
        """Have a function called at every frame, in the loop's thread; it must not wait."""
        self._wake = wake

    def take(self, frame: WatchedFrame) -> None:
        """Share a frame."""
        self.frame = frame
        self._wake()

    def end(self) -> None:
        """Say that no more will come."""
        self.is_over = True
        self._wake()
