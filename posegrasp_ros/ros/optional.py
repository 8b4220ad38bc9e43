"""What the nodes use where it is installed: tf2_ros and vision_msgs. Absent, the node says so once."""

from __future__ import annotations

import importlib
from types import ModuleType

from rclpy.node import Node
from rclpy.time import Time


def import_optional(name: str) -> ModuleType | None:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.split('.')[0] == error.name.split('.')[0]:
            return None
        raise


class TransformBroadcasterIfInstalled:
    """TF, as far as tf2_ros is there.

    :ivar available: whether anything is sent
    """

    def __init__(self, node: Node):
        tf2_ros = import_optional('tf2_ros')
        self.available = tf2_ros is not None
        self._broadcaster = tf2_ros.TransformBroadcaster(node) if tf2_ros else None

    def send(self, transform) -> None:
        if self._broadcaster:
            self._broadcaster.sendTransform(transform)


class TransformListenerIfInstalled:
    """Looks poses up in TF, as far as tf2_ros is there.

    :ivar available: whether anything can be found
    """

    def __init__(self, node: Node):
        self._tf2_ros = import_optional('tf2_ros')
        self.available = self._tf2_ros is not None
        if self._tf2_ros:
            self._buffer = self._tf2_ros.Buffer(node=node)
            self._listener = self._tf2_ros.TransformListener(self._buffer, node)

    def close(self) -> None:
        """Listen no more."""
        if self._tf2_ros:
            self._listener.unregister()

    def lookup(self, target: str, source: str, stamp):
        """The TransformStamped target from source at a stamp, and why there is none otherwise.

        :return: (transform or None, text)
        """
        if not self._tf2_ros:
            return None, 'tf2_ros is not installed'
        try:
            return self._buffer.lookup_transform(target, source, Time.from_msg(stamp)), ''
        except self._tf2_ros.TransformException as error:
            return None, str(error)
