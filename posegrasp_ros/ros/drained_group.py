# SPDX-License-Identifier: Apache-2.0
"""DrainedGroup: callback group that takes many messages at a time, for nodes with a high message rate."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.subscription import Subscription

if TYPE_CHECKING:
    from rclpy.callback_groups import Entity

# Largest number of messages per subscription and call, so that other subscriptions get their turn.
MOST_AT_ONCE = 500


class DrainedGroup(CallbackGroup):
    """Callback group whose subscriptions are ignored by the executor and drained by their owner with a timer.

    An executor of rclpy checks all entities of a node for each message, which costs several times as much as
    taking the message. Events of these subscriptions are not handled, because with them every message would wake
    the executor.
    """

    def __init__(self) -> None:
        super().__init__()
        self._subscriptions: list[weakref.ref[Subscription]] = []

    def add_entity(self, entity: Entity) -> None:
        super().add_entity(entity)
        if isinstance(entity, Subscription):
            self._subscriptions.append(weakref.ref(entity))

    def can_execute(self, entity: Entity) -> bool:
        return False

    def beginning_execution(self, entity: Entity) -> bool:
        return False

    def ending_execution(self, entity: Entity) -> None:
        """Do nothing, since no execution begins."""

    def drain(self) -> None:
        """Call the callbacks for all received messages, subscription by subscription."""
        for reference in tuple(self._subscriptions):
            subscription = reference()
            if subscription is None or not _drain(subscription):
                self._subscriptions.remove(reference)


def _drain(subscription: Subscription) -> bool:
    """Take all messages of a subscription; False when it was destroyed."""
    callback: Callable[..., object] = subscription.callback
    try:
        with subscription.handle:
            for _ in range(MOST_AT_ONCE):
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                if taken is None:
                    break
                callback(taken[0])
    except InvalidHandle:
        return False
    return True
