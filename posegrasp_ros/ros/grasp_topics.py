# SPDX-License-Identifier: Apache-2.0
"""GraspTopics: what the grasp planner publishes for one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.plan import Plan, PlannedGrasp
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.ros import markers, messages, qos
from posegrasp_ros.ros.collision_objects import (
    collision_messages,
    object_mesh_message,
    seen_object,
    support_plane,
)
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.moveit_grasps import moveit_messages, to_moveit_grasp
from posegrasp_ros.ros.optional import import_optional


class GraspTopics:
    """Publishes plans for one object.

    :param name: of the object; empty for the only one, whose topics lie directly below the node
    """

    def __init__(self, node: AutostartLifecycleNode, name: str, gripper: EndEffector, card: ModelCard | None,
                 scene: Scene):
        self._gripper, self._scene = gripper, scene
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
            node.say_once('moveit_msgs is not installed: ~/moveit_grasp and ~/collision_object are not published')
        self._shapes = collision_messages() if card else None
        if self._shapes and card:
            self._name, self._mesh = card.name, object_mesh_message(self._shapes, card.mesh)
            self._object_out = node.publisher(self._shapes.CollisionObject, below(name, '~/collision_object'),
                                              qos.RESULT)
        control = import_optional('control_msgs.msg')
        self._command: Any = control and control.GripperCommand
        if self._command:
            self._command_out = node.publisher(self._command, below(name, '~/gripper_command'), qos.RESULT)
        else:
            node.say_once('control_msgs is not installed: ~/gripper_command is not published')

    def publish(self, header: Header, base_from_object: np.ndarray, grasps: Sequence[PlannedGrasp]) -> None:
        """The object and the grasps for it, best first, and the way to the best of them."""
        self._publish_object(header, base_from_object)
        self._grasps_out.publish(messages.to_pose_array(header, [grasp.base_from_tcp for grasp in grasps]))
        if grasps:
            best = grasps[0]
            self._best_grasp_out.publish(messages.to_pose_stamped(header, best.base_from_tcp))
            self._opening_out.publish(messages.to_gripper(header, best.opening_m, best.force_n))
            self._approach_out.publish(messages.to_path(header, best.approach))
            if self._command:
                self._command_out.publish(self._command(position=float(best.opening_m),
                                                        max_effort=float(best.force_n)))
            if self._moveit:
                self._moveit_out.publish(to_moveit_grasp(self._moveit, header, self._gripper, best))

    def _publish_object(self, header: Header, base_from_object: np.ndarray) -> None:
        """What MoveIt's scene takes, as long as someone listens."""
        if self._shapes and self._object_out.get_subscription_count():
            if (support := support_plane(self._shapes, header, self._scene)) is not None:
                self._object_out.publish(support)
            self._object_out.publish(seen_object(self._shapes, header, self._name, self._mesh, base_from_object))

    def draw(self, header: Header, shown: Sequence[PlannedGrasp], plan: Plan) -> None:
        """What rviz shows: the published grasps, and why the others were rejected."""
        self._markers_out.publish(markers.of_grasps(header, self._gripper, shown))
        if self._discarded_out.get_subscription_count():
            self._discarded_out.publish(markers.of_discarded(header, self._gripper, plan.discarded))
