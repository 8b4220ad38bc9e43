# SPDX-License-Identifier: Apache-2.0
"""The gripper file: figures come out as written, and a wrong one is refused by name."""

import numpy as np
import pytest
import yaml

from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.grasping.gripper import GripperError, load_gripper, shipped_grippers
from posegrasp_ros.runtime.resources import resource_path

SHIPPED = resource_path('config/grippers/franka_hand.yaml')
EACH_SHIPPED = pytest.mark.parametrize('name', ['franka_hand', 'robotiq_2f_85', 'robotiq_2f_140'])


def test_default_gripper_is_the_franka_hand():
    gripper = load_gripper()
    assert gripper.name == 'franka_hand'
    assert gripper.max_opening_m == 0.08
    np.testing.assert_allclose(gripper.gripper_base_from_tcp[:3, 3], [0, 0, 0.1034])
    # the hand closes along its own y, the TCP frame along x
    np.testing.assert_allclose(gripper.gripper_base_from_tcp[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize('name, opening_m', [('franka_hand', 0.08), ('robotiq_2f_85', 0.085),
                                             ('robotiq_2f_140', 0.14)])
def test_shipped_grippers_are_found_by_name_and_open_as_their_makers_say(name, opening_m):
    assert name in shipped_grippers()
    gripper = load_gripper(name)
    assert (gripper.name, gripper.max_opening_m) == (name, opening_m)


def test_unknown_name_lists_what_there_is():
    with pytest.raises(GripperError, match=r"gripper 'robotiq': expected a file or one of franka_hand, robotiq"):
        load_gripper('robotiq')


@EACH_SHIPPED
def test_joint_positions_and_opening_are_each_others_inverse(name):
    gripper = load_gripper(name)
    openings = np.linspace(gripper.min_opening_m, gripper.max_opening_m, 30)
    positions = [gripper.joint_positions(opening)[gripper.finger_joints.names[0]] for opening in openings]
    np.testing.assert_allclose([gripper.opening_m(position) for position in positions], openings, atol=1e-9)
    ends = sorted([gripper.finger_joints.open_position, gripper.finger_joints.closed_position])
    np.testing.assert_allclose([min(positions), max(positions)], ends, atol=1e-9)


@pytest.mark.parametrize('name, knuckle, pivot, pad', [
    # of the URDFs, across and along: the knuckle's axis, the pad's pivot at joint 0, the pad's middle from there
    ('robotiq_2f_85', (0.030601, 0.054904), (0.068201, 0.097904), (-0.022020, 0.032420)),
    ('robotiq_2f_140', (0.030601, 0.054905), (0.095238, 0.131208), (-0.027220, 0.045755)),
])
def test_pads_of_a_robotiq_move_as_its_urdf_says(name, knuckle, pivot, pad):
    """The pad's middle of the chain of joints, beside opening and height of the gripper file."""
    gripper = load_gripper(name)
    across, along = np.subtract(pivot, knuckle)
    halves, heights = [], []
    positions = np.linspace(0.0, gripper.finger_joints.closed_position, 8)
    for q in positions:
        halves.append(knuckle[0] + across * np.cos(q) - along * np.sin(q) + pad[0])
        heights.append(knuckle[1] + along * np.cos(q) + across * np.sin(q) + pad[1])
    openings = np.array([gripper.opening_m(q) for q in positions])
    np.testing.assert_allclose([gripper.base_from_tcp(opening)[2, 3] for opening in openings], heights, atol=3e-4)
    # the file's stroke is the maker's: the URDF's, stretched by the share that its pads are too thick or thin
    stretched = openings[0] * (np.array(halves) - halves[-1]) / (halves[0] - halves[-1])
    np.testing.assert_allclose(openings, stretched, atol=3e-4)


@EACH_SHIPPED
def test_graspgen_turns_the_base_so_that_x_closes(name):
    gripper = load_gripper(name)
    ours, theirs = gripper.base_from_tcp(0.03), gripper.base_from_tcp(0.03, graspgen=True)
    np.testing.assert_allclose(theirs[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose((theirs @ invert(ours))[:3, 3], 0, atol=1e-12)


@EACH_SHIPPED
@pytest.mark.parametrize('opening_m', [0.0, 0.03, 0.08])
def test_pads_are_the_opening_apart_and_tips_reach_beyond_the_tcp(name, opening_m):
    gripper = load_gripper(name)
    left, right = gripper.finger_boxes(opening_m)
    inner = (right.center - right.half_extents)[0] - (left.center + left.half_extents)[0]
    assert inner == pytest.approx(opening_m)
    assert (right.center + right.half_extents)[2] == pytest.approx(gripper.finger_reach_m)


@EACH_SHIPPED
def test_fingers_start_where_the_palm_ends(name):
    gripper = load_gripper(name)
    palm_end = max((box.center + box.half_extents)[2] for box in gripper.palm_boxes)
    finger = gripper.finger_boxes(0.08)[0]
    assert (finger.center - finger.half_extents)[2] == pytest.approx(palm_end, abs=1e-3)


@pytest.mark.parametrize('field, value, expected', [
    ('max_opening_m', 80, 'max_opening_m: expected a number between 0.001 and 0.5, got 80'),
    ('force_n', 'strong', "force_n: expected a number between 0.1 and 2000, got 'strong'"),
    ('friction', None, 'friction: expected a number between 0.01 and 5, got None'),
    ('name', '', "name: expected a name in one line, got ''"),
    ('finger', [], 'finger: expected a mapping of fields, got []'),
    ('finger.width_m', float('nan'), 'finger.width_m: expected a number between 0.001 and 0.2, got nan'),
    ('base_from_tcp.position', [0, 0], 'base_from_tcp.position: expected 3 numbers'),
    ('base_from_tcp.orientation_xyzw', [0, 0, 0, 0], 'orientation_xyzw: expected a quaternion'),
    ('finger_joints', 'one', "finger_joints: expected a mapping of fields, got 'one'"),
    ('finger_joints.names', 'one', "finger_joints.names: expected a list of 1 to 100 names, got 'one'"),
    ('finger_joints.closed', 0.04, 'finger_joints.closed: expected another position than open, 0.04, got 0.04'),
    ('finger_joints.crank', {'length_m': 0.05, 'angle_rad': 9}, 'crank.angle_rad: expected a number'),
    ('base_frame', 3, 'base_frame: expected a name in one line, got 3'),
    ('palm', [{'center': [0, 0, 0]}], 'palm[0].half_extents: expected 3 numbers'),
    ('palm', None, 'palm: expected a list of mappings, got None'),
])
def test_wrong_field_is_named_with_what_was_found(tmp_path, field, value, expected):
    document = yaml.safe_load(SHIPPED.read_text())
    *outer, last = field.split('.')
    inner = document
    for name in outer:
        inner = inner[name]
    inner[last] = value
    path = tmp_path / 'gripper.yaml'
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(GripperError) as caught:
        load_gripper(path)
    assert str(caught.value).startswith(f'{path}: ')
    assert expected in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('text, expected', [
    ('a: [', 'a YAML file'), ('- 1', 'a mapping of fields, got list'), ('', 'a mapping of fields, got NoneType'),
])
def test_file_that_is_no_mapping_is_refused(tmp_path, text, expected):
    path = tmp_path / 'gripper.yaml'
    path.write_text(text)
    with pytest.raises(GripperError, match=expected):
        load_gripper(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(GripperError, match=r'none\.yaml: no such file'):
        load_gripper(tmp_path / 'none.yaml')
