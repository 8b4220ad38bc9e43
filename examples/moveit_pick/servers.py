# SPDX-License-Identifier: Apache-2.0
"""Servers: actions and services, one at a time, with a limit for each; what is under way can be stopped."""

from __future__ import annotations

import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from way import PickError

STOP_WITHIN_S = 5.0
TO_DO = ': start what does; where it has another name, this node has a parameter or a remapping for it'


class Servers:
    """Asks and waits.

    :param answer_s: longest wait for a server to appear, to accept a goal, or to answer a service
    """

    def __init__(self, node: Node, answer_s: float):
        self._node, self._answer_s = node, answer_s
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._goal: Future | None = None
        self._is_interrupted = self._stops = False

    def interrupt(self, *_: Any) -> None:
        """Handler of signals: waiting ends with KeyboardInterrupt, but for :meth:`stop` and what comes after."""
        self._is_interrupted = True

    def call(self, client: Client, request: Any) -> Any:
        """The response of a service.

        :raises PickError: when nobody serves it, or no response comes
        """
        name = client.srv_name
        self._until(client.service_is_ready, self._answer_s, 'no_server', f'service {name}: nobody serves it',
                    TO_DO)
        future = client.call_async(request)
        self._until(future.done, self._answer_s, 'no_answer', f'service {name}: no response')
        return future.result()

    def do(self, client: ActionClient, name: str, goal: Any, limit_s: float) -> tuple[Any, bool]:
        """The result of a goal, and whether it succeeded; where it takes longer than the limit, it is canceled.

        :raises PickError: when nobody serves the action, or the goal is rejected, or its result does not come
        """
        self._until(client.server_is_ready, self._answer_s, 'no_server', f'action {name}: nobody serves it', TO_DO)
        self._goal = client.send_goal_async(goal)
        try:
            self._until(self._goal.done, self._answer_s, 'no_answer', f'action {name}: the goal was not answered')
            handle: Any = self._goal.result()
            if not handle.accepted:
                self._goal = None
                raise PickError('rejected', f'action {name}: the server rejected the goal; its log says why')
            result = handle.get_result_async()
            self._until(result.done, limit_s, 'no_result', f'action {name}: no result')
        except PickError as error:
            raise PickError(error.reason, f'{error}; {self.stop()}') from error
        self._goal = None
        ended: Any = result.result()
        return ended.result, ended.status == GoalStatus.STATUS_SUCCEEDED

    def stop(self) -> str:
        """Cancel the goal that is under way, and wait until it has ended; what became of it, in words."""
        goal, self._goal, self._stops = self._goal, None, True
        if goal is None:
            return 'nothing was under way'
        try:
            self._until(goal.done, STOP_WITHIN_S, 'no_answer', 'the goal that is under way was not answered')
            handle: Any = goal.result()
            if not handle.accepted:
                return 'the goal was rejected'
            canceled, ended = handle.cancel_goal_async(), handle.get_result_async()
            self._until(lambda: canceled.done() and ended.done(), STOP_WITHIN_S, 'no_answer',
                        'the goal that is under way did not end: USE THE EMERGENCY STOP')
        except PickError as error:
            return str(error)
        return 'the goal that was under way has ended'

    def wait_until(self, is_so: Any, text: str) -> None:
        """Let messages come in until something is so.

        :raises PickError: with the text when it takes longer than any answer may
        """
        self._until(is_so, self._answer_s, 'no_answer', text)

    def _until(self, is_so: Any, limit_s: float, reason: str, text: str, to_do: str = '') -> None:
        until_s = time.monotonic() + limit_s
        while not is_so():
            if self._is_interrupted and not self._stops:
                raise KeyboardInterrupt
            if time.monotonic() > until_s:
                raise PickError(reason, f'{text} within {limit_s:g} s{to_do}')
            self._executor.spin_once(timeout_sec=0.05)
