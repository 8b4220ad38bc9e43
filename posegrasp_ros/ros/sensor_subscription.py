# SPDX-License-Identifier: Apache-2.0
"""SensorSubscription: a subscription that adapts type, reliability and durability to the publisher."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from posegrasp_ros.ros.qos import overridable

LOOK_EVERY_S = 0.2


class SensorSubscription:
    """Subscribes when there is a publisher, and again when a different kind of publisher replaces it.

    ROS resolves "best available" reliability when a subscription is created, from the publishers known then. If
    all publishers are transient local, the subscription is too; otherwise a camera_info that is sent once would be
    missed.

    :param types: accepted message types by their ROS name, the preferred one first
    :param qos: with reliability BEST_AVAILABLE to use that of the publisher
    :param group: None for the node's default group
    """

    def __init__(self, node: Node, types: Mapping[str, type], topic: str, callback: Callable, qos: QoSProfile,
                 group: CallbackGroup | None = None):
        self._node = node
        self._types = types
        self._topic = topic
        self._callback = callback
        self._qos = qos
        self._group = group
        self._offer: tuple[str, bool, bool] | None = None
        self._subscription: Subscription | None = None
        self.look()

    def look(self) -> None:
        """Compare the current publishers with the subscription, and renew it if they differ."""
        publishers = [info for info in self._node.get_publishers_info_by_topic(self._topic)
                      if info.topic_type in self._types]
        if not publishers:
            return
        name = min((info.topic_type for info in publishers), key=list(self._types).index)
        offered = [info.qos_profile for info in publishers]
        reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered)
        latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
        if (name, reliable, latched) != self._offer:
            self.close()
            self._offer = name, reliable, latched
            # Copied because rclpy writes overrides into the profile.
            qos = copy.copy(self._qos)
            if latched:
                qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
            self._subscription = self._node.create_subscription(
                self._types[name], self._topic, self._callback, qos,
                callback_group=self._group, qos_overriding_options=overridable())

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
