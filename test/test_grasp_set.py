# SPDX-License-Identifier: Apache-2.0
"""The grasp file: Isaac's frames and joint positions out, ours in, nothing lost on the way."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import yaml

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform, quaternion_from_matrix, random_rotation
from posegrasp_ros.grasping.grasp_set import Grasp, GraspError, GraspSet, load_grasps, save_grasps
from posegrasp_ros.grasping.gripper import load_gripper


@pytest.fixture(scope='module')
def gripper():
    return load_gripper()


@pytest.fixture(params=['franka_hand', 'robotiq_2f_85', 'robotiq_2f_140'])
def any_gripper(request):
    return load_gripper(request.param)


@pytest.fixture
def grasp_set(rng):
    grasps = [Grasp(f'g{i}', make_transform(random_rotation(rng), rng.uniform(-0.1, 0.1, 3)), 0.9 - 0.1 * i,
                    0.08, 0.01 * (i + 1)) for i in range(5)]
    return GraspSet(grasps, 'object', 'panda_hand')


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_round_trip_keeps_poses_to_a_micrometre(tmp_path, any_gripper, grasp_set):
    save_grasps(tmp_path / 'grasps.yaml', replace(grasp_set, gripper_frame=any_gripper.base_frame), any_gripper)
    read = load_grasps(tmp_path / 'grasps.yaml', any_gripper)
    np.testing.assert_allclose(read.object_from_tcp, grasp_set.object_from_tcp, atol=2e-6)
    assert [grasp.name for grasp in read.grasps] == [grasp.name for grasp in grasp_set.grasps]
    np.testing.assert_allclose([g.opening_m for g in read.grasps], 0.08, atol=1e-6)
    np.testing.assert_allclose([g.width_m for g in read.grasps], [g.width_m for g in grasp_set.grasps], atol=1e-6)
    np.testing.assert_allclose([g.confidence for g in read.grasps], [g.confidence for g in grasp_set.grasps])
    assert (read.object_frame, read.gripper_frame) == ('object', any_gripper.base_frame)


def test_file_places_the_base_of_the_gripper_and_halves_the_opening(tmp_path, gripper):
    """A TCP at the object's origin, pointing down: the hand's base is 103.4 mm above, closing along y turned."""
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    save_grasps(tmp_path / 'g.yaml', GraspSet([Grasp('g', down, 1.0, 0.08, 0.06)], 'object', 'hand'), gripper)
    document = yaml.safe_load((tmp_path / 'g.yaml').read_text())
    entry = document['grasps']['g']
    assert (document['format'], document['format_version']) == ('isaac_grasp', 1.0)
    np.testing.assert_allclose(entry['position'], [0, 0, 0.1034])
    assert entry['cspace_position'] == dict.fromkeys(gripper.finger_joints.names, 0.03)
    assert entry['pregrasp_cspace_position'] == dict.fromkeys(gripper.finger_joints.names, 0.04)
    root_half = np.sqrt(0.5)
    np.testing.assert_allclose(np.abs([entry['orientation']['w'], *entry['orientation']['xyz']]),
                               [0, root_half, root_half, 0], atol=1e-7)


def test_best_grasp_is_written_first(tmp_path, gripper, grasp_set):
    turned = GraspSet(grasp_set.grasps[::-1], 'object', 'franka_hand')
    save_grasps(tmp_path / 'g.yaml', turned, gripper)
    assert [g.name for g in load_grasps(tmp_path / 'g.yaml', gripper).grasps] == ['g0', 'g1', 'g2', 'g3', 'g4']


def test_joint_that_only_mimics_may_be_left_out(tmp_path, gripper, grasp_set):
    document = _document(tmp_path, grasp_set, gripper)
    del document['grasps']['g1']['cspace_position'][gripper.finger_joints.names[1]]
    (tmp_path / 'g.yaml').write_text(yaml.safe_dump(document))
    assert load_grasps(tmp_path / 'g.yaml', gripper).grasps[1].width_m == pytest.approx(0.02)


@pytest.mark.parametrize('change, expected', [
    (lambda d: d.update(format='graspit'), "format: expected isaac_grasp, got 'graspit'"),
    (lambda d: d.update(format_version=2.0), 'format_version: expected 1.0, got 2.0'),
    (lambda d: d.update(grasps={}), 'grasps: expected at least one grasp'),
    (lambda d: d.update(grasps=[1]), 'grasps: expected a mapping of grasps by name, got [1]'),
    (lambda d: d.update(object_frame=3), 'object_frame: expected a name in one line, got 3'),
    (lambda d: d['grasps']['g0'].update(confidence=7), 'grasps.g0.confidence: expected a number between 0 and 1'),
    (lambda d: d['grasps']['g0'].update(position=[0, 0, 'x']), 'grasps.g0.position: expected 3 numbers'),
    (lambda d: d['grasps']['g0']['orientation'].update(w=0, xyz=[0, 0, 0]), 'grasps.g0.orientation: expected a'),
    (lambda d: d['grasps']['g0'].update(cspace_position=0.1),
     'grasps.g0.cspace_position: expected a mapping of joint positions, got 0.1'),
    (lambda d: d['grasps']['g0']['cspace_position'].update(panda_finger_joint2=90),
     'g0.cspace_position.panda_finger_joint2: expected a joint position between -12.5664 and 12.5664, got 90'),
    (lambda d: d['grasps']['g0'].update(cspace_position={'knuckle': 0.1}),
     'grasps.g0.cspace_position: expected positions of panda_finger_joint1 or panda_finger_joint2 or '),
])
def test_wrong_field_is_named(tmp_path, gripper, grasp_set, change, expected):
    document = _document(tmp_path, grasp_set, gripper)
    change(document)
    (tmp_path / 'g.yaml').write_text(yaml.safe_dump(document))
    with pytest.raises(GraspError) as caught:
        load_grasps(tmp_path / 'g.yaml', gripper)
    assert expected in str(caught.value)


def test_revolute_joint_says_how_far_and_where_the_pads_are(tmp_path):
    """A 2F-85 that holds 45 mm: joint and base height by the law of cosines of its crank, worked out by hand."""
    gripper = load_gripper('robotiq_2f_85')
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    save_grasps(tmp_path / 'g.yaml', GraspSet([Grasp('g', down, 1.0, 0.085, 0.045)], 'object', 'hand'), gripper)
    entry = yaml.safe_load((tmp_path / 'g.yaml').read_text())['grasps']['g']
    assert entry['pregrasp_cspace_position'] == {'finger_joint': 0.0}
    # 45 of 85 mm: sin(0.7184 - q) lies 45/85 of the way from sin(-0.0816) to sin(0.7184)
    position = 0.7184 - np.arcsin(np.sin(-0.0816) + 45 / 85 * (np.sin(0.7184) - np.sin(-0.0816)))
    assert entry['cspace_position'] == {'finger_joint': pytest.approx(position, abs=1e-6)}
    advance = 0.0571 * (np.cos(0.7184 - position) - np.cos(0.7184))
    np.testing.assert_allclose(entry['position'], [0, 0, 0.1303 + advance], atol=1e-6)


BOX_M = (0.05, 0.09, 0.12)


def graspgen_file(path, object_from_base, **changes) -> None:
    """What GraspGen writes: no frames' names, no joint positions."""
    x, y, z, w = quaternion_from_matrix(object_from_base[:3, :3]).tolist()
    entry = {'confidence': 0.83, 'position': object_from_base[:3, 3].tolist(),
             'orientation': {'w': w, 'xyz': [x, y, z]}}
    document = {'format': 'isaac_grasp', 'format_version': 1.0, 'grasps': {'grasp_0': {**entry, **changes}}}
    path.write_text(yaml.safe_dump(document))


