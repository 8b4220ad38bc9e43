# SPDX-License-Identifier: Apache-2.0
"""Base class of the nodes: a lifecycle node with autostart, guarded callbacks, diagnostics and clean shutdown."""

from __future__ import annotations

import copy
import functools
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from posegrasp_ros.monitoring.callback_failures import CallbackFailures
from posegrasp_ros.monitoring.liveness import Health
from posegrasp_ros.ros.messages import to_diagnostics
from posegrasp_ros.ros.parameters import declare_parameters, parameter, read_parameters, refusal
from posegrasp_ros.ros.qos import RESULT, overridable
from posegrasp_ros.ros.sensor_subscription import LOOK_EVERY_S, SensorSubscription
from posegrasp_ros.runtime.errors import InvalidInputError, escaped, escaped_lines
from posegrasp_ros.runtime.interrupt import interrupts_raised

STEADY = Clock(clock_type=ClockType.STEADY_TIME)
DIAGNOSTICS_EVERY_S = 1.0
# Limit of the memory for lines that are logged once; beyond it, the oldest may be logged again.
MOST_SAID_ONCE = 1000


@dataclass(frozen=True)
class LifecycleParameters:
    """Parameters of every node of the package."""

    autostart: bool = parameter(
        True, 'Configure and activate the node automatically. Set to false if a lifecycle manager does it.',
        read_only=True)
    hardware_id: str = parameter(
        '', 'Serial number or name of the camera or robot, for /diagnostics.', read_only=True)
    exit_on_failure: bool = parameter(
        False, 'Exit with code 2 when autostart fails, instead of waiting to be configured.',
        read_only=True)


