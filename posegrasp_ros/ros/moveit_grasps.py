# SPDX-License-Identifier: Apache-2.0
"""Planned grasps as moveit_msgs/Grasp, where moveit_msgs is installed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Vector3, Vector3Stamped
from std_msgs.msg import Header

from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.ros.messages import stamp_ns, to_pose_stamped
from posegrasp_ros.ros.optional import import_optional


class MoveitMessages(NamedTuple):
    """The message types that a Grasp is made of."""

    Grasp: type
    GripperTranslation: type
    JointTrajectory: type
    JointTrajectoryPoint: type


def moveit_messages() -> MoveitMessages | None:
    """None where moveit_msgs, which brings trajectory_msgs, is not installed."""
    moveit, trajectory = (import_optional(f'{package}.msg') for package in ('moveit_msgs', 'trajectory_msgs'))
    if moveit is None or trajectory is None:
        return None
    return MoveitMessages(moveit.Grasp, moveit.GripperTranslation, trajectory.JointTrajectory,
                          trajectory.JointTrajectoryPoint)


def to_moveit_grasp(types: MoveitMessages, header: Header, gripper: EndEffector, grasp: PlannedGrasp,
                    rank: int = 0) -> Any:
    """A Grasp for an end effector whose parent link is the gripper's base frame.

    The whole approach and lift were planned clear, so all of both is asked for.

    :param header: of the base frame
    :param rank: of the grasp among those of the image, 0 the best
    """
    before, at_grasp, lifted = (pose[:3, 3] for pose in grasp.approach)
    base_from_gripper = grasp.base_from_tcp @ invert(gripper.base_from_tcp(grasp.width_m))
    message = types.Grasp()
    message.id = grasp_id(stamp_ns(header.stamp), rank)
    message.pre_grasp_posture = _posture(types, gripper, grasp.opening_m)
    message.grasp_posture = _posture(types, gripper, grasp.width_m, grasp.force_n)
    message.grasp_pose = to_pose_stamped(header, base_from_gripper)
    message.grasp_quality = grasp.success_probability
    message.max_contact_force = grasp.force_n
    for name, way in (('pre_grasp_approach', at_grasp - before), ('post_grasp_retreat', lifted - at_grasp),
                      ('post_place_retreat', before - at_grasp)):
        setattr(message, name, _translation(types, header, way))
    return message


def grasp_id(stamp: int, rank: int) -> str:
    """Identifies a grasp of any run: the stamp of its image in nanoseconds, and its rank there, 0 the best."""
    return f'{stamp}_{rank}'


def _posture(types: MoveitMessages, gripper: EndEffector, opening_m: float, force_n: float | None = None) -> Any:
    """The finger joints with the pads ``opening_m`` apart."""
    positions = gripper.joint_positions(opening_m)
    point = types.JointTrajectoryPoint()
    point.positions = list(positions.values())
    if force_n is not None:
        point.effort = [float(force_n)] * len(positions)
    message = types.JointTrajectory()
    message.joint_names, message.points = list(positions), [point]
    return message


def _translation(types: MoveitMessages, header: Header, way: np.ndarray) -> Any:
    """A straight way in the header's frame."""
    length_m = float(np.linalg.norm(way))
    x, y, z = (float(v) for v in way / max(length_m, 1e-12))
    message = types.GripperTranslation()
    message.direction = Vector3Stamped(header=header, vector=Vector3(x=x, y=y, z=z))
    message.desired_distance = message.min_distance = length_m
    return message
