"""The gripper file: figures come out as written, and a wrong one is refused by name."""

import numpy as np
import pytest
import yaml

from posegrasp_ros.grasping.gripper import GripperError, load_gripper
from posegrasp_ros.resources import resource_path

SHIPPED = resource_path('config/gripper.yaml')


def test_shipped_gripper_is_the_franka_hand():
    gripper = load_gripper(SHIPPED)
    assert gripper.name == 'franka_hand'
    assert gripper.max_opening_m == 0.08
    np.testing.assert_allclose(gripper.gripper_base_from_tcp[:3, 3], [0, 0, 0.1034])
    # the hand closes along its own y, the TCP frame along x
    np.testing.assert_allclose(gripper.gripper_base_from_tcp[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize('opening_m', [0.0, 0.03, 0.08])
def test_pads_are_the_opening_apart_and_tips_reach_beyond_the_tcp(opening_m):
    gripper = load_gripper(SHIPPED)
    left, right = gripper.finger_boxes(opening_m)
    inner = (right.center - right.half_extents)[0] - (left.center + left.half_extents)[0]
    assert inner == pytest.approx(opening_m)
    assert (right.center + right.half_extents)[2] == pytest.approx(gripper.finger_reach_m)


def test_fingers_start_where_the_palm_ends():
    gripper = load_gripper(SHIPPED)
    palm_end = max((box.center + box.half_extents)[2] for box in gripper.palm_boxes)
    finger = gripper.finger_boxes(0.08)[0]
    assert (finger.center - finger.half_extents)[2] == pytest.approx(palm_end, abs=1e-3)


@pytest.mark.parametrize('field, value, expected', [
    ('max_opening_m', 80, 'max_opening_m: expected a number between 0.001 and 0.5, got 80'),
    ('force_n', 'strong', "force_n: expected a number between 0.1 and 2000, got 'strong'"),
    ('friction', None, 'friction: expected a number between 0.01 and 5, got None'),
    ('name', '', "name: expected a name, got ''"),
    ('finger', [], 'finger: expected a mapping of fields, got []'),
    ('finger.width_m', float('nan'), 'finger.width_m: expected a number between 0.001 and 0.2, got nan'),
    ('base_from_tcp.position', [0, 0], 'base_from_tcp.position: expected 3 numbers'),
    ('base_from_tcp.orientation_xyzw', [0, 0, 0, 0], 'orientation_xyzw: expected a quaternion'),
    ('finger_joints', 'one', "finger_joints: expected a list of names, got 'one'"),
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