class AutostartLifecycleNode(LifecycleNode):
    """A lifecycle node whose subclasses implement :meth:`configure`, :meth:`activate`, :meth:`deactivate` and
    :meth:`cleanup`, and use :meth:`publisher`, :meth:`subscribe` and :meth:`every`.

    :cvar PARAMETERS: dataclass of the node's parameters; ``self.parameters`` is an instance of it after configure
    """

    PARAMETERS: type = LifecycleParameters

    def __init__(self, name: str, **options: Any):
        super().__init__(name, **options)
        self.parameters: Any = None
        self._said_once: dict[str, None] = {}
        self._failures = CallbackFailures()
        self._told: list[Callable[[], dict[str, str]]] = []
        self._while_active: list[tuple[Callable, Any]] = []
        declare_parameters(self, LifecycleParameters)
        if self.PARAMETERS is not LifecycleParameters:
            declare_parameters(self, self.PARAMETERS)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        own = read_parameters(self, LifecycleParameters)
        self._hardware_id = own.hardware_id
        if own.autostart:
            self._start_timer = self.create_timer(0.0, self._autostart, clock=STEADY)

    # To be implemented by subclasses.

    def configure(self) -> None:
        """Load and check everything, create publishers.

        :raises InvalidInputError: logged as one line; the transition fails and the node stays unconfigured
        """

    def activate(self) -> None:
        """Subscribe and start timers."""

    def drain(self) -> None:
        """Process received messages that are not handled by the executor; called before deactivation."""

    def deactivate(self) -> None:
        """Finish pending work; subscriptions and timers are destroyed by the base class."""

    def cleanup(self) -> None:
        """Free what configure loaded. Called once, also when the process ends."""
    # For use by subclasses.

    def publisher(self, message_type: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        """A publisher that only publishes while the node is active."""
        # Copied because rclpy writes overrides into the profile.
        return self.create_lifecycle_publisher(
            message_type, topic, copy.copy(qos), qos_overriding_options=overridable())

    def subscribe(self, message_type: type, topic: str, callback: Callable, qos: QoSProfile,
                  group: CallbackGroup | None = None) -> Subscription:
        """Subscribe until the node is deactivated."""
        subscription = self.create_subscription(
            message_type, topic, self.guarded(callback), copy.copy(qos), callback_group=group,
            qos_overriding_options=overridable())
        self._while_active.append((self.destroy_subscription, subscription))
        return subscription

    def subscribe_sensor(self, types: Mapping[str, type], topic: str, callback: Callable, qos: QoSProfile,
                         group: CallbackGroup | None = None) -> None:
        """Subscribe with the type and reliability of the publisher, until the node is deactivated."""
        subscription = SensorSubscription(self, types, topic, self.guarded(callback), qos, group)
        self._while_active.append((SensorSubscription.close, subscription))
        self.every(LOOK_EVERY_S, subscription.look)

    def serve(self, service_type: type, name: str, callback: Callable) -> None:
        """Provide a service until the node is deactivated.

        :param callback: takes request and response, returns the response; must not raise
        """
        self._while_active.append((self.destroy_service, self.create_service(service_type, name, callback)))

    def every(self, period_s: float, callback: Callable) -> Timer:
        """Call a function periodically in real time until the node is deactivated."""
        timer = self.create_timer(period_s, self.guarded(callback), clock=STEADY)
        self._while_active.append((self.destroy_timer, timer))
        return timer

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        """Refuse what configure would refuse."""
        for each in changed:
            if why := refusal(self.PARAMETERS, each.name, each.value):
                return SetParametersResult(successful=False, reason=f'parameter {each.name}: {why}')
        own = {item.name for item in fields(self.PARAMETERS)}
        names = ', '.join(each.name for each in changed if each.name in own)
        if names and self.parameters is not None:
            self.get_logger().info(f'{names}: the new value takes effect at the next configure')
        return SetParametersResult(successful=True)

    @property
    def is_active(self) -> bool:
        """Whether the node is in the state active."""
        return self._state_machine.current_state[1] == 'active'

    def tell(self, values: Callable[[], dict[str, str]]) -> None:
        """Add values to the node's status on ``/diagnostics``; to be called in configure."""
        self._told.append(values)

    def note_failure(self, where: str, error: Exception) -> None:
        """Count a failure, which ``/diagnostics`` reports for some time; the caller logs it."""
        self._failures.note(where, error, time.monotonic())

    def condition(self) -> Health:
        """Health of the node by the recent failures of its callbacks, with the values of :meth:`tell`."""
        health = self._failures.health(time.monotonic())
        values = dict(pair for values in self._told for pair in values().items())
        return replace(health, values={**health.values, **values})

    def publish_diagnostics(self) -> None:
        """Publish the node's status on ``/diagnostics``."""
        self._diagnose([self.condition()])

    def _diagnose(self, healths: list[Health]) -> None:
        self._diagnostics_out.publish(
            to_diagnostics(self.get_clock().now().to_msg(), self.get_fully_qualified_name().lstrip('/'), healths,
                           self._hardware_id))

    def guarded(self, callback: Callable) -> Callable:
        """Wrap a callback so that exceptions are logged and counted; rclpy would end the node or hide them."""
        @functools.wraps(callback)
        def wrapper(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except InvalidInputError as error:
                self.note_failure(callback.__name__, error)
                self.get_logger().error(str(error), throttle_duration_sec=5.0)
            except Exception as error:
                if not self.context.ok():
                    return None  # the context was shut down by Ctrl-C: publishing is impossible
                self.note_failure(callback.__name__, error)
                self.get_logger().error(escaped_lines(f'{callback.__name__}: {type(error).__name__}: {error}\n'
                                                      + traceback.format_exc()), throttle_duration_sec=5.0)
        return wrapper

    def say_once(self, text: str, warn: bool = False) -> None:
        """Log a line the first time only, such as a feature that is off because a package is missing."""
        if text not in self._said_once:
            self._said_once[text] = None
            if len(self._said_once) > MOST_SAID_ONCE:
                del self._said_once[next(iter(self._said_once))]
            logger = self.get_logger()
            # rclpy allows only one severity per call site.
            if warn:
                logger.warning(escaped(text))
            else:
                logger.info(escaped(text))

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        def read_and_configure() -> None:
            self.parameters = read_parameters(self, self.PARAMETERS)
            self._told = []
            self._diagnostics_out = self.publisher(DiagnosticArray, '/diagnostics', RESULT)
            # Loading a model and compiling code can take a minute, so Ctrl-C must interrupt it.
            with interrupts_raised(True):
                self.configure()
        if not self._succeeds('configure', read_and_configure):
            self._destroy_publishers()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        # Activate publishers first, because a message may arrive as soon as the node subscribes.
        super().on_activate(state)
        if not self._succeeds('activate', self._activate):
            self._take_down()
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._succeeds('drain', self.drain)
        self._take_down()
        self._succeeds('deactivate', self.deactivate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == 'active':
            self._succeeds('drain', self.drain)
        self._take_down()
        if state.label == 'active':
            self._succeeds('deactivate', self.deactivate)
        self._release()
        return super().on_shutdown(state)

    def end(self) -> None:
        """Finish and free everything when the process ends; the ROS context may already be shut down."""
        label = self._state_machine.current_state[1]
        if label == 'active':
            self._succeeds('drain', self.drain)
        # Ctrl-C may also arrive during a transition.
        if label in ('active', 'activating', 'deactivating'):
            self._succeeds('deactivate', self.deactivate)
        if label not in ('unconfigured', 'configuring', 'finalized'):
            self._succeeds('cleanup', self.cleanup)

    def _activate(self) -> None:
        self.activate()
        self.every(DIAGNOSTICS_EVERY_S, self.publish_diagnostics)

    def _autostart(self) -> None:
        self.destroy_timer(self._start_timer)
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                if not self.context.ok():
                    return
                if read_parameters(self, LifecycleParameters).exit_on_failure:
                    raise SystemExit(2)
                self.get_logger().error('the node is not active: correct the error above and restart the node, or '
                                        'configure and activate it')
                return

    def _succeeds(self, name: str, step: Callable[[], None]) -> bool:
        """Run one step of a transition; log an invalid input as one line. Returns whether it succeeded."""
        try:
            step()
        except InvalidInputError as error:
            self.get_logger().error(f'cannot {name}: {error}')
            return False
        except Exception as error:
            # After a shutdown request during startup, errors by the closed context are expected.
            if self.context.ok():
                self.get_logger().error(escaped_lines(f'{name}: {type(error).__name__}: {error}\n'
                                                      + traceback.format_exc()))
            return False
        return True

    def _take_down(self) -> None:
        while self._while_active:
            destroy, entity = self._while_active.pop()
            destroy(entity)

    def _release(self) -> None:
        self._succeeds('cleanup', self.cleanup)
        self._destroy_publishers()

    def _destroy_publishers(self) -> None:
        for publisher in [entity for entity in self._managed_entities if isinstance(entity, LifecyclePublisher)]:
            self.destroy_lifecycle_publisher(publisher)
