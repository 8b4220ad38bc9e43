# SPDX-License-Identifier: Apache-2.0
"""PairedImages: camera images with the intrinsics of their stamp, for nodes that look at one image at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from posegrasp_ros.datasets.frame import BagFrame, PackedFrame
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.intrinsics import WAIT_S, Intrinsics
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.sensing.packed_image import PackedImage


class PairedImages:
    """Subscribes to ``image`` and ``camera_info``; to be created in configure and subscribed in activate.

    :param rectified: one of :data:`posegrasp_ros.geometry.camera_info.RECTIFIED`
    :param on_frame: takes the header of each image and the frame, which says why where it cannot be used
    """

    def __init__(self, node: AutostartLifecycleNode, rectified: str, on_frame: Callable[[Header, BagFrame], None]):
        self._node, self._on_frame = node, on_frame
        self._intrinsics = Intrinsics(node.resolve_topic_name('camera_info'), node.resolve_topic_name('image'),
                                      rectified)
        self._pending: tuple[Image | CompressedImage, int] | None = None
        self._waited = 0

    def subscribe(self) -> None:
        """Until the node is deactivated."""
        # Before the image: of messages that are ready together, the executor takes these first.
        self._node.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self._on_camera_info, qos.SENSOR)
        self._node.subscribe_sensor(messages.IMAGES, 'image', self._on_image, qos.NEWEST)
        self._patience = self._node.every(WAIT_S / 2, self._check_pending)
        self._patience.cancel()

    def forget(self) -> None:
        """Drop an image that waits."""
        self._pending = None

    def _on_camera_info(self, message: CameraInfo) -> None:
        """Store the intrinsics, and answer an image that waited for them."""
        error = self._intrinsics.add(message, time.time_ns())
        if error:
            self._node.get_logger().error(str(error))
        self._answer_if_complete()

    def _on_image(self, message: Image | CompressedImage) -> None:
        """Answer at once, or when the image's camera_info has arrived."""
        self._answer_pending()
        self._pending, self._waited = (message, time.time_ns()), 0
        self._patience.reset()
        self._answer_if_complete()

    def _check_pending(self) -> None:
        """Stop waiting after two periods: the executor takes a timer before messages that are ready."""
        self._waited += 1
        self._answer_if_complete()

    def _answer_if_complete(self) -> None:
        if self._pending:
            stamp = stamp_ns(self._pending[0].header.stamp)
            if self._waited > 1 or not self._intrinsics.may_come(stamp):
                self._answer_pending()

    def _answer_pending(self) -> None:
        pending, self._pending = self._pending, None
        self._patience.cancel()
        if pending:
            self._answer(*pending)

    def _answer(self, message: Image | CompressedImage, received_ns: int) -> None:
        stamp = stamp_ns(message.header.stamp)
        camera = self._intrinsics.of(stamp, received_ns, message.header.frame_id)
        frame = PackedFrame(stamp, PackedImage.of(message), camera).decode()
        if frame.warning:
            self._node.say_once(frame.warning, warn=True)
        self._on_frame(message.header, frame)
