# SPDX-License-Identifier: Apache-2.0
"""CameraInfoJoin: matches CameraInfo messages to images, with the same rule for nodes and recordings."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from posegrasp_ros.geometry.camera import CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera

# How long an image waits for the CameraInfo with its own stamp.
WAIT_NS = 50_000_000
KEPT = 100


class CameraInfoJoin:
    """Matches an image to the CameraInfo of the same stamp, else to the last received by :data:`WAIT_NS` after it.

    Drivers send the CameraInfo before or after its image, and a zoom lens changes the intrinsics from image to
    image, so an equal stamp has priority. A CameraInfo that was sent once, on another clock or without a stamp is
    valid for all images until the next one.
    """

    def __init__(self) -> None:
        self._by_stamp: OrderedDict[int, tuple[int, StatedCamera | CameraError]] = OrderedDict()
        self._arrivals: list[tuple[int, StatedCamera | CameraError]] = []
        self._stated: tuple | None = None
        self._camera: StatedCamera | CameraError | None = None

    @property
    def is_empty(self) -> bool:
        """Whether none was received yet."""
        return self._camera is None

    def add(self, stamp_ns: int, info: Any, arrived_ns: int) -> CameraError | None:
        """Store a message with the fields of sensor_msgs/CameraInfo.

        :param arrived_ns: when it arrived, on the same clock as for images
        :return: the error if it is invalid and differs from the previous one
        """
        news = None
        stated = _content(info)
        if self._camera is None or stated != self._stated:
            self._stated = stated
            try:
                self._camera = StatedCamera.from_info(info)
            except CameraError as error:
                self._camera = news = error
        self._by_stamp[stamp_ns] = arrived_ns, self._camera
        self._by_stamp.move_to_end(stamp_ns)
        self._arrivals.append((arrived_ns, self._camera))
        if len(self._by_stamp) > KEPT:
            self._by_stamp.popitem(last=False)
        del self._arrivals[:-KEPT]
        return news

    def has(self, stamp_ns: int) -> bool:
        """Whether the CameraInfo with an image's stamp was received."""
        return stamp_ns in self._by_stamp

    def of(self, stamp_ns: int, arrived_ns: int) -> StatedCamera | CameraError | None:
        """The camera of an image, or the error of its CameraInfo; None if there is none yet.

        :param arrived_ns: when the image arrived
        """
        if stamp_ns in self._by_stamp:
            return self._by_stamp[stamp_ns][1]
        in_time = (camera for came_ns, camera in reversed(self._arrivals) if came_ns <= arrived_ns + WAIT_NS)
        return next(in_time, None)

    def forget_stamps(self) -> None:
        """Drop all stamps after the clock was set back; the last CameraInfo remains valid."""
        self._by_stamp.clear()


def _content(info: Any) -> tuple:
    """All fields of a CameraInfo except its stamp, for comparison."""
    roi = info.roi
    return (info.header.frame_id, info.width, info.height, info.distortion_model, tuple(info.d), tuple(info.k),
            tuple(info.r), tuple(info.p), info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.height,
            roi.width)
