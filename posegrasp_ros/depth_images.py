"""DepthImages: which depth image belongs to which camera image."""

from __future__ import annotations

from typing import Any

import numpy as np

from posegrasp_ros.images import registered_depth

SLOP_MS = 20.0


class DepthImages:
    """Joins by stamp: the same one, else the nearest that is near enough.

    :param slop_ns: how far the stamps may lie apart
    :param most: how many are kept
    """

    def __init__(self, slop_ns: int, most: int):
        self._slop_ns, self._most = slop_ns, most
        self._messages: dict[int, Any] = {}
        self._newest_ns: int | None = None

    def add(self, stamp_ns: int, message: Any) -> None:
        """Keep a message with the fields of sensor_msgs/Image; the oldest goes when there are too many."""
        self._messages[stamp_ns] = message
        self._newest_ns = stamp_ns
        if len(self._messages) > self._most:
            del self._messages[next(iter(self._messages))]

    def may_come(self, stamp_ns: int) -> bool:
        """Whether a better one than those here may be on its way: they come in the order of their stamps."""
        return stamp_ns not in self._messages and (self._newest_ns is None or self._newest_ns < stamp_ns)

    def nearest(self, stamp_ns: int) -> Any | None:
        """The message that belongs to a camera image, None without one."""
        nearest_ns = min(self._messages, key=lambda other_ns: abs(other_ns - stamp_ns), default=None)
        if nearest_ns is None or abs(nearest_ns - stamp_ns) > self._slop_ns:
            return None
        return self._messages[nearest_ns]

    def of(self, stamp_ns: int, width: int, height: int) -> np.ndarray | None:
        """The depth of a camera image, (height, width) float32 metres, NaN where unknown; None without one.

        :raises posegrasp_ros.images.ImageError: when it cannot be decoded or is of another size
        """
        message = self.nearest(stamp_ns)
        return None if message is None else registered_depth(message, width, height)

    def forget_before(self, stamp_ns: int) -> None:
        """Drop what no coming image can need."""
        for old_ns in [other_ns for other_ns in self._messages if other_ns < stamp_ns - self._slop_ns]:
            del self._messages[old_ns]

    def forget_all(self) -> None:
        """Drop everything: the clock was set back, what is here is of another time."""
        self._messages.clear()
        self._newest_ns = None
