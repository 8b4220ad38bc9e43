# SPDX-License-Identifier: Apache-2.0
"""What MoveIt is asked: a motion to a pose, a straight line, a change of the planning scene."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from moveit_msgs.action import ExecuteTrajectory, MoveGroup
from moveit_msgs.msg import (
    AttachedCollisionObject,
    CollisionObject,
    Constraints,
    MoveItErrorCodes,
    OrientationConstraint,
    PositionConstraint,
    RobotState,
    RobotTrajectory,
)
from moveit_msgs.srv import ApplyPlanningScene, GetCartesianPath
from settings import Settings
from shape_msgs.msg import SolidPrimitive
from std_msgs.msg import Header

from posegrasp_ros.ros.messages import to_pose, to_pose_stamped

WITHIN_M, WITHIN_RAD = 0.002, 0.01    # of the pose before the grasp; the straight line starts wherever this ends
STEP_M = 0.005                        # between the points of a straight line
JUMP_RAD = 0.5                        # a joint that turns by more between two of them flips to another posture


def to_pose_goal(robot: Settings, base_from_tool: np.ndarray) -> MoveGroup.Goal:
    """Plan, around what is in the scene, from where the arm is; it is executed when the whole way is planned."""
    header = Header(frame_id=robot.base_frame)
    at = PositionConstraint(header=header, link_name=robot.tool, weight=1.0)
    at.constraint_region.primitives = [SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[WITHIN_M])]
    at.constraint_region.primitive_poses = [to_pose_stamped(header, base_from_tool).pose]
    turned = OrientationConstraint(header=header, link_name=robot.tool, weight=1.0)
    turned.orientation = to_pose(base_from_tool).orientation
    for axis in 'xyz':
        setattr(turned, f'absolute_{axis}_axis_tolerance', WITHIN_RAD)
    goal = MoveGroup.Goal()
    request = goal.request
    request.group_name, request.num_planning_attempts = robot.group, 3
    request.allowed_planning_time = robot.planning_s
    request.max_velocity_scaling_factor = request.max_acceleration_scaling_factor = robot.speed
    request.start_state.is_diff = True
    request.goal_constraints = [Constraints(position_constraints=[at], orientation_constraints=[turned])]
    goal.planning_options.plan_only = True
    goal.planning_options.planning_scene_diff.is_diff = True
    goal.planning_options.planning_scene_diff.robot_state.is_diff = True
    return goal


def straight_line(robot: Settings, after: RobotTrajectory, base_from_tool: np.ndarray) -> GetCartesianPath.Request:
    """A line of the tool to a pose, from where another motion will have ended."""
    request = GetCartesianPath.Request(header=Header(frame_id=robot.base_frame), group_name=robot.group)
    request.link_name, request.max_step, request.avoid_collisions = robot.tool, STEP_M, True
    request.revolute_jump_threshold = JUMP_RAD
    request.max_velocity_scaling_factor = request.max_acceleration_scaling_factor = robot.speed
    request.waypoints = [to_pose(base_from_tool)]
    request.start_state = RobotState(is_diff=True)
    request.start_state.joint_state.name = after.joint_trajectory.joint_names
    request.start_state.joint_state.position = after.joint_trajectory.points[-1].positions
    return request


def execution(trajectory: RobotTrajectory) -> ExecuteTrajectory.Goal:
    """Move as planned."""
    return ExecuteTrajectory.Goal(trajectory=trajectory)


def scene_with(objects: Sequence[CollisionObject]) -> ApplyPlanningScene.Request:
    """Add objects, or replace those of the same names."""
    request = ApplyPlanningScene.Request()
    request.scene.is_diff = request.scene.robot_state.is_diff = True
    request.scene.world.collision_objects = list(objects)
    return request


def scene_without(each: CollisionObject) -> ApplyPlanningScene.Request:
    """Take an object out, so that the gripper may reach around it."""
    return scene_with([CollisionObject(header=each.header, id=each.id, operation=CollisionObject.REMOVE)])


def scene_held(robot: Settings, each: CollisionObject, lifted_by: np.ndarray) -> ApplyPlanningScene.Request:
    """From now on the object moves with the tool, and what it would hit counts."""
    held = AttachedCollisionObject(link_name=robot.tool, object=deepcopy(each), touch_links=robot.touch_links)
    at = held.object.pose.position
    at.x, at.y, at.z = (float(value) for value in np.array([at.x, at.y, at.z]) + lifted_by)
    request = scene_with([])
    request.scene.robot_state.attached_collision_objects = [held]
    return request


def error_name(code: MoveItErrorCodes) -> str:
    """What MoveIt calls its error, with its message where it has one."""
    names = [name for name in dir(type(MoveItErrorCodes)) if name.isupper()]
    name = next((name for name in names if getattr(MoveItErrorCodes, name) == code.val), f'error {code.val}')
    return f'{name}: {code.message}' if getattr(code, 'message', '') else name
