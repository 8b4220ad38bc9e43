"""DrainedGroup: subscriptions whose messages are taken many at a time, for a node that receives a lot."""

from __future__ import annotations

import weakref

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.subscription import Subscription

# Of one subscription in one go; what else waits keeps its turn.
MOST_AT_ONCE = 500


class DrainedGroup(CallbackGroup):
    """Callback group of subscriptions that no executor watches: their owner takes what has come by a timer.

    An executor of rclpy looks at all a node's entities anew for each message, which costs several times what
    taking the message does. Events of these subscriptions go unheard, for with them every message would wake it.
    """

    def __init__(self):
        super().__init__()
        self._subscriptions: list[weakref.ref[Subscription]] = []

    def add_entity(self, entity) -> None:
        super().add_entity(entity)
        if isinstance(entity, Subscription):
            self._subscriptions.append(weakref.ref(entity))

    def can_execute(self, entity) -> bool:
        return False

    def beginning_execution(self, entity) -> bool:
        return False

    def ending_execution(self, entity) -> None:
        """Nothing to give back: nothing begins."""

    def drain(self) -> None:
        """Call back for every message that has come, subscription by subscription."""
        for reference in tuple(self._subscriptions):
            subscription = reference()
            if subscription is None or not _drain(subscription):
                self._subscriptions.remove(reference)


def _drain(subscription: Subscription) -> bool:
    """Take what a subscription has; False when it was destroyed."""
    try:
        with subscription.handle:
            for _ in range(MOST_AT_ONCE):
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                if taken is None:
                    break
                subscription.callback(taken[0])
    except InvalidHandle:
        return False
    return True
