# SPDX-License-Identifier: Apache-2.0
"""Intrinsics: the camera of each image that comes in, and whether its CameraInfo is worth waiting for."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from posegrasp_ros.geometry.camera import CameraError
from posegrasp_ros.geometry.camera_info import is_rectified
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.sensing.camera_info_join import WAIT_NS, CameraInfoJoin
from posegrasp_ros.sensing.joined_camera import JoinedCamera

# How long an image waits for the camera_info of its own stamp.
WAIT_S = WAIT_NS / 1e9
# After so many images in a row without one, the camera is taken to stamp its camera_info in a way of its own.
MOST_IN_VAIN = 3


class Intrinsics:
    """Gives an image the camera that its CameraInfo states; see :class:`CameraInfoJoin` for which one that is.

    A camera whose camera_info carries other stamps is known after :data:`MOST_IN_VAIN` images and then costs no
    wait, until a camera_info comes with its image after all.

    :param info_topic: of the camera_info, and
    :param image_topic: of the images, both fully resolved: their names tell whether images are rectified
    :param rectified: one of :data:`posegrasp_ros.geometry.camera_info.RECTIFIED`
    """

    def __init__(self, info_topic: str, image_topic: str = '', rectified: str = 'auto'):
        self._info_topic, self._image_topic, self._rectified = info_topic, image_topic, rectified
        self._join = CameraInfoJoin()
        self._in_vain = 0
        # Stamp and arrival of the last image that had to do with another's camera_info.
        self._unpaired = (-1, 0)

    def add(self, message: CameraInfo, received_ns: int) -> CameraError | None:
        """Keep a camera_info; what is wrong with it, unless the one before stated the same.

        :param received_ns: when it came, on the clock of :meth:`of`
        """
        stamp = stamp_ns(message.header.stamp)
        news = self._join.add(stamp, message, received_ns)
        if stamp == self._unpaired[0] and received_ns - self._unpaired[1] < WAIT_NS:
            self._in_vain = 0
        return news

    def may_come(self, stamp: int) -> bool:
        """Whether the camera_info of an image's stamp is missing and may yet come."""
        return not self._join.has(stamp) and self._in_vain < MOST_IN_VAIN

    def of(self, stamp: int, received_ns: int, frame_id: str = '') -> JoinedCamera:
        """What belongs to an image; to be asked once for each.

        :param received_ns: when the image came
        :param frame_id: that the image names
        """
        if self._join.has(stamp):
            self._in_vain = 0
        else:
            # Before the first camera_info nothing is known of its stamps.
            self._in_vain += not self._join.is_empty
            self._unpaired = stamp, received_ns
        return JoinedCamera(self._join.of(stamp, received_ns),
                            is_rectified(self._rectified, self._image_topic, frame_id), frame_id,
                            self._image_topic, self._info_topic)
