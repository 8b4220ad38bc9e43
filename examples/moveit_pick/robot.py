# SPDX-License-Identifier: Apache-2.0
"""Robot: the planner's grasps, MoveIt's motions and the gripper, each as one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import moveit_requests as ask
import numpy as np
from control_msgs.action import GripperCommand
from grasping_msgs.action import GraspPlanning
from moveit_msgs.action import ExecuteTrajectory, MoveGroup
from moveit_msgs.msg import CollisionObject, Grasp, MoveItErrorCodes, RobotTrajectory
from moveit_msgs.srv import ApplyPlanningScene, GetCartesianPath
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.node import Node
from servers import Servers
from settings import Settings
from way import PickError, Way

from posegrasp_ros.ros.collision_objects import SUPPORT
from posegrasp_ros.ros.qos import RESULT


class Motions(NamedTuple):
    """Planned one after the other, each from the end of the one before."""

    to_before: RobotTrajectory
    to_grasp: RobotTrajectory
    to_lifted: RobotTrajectory


class Robot:
    """Everything that is asked of others."""

    def __init__(self, node: Node, servers: Servers, settings: Settings):
        self._servers, self._settings = servers, settings
        self._scene: dict[str, CollisionObject] = {}
        self._objects = node.create_subscription(CollisionObject, settings.collision_object,
                                                 self._on_collision_object, RESULT)
        self._grasps: ActionClient = ActionClient(node, GraspPlanning, settings.plan_grasps)
        self._move: ActionClient = ActionClient(node, MoveGroup, 'move_action')
        self._line: Client = node.create_client(GetCartesianPath, 'compute_cartesian_path')
        self._execute: ActionClient = ActionClient(node, ExecuteTrajectory, 'execute_trajectory')
        self._apply: Client = node.create_client(ApplyPlanningScene, 'apply_planning_scene')
        self._gripper: ActionClient = ActionClient(node, GripperCommand, settings.gripper)

    def grasps(self) -> Sequence[Grasp]:
        """Of an image taken from now on, best first.

        :raises PickError: when the planner has none
        """
        chosen, goal = self._settings, GraspPlanning.Goal(group_name=self._settings.group)
        # The planner publishes the object when it has planned, and only to those who listen by then.
        self._servers.wait_until(self._objects.get_publisher_count,
                                 f'topic {chosen.collision_object}: the planner does not publish it')
        goal.object.name = chosen.object
        result, _ = self._servers.do(self._grasps, chosen.plan_grasps, goal, chosen.answer_s)
        if not result.grasps:
            raise PickError('no_grasp', f'{chosen.plan_grasps}: no grasp of {chosen.object or "any object"}: the '
                                        "planner's log says why, such as no pose or an unknown name")
        frame = result.grasps[0].grasp_pose.header.frame_id
        if frame != chosen.base_frame:
            raise PickError('settings', f'grasps are in {frame}, expected {chosen.base_frame}: set base_frame of '
                                        'the planner and of this node to the same')
        return result.grasps

    def add_to_scene(self, grasp: Grasp) -> CollisionObject:
        """Put the object of the grasp's image and its support into the scene; the object."""
        stamp, topic = grasp.grasp_pose.header.stamp, self._settings.collision_object
        def of_image() -> list[CollisionObject]:
            return [each for name, each in self._scene.items() if name != SUPPORT and each.header.stamp == stamp]

        self._servers.wait_until(of_image, f'topic {topic}: no object of the image of {grasp.id}')
        target = of_image()[0]
        self._apply_scene(ask.scene_with([*filter(None, [self._scene.get(SUPPORT)]), target]))
        return target

    def plan(self, way: Way, target: CollisionObject) -> Motions:
        """The whole way, before anything moves: around the object to the pose before the grasp, then straight.

        :raises PickError: unreachable
        """
        chosen = self._settings
        self._apply_scene(ask.scene_with([target]))
        planned, _ = self._servers.do(self._move, 'move_action', ask.to_pose_goal(chosen, way.before),
                                      chosen.planning_s + chosen.answer_s)
        points = planned.planned_trajectory.joint_trajectory.points
        if planned.error_code.val != MoveItErrorCodes.SUCCESS or not points:
            raise PickError('unreachable', f'to the pose before the grasp: {ask.error_name(planned.error_code)}')
        joints = planned.planned_trajectory.joint_trajectory.joint_names
        if set(joints) != set(chosen.joints):
            raise PickError('settings', f'parameter joints: MoveIt plans {", ".join(joints)} for group '
                                        f'{chosen.group}, got {", ".join(chosen.joints)}')
        # The fingers reach around it from here on; the planner has kept them off it.
        self._apply_scene(ask.scene_without(target))
        to_grasp = self._straight(planned.planned_trajectory, way.at_grasp, 'to the grasp')
        return Motions(planned.planned_trajectory, to_grasp, self._straight(to_grasp, way.lifted, 'to lift it'))

    def move(self, trajectory: RobotTrajectory, what: str) -> None:
        """Along a planned motion.

        :raises PickError: when the arm did not get there
        """
        result, succeeded = self._servers.do(self._execute, 'execute_trajectory', ask.execution(trajectory),
                                             self._settings.motion_s)
        if not succeeded or result.error_code.val != MoveItErrorCodes.SUCCESS:
            raise PickError('motion', f'{what}: {ask.error_name(result.error_code)}')

    def grip(self, position: float, force_n: float) -> float:
        """Move the gripper; where it has come to.

        :raises PickError: when the gripper neither got there nor was stopped by something
        """
        goal = GripperCommand.Goal()
        goal.command.position, goal.command.max_effort = position, force_n
        result, _ = self._servers.do(self._gripper, self._settings.gripper, goal, self._settings.answer_s)
        if not (result.reached_goal or result.stalled):
            raise PickError('gripper', f'action {self._settings.gripper}: neither at {position:g} nor stalled: '
                                       f'it is at {result.position:g}')
        return float(result.position)

    def attach(self, target: CollisionObject, lifted_by: np.ndarray) -> None:
        """What is held moves with the tool in the scene."""
        self._apply_scene(ask.scene_held(self._settings, target, lifted_by))

    def _straight(self, after: RobotTrajectory, base_from_tool: np.ndarray, what: str) -> RobotTrajectory:
        found = self._servers.call(self._line, ask.straight_line(self._settings, after, base_from_tool))
        if found.error_code.val != MoveItErrorCodes.SUCCESS or found.fraction < 1.0:
            raise PickError('unreachable', f'{what}: {100 * found.fraction:.0f} % of the straight line, '
                                           f'{ask.error_name(found.error_code)}')
        return found.solution

    def _apply_scene(self, request: Any) -> None:
        if not self._servers.call(self._apply, request).success:
            raise PickError('scene', 'service apply_planning_scene: MoveIt refused the change; its log says why')

    def _on_collision_object(self, message: CollisionObject) -> None:
        self._scene[message.id] = message
