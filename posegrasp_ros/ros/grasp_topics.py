"""GraspTopics: what the grasp planner publishes for one object."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import PoseArray, PoseStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.plan import Plan, PlannedGrasp
from posegrasp_ros.ros import markers, messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.moveit_grasps import moveit_messages, to_moveit_grasp


class GraspTopics:
    """Publishes plans for one object.

    :param name: of the object; empty for the only one, whose topics lie directly below the node
    """

    def __init__(self, node: AutostartLifecycleNode, name: str, gripper: EndEffector):
        self._gripper = gripper
        self._grasps_out = node.publisher(PoseArray, below(name, '~/grasps'), qos.RESULT)
        self._best_grasp_out = node.publisher(PoseStamped, below(name, '~/best_grasp'), qos.RESULT)
        self._approach_out = node.publisher(Path, below(name, '~/approach'), qos.RESULT)
        self._opening_out = node.publisher(JointState, below(name, '~/gripper'), qos.RESULT)
        self._markers_out = node.publisher(MarkerArray, below(name, '~/markers'), qos.RESULT)
        self._discarded_out = node.publisher(MarkerArray, below(name, '~/discarded'), qos.RESULT)
        self._moveit = moveit_messages()
        if self._moveit:
            self._moveit_out = node.publisher(self._moveit.Grasp, below(name, '~/moveit_grasp'), qos.RESULT)
        else:
            node.say_once('moveit_msgs is not installed: ~/moveit_grasp is not published')

    def publish(self, header: Header, grasps: Sequence[PlannedGrasp]) -> None:
        """The grasps for one pose, best first, and the way to the best of them."""
        self._grasps_out.publish(messages.to_pose_array(header, [grasp.base_from_tcp for grasp in grasps]))
        if grasps:
            best = grasps[0]
            self._best_grasp_out.publish(messages.to_pose_stamped(header, best.base_from_tcp))
            self._opening_out.publish(messages.to_gripper(header, best.opening_m, best.force_n))
            self._approach_out.publish(messages.to_path(header, best.approach))
            if self._moveit:
                self._moveit_out.publish(to_moveit_grasp(self._moveit, header, self._gripper, best))

    def draw(self, header: Header, shown: Sequence[PlannedGrasp], plan: Plan) -> None:
        """What rviz shows: the published grasps, and why the others were rejected."""
        self._markers_out.publish(markers.of_grasps(header, self._gripper, shown))
        if self._discarded_out.get_subscription_count():
            self._discarded_out.publish(markers.of_discarded(header, self._gripper, plan.discarded))
