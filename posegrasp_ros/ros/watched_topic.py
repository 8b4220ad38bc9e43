# SPDX-License-Identifier: Apache-2.0
"""WatchedTopic: the newest image of a ROS topic, whenever it is asked for, for ``posegrasp watch ros:/TOPIC``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from posegrasp_ros.datasets.frame import PackedFrame, Undecoded
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.intrinsics import WAIT_S, Intrinsics
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.ros.sensor_subscription import LOOK_EVERY_S, SensorSubscription
from posegrasp_ros.runtime.console import remark
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.sensing.packed_image import BitDepth, PackedImage
from posegrasp_ros.watch.captured_image import CalibratedImage
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watch_source import Watchable, WatchSource

POLL_S = 0.05


class WatchedTopic:
    """Subscribes to images and their camera_info.

    The middleware keeps the newest image while the last is looked at: there is no thread, and no queue.

    :param camera: in the place of camera_info; None for that
    :param info_topic: None for camera_info beside the images
    :param rectified: one of :data:`posegrasp_ros.geometry.camera_info.RECTIFIED`
    """

    def __init__(self, topic: str, camera: ImageCamera | None, info_topic: str | None = None,
                 rectified: str = 'auto'):
        self._context, self._camera = Context(), camera
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node('posegrasp_watch', context=self._context, enable_rosout=False)
        self.topic = self._resolved(topic)
        self.info_topic = self._resolved(info_topic or info_topic_of(self.topic))
        self._intrinsics = Intrinsics(self.info_topic, self.topic, rectified)
        self._bits = BitDepth(lambda line: remark(f'posegrasp: {line}'))
        self._waits_since_s = 0.0
        self._newest: tuple[Image | CompressedImage, int] | None = None
        # Before the image: of messages that are ready together, the executor takes these first.
        self._subscriptions = [
            SensorSubscription(self._node, messages.CAMERA_INFO, self.info_topic, self._on_camera_info,
                               qos.SENSOR),
            SensorSubscription(self._node, messages.IMAGES, self.topic, self._on_image, qos.NEWEST)]
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __iter__(self) -> Iterator[Watchable | None]:
        """None where there is no new image yet."""
        looked_s = 0.0
        while True:
            if time.monotonic() - looked_s > LOOK_EVERY_S:
                looked_s = time.monotonic()
                for subscription in self._subscriptions:
                    subscription.look()
            self._executor.spin_once(timeout_sec=POLL_S)
            yield self._complete()

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _resolved(self, topic: str) -> str:
        try:
            return self._node.resolve_topic_name(topic)
        except (InvalidTopicNameException, RuntimeError) as error:  # RCLError is the latter
            self._node.destroy_node()
            rclpy.shutdown(context=self._context)
            raise WatchError(f'{topic}: expected the name of a ROS topic such as /camera/image_raw') from error

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._intrinsics.add(message, time.time_ns())  # what is wrong with it is the image's reason

    def _on_image(self, message: Image | CompressedImage) -> None:
        if self._newest is None:
            self._waits_since_s = time.monotonic()  # not since the newest: at a high rate none would be answered
        self._newest = message, time.time_ns()

    def _complete(self) -> Watchable | None:
        """The newest image, once its camera_info has come or is not waited for any more."""
        if self._newest is None:
            return None
        message, received_ns = self._newest
        stamp = stamp_ns(message.header.stamp)
        has_time = time.monotonic() - self._waits_since_s < WAIT_S
        if self._camera is None and has_time and self._intrinsics.may_come(stamp):
            return None
        self._newest = None
        frame: Undecoded = PackedFrame(stamp, self._bits.noted(PackedImage.of(message)),
                                       self._intrinsics.of(stamp, received_ns, message.header.frame_id))
        return Watchable(frame if self._camera is None else CalibratedImage(frame, self._camera))


def info_topic_of(image_topic: str) -> str:
    """The camera_info beside a topic of images, as image_transport places it."""
    return f'{image_topic.removesuffix("/compressed").rpartition("/")[0]}/camera_info'


def topic_source(topic: WatchedTopic, camera: ImageCamera | None) -> WatchSource:
    """A topic as what is watched."""
    return WatchSource(topic.topic, lambda: topic, True, topic.info_topic if camera is None else camera.line)
