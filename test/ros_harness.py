# SPDX-License-Identifier: Apache-2.0
"""A node under test and a probe that talks to it, in one process, over real ROS topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.graph import remappings
from posegrasp_ros.ros.node_processes import free_domain

WAIT_S = 30.0


class Harness:
    """Runs a node and collects what it publishes."""

    def __init__(self, node: Node, probe: Node, executor: SingleThreadedExecutor):
        self.node = node
        self.probe = probe
        self._executor = executor

    @property
    def state(self) -> str:
        """The lifecycle state's name."""
        return self.node._state_machine.current_state[1]

    def spin_until(self, done: Callable[[], Any], limit_s: float = WAIT_S) -> Any:
        """Let both nodes work until something is so; its value."""
        until_s = time.monotonic() + limit_s
        while not (value := done()):
            assert time.monotonic() < until_s, f'waited {limit_s} s in vain'
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def spin_for(self, seconds: float) -> None:
        """Let both nodes work for some time."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._executor.spin_once(timeout_sec=0.02)

    def start(self) -> None:
        """Configure and activate the node, which must succeed."""
        assert self.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def collect(self, message_type: type, topic: str, qos: QoSProfile | int = 10) -> list:
        """A list that fills with what is published on a topic; returns when publisher and probe have met."""
        received: list = []
        subscription = self.probe.create_subscription(message_type, topic, received.append, qos)
        self.spin_until(subscription.get_publisher_count)
        return received

    def publisher(self, message_type: type, topic: str, qos: QoSProfile | int = 10):
        """A publisher that the node has subscribed to."""
        publisher = self.probe.create_publisher(message_type, topic, qos)
        self.spin_until(publisher.get_subscription_count)
        return publisher

    def reports(self) -> list[StageReport]:
        """A list that fills with the node's stage reports."""
        received: list[StageReport] = []
        topic = f'/{self.node.get_name()}/report'
        subscription = self.probe.create_subscription(
            DiagnosticArray, topic, lambda message: received.append(messages.report_from(message)), 10)
        self.spin_until(subscription.get_publisher_count)
        return received


    @contextmanager
    def beside(self, name: str, node_class: type, **parameters: Any) -> Iterator[None]:
        """One more active node, wired as in the graph; at the end it finishes as a process does that is ended."""
        wires = [text for source, target in remappings(name) for text in ('-r', f'{source}:={target}')]
        node = node_class(parameter_overrides=overrides(parameters), cli_args=['--ros-args', *wires])
        self._executor.add_node(node)
        node.trigger_configure()
        node.trigger_activate()
        try:
            yield
        finally:
            node.end()
            self._executor.remove_node(node)
            node.destroy_node()


def overrides(parameters: dict[str, Any]) -> list[Parameter]:
    """Parameters of a node that waits to be configured."""
    return [Parameter(name, value=value) for name, value in {'autostart': False, **parameters}.items()]


@contextmanager
def running(node_class: type, **parameters: Any) -> Iterator[Harness]:
    """An unconfigured node with parameters and a probe beside it, in a domain of their own."""
    with free_domain() as domain:
        rclpy.init(domain_id=domain)
        try:
            node, probe = node_class(parameter_overrides=overrides(parameters)), rclpy.create_node('probe')
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            executor.add_node(probe)
            yield Harness(node, probe, executor)
            node.end()
            executor.shutdown()
            node.destroy_node()
            probe.destroy_node()
        finally:
            rclpy.try_shutdown()
