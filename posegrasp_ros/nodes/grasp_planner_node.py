"""Grasp planner node: an object's pose in, ranked grasps and the approach to the best of them out."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.geometry import NO_SYMMETRY, rotate_covariance
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.library import load_grasps
from posegrasp_ros.grasping.planner import GraspPlanner, PlannedGrasp, Scene
from posegrasp_ros.resources import resource_path
from posegrasp_ros.ros import markers, messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode, run_node
from posegrasp_ros.ros.messages import MessageError, stamp_ns, to_header
from posegrasp_ros.ros.optional import TransformListenerIfInstalled
from posegrasp_ros.ros.parameters import parameter, pose_parameter
from posegrasp_ros.ros.reporting import Refusal, StageReporter


@dataclass(frozen=True)
class GraspPlannerParameters:
    """Parameters of the grasp planner node; they count from the next configure on."""

    model: str = parameter('', 'Folder with model.yaml. Empty: the box that comes with the package.')
    gripper: str = parameter('', 'Gripper file. Empty: the Franka Hand that comes with the package.')
    grasps: str = parameter('', "Grasp set in isaac_grasp YAML. Empty: the model's grasps.yaml.")
    base_frame: str = parameter('base', 'Frame of the grasps; z points up.')
    base_from_camera: tuple[float, ...] = parameter(
        (), 'Pose of the camera in the base frame: x, y, z, qx, qy, qz, qw, metres. Empty: TF is asked.')
    support_plane: bool = parameter(True, 'Whether the object stands on a plane that the gripper must not touch.')
    support_height_m: float = parameter(0.0, 'Height of the plane in the base frame.', minimum=-9.0, maximum=9.0)
    published_grasps: int = parameter(20, 'How many grasps to publish and draw at most.', minimum=1, maximum=1000)


class GraspPlannerNode(AutostartLifecycleNode):
    """Wires a grasp planner to the pose topic."""

    PARAMETERS = GraspPlannerParameters
    parameters: GraspPlannerParameters

    def __init__(self, **options):
        super().__init__('grasp_planner', **options)

    def configure(self) -> None:
        chosen = self.parameters
        self._gripper = load_gripper(chosen.gripper)
        # Grasps of one's own need no model; with one, its symmetry counts for them too.
        needs_card = chosen.model or not chosen.grasps
        card = load_model_card(chosen.model or resource_path('models/box')) if needs_card else None
        grasps_path = chosen.grasps or card.grasps_path
        grasp_set = load_grasps(grasps_path, self._gripper)
        self._planner = GraspPlanner(self._gripper, grasp_set, symmetry=card.symmetry if card else NO_SYMMETRY)
        self._scene = Scene(support_height_m=chosen.support_height_m if chosen.support_plane else None)
        self._base_from_camera = pose_parameter('base_from_camera', chosen.base_from_camera)
        self._transforms = None if self._base_from_camera is not None else TransformListenerIfInstalled(self)
        if self._transforms and not self._transforms.available:
            self.get_logger().warning('base_from_camera is not set and tf2_ros is not installed: only poses in '
                                      f'{chosen.base_frame!r} can be planned for')
        self._reporter = StageReporter(self, 'planning')
        self._grasps_out = self.publisher(PoseArray, '~/grasps', qos.RESULT)
        self._best_grasp_out = self.publisher(PoseStamped, '~/best_grasp', qos.RESULT)
        self._approach_out = self.publisher(Path, '~/approach', qos.RESULT)
        self._opening_out = self.publisher(JointState, '~/gripper', qos.RESULT)
        self._markers_out = self.publisher(MarkerArray, '~/markers', qos.RESULT)
        self.get_logger().info(f'{len(grasp_set.grasps)} grasps of {grasps_path} for {self._gripper.name}')

    def activate(self) -> None:
        self.subscribe(PoseWithCovarianceStamped, 'pose', self.on_pose, qos.RESULT)

    def cleanup(self) -> None:
        self._planner = None
        if self._transforms:
            self._transforms.close()

    def on_pose(self, message: PoseWithCovarianceStamped) -> None:
        """Plan for one pose; the image's stamp travels on."""
        stamp = stamp_ns(message.header.stamp)
        with self._reporter.answering(stamp) as answer:
            base_from_object, covariance = self._pose_in_base(message)
            plan = self._planner.plan(base_from_object, covariance, self._scene)
            answer.reason = plan.reason
            answer.numbers.update(plan.numbers)
            header = to_header(stamp, self.parameters.base_frame)
            shown = plan.grasps[:self.parameters.published_grasps]
            self._publish(header, shown)
            answer.is_out()
            self._markers_out.publish(markers.of_grasps(header, self._gripper, shown))

    def _pose_in_base(self, message: PoseWithCovarianceStamped) -> tuple[np.ndarray, np.ndarray | None]:
        """base_from_object and its covariance in the base frame.

        :raises Refusal: when the pose is none, or it is not known where the camera is
        """
        try:
            camera_from_object = messages.transform_from(message.pose.pose)
            covariance = messages.covariance_from(message)
        except MessageError as error:
            raise Refusal('bad_pose', str(error)) from error
        base_from_camera = self._camera_pose(message.header)
        if covariance is not None:
            covariance = rotate_covariance(covariance, base_from_camera[:3, :3])
        return base_from_camera @ camera_from_object, covariance

    def _camera_pose(self, header: Header) -> np.ndarray:
        """(4, 4) base_from_camera when the image was taken."""
        if self._base_from_camera is not None:
            return self._base_from_camera
        base_frame = self.parameters.base_frame
        if header.frame_id == base_frame:
            return np.eye(4)
        found, why_not = self._transforms.lookup(base_frame, header.frame_id, header.stamp)
        if found is None:
            raise Refusal('no_camera_pose', f'where {header.frame_id!r} lies in {base_frame!r} is not known '
                                            f'({why_not}): set base_from_camera or publish it to TF')
        return messages.matrix_from(found.transform)

    def _publish(self, header: Header, grasps: list[PlannedGrasp]) -> None:
        self._grasps_out.publish(messages.to_pose_array(header, [grasp.base_from_tcp for grasp in grasps]))
        if grasps:
            best = grasps[0]
            self._best_grasp_out.publish(messages.to_pose_stamped(header, best.base_from_tcp))
            self._opening_out.publish(messages.to_gripper(header, best.opening_m, best.force_n))
            self._approach_out.publish(messages.to_path(header, best.approach))


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(GraspPlannerNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