def box_mesh() -> Mesh:
    solid = trimesh.creation.box(BOX_M)
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))


def test_graspgen_file_is_read_with_widths_measured_on_the_mesh(tmp_path, any_gripper):
    """Its base is turned so that x closes: over a box, pointing down, the pads touch 50 mm apart."""
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    object_from_tcp = down @ make_transform(translation=(0, 0, -0.05))
    tcp_from_base = invert(any_gripper.base_from_tcp(BOX_M[0], graspgen=True))
    graspgen_file(tmp_path / 'g.yaml', object_from_tcp @ tcp_from_base)
    grasp_set = load_grasps(tmp_path / 'g.yaml', any_gripper, box_mesh())
    grasp, = grasp_set.grasps
    assert grasp.name == 'grasp_0' and 0.4 < grasp.confidence < 0.8  # ours: it holds the rim, far from the middle
    assert (grasp.opening_m, grasp.width_m) == (any_gripper.max_opening_m, pytest.approx(BOX_M[0], abs=1e-5))
    np.testing.assert_allclose(grasp.object_from_tcp, object_from_tcp, atol=1e-5)
    assert grasp_set.gripper_frame == any_gripper.base_frame

    save_grasps(tmp_path / 'ours.yaml', grasp_set, any_gripper)
    again, = load_grasps(tmp_path / 'ours.yaml', any_gripper).grasps
    np.testing.assert_allclose(again.object_from_tcp, grasp.object_from_tcp, atol=2e-6)
    assert again.width_m == pytest.approx(grasp.width_m, abs=1e-6)


def test_graspgen_file_without_a_mesh_is_refused(tmp_path, gripper):
    graspgen_file(tmp_path / 'g.yaml', np.eye(4))
    with pytest.raises(GraspError, match=r'g\.yaml: grasps: expected cspace_position, .* give the mesh'):
        load_grasps(tmp_path / 'g.yaml', gripper)


def test_grasps_of_another_mesh_or_unit_are_refused(tmp_path, gripper):
    graspgen_file(tmp_path / 'g.yaml', make_transform(translation=(3.0, 0, 0)))
    with pytest.raises(GraspError, match='that hold the mesh of 158 mm, found none of 1: 1 touch nothing; '):
        load_grasps(tmp_path / 'g.yaml', gripper, box_mesh())


def test_graspgen_file_for_a_gripper_of_unknown_base_is_refused(tmp_path, gripper):
    graspgen_file(tmp_path / 'g.yaml', np.eye(4))
    with pytest.raises(GraspError, match=r'gripper_frame: expected a name .*no graspgen_base_from_tcp'):
        load_grasps(tmp_path / 'g.yaml', replace(gripper, graspgen_base_from_tcp=None), box_mesh())


def test_missing_file_is_named(tmp_path, gripper):
    with pytest.raises(GraspError, match=r'none\.yaml: no such file'):
        load_grasps(tmp_path / 'none.yaml', gripper)


def _document(folder, grasp_set, gripper) -> dict:
    save_grasps(folder / 'g.yaml', grasp_set, gripper)
    return yaml.safe_load((folder / 'g.yaml').read_text())
