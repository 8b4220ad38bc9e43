"""CameraInfoJoin: which CameraInfo belongs to which image; one rule for nodes and recordings."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from posegrasp_ros.geometry.camera import CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera

# How long an image waits for the CameraInfo of its own stamp.
WAIT_NS = 50_000_000
KEPT = 100


class CameraInfoJoin:
    """Gives an image the CameraInfo of its own stamp, else the last that had come by :data:`WAIT_NS` after it.

    Drivers send an image before its CameraInfo or after, and a zoom changes the intrinsics from image to image,
    so the same stamp counts first. A CameraInfo that was sent once, on another clock or without a stamp serves all
    images until the next one.
    """

    def __init__(self):
        self._by_stamp: OrderedDict[int, tuple[int, StatedCamera | CameraError]] = OrderedDict()
        self._arrivals: list[tuple[int, StatedCamera | CameraError]] = []
        self._stated: tuple | None = None
        self._camera: StatedCamera | CameraError | None = None

    @property
    def is_empty(self) -> bool:
        """Whether none has come yet."""
        return self._camera is None

    def add(self, stamp_ns: int, info: Any, arrived_ns: int) -> CameraError | None:
        """Keep a message with the fields of sensor_msgs/CameraInfo.

        :param arrived_ns: when it came, on one clock with the images
        :return: what is wrong with it, unless the one before stated the same
        """
        news = None
        stated = _content(info)
        if stated != self._stated:
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
        """Whether that of an image's own stamp is here."""
        return stamp_ns in self._by_stamp

    def of(self, stamp_ns: int, arrived_ns: int) -> StatedCamera | CameraError | None:
        """The camera of an image, or what is wrong with it; None while there is none.

        :param arrived_ns: when the image came
        """
        if stamp_ns in self._by_stamp:
            return self._by_stamp[stamp_ns][1]
        in_time = (camera for came_ns, camera in reversed(self._arrivals) if came_ns <= arrived_ns + WAIT_NS)
        return next(in_time, None)

    def forget_stamps(self) -> None:
        """The clock was set back: stamps of before mean other images; the last CameraInfo stands."""
        self._by_stamp.clear()


def _content(info: Any) -> tuple:
    """All that a CameraInfo states but for its stamp, to be compared."""
    roi = info.roi
    return (info.header.frame_id, info.width, info.height, info.distortion_model, tuple(info.d), tuple(info.k),
            tuple(info.r), tuple(info.p), info.binning_x, info.binning_y, roi.x_offset, roi.y_offset, roi.height,
            roi.width)
