# SPDX-License-Identifier: Apache-2.0
"""DepthImages: buffer that matches depth images to camera images by stamp."""

from __future__ import annotations

from typing import Any

from posegrasp_ros.sensing.images import ImageError

SLOP_MS = 20.0


def check_frames(depth_frame_id: str, image_frame_id: str) -> None:
    """Check that a depth image is in the frame of the camera image; an equal size does not prove it.

    :raises ImageError: when both name a frame and the frames differ
    """
    if depth_frame_id and image_frame_id and depth_frame_id != image_frame_id:
        raise ImageError(f'depth: expected depth in the frame of the camera image, {image_frame_id!r}, got '
                         f'{depth_frame_id!r}: use the topic that the driver registers to the image, such as '
                         'aligned_depth_to_color')


class DepthImages:
    """Matches by stamp: the equal one, else the nearest within a tolerance.

    :param slop_ns: largest difference of the stamps
    :param most: buffer size
    """

    def __init__(self, slop_ns: int, most: int):
        self._slop_ns, self._most = slop_ns, most
        self._messages: dict[int, Any] = {}
        self._newest_ns: int | None = None

    def add(self, stamp_ns: int, message: Any) -> None:
        """Store a message with the fields of sensor_msgs/Image or CompressedImage; drop the oldest if full."""
        self._messages[stamp_ns] = message
        self._newest_ns = stamp_ns
        if len(self._messages) > self._most:
            del self._messages[next(iter(self._messages))]

    def may_come(self, stamp_ns: int) -> bool:
        """Whether a better match may still arrive; messages arrive in the order of their stamps."""
        return stamp_ns not in self._messages and (self._newest_ns is None or self._newest_ns < stamp_ns)

    def nearest(self, stamp_ns: int) -> Any | None:
        """The message that matches a camera image; None if there is none."""
        nearest_ns = min(self._messages, key=lambda other_ns: abs(other_ns - stamp_ns), default=None)
        if nearest_ns is None or abs(nearest_ns - stamp_ns) > self._slop_ns:
            return None
        return self._messages[nearest_ns]

    def forget_before(self, stamp_ns: int) -> None:
        """Drop messages too old for any future image."""
        for old_ns in [other_ns for other_ns in self._messages if other_ns < stamp_ns - self._slop_ns]:
            del self._messages[old_ns]

    def forget_all(self) -> None:
        """Drop all messages after the clock was set back."""
        self._messages.clear()
        self._newest_ns = None
