# SPDX-License-Identifier: Apache-2.0
"""Grasp planner node: an object's pose in, ranked grasps and the approach to the best of them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_srvs.srv import Trigger

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.faults.corrected_pairs import corrected_pose
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, rotate_covariance
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.given_pose import LEAST_SIGMA, checked_covariance
from posegrasp_ros.grasping.planning.plan import PlanningError
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_stage import PlanningStage
from posegrasp_ros.metrics.stage_report import NOT_ASKED
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.base_transforms import BaseTransforms, BaseView
from posegrasp_ros.ros.grasp_topics import GraspTopics
from posegrasp_ros.ros.joint_states import JointStates
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import MessageError, stamp_ns, to_header
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.object_topics import joined, load_models
from posegrasp_ros.ros.optional import import_optional
from posegrasp_ros.ros.parameters import ParameterError, pose_parameter
from posegrasp_ros.ros.plan_grasps_action import plan_grasps_action
from posegrasp_ros.ros.plan_requests import INSTANCE_NOT_SEEN, NOT_ACTIVE, PlanRequest, PlanRequests
from posegrasp_ros.ros.planning_parameters import (
    GraspPlannerParameters,
    fixed_scene,
    mounted_camera_of,
    planner_options,
    reach_of,
)
from posegrasp_ros.ros.pose_corrections import corrections_of
from posegrasp_ros.ros.reporting import Refusal, StageReporter
from posegrasp_ros.ros.seen_instances import SeenInstances
from posegrasp_ros.ros.surroundings import Surroundings
from posegrasp_ros.runtime.errors import escaped

# How long a pose waits for what else belongs to its image; twice at most, for a timer may come first.
PATIENCE_S = 0.05
REQUESTS_EVERY_S = 0.05


@dataclass
class PendingPose:
    """A pose that waits for the other instances or the depth of its stamp.

    :param timeouts: how often it was looked after
    """

    message: PoseWithCovarianceStamped
    received_ns: int
    timeouts: int = 0


class GraspPlannerNode(AutostartLifecycleNode):
    """Wires the grasp planner of one object, or of several, to the pose topics."""

    PARAMETERS = GraspPlannerParameters
    parameters: GraspPlannerParameters

    def __init__(self, **options: Any) -> None:
        super().__init__('grasp_planner', **options)
        # Both outlive deactivation, so that whoever waits is told of it; while a reply is awaited, its callback
        # group is busy, so the poses are in another.
        self._requests = PlanRequests((), {})
        self.create_service(Trigger, '~/plan', self.on_plan, qos_profile=qos.REQUESTS,
                            callback_group=ReentrantCallbackGroup())
        self._action = plan_grasps_action(self, self.ask, lambda request: self._requests.cancel(request),
                                          lambda: self._gripper)
        self._seen = SeenInstances({})
        self._vision = import_optional('vision_msgs.msg') if self._action else None
        if self._action and not self._vision:
            self.say_once('vision_msgs is not installed: a goal of ~/plan_grasps cannot name an instance')

    def configure(self) -> None:
        chosen = self.parameters
        self._gripper = load_gripper(chosen.gripper)
        cards = self._load_cards()
        meshes = {name: card.mesh if card else None for name, card in cards.items()}
        self._surroundings = Surroundings(chosen, meshes, self.resolve_topic_name('camera_info'),
                                          self.resolve_topic_name('depth'))
        self._objects = tuple(cards)
        self._reach = reach_of(self, chosen, self._gripper)
        joint_names = self._reach.joint_names if self._reach else ()
        self._joint_states = JointStates(joint_names, chosen.joint_states_max_age_s,
                                         self.resolve_topic_name('joint_states')) if joint_names else None
        for line in self._reach.left_out if self._reach else ():
            self.say_once(f'parameter urdf: {line}', warn=True)
        self.stages = {name: self._stage(card) for name, card in cards.items()
                       if chosen.target in ('', card.name if card else '')}
        self._pending: dict[str, PendingPose] = {}
        self._corrections = corrections_of(chosen.corrections, tuple(cards), partial(self.say_once, warn=True))
        self._frames = BaseTransforms(
            self, chosen.base_frame, pose_parameter('base_from_camera', chosen.base_from_camera),
            chosen.camera_frame, mounted_camera_of(chosen))
        self._reporter = StageReporter(self, 'planning', tuple(self.stages))
        known_as = {card.name: name for name, card in cards.items() if card}
        self._requests, self._seen = PlanRequests(tuple(self.stages), known_as), SeenInstances(known_as)
        self._topics = {name: GraspTopics(self, name, self._gripper, cards[name], stage.scene)
                        for name, stage in self.stages.items()}

    def _load_cards(self) -> dict[str, ModelCard | None]:
        """The models by name; {'': None} for a grasp file without a model.

        :raises ParameterError: when parameters exclude each other
        """
        chosen = self.parameters
        if chosen.grasps and len(chosen.models) > 1:
            raise ParameterError('parameter grasps: with several models each has the grasps of its folder, got '
                                 f'{chosen.grasps}')
        # A grasp file needs no model; with a model, its mesh and symmetry apply to the file's grasps too.
        needs_card = chosen.model or chosen.models or not chosen.grasps
        cards: dict[str, ModelCard | None] = {'': None}
        if needs_card:
            cards = dict(load_models(chosen.model, chosen.models))
        names = [card.name for card in cards.values() if card]
        if chosen.target and chosen.target not in names:
            raise ParameterError(f'parameter target: expected one of {", ".join(names) or "no objects"}, got '
                                 f'{chosen.target!r}')
        return cards

    def _stage(self, card: ModelCard | None) -> PlanningStage:
        chosen = self.parameters
        mesh, symmetry = (card.mesh, card.symmetry) if card else (None, NO_SYMMETRY)
        grasps_path = chosen.grasps or (card.grasps_path if card else '')
        grasp_set = load_grasps(grasps_path, self._gripper, mesh)
        planner = GraspPlanner(self._gripper, grasp_set, planner_options(chosen), symmetry, mesh,
                               self._reach)
        self.get_logger().info(
            escaped(f'{len(grasp_set.grasps)} grasps of {grasps_path} for {self._gripper.name}'))
        return PlanningStage(planner, fixed_scene(chosen), card.identity if card else '',
                             mesh if self._surroundings.sees_depth else None)

    def activate(self) -> None:
        # Subscribed before the pose: of messages that are ready together, the executor takes these first.
        if self._surroundings.sees_instances:
            for name in self._objects:
                self.subscribe(PoseArray, joined(self, name, 'poses'), self.poses_of(name), qos.RESULT)
        if self._surroundings.sees_depth:
            self.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self.on_camera_info, qos.SENSOR)
            self.subscribe_sensor(messages.DEPTH, 'depth', self.on_depth, qos.RECENT)
        if self._joint_states is not None:
            self.subscribe_sensor(messages.JOINT_STATES, 'joint_states', self.on_joint_states, qos.RECENT)
        if self._vision:
            self.subscribe(self._vision.Detection3DArray, 'detections', self.on_detections, qos.RESULT)
        for name in self.stages:
            self.subscribe(PoseWithCovarianceStamped, joined(self, name, 'pose'), self.pose_of(name), qos.RESULT)
        # It runs only while a pose waits.
        self._patience = self.every(PATIENCE_S, self.check_pending)
        self._patience.cancel()
        self.every(REQUESTS_EVERY_S, lambda: self._requests.expire(time.monotonic()))

    def deactivate(self) -> None:
        self._pending = {}
        self._requests.refuse_all('the planner was deactivated')

    def cleanup(self) -> None:
        self.stages, self._topics = {}, {}
        self._frames.close()

    def poses_of(self, name: str) -> Callable[[PoseArray], None]:
        """Callback for all instances of one object."""
        def on_poses(message: PoseArray) -> None:
            """Store the instances, and answer a pose that waited for them."""
            self._surroundings.add_poses(name, message)
            self._answer_if_complete()

        return on_poses

    def pose_of(self, name: str) -> Callable[[PoseWithCovarianceStamped], None]:
        """Callback for the poses of one object to plan for."""
        def on_pose(message: PoseWithCovarianceStamped) -> None:
            """Plan for one pose, at once or when the instances and depth of its image have arrived."""
            stamp = stamp_ns(message.header.stamp)
            if not (self._requests.are_for(name, stamp) or self.parameters.continuous):
                self._reporter.report(stamp, NOT_ASKED, {}, self.stages[name].named, name)
                return
            if name in self._pending:
                self._answer_pending(name)
            self._pending[name] = PendingPose(message, time.time_ns())
            self._patience.reset()
            self._answer_if_complete()

        return on_pose

    def on_detections(self, message: Any) -> None:
        """Store the instances by their ids, and answer a pose that waited for them."""
        self._seen.add(message)
        self._answer_if_complete()

    def on_depth(self, message: Image) -> None:
        """Store the depth, and answer a pose that waited for it."""
        self._surroundings.add_depth(message)
        self._answer_if_complete()

    def on_camera_info(self, message: CameraInfo) -> None:
        """Store the intrinsics of the depth camera."""
        error = self._surroundings.add_camera_info(message, time.time_ns())
        if error:
            self.get_logger().error(str(error))

    def on_joint_states(self, message: JointState) -> None:
        """Note where the joints stand."""
        if self._joint_states is not None:
            self._joint_states.add(message, self.get_clock().now().nanoseconds)

    def _present_joints(self) -> dict[str, float] | None:
        """Where the arm's joints stand; None without an arm, and where that is not known, which is said once."""
        if self._joint_states is None:
            return None
        present, problem = self._joint_states.present(self.get_clock().now().nanoseconds)
        if problem:
            self.say_once(problem, warn=True)
        return present

    def check_pending(self) -> None:
        """Stop waiting after two periods."""
        for pending in self._pending.values():
            pending.timeouts += 1
        self._answer_if_complete()

    def _answer_if_complete(self) -> None:
        for name, pending in list(self._pending.items()):
            stamp = stamp_ns(pending.message.header.stamp)
            is_named = not self._requests.instances_for(name, stamp) or self._seen.has(stamp)
            if pending.timeouts > 1 or (
                    is_named and self._has_instances(stamp) and self._surroundings.has_depth(stamp)):
                self._answer_pending(name)

    def _has_instances(self, stamp: int) -> bool:
        """Whether the instances of all objects in an image have arrived, as far as anyone publishes them."""
        return all(self._surroundings.has_instances(name, stamp) or not self.count_publishers(
            self.resolve_topic_name(joined(self, name, 'poses'))) for name in self._objects)

    def _answer_pending(self, name: str) -> None:
        """Answer the pending pose: all messages of its image are here, or the wait is over."""
        pending = self._pending.pop(name)
        if not self._pending:
            self._patience.cancel()
        self._answer(name, pending.message, pending.received_ns)

    def _answer(self, name: str, message: PoseWithCovarianceStamped, received_ns: int) -> None:
        stamp, stage, topics = stamp_ns(message.header.stamp), self.stages[name], self._topics[name]
        instance, message = self._wanted(name, stamp, message)
        waited_ms = max(0.0, (time.time_ns() - received_ns) / 1e6)
        with self._reporter.answering(stamp, waited_ms, name) as answer:
            answer.words.update(stage.named)
            try:
                view = self._frames.view(message.header)
                base_from_object, covariance = _pose_in_base(message, view, self._corrections.get(name, ()))
            except Refusal as refusal:
                self._requests.fail(name, stamp, refusal.reason, str(refusal), instance)
                raise
            answer.numbers.update(view.numbers)
            planned = stage.plan(base_from_object, covariance,
                                 self._surroundings.others(name, stamp, self._frames.base_from,
                                                           message.pose.pose if instance else None),
                                 self._surroundings.depth(stamp, received_ns, self._frames.base_from),
                                 self._present_joints())
            answer.take(planned.outcome)
            header = to_header(stamp, self.parameters.base_frame)
            shown = planned.plan.grasps[:self.parameters.published_grasps]
            topics.publish(header, base_from_object, shown)
            answer.is_out()
            self._requests.answer(name, header, stamp, planned.plan, instance)
            topics.draw(header, shown, planned.plan)

    def _wanted(self, name: str, stamp: int, best: PoseWithCovarianceStamped) -> tuple[
            str, PoseWithCovarianceStamped]:
        """What to plan for in an image, once for each object: the instance that was asked for first and is seen
        there, with its id, else the best pose."""
        for instance in self._requests.instances_for(name, stamp):
            if (pose := self._seen.pose_of(instance, stamp)) is not None:
                return instance, pose
            self._requests.fail(name, stamp, INSTANCE_NOT_SEEN, self._not_seen(instance, stamp), instance)
        return '', best

    def _not_seen(self, instance: str, stamp: int) -> str:
        topic = self.resolve_topic_name('detections')
        if not self._seen.has(stamp):
            return f'{instance}: no detections of the image with stamp {stamp} ns have come on {topic}'
        return f'{instance} is not among the newest detections: {", ".join(self._seen.objects) or "none"}'

    def ask(self, wanted: str) -> PlanRequest:
        """A request for the next plan for an object or an instance, or for any where the name is empty."""
        return self._requests.ask(wanted, self.get_clock().now().nanoseconds,
                                  time.monotonic() + self.parameters.request_timeout_s,
                                  self._seen.objects if self._vision else None)

    async def on_plan(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Plan for the next image, and answer when the topics are out."""
        if not self.is_active:
            response.message = f'{NOT_ACTIVE}: the planner is not active'
            return response
        reply = await self.ask('').answered()
        response.success, response.message = not reply.reason, reply.text
        return response


def _pose_in_base(message: PoseWithCovarianceStamped, view: BaseView,
                  corrections: Sequence[Correction] = ()) -> tuple[np.ndarray, np.ndarray | None]:
    """base_from_object and its covariance in the base frame, with the errors of where the camera is.

    :param corrections: of the pose in its own frame, the camera's
    :raises Refusal: when the pose or its covariance is invalid
    """
    try:
        frame_from_object = messages.transform_from(message.pose.pose)
        covariance = messages.covariance_from(message)
        if covariance is not None:
            # Checked before it is rotated, so that an error states the numbers of the message.
            covariance = checked_covariance(covariance, LEAST_SIGMA)
        frame_from_object, covariance = corrected_pose(corrections, frame_from_object, covariance)
        if covariance is not None:
            covariance = rotate_covariance(covariance, view.base_from_frame[:3, :3]) + view.of_pose(
                frame_from_object)
    except (MessageError, PlanningError) as error:
        raise Refusal('bad_pose', str(error)) from error
    return view.base_from_frame @ frame_from_object, covariance


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(GraspPlannerNode, arguments)
