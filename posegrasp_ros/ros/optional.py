# SPDX-License-Identifier: Apache-2.0
"""Optional dependencies of the nodes: tf2_ros, vision_msgs, moveit_msgs. If missing, the node logs it once."""

from __future__ import annotations

import importlib
from threading import Thread
from types import ModuleType

import rclpy
from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time

# Longest time that a lookup waits for the transforms at an image's stamp.
PATIENCE_S = 0.2


def import_optional(name: str) -> ModuleType | None:
    """Import a module; None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.split('.')[0] == error.name.split('.')[0]:
            return None
        raise


class TransformBroadcasterIfInstalled:
    """TF broadcaster if tf2_ros is installed, else does nothing.

    :ivar available: whether tf2_ros is installed
    """

    def __init__(self, node: Node):
        tf2_ros = import_optional('tf2_ros')
        self.available = tf2_ros is not None
        self._broadcaster = tf2_ros.TransformBroadcaster(node) if tf2_ros else None

    def send(self, transform: TransformStamped) -> None:
        if self._broadcaster:
            self._broadcaster.sendTransform(transform)


class TransformListenerIfInstalled:
    """TF lookup if tf2_ros is installed.

    Transforms are received by a hidden node on a separate thread. In the owner's executor they would lag behind,
    because it takes only one message per topic at a time from the backlog of a long callback.

    :ivar available: whether tf2_ros is installed
    """

    def __init__(self, owner: Node):
        self._tf2_ros = import_optional('tf2_ros')
        self.available = self._tf2_ros is not None
        if self._tf2_ros:
            self._node = hidden_node(owner, 'tf')
            self._buffer = self._tf2_ros.Buffer(node=self._node)
            self._listener = self._tf2_ros.TransformListener(self._buffer, self._node)
            self._executor = SingleThreadedExecutor(context=owner.context)
            self._executor.add_node(self._node)
            self._thread = Thread(target=self._listen, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        if self._tf2_ros:
            self._executor.shutdown()
            self._thread.join()
            self._node.destroy_node()

    def lookup(self, target: str, source: str, stamp: Stamp) -> tuple[TransformStamped | None, str]:
        """The TransformStamped target from source at a stamp.

        If the stamp is later than the newest transform, waits at most :data:`PATIENCE_S` for it.

        :return: (transform, ''), or (None, reason)
        """
        if not self._tf2_ros:
            return None, 'tf2_ros is not installed'
        time = Time.from_msg(stamp)
        try:
            patience = Duration(seconds=PATIENCE_S if self._may_come(target, source, time) else 0.0)
            return self._buffer.lookup_transform(target, source, time, patience), ''
        except self._tf2_ros.TransformException as error:
            return None, str(error)

    def _may_come(self, target: str, source: str, time: Time) -> bool:
        """Whether the frames are connected, but not yet at a time."""
        if not self._buffer.can_transform(target, source, Time()):
            return False
        newest = self._buffer.get_latest_common_time(target, source)
        return newest.nanoseconds < time.nanoseconds

    def _listen(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return  # the process ends


def hidden_node(owner: Node, suffix: str) -> Node:
    """A helper node with the owner's remappings and clock; ROS hides names that start with an underscore."""
    name = f'_{owner.get_name()}_{suffix}'
    return rclpy.create_node(
        name, namespace=owner.get_namespace(), context=owner.context, start_parameter_services=False,
        # Overrides the process-wide remapping of __node, which is for the owner.
        cli_args=['--ros-args', '-r', f'__node:={name}'],
        parameter_overrides=[owner.get_parameter('use_sim_time')])
