# SPDX-License-Identifier: Apache-2.0
"""Where examples/moveit_pick moves the tool, without MoveIt's messages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy', reason='rclpy is not installed')
EXAMPLE = Path(__file__).resolve().parent.parent / 'examples/moveit_pick'
sys.path.append(str(EXAMPLE))

from way import PickError, holds, image_of, way_of  # noqa: E402

from posegrasp_ros.geometry.transforms import (  # noqa: E402
    make_transform,
    rotation_from_vector,
    transform_from_pose,
)
from posegrasp_ros.grasping.gripper import load_gripper  # noqa: E402
from posegrasp_ros.ros.messages import to_pose  # noqa: E402

BASE_FROM_GRIPPER = make_transform(rotation_from_vector((0.4, np.pi - 0.5, 0.2)), (0.4, 0.1, 0.2))


def translation(x, y, z, distance):
    return SimpleNamespace(direction=SimpleNamespace(vector=SimpleNamespace(x=x, y=y, z=z)),
                           desired_distance=distance)


def grasp(**changed):
    posture = SimpleNamespace(joint_names=['panda_finger_joint1'], points=[SimpleNamespace(positions=[0.03])])
    return SimpleNamespace(**{
        'id': '12_3', 'grasp_pose': SimpleNamespace(pose=to_pose(BASE_FROM_GRIPPER)), 'pre_grasp_posture': posture,
        'pre_grasp_approach': translation(0.0, 0.6, -0.8, 0.1), 'max_contact_force': 40.0,
        'post_grasp_retreat': translation(0.0, 0.0, 1.0, 0.15), **changed})


def test_the_tool_is_where_the_gripper_is_then_and_moves_straight_before_and_after():
    way = way_of(grasp(), [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(way.at_grasp @ make_transform(None, (0, 0, 0.1)), BASE_FROM_GRIPPER, atol=1e-9)
    for pose, by in ((way.before, (0, -0.06, 0.08)), (way.lifted, (0, 0, 0.15))):
        np.testing.assert_allclose(pose[:3, 3] - way.at_grasp[:3, 3], by, atol=1e-9)
        np.testing.assert_array_equal(pose[:3, :3], way.at_grasp[:3, :3])
    assert (way.grasp_id, image_of(way.grasp_id), way.open_at, way.force_n) == ('12_3', 12, 0.03, 40.0)


def test_pandas_flange_is_where_the_gripper_file_says():
    robot = yaml.safe_load((EXAMPLE / 'panda.yaml').read_text())['moveit_pick']['ros__parameters']
    given = robot['tool_from_gripper_base']
    np.testing.assert_allclose(transform_from_pose(given[:3], given[3:]),
                               load_gripper('franka_hand').other_bases[robot['tool']], atol=1e-9)


@pytest.mark.parametrize(('changed', 'given', 'said'), [
    ({'pre_grasp_posture': SimpleNamespace(joint_names=[], points=[])}, 7, 'expected a finger joint'),
    ({}, 3, 'expected x, y, z, qx, qy, qz, qw, got 3 numbers')])
def test_what_does_not_fit_is_refused(changed, given, said):
    with pytest.raises(PickError, match=said) as caught:
        way_of(grasp(**changed), [0.0] * 6 + [1.0] if given == 7 else [0.0] * given)
    assert caught.value.reason == 'settings'


@pytest.mark.parametrize(('position', 'closed', 'expected'), [
    (0.02, 0.0, True), (0.0005, 0.0, False), (0.5, 0.8, True), (0.8, 0.8, False), (0.81, 0.8, False),
    (float('nan'), 0.0, False)])
def test_what_keeps_the_gripper_from_closing_is_held(position, closed, expected):
    assert holds(position, closed, 0.011) == expected
