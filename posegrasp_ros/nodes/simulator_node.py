# SPDX-License-Identifier: Apache-2.0
"""Simulator node: a camera over a table and a gripper that carries out what the planner publishes.

Attempts run one after the other: a new scene, images of it until there is a plan, the simulated pick, a report.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.duration import Duration
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns, to_header, to_stamp
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.object_topics import joined, load_models, visible_share_topic
from posegrasp_ros.ros.parameter_checks import are_models, is_gripper, is_model
from posegrasp_ros.ros.parameters import parameter, pose_parameter, pose_values
from posegrasp_ros.ros.reporting import StageReporter
from posegrasp_ros.runtime.errors import escaped
from posegrasp_ros.simulation.instances import sample_scene_of_kinds
from posegrasp_ros.simulation.object_physics import ObjectPhysics
from posegrasp_ros.simulation.pick import PickOutcome
from posegrasp_ros.simulation.pick_clips import PickClips
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA
from posegrasp_ros.simulation.world import World

TICK_S = 0.02
# Scenes lie at least this far apart in simulated time, so that they are not taken for frames of one video.
BETWEEN_SCENES_NS = 2_000_000_000
# For a monitor on a busy machine; a killed one is dropped as a subscriber by the middleware after 20 s.
LAST_REPORT_WITHIN = Duration(seconds=60)


@dataclass(frozen=True)
class SimulatorParameters:
    """Parameters of the simulator node; changes take effect at the next configure."""

    model: str = parameter(
        '', 'Folder with model.yaml. Empty: the box that comes with the package.', check=is_model)
    models: tuple[str, ...] = parameter(
        (), 'Several such folders, in the place of model: one object of each lies on the table, and they take '
        'turns to be picked.', check=are_models)
    gripper: str = parameter(
        '', 'Gripper file. Empty: the Franka Hand that comes with the package.', check=is_gripper)
    mass_kg: float = parameter(
        0.0, "Mass of the object. 0: the model card's, else its volume at 400 kg/m³.", minimum=0.0, maximum=1000.0)
    friction: float = parameter(
        0.0, "Coulomb coefficient between object, pads and table. 0: the model card's, else 0.6.", minimum=0.0,
        maximum=5.0)
    picks: int = parameter(0, 'Number of picks. 0: until stopped.', minimum=0, maximum=1_000_000)
    seed: int = parameter(1, 'The same seed gives the same scenes.', minimum=0, maximum=2**31 - 1)
    rate_hz: float = parameter(1.0, 'Images per second while there is no plan.', minimum=0.1, maximum=30.0)
    timeout_s: float = parameter(10.0, 'How long to wait for a plan.', minimum=0.1, maximum=600.0)
    wait_for_monitor: bool = parameter(False, 'Do not start before the monitor has subscribed as well.')
    camera_frame: str = parameter('camera_optical_frame', 'Frame of the camera.')
    base_from_camera: tuple[float, ...] = parameter(
        pose_values(DEFAULT_BASE_FROM_CAMERA), 'Pose of the camera: x, y, z, qx, qy, qz, qw, metres.')
    clips: str = parameter(
        '', 'File for short clips of the first pick that held and the first that failed, of each object, for the '
        'report. Empty: none.')
    exit_when_done: bool = parameter(True, 'End the process after the last pick.')


@dataclass
class PickAttempt:
    """One scene and the messages received for it.

    :param names: of the objects in it; the first is the one to be picked
    """

    names: list[str]
    world: World
    started_s: float
    stamps: set[int]
    next_image_s: float = 0.0
    approach: tuple[int, list[np.ndarray]] | None = None
    gripper: tuple[int, float, float] | None = None
    failed_stamp: int | None = None

    @property
    def target(self) -> str:
        """Name of the object to be picked; empty for the only one."""
        return self.names[0]

    def plan(self) -> tuple[int, list[np.ndarray], float, float] | None:
        """Stamp, approach, opening and force once both messages of one image have arrived."""
        if self.approach and self.gripper and self.approach[0] == self.gripper[0]:
            return *self.approach, *self.gripper[1:]
        return None


class SimulatorNode(AutostartLifecycleNode):
    """Wires the simulated world to the topics of a robot."""

    PARAMETERS = SimulatorParameters
    parameters: SimulatorParameters

    def __init__(self, **options: Any) -> None:
        super().__init__('simulator', **options)

    def configure(self) -> None:
        chosen = self.parameters
        cards = load_models(chosen.model, chosen.models)
        self._meshes = {name: card.mesh for name, card in cards.items()}
        self._physics = {name: ObjectPhysics.of_card(card).stated(chosen.mass_kg or None,
                                                                  friction=chosen.friction or None)
                         for name, card in cards.items()}
        self._hand = load_gripper(chosen.gripper)
        self._base_from_camera = pose_parameter('base_from_camera', chosen.base_from_camera)
        self._attempt: PickAttempt | None = None
        self._index = 0
        self._clips = PickClips(FilePath(chosen.clips)) if chosen.clips else None
        self._clock_ns = BETWEEN_SCENES_NS
        self._ticked_s = time.monotonic()
        self._reporter = StageReporter(self, 'execution', tuple(self._meshes))
        self._info_out = self.publisher(CameraInfo, 'camera_info', qos.RESULT)
        self._truths_out = {name: self.publisher(PoseStamped, joined(self, name, 'ground_truth'), qos.RESULT)
                            for name in self._meshes}
        self._shares_out = {name: self.publisher(DiagnosticArray, visible_share_topic(self, name), qos.RESULT)
                            for name in self._meshes}
        self._image_out = self.publisher(Image, 'image_raw', qos.RESULT)
        self._clock_out = self.publisher(Clock, '/clock', qos.RESULT)

    def activate(self) -> None:
        for name in self._meshes:
            self.subscribe(Path, joined(self, name, 'approach'), self.approach_of(name), qos.RESULT)
            self.subscribe(JointState, joined(self, name, 'gripper'), self.gripper_of(name), qos.RESULT)
        self.subscribe(DiagnosticArray, 'perception_report', self.on_report, qos.RESULT)
        self.subscribe(DiagnosticArray, 'planning_report', self.on_report, qos.RESULT)
        self._ticked_s = time.monotonic()
        self.every(TICK_S, self.tick)

    def deactivate(self) -> None:
        self._drop_attempt()

    def tick(self) -> None:
        """One step of the attempt under way."""
        self._advance_clock()
        attempt = self._attempt
        if attempt is None:
            if self._is_done():
                self._finish()
            elif self._is_connected():
                self._begin()
        elif plan := attempt.plan():
            self._pick(attempt, *plan)
        elif attempt.failed_stamp is not None:
            self._give_up(attempt, attempt.failed_stamp)
        elif time.monotonic() - attempt.started_s > self.parameters.timeout_s:
            self._give_up(attempt, max(attempt.stamps))
        elif time.monotonic() >= attempt.next_image_s:
            self._take_image(attempt)

    def approach_of(self, name: str) -> Callable[[Path], None]:
        """Callback for the approaches to one object."""
        def on_approach(message: Path) -> None:
            stamp = stamp_ns(message.header.stamp)
            if attempt := self._attempt_of(name, stamp):
                attempt.approach = stamp, messages.transforms_from_path(message)

        return on_approach

    def gripper_of(self, name: str) -> Callable[[JointState], None]:
        """Callback for the gripper openings for one object."""
        def on_gripper(message: JointState) -> None:
            stamp = stamp_ns(message.header.stamp)
            if attempt := self._attempt_of(name, stamp):
                attempt.gripper = stamp, *messages.gripper_from(message)

        return on_gripper

    def on_report(self, message: DiagnosticArray) -> None:
        """A stage without an answer ends the attempt, since no plan will come.

        If perception has not received our camera_info yet, it gets further images of the same scene.
        """
        report = messages.report_from(message)
        is_answer = not report.ok and report.reason != 'no_camera_info'
        if is_answer and (attempt := self._attempt_of(report.object, report.stamp_ns)):
            attempt.failed_stamp = report.stamp_ns

    def _attempt_of(self, name: str, stamp: int) -> PickAttempt | None:
        """The attempt under way, if it is about an object in an image."""
        attempt = self._attempt
        return attempt if attempt and name == attempt.target and stamp in attempt.stamps else None

    def _is_connected(self) -> bool:
        """Whether perception and planner are connected; no attempt starts before."""
        planners = [self._publishers_of(joined(self, name, topic))
                    for name in self._meshes for topic in ('approach', 'gripper')]
        watching = self._image_out.get_subscription_count() and self._info_out.get_subscription_count()
        return bool(watching and all(planners) and (self._is_monitored() or not self.parameters.wait_for_monitor))

    def _is_monitored(self) -> bool:
        """Whether the monitor subscribes to all stages and to our topics, so that it misses no report."""
        listening = [self._info_out.get_subscription_count() > 1, self._reporter.listeners,
                     *(truth_out.get_subscription_count() for truth_out in self._truths_out.values())]
        return all(listening) and all(self._publishers_of(topic) and self._subscribers_of(topic) > 1
                                      for topic in ('perception_report', 'planning_report'))

    def _publishers_of(self, topic: str) -> int:
        return self.count_publishers(self.resolve_topic_name(topic))

    def _subscribers_of(self, topic: str) -> int:
        return self.count_subscribers(self.resolve_topic_name(topic))

    def _is_done(self) -> bool:
        return 0 < self.parameters.picks <= self._index

    def _begin(self) -> None:
        """Build the next scene; the same seed and number give the same one."""
        rng = np.random.default_rng([self.parameters.seed, self._index])
        turn = self._index % len(self._meshes)
        names = [*self._meshes][turn:] + [*self._meshes][:turn]
        mesh, *others = (self._meshes[name] for name in names)
        scene = replace(sample_scene_of_kinds(rng, mesh, others, self._base_from_camera),
                        physics=self._physics[names[0]])
        self._clock_ns += BETWEEN_SCENES_NS
        self._attempt = PickAttempt(names, World(mesh, self._hand, scene), time.monotonic(), set())
        self._index += 1

    def _take_image(self, attempt: PickAttempt) -> None:
        """Publish what the camera sees, the image last, so that its other messages are there before it."""
        frame = attempt.world.frame()
        self._advance_clock()
        header = to_header(self._clock_ns, self.parameters.camera_frame)
        attempt.stamps.add(self._clock_ns)
        attempt.next_image_s = time.monotonic() + 1.0 / self.parameters.rate_hz
        self._info_out.publish(messages.to_camera_info(header, frame.camera))
        shares = attempt.world.visible_share(), *attempt.world.bystander_shares()
        for name, truth, share in zip(attempt.names, (frame.camera_from_object, *frame.bystanders), shares):
            self._truths_out[name].publish(messages.to_pose_stamped(header, truth))
            self._shares_out[name].publish(messages.to_visible_share(header, share))
        self._image_out.publish(messages.to_image(header, frame.image))

    def _pick(self, attempt: PickAttempt, stamp: int, approach: list[np.ndarray], opening_m: float,
              force_n: float) -> None:
        with self._reporter.answering(stamp, object_name=attempt.target) as answer:
            outcome = attempt.world.pick(approach, opening_m, force_n)
            answer.reason = outcome.reason
            answer.numbers.update(outcome.numbers)
            self._clock_ns += int(1e9 * outcome.numbers['sim_s'])
        if self._clips:
            self._clips.consider(attempt.world, attempt.target, self._index, outcome)
        self._ticked_s = time.monotonic()
        self._end_attempt(attempt, outcome.result)

    def _give_up(self, attempt: PickAttempt, stamp: int) -> None:
        waited_ms = 1000 * (time.monotonic() - attempt.started_s)
        if self._clips:
            self._clips.consider(attempt.world, attempt.target, self._index, PickOutcome('no_grasp'))
        self._reporter.report(stamp, 'no_grasp', {'waited_ms': waited_ms}, object_name=attempt.target)
        self._end_attempt(attempt, 'no grasp')

    def _end_attempt(self, attempt: PickAttempt, result: str) -> None:
        name = f'{attempt.target} ' if attempt.target else ''
        self._drop_attempt()
        total = f' of {self.parameters.picks}' if self.parameters.picks else ''
        self.get_logger().info(escaped(f'pick {self._index}{total}: {name}{result}'))

    def _drop_attempt(self) -> None:
        if self._attempt:
            self._attempt.world.close()
            self._attempt = None

    def _advance_clock(self) -> None:
        """Simulated time follows real time, except during a pick, whose physics has its own time."""
        now_s = time.monotonic()
        self._clock_ns += int(1e9 * (now_s - self._ticked_s))
        self._ticked_s = now_s
        self._clock_out.publish(Clock(clock=to_stamp(self._clock_ns)))

    def _finish(self) -> None:
        """All picks are done: wait for the last report to be received, then end if so configured."""
        if self.parameters.exit_when_done:
            self._reporter.wait_until_received(LAST_REPORT_WITHIN)
            raise SystemExit(0)
        self.say_once(f'done: {self._index} picks')


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(SimulatorNode, arguments)
