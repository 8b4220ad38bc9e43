# SPDX-License-Identifier: Apache-2.0
"""moveit_msgs/Grasp of a planned grasp, with message types made from the definitions that MoveIt publishes."""

from __future__ import annotations

import keyword
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.moveit_grasps import MoveitMessages, moveit_messages, to_moveit_grasp

GRASP = """
string id
trajectory_msgs/JointTrajectory pre_grasp_posture
trajectory_msgs/JointTrajectory grasp_posture
geometry_msgs/PoseStamped grasp_pose
float64 grasp_quality
GripperTranslation pre_grasp_approach
GripperTranslation post_grasp_retreat
GripperTranslation post_place_retreat
float32 max_contact_force
string[] allowed_touch_objects
"""
GRIPPER_TRANSLATION = """
geometry_msgs/Vector3Stamped direction
float32 desired_distance
float32 min_distance
"""
STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE.register(get_types_from_msg(GRIPPER_TRANSLATION, 'moveit_msgs/msg/GripperTranslation'))
STORE.register(get_types_from_msg(GRASP, 'moveit_msgs/msg/Grasp'))
HEADER = messages.to_header(7, 'base_link')
DOWN = make_transform(np.diag([1.0, -1.0, -1.0]), (0.1, 0.2, 0.05))


def message_type(name: str) -> type:
    """A class whose instances take the fields of a definition and no others."""
    fields = [field for field, _ in STORE.fielddefs[name][1]]
    assert not any(keyword.iskeyword(field) for field in fields)
    return type(name.rsplit('/', 1)[1], (), {'__slots__': fields})


TYPES = MoveitMessages(message_type('moveit_msgs/msg/Grasp'), message_type('moveit_msgs/msg/GripperTranslation'),
                       message_type('trajectory_msgs/msg/JointTrajectory'),
                       message_type('trajectory_msgs/msg/JointTrajectoryPoint'))


def planned(gripper) -> PlannedGrasp:
    approach = [DOWN @ make_transform(None, (0, 0, -0.08)), DOWN, make_transform(None, (0, 0, 0.12)) @ DOWN]
    return PlannedGrasp('grasp_3', DOWN, 0.7, gripper.max_opening_m, 40.0, approach, 0.9, width_m=0.03)


@pytest.mark.parametrize('name', ['franka_hand', 'robotiq_2f_85'])
def test_a_grasp_says_where_the_grippers_base_goes_and_how_the_fingers_stand(name):
    gripper = load_gripper(name)
    message = to_moveit_grasp(TYPES, HEADER, gripper, planned(gripper))
    assert (message.id, message.grasp_quality, message.max_contact_force) == ('7_0', 0.9, 40.0)
    assert isinstance(message.grasp_pose, PoseStamped) and message.grasp_pose.header.frame_id == 'base_link'
    base_from_gripper = messages.transform_from(message.grasp_pose.pose)
    np.testing.assert_allclose(base_from_gripper @ gripper.base_from_tcp(0.03), DOWN, atol=1e-9)
    for posture, opening_m in ((message.pre_grasp_posture, gripper.max_opening_m), (message.grasp_posture, 0.03)):
        assert posture.joint_names == gripper.finger_joints.names
        assert gripper.opening_m(posture.points[0].positions[0]) == pytest.approx(opening_m, abs=1e-9)
    assert message.grasp_posture.points[0].effort == [40.0] * len(gripper.finger_joints.names)


def test_the_ways_in_and_out_are_those_that_were_planned():
    message = to_moveit_grasp(TYPES, HEADER, load_gripper(), planned(load_gripper()))
    for name, up, length_m in (('pre_grasp_approach', -1, 0.08), ('post_grasp_retreat', 1, 0.12),
                               ('post_place_retreat', 1, 0.08)):
        way = getattr(message, name)
        vector = way.direction.vector
        assert (vector.x, vector.y, vector.z) == pytest.approx((0, 0, up), abs=1e-9)
        assert (way.desired_distance, way.min_distance) == pytest.approx((length_m, length_m))
        assert way.direction.header == HEADER


@pytest.mark.parametrize('installed', [(), ('moveit_msgs',), ('moveit_msgs', 'trajectory_msgs')])
def test_it_is_there_where_both_packages_are(monkeypatch, installed):
    modules = {'moveit_msgs.msg': SimpleNamespace(Grasp=TYPES.Grasp, GripperTranslation=TYPES.GripperTranslation),
               'trajectory_msgs.msg': SimpleNamespace(JointTrajectory=TYPES.JointTrajectory,
                                                      JointTrajectoryPoint=TYPES.JointTrajectoryPoint)}
    monkeypatch.setattr('posegrasp_ros.ros.moveit_grasps.import_optional',
                        lambda name: modules[name] if name.split('.')[0] in installed else None)
    assert moveit_messages() == (TYPES if len(installed) == 2 else None)
