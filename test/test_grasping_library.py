"""The grasp file: Isaac's frames and joint positions out, ours in, nothing lost on the way."""

import numpy as np
import pytest
import yaml

from posegrasp_ros.geometry import make_transform, random_rotation
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.library import Grasp, GraspError, GraspSet, load_grasps, save_grasps
from posegrasp_ros.resources import resource_path


@pytest.fixture(scope='module')
def gripper():
    return load_gripper(resource_path('config/gripper.yaml'))


@pytest.fixture
def grasp_set(rng):
    grasps = [Grasp(f'g{i}', make_transform(random_rotation(rng), rng.uniform(-0.1, 0.1, 3)), 0.9 - 0.1 * i,
                    0.08, 0.01 * (i + 1)) for i in range(5)]
    return GraspSet(grasps, 'object', 'franka_hand')


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_round_trip_keeps_poses_to_a_micrometre(tmp_path, gripper, grasp_set):
    save_grasps(tmp_path / 'grasps.yaml', grasp_set, gripper)
    read = load_grasps(tmp_path / 'grasps.yaml', gripper)
    np.testing.assert_allclose(read.object_from_tcp, grasp_set.object_from_tcp, atol=2e-6)
    assert [(g.name, g.opening_m) for g in read.grasps] == [(g.name, g.opening_m) for g in grasp_set.grasps]
    np.testing.assert_allclose([g.width_m for g in read.grasps], [g.width_m for g in grasp_set.grasps])
    np.testing.assert_allclose([g.confidence for g in read.grasps], [g.confidence for g in grasp_set.grasps])
    assert (read.object_frame, read.gripper_frame) == ('object', 'franka_hand')


def test_file_places_the_base_of_the_gripper_and_halves_the_opening(tmp_path, gripper):
    """A TCP at the object's origin, pointing down: the hand's base is 103.4 mm above, closing along y turned."""
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    save_grasps(tmp_path / 'g.yaml', GraspSet([Grasp('g', down, 1.0, 0.08, 0.06)], 'object', 'hand'), gripper)
    document = yaml.safe_load((tmp_path / 'g.yaml').read_text())
    entry = document['grasps']['g']
    assert (document['format'], document['format_version']) == ('isaac_grasp', 1.0)
    np.testing.assert_allclose(entry['position'], [0, 0, 0.1034])
    assert entry['cspace_position'] == dict.fromkeys(gripper.finger_joints, 0.03)
    assert entry['pregrasp_cspace_position'] == dict.fromkeys(gripper.finger_joints, 0.04)
    root_half = np.sqrt(0.5)
    np.testing.assert_allclose(np.abs([entry['orientation']['w'], *entry['orientation']['xyz']]),
                               [0, root_half, root_half, 0], atol=1e-7)


def test_best_grasp_is_written_first(tmp_path, gripper, grasp_set):
    turned = GraspSet(grasp_set.grasps[::-1], 'object', 'franka_hand')
    save_grasps(tmp_path / 'g.yaml', turned, gripper)
    assert [g.name for g in load_grasps(tmp_path / 'g.yaml', gripper).grasps] == ['g0', 'g1', 'g2', 'g3', 'g4']


def test_joint_that_only_mimics_may_be_left_out(tmp_path, gripper, grasp_set):
    document = _document(tmp_path, grasp_set, gripper)
    del document['grasps']['g1']['cspace_position'][gripper.finger_joints[1]]
    (tmp_path / 'g.yaml').write_text(yaml.safe_dump(document))
    assert load_grasps(tmp_path / 'g.yaml', gripper).grasps[1].width_m == pytest.approx(0.02)


@pytest.mark.parametrize('change, expected', [
    (lambda d: d.update(format='graspit'), "format: expected isaac_grasp, got 'graspit'"),
    (lambda d: d.update(format_version=2.0), 'format_version: expected 1.0, got 2.0'),
    (lambda d: d.update(grasps={}), 'grasps: expected at least one grasp'),
    (lambda d: d.pop('object_frame'), 'object_frame: expected a name, got nothing'),
    (lambda d: d['grasps']['g0'].update(confidence=7), 'grasps.g0.confidence: expected a number between 0 and 1'),
    (lambda d: d['grasps']['g0'].update(position=[0, 0, 'x']), 'grasps.g0.position: expected 3 numbers'),
    (lambda d: d['grasps']['g0']['orientation'].update(w=0, xyz=[0, 0, 0]), 'grasps.g0.orientation: expected a'),
    (lambda d: d['grasps']['g0'].update(cspace_position={'knuckle': 0.1}),
     'cspace_position.panda_finger_joint1: expected a joint position of gripper franka_hand, got nothing'),
])
def test_wrong_field_is_named(tmp_path, gripper, grasp_set, change, expected):
    document = _document(tmp_path, grasp_set, gripper)
    change(document)
    (tmp_path / 'g.yaml').write_text(yaml.safe_dump(document))
    with pytest.raises(GraspError) as caught:
        load_grasps(tmp_path / 'g.yaml', gripper)
    assert expected in str(caught.value)


def test_missing_file_is_named(tmp_path, gripper):
    with pytest.raises(GraspError, match=r'none\.yaml: no such file'):
        load_grasps(tmp_path / 'none.yaml', gripper)


def _document(folder, grasp_set, gripper) -> dict:
    save_grasps(folder / 'g.yaml', grasp_set, gripper)
    return yaml.safe_load((folder / 'g.yaml').read_text())
