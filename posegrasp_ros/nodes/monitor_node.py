# SPDX-License-Identifier: Apache-2.0
"""Monitor node: joins the reports of all stages, compares them with the baselines, and keeps them in a run folder.

A robot reports the result of a pick in one of two ways. The exact one is a ``diagnostic_msgs/DiagnosticArray`` on
``execution_report``, in the shape of every stage report::

    header.stamp   stamp of the image that the pick came from: that of ~/best_grasp, ~/approach and ~/gripper
    status         exactly one:
      name         'posegrasp: execution'
      level        OK when the object was lifted, else ERROR
      message      empty when lifted, else a short word such as 'missed', 'slipped', 'collided'
      values       named numbers as text, any or none: {key: 'latency_ms', value: '5230.0'}; with 'sequence' ('0',
                   '1', ...) and 'publisher' (any text, another one after each start) lost reports are noticed

The simple one is two services: ``~/begin_pick`` (``std_srvs/Trigger``) when the arm starts the newest
plan, and ``~/end_pick`` (``std_srvs/SetBool``, true when the object was lifted) at the end. A pick without a
begin counts for the newest plan at its end. The result is published as such a report on ``~/execution_report``,
so that it can be recorded.

Poses may be those of any other node, which sends no reports: see the parameter ``any_poses``.

With several objects a report names one in its values (``{key: 'object', value: NAME}``), and the services are
``~/NAME/begin_pick`` and ``~/NAME/end_pick``.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import CameraInfo
from std_srvs.srv import SetBool, Trigger

from posegrasp_ros.datasets.message_fields import truth_covariance_of
from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.datasets.visible_shares import visible_share_of
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.geometry.true_pose import TruthSigmas
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.robustness.pose_check import PoseCheck
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.compiling import compile_metrics
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.report_message import reports_sent
from posegrasp_ros.metrics.run import GraspTolerates
from posegrasp_ros.metrics.stage_report import STAGES
from posegrasp_ros.monitoring.live_run import LiveRun
from posegrasp_ros.monitoring.liveness import OK
from posegrasp_ros.monitoring.object_watch import LiveObject
from posegrasp_ros.monitoring.prometheus_endpoint import open_endpoint
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.any_poses import AnyPoses, class_ids, image_stamp_of, pose_types
from posegrasp_ros.ros.drained_group import DrainedGroup
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.ros.monitor_parameters import MonitorParameters
from posegrasp_ros.ros.moveit_grasps import grasp_id
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.object_topics import joined, load_models, visible_share_topic
from posegrasp_ros.ros.optional import TransformListenerIfInstalled
from posegrasp_ros.ros.parameters import ParameterError
from posegrasp_ros.ros.pose_corrections import corrections_of
from posegrasp_ros.runs.provenance import describe_run
from posegrasp_ros.runtime.errors import escaped
from posegrasp_ros.sensing.camera_info_join import CameraInfoJoin

# Nobody waits for a monitor, so it takes what has come a few times a second.
DRAIN_EVERY_S = 0.1
VERDICTS_EVERY_S = 1.0


class MonitorNode(AutostartLifecycleNode):
    """Wires the metrics to the reports of all stages."""

    PARAMETERS = MonitorParameters
    parameters: MonitorParameters

    def __init__(self, **options: Any) -> None:
        super().__init__('monitor', **options)

    def configure(self) -> None:
        chosen = self.parameters
        cards = load_models(chosen.model, chosen.models)
        if chosen.grasps and len(cards) > 1:
            raise ParameterError('parameter grasps: with several models each has the grasps of its folder, got '
                                 f'{chosen.grasps}')
        self._truth_sigmas = TruthSigmas.stated(chosen.truth_sigma_mm, chosen.truth_sigma_deg)
        about: dict[str, Any] = {'provenance': describe_run(
            cards, chosen.seed if chosen.seed >= 0 else None,
            {'truth_sigmas': asdict(self._truth_sigmas)} if self._truth_sigmas else None)}
        if chosen.estimator:
            about['estimator'] = chosen.estimator
        baselines = load_baselines(chosen.baselines or None)
        self._objects = tuple(cards)
        objects = {name or card.name: self._live_object(card) for name, card in cards.items()}
        # What is compiled at its first use is compiled now, while no images wait.
        compile_metrics(next(iter(objects.values())).target)
        self._classes = class_ids(chosen.pose_classes, cards)
        self._corrections = corrections_of(chosen.corrections, tuple(cards), partial(self.say_once, warn=True))
        self._camera_frame = ''
        self._transforms = TransformListenerIfInstalled(self) if chosen.any_poses else None
        self._infos = CameraInfoJoin()
        self._camera: StatedCamera | None = None
        self._verdict_out = self.publisher(DiagnosticArray, '~/verdict', qos.LATCHED)
        self._execution_out = self.publisher(DiagnosticArray, '~/execution_report', qos.RESULT)
        self._prometheus = open_endpoint(chosen.prometheus_port, chosen.prometheus_address,
                                         self.get_logger().error)
        # Last: a monitor that cannot be configured begins no run.
        self._run = LiveRun(objects, baselines, self._keeper(), chosen.silence_s, about, chosen.most_images,
                            chosen.block_s, truth_sigmas=self._truth_sigmas)

    def activate(self) -> None:
        # Drained in this order: what is said of an image comes after the image and its camera.
        camera, answers = self._groups = DrainedGroup(), DrainedGroup()
        self.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self.on_camera_info, qos.COUNTED_SENSOR, camera)
        for name in self._objects:
            self.subscribe_sensor(messages.GROUND_TRUTH, joined(self, name, 'ground_truth'),
                                  self.ground_truth_of(name), qos.COUNTED_SENSOR, answers)
            self.subscribe(DiagnosticArray, visible_share_topic(self, name), self.visible_share_of(name),
                           qos.COUNTED, answers)
            self._serve_picks(name)
        if self._transforms:
            for name in self._objects:
                self._hear_any_poses(name, self._transforms, answers)
        self._answers = [
            *(self.subscribe(PoseWithCovarianceStamped, joined(self, name, 'pose'), self.pose_of(name),
                             qos.COUNTED, answers) for name in self._objects if not self._transforms),
            *(self.subscribe(DiagnosticArray, f'{stage}_report', self.on_report, qos.COUNTED, answers)
              for stage in STAGES)]
        self.subscribe(DiagnosticArray, '/diagnostics', self.on_diagnostics, qos.COUNTED, answers)
        self.every(DRAIN_EVERY_S, self.drain)
        self.every(VERDICTS_EVERY_S, self.publish_verdict)
        self.every(self.parameters.summary_every_s, self._run.summarise)

    def drain(self) -> None:
        """Take the received messages; publish at once when a stage falls silent or resumes."""
        self._take()
        if self._run.has_news():
            self.publish_diagnostics()

    def deactivate(self) -> None:
        """Write what is known, all images included."""
        self._run.write_summary()

    def cleanup(self) -> None:
        self._run.close()
        if self._transforms:
            self._transforms.close()
            self._transforms = None
        if self._prometheus:
            self._prometheus.close()
            self._prometheus = None

    def on_camera_info(self, message: CameraInfo) -> None:
        stamp, now_ns = stamp_ns(message.header.stamp), time.time_ns()
        self._infos.add(stamp, message, now_ns)
        self._camera_frame = message.header.frame_id.lstrip('/')
        stated = self._infos.of(stamp, now_ns)
        if isinstance(stated, StatedCamera) and stated is not self._camera:
            self._camera = stated
            self._run.camera(stated.raw.matrix, stated.raw.width)
        self._run.image(stamp)
        if self._prometheus:
            self._prometheus.image()

    def ground_truth_of(self, name: str) -> Callable[[messages.GroundTruthMessage], None]:
        """Callback for the ground truth of one object."""
        def on_ground_truth(message: messages.GroundTruthMessage) -> None:
            covariance = truth_covariance_of(message, partial(self.say_once, warn=True), bool(self._truth_sigmas))
            self._run.truth(stamp_ns(message.header.stamp), lambda: messages.truth_from(message), name, covariance)

        return on_ground_truth

    def visible_share_of(self, name: str) -> Callable[[DiagnosticArray], None]:
        """Callback for how much of one object is visible."""
        def on_visible_share(message: DiagnosticArray) -> None:
            self._run.visible_share(stamp_ns(message.header.stamp), lambda: visible_share_of(message), name)

        return on_visible_share

    def pose_of(self, name: str) -> Callable[[PoseWithCovarianceStamped], None]:
        """Callback for the best pose of one object."""
        def on_pose(message: PoseWithCovarianceStamped) -> None:
            # Unchecked: unlike the planner, which must not use an invalid one, the metrics count it as wrong.
            covariance = np.asarray(message.pose.covariance, dtype=float).reshape(6, 6)
            self._run.estimate(stamp_ns(message.header.stamp), lambda: messages.transform_from(message.pose.pose),
                               covariance, name)

        return on_pose

    def _hear_any_poses(self, name: str, transforms: TransformListenerIfInstalled, group: DrainedGroup) -> None:
        """Take the poses of a node without reports of its own."""
        poses = AnyPoses(self, name, self._classes[name], transforms, self._corrections.get(name, ()))
        kinds = pose_types()

        def on_poses(message: Any) -> None:
            image_ns = image_stamp_of(message)
            kind = next(kind for kind, each in kinds.items() if isinstance(message, each))
            best = self._run.stated(lambda: poses.best(message, kind, self._camera_frame))
            if best is None and kind.startswith('tf2_msgs/'):
                return  # /tf tells of other frames too
            report = self._run.report(lambda: poses.report(best, image_ns))
            if best is not None:
                covariance = np.zeros((6, 6)) if best.covariance is None else best.covariance
                self._run.estimate(image_ns, lambda: best.frame_from_object, covariance, name)
            if self._prometheus:
                self._prometheus.report(report)

        self.subscribe_sensor(kinds, joined(self, name, 'pose'), on_poses, qos.COUNTED_SENSOR, group)

    def on_report(self, message: DiagnosticArray) -> None:
        report = self._run.report(lambda: messages.report_from(message))
        if self._prometheus:
            self._prometheus.report(report)

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Nodes say how many reports they have sent."""
        for stage, publisher, count in reports_sent(message):
            self._run.sent(stage, publisher, count)

    def _serve_picks(self, name: str) -> None:
        """Take the picks of one object."""
        def on_begin_pick(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            """The robot sets out with the newest plan."""
            return self._answer(response, lambda: self._run.begin_pick(name))

        def on_end_pick(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
            """The robot tells how that went."""
            return self._answer(response, lambda: self._end_pick(request.data, name))

        self.serve(Trigger, below(name, '~/begin_pick'), on_begin_pick)
        self.serve(SetBool, below(name, '~/end_pick'), on_end_pick)

    def _end_pick(self, lifted: bool, name: str) -> int:
        report = self._run.end_pick(lifted, name)
        self._execution_out.publish(messages.to_report(report))
        if self._prometheus:
            self._prometheus.report(report)
        return report.stamp_ns

    def _answer(self, response: Any, step: Callable[[], int]) -> Any:
        """Fill a service's response with which plan is meant, or why none is."""
        self.drain()
        try:
            stamp = step()
            response.message = f'grasp {grasp_id(stamp, 0)}, the best of the image with stamp {stamp} ns'
            response.success = True
        except ValueError as error:
            response.message = str(error)
        return response

    def publish_diagnostics(self) -> None:
        """Say how the camera, every stage, the messages, the verdicts and the run folder are."""
        healths = []
        try:
            self._take()
            self._look_at_publishers()
            healths = self._run.healths()
        finally:
            # What fails here is said all the same, the next time.
            self._diagnose([*healths, self.condition()])
        if self._prometheus:
            self._prometheus.health(healths)

    def publish_verdict(self) -> None:
        """Compare with the baselines all images that had time to be answered."""
        self._take()
        verdicts = self._run.verdicts()
        self._verdict_out.publish(messages.to_verdicts(self.get_clock().now().to_msg(), verdicts))
        if self._prometheus:
            self._prometheus.verdicts(verdicts)

    def _look_at_publishers(self) -> None:
        for subscription in self._answers:
            publishers = self.get_publishers_info_by_topic(subscription.topic_name)
            unheard = sum(not qos.can_be_heard(publisher.qos_profile, subscription.qos_profile)
                          for publisher in publishers)
            self._run.publishers(subscription.topic_name, len(publishers), unheard)

    def _take(self) -> None:
        """Whatever is said of the others is said after what they have said."""
        self._run.look()
        for group in self._groups:
            group.drain()

    def _live_object(self, card: ModelCard) -> LiveObject:
        target = ErrorTarget.from_mesh(card.mesh, card.symmetry, card.tolerance)
        is_network = self.parameters.estimator in ('', 'onnx')  # others have figures of their own
        return LiveObject(target, self._pose_check(card), card.identity,
                          card.calibration.figures if is_network else {})

    def _pose_check(self, card: ModelCard) -> GraspTolerates | None:
        """Tells whether a planned grasp tolerates the error of its pose."""
        gripper = load_gripper(self.parameters.gripper)
        path = Path(self.parameters.grasps or card.grasps_path)
        if not (self.parameters.grasps or card.has_grasps):
            self.say_once(f'{path}: no such file: poses are held against the stated need, not against grasps')
            return None
        grasp_set = load_grasps(path, gripper, card.mesh)
        return PoseCheck.fitted(card.mesh, gripper, grasp_set, card.symmetry).holds

    def _keeper(self) -> RunKeeper:
        """What keeps the run; a monitor without a disk still monitors."""
        path = Path(self.parameters.out or f'runs/{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}').absolute()
        def complain(line: str) -> None:
            self.get_logger().error(escaped(line), throttle_duration_sec=5.0)

        keeper = RunKeeper(path, self.parameters.most_megabytes * 1_000_000 or None, complain)
        if keeper.health().level == OK:
            self.get_logger().info(escaped(f'run folder: {keeper.path}'))
        return keeper


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(MonitorNode, arguments)
