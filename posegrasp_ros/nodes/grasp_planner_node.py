"""Grasp planner node: an object's pose in, ranked grasps and the approach to the best of them out."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, rotate_covariance
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.given_pose import LEAST_SIGMA, checked_covariance
from posegrasp_ros.grasping.planning.plan import Plan, PlannedGrasp, PlanningError
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_stage import PlanningStage
from posegrasp_ros.ros import markers, messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import MessageError, stamp_ns, to_header
from posegrasp_ros.ros.moveit_grasps import moveit_messages, to_moveit_grasp
from posegrasp_ros.ros.node_main import run_node
from posegrasp_ros.ros.optional import TransformListenerIfInstalled
from posegrasp_ros.ros.parameters import pose_parameter
from posegrasp_ros.ros.planning_parameters import (
    GraspPlannerParameters,
    fixed_scene,
    planner_options,
    reach_of,
)
from posegrasp_ros.ros.reporting import Refusal, StageReporter
from posegrasp_ros.ros.surroundings import Surroundings
from posegrasp_ros.runtime.errors import escaped
from posegrasp_ros.runtime.resources import model_folder

# How long a pose waits for what else belongs to its image; twice at most, for a timer may come first.
PATIENCE_S = 0.05


@dataclass
class Pending:
    """A pose that waits for the other instances or the depth of its stamp.

    :param timeouts: how often it was looked after
    """

    message: PoseWithCovarianceStamped
    received_ns: int
    timeouts: int = 0


class GraspPlannerNode(AutostartLifecycleNode):
    """Wires a grasp planner to the pose topic."""

    PARAMETERS = GraspPlannerParameters
    parameters: GraspPlannerParameters

    def __init__(self, **options):
        super().__init__('grasp_planner', **options)

    def configure(self) -> None:
        chosen = self.parameters
        self._gripper = load_gripper(chosen.gripper)
        # Grasps of one's own need no model; with one, its mesh and symmetry count for them too.
        needs_card = chosen.model or not chosen.grasps
        card = load_model_card(model_folder(chosen.model)) if needs_card else None
        mesh, symmetry = (card.mesh, card.symmetry) if card else (None, NO_SYMMETRY)
        grasps_path = chosen.grasps or card.grasps_path
        grasp_set = load_grasps(grasps_path, self._gripper, mesh)
        planner = GraspPlanner(self._gripper, grasp_set, planner_options(chosen), symmetry, mesh,
                               reach_of(chosen, self._gripper))
        self._surroundings = Surroundings(chosen, mesh, self.resolve_topic_name('camera_info'),
                                          self.resolve_topic_name('depth'))
        self.stage = PlanningStage(planner, fixed_scene(chosen), card.identity if card else '',
                                   mesh if self._surroundings.sees_depth else None)
        self._pending: Pending | None = None
        self._base_from_camera = pose_parameter('base_from_camera', chosen.base_from_camera)
        self._camera_frame = chosen.camera_frame
        self._transforms = TransformListenerIfInstalled(self)
        if self._base_from_camera is None and not self._transforms.available:
            self.get_logger().warning('base_from_camera is not set and tf2_ros is not installed: only poses in '
                                      f'{chosen.base_frame!r} can be planned for')
        self._make_publishers()
        self.get_logger().info(
            escaped(f'{len(grasp_set.grasps)} grasps of {grasps_path} for {self._gripper.name}'))

    def _make_publishers(self) -> None:
        self._reporter = StageReporter(self, 'planning')
        self._grasps_out = self.publisher(PoseArray, '~/grasps', qos.RESULT)
        self._best_grasp_out = self.publisher(PoseStamped, '~/best_grasp', qos.RESULT)
        self._approach_out = self.publisher(Path, '~/approach', qos.RESULT)
        self._opening_out = self.publisher(JointState, '~/gripper', qos.RESULT)
        self._markers_out = self.publisher(MarkerArray, '~/markers', qos.RESULT)
        self._discarded_out = self.publisher(MarkerArray, '~/discarded', qos.RESULT)
        self._moveit = moveit_messages()
        if self._moveit:
            self._moveit_out = self.publisher(self._moveit.Grasp, '~/moveit_grasp', qos.RESULT)
        else:
            self.say_once('moveit_msgs is not installed: ~/moveit_grasp is not published')

    def activate(self) -> None:
        # What belongs to a pose comes first: of messages that arrive together, the executor takes these before it.
        if self._surroundings.sees_instances:
            self.subscribe(PoseArray, 'poses', self.on_poses, qos.RESULT)
        if self._surroundings.sees_depth:
            self.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self.on_camera_info, qos.SENSOR)
            self.subscribe_sensor(messages.DEPTH, 'depth', self.on_depth, qos.RECENT)
        self.subscribe(PoseWithCovarianceStamped, 'pose', self.on_pose, qos.RESULT)
        # It runs while a pose waits only.
        self._patience = self.every(PATIENCE_S, self.check_pending)
        self._patience.cancel()

    def deactivate(self) -> None:
        self._pending = None

    def cleanup(self) -> None:
        self.stage = self._surroundings = None
        self._transforms.close()

    def on_poses(self, message: PoseArray) -> None:
        """Keep the instances; the pose that came before them is answered now."""
        self._surroundings.add_poses(message)
        self._answer_if_complete()

    def on_depth(self, message: Image) -> None:
        """Keep the depth; the pose that came before it is answered now."""
        self._surroundings.add_depth(message)
        self._answer_if_complete()

    def on_camera_info(self, message: CameraInfo) -> None:
        """Keep the intrinsics of the depth."""
        error = self._surroundings.add_camera_info(message, time.time_ns())
        if error:
            self.get_logger().error(str(error))

    def on_pose(self, message: PoseWithCovarianceStamped) -> None:
        """Plan for one pose, at once or when what belongs to it is here; the image's stamp travels on."""
        if self._pending:
            self._answer_pending()
        self._pending = Pending(message, time.time_ns())
        self._patience.reset()
        self._answer_if_complete()

    def check_pending(self) -> None:
        """Make an end of waiting."""
        if self._pending:
            self._pending.timeouts += 1
        self._answer_if_complete()

    def _answer_if_complete(self) -> None:
        if self._pending is None:
            return
        stamp = stamp_ns(self._pending.message.header.stamp)
        has_instances = self._surroundings.has_instances(stamp) or not self.count_publishers(
            self.resolve_topic_name('poses'))
        if self._pending.timeouts > 1 or (has_instances and self._surroundings.has_depth(stamp)):
            self._answer_pending()

    def _answer_pending(self) -> None:
        """Answer the pose that waits: all that belongs to it is here, or there is no more time."""
        pending, self._pending = self._pending, None
        self._patience.cancel()
        self._answer(pending.message, pending.received_ns)

    def _answer(self, message: PoseWithCovarianceStamped, received_ns: int) -> None:
        stamp = stamp_ns(message.header.stamp)
        waited_ms = max(0.0, (time.time_ns() - received_ns) / 1e6)
        with self._reporter.answering(stamp, waited_ms) as answer:
            answer.words.update(self.stage.named)
            base_from_object, covariance = _pose_in_base(message, self._base_from(message.header))
            planned = self.stage.plan(base_from_object, covariance,
                                      self._surroundings.others(stamp, self._base_from),
                                      self._surroundings.depth(stamp, received_ns, self._base_from))
            answer.take(planned.outcome)
            header = to_header(stamp, self.parameters.base_frame)
            shown = planned.plan.grasps[:self.parameters.published_grasps]
            self._publish(header, shown)
            answer.is_out()
            self._draw(header, shown, planned.plan)

    def _base_from(self, header: Header) -> np.ndarray:
        """(4, 4) base_from_frame of the frame that a header names, at its stamp.

        :raises Refusal: when nothing tells
        """
        base_frame, frame = self.parameters.base_frame, header.frame_id
        if frame == base_frame:
            return np.eye(4)
        if self._base_from_camera is not None:
            if not self._camera_frame:
                self._camera_frame = frame
                self.get_logger().info(f'base_from_camera is taken for that of {frame!r}, the frame of the first '
                                       'pose; the parameter camera_frame names another')
            if frame == self._camera_frame:
                return self._base_from_camera
        found, why_not = self._transforms.lookup(base_frame, frame, header.stamp)
        if found is None:
            given = f'base_from_camera is that of {self._camera_frame!r}: set camera_frame' \
                if self._base_from_camera is not None else 'set base_from_camera'
            raise Refusal('no_camera_pose', f'where {frame!r} lies in {base_frame!r} is not known ({why_not}): '
                                            f'{given} or publish it to TF')
        return messages.matrix_from(found.transform)

    def _publish(self, header: Header, grasps: list[PlannedGrasp]) -> None:
        self._grasps_out.publish(messages.to_pose_array(header, [grasp.base_from_tcp for grasp in grasps]))
        if grasps:
            best = grasps[0]
            self._best_grasp_out.publish(messages.to_pose_stamped(header, best.base_from_tcp))
            self._opening_out.publish(messages.to_gripper(header, best.opening_m, best.force_n))
            self._approach_out.publish(messages.to_path(header, best.approach))
            if self._moveit:
                self._moveit_out.publish(to_moveit_grasp(self._moveit, header, self._gripper, best))

    def _draw(self, header: Header, shown: list[PlannedGrasp], plan: Plan) -> None:
        self._markers_out.publish(markers.of_grasps(header, self._gripper, shown))
        if self._discarded_out.get_subscription_count():
            self._discarded_out.publish(markers.of_discarded(header, self._gripper, plan.discarded))


def _pose_in_base(message: PoseWithCovarianceStamped,
                  base_from_frame: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """base_from_object and its covariance in the base frame.

    :raises Refusal: when the pose or its covariance is none
    """
    try:
        frame_from_object = messages.transform_from(message.pose.pose)
        covariance = messages.covariance_from(message)
        if covariance is not None:
            # Before it is turned: an error then names the numbers of the message.
            covariance = rotate_covariance(checked_covariance(covariance, LEAST_SIGMA), base_from_frame[:3, :3])
    except (MessageError, PlanningError) as error:
        raise Refusal('bad_pose', str(error)) from error
    return base_from_frame @ frame_from_object, covariance


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(GraspPlannerNode, arguments)
