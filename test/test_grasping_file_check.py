# SPDX-License-Identifier: Apache-2.0
"""A grasp file is not believed: what of it holds the object's mesh, in whose frames and joints it is written."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    quaternion_from_matrix,
    rotation_from_vector,
    transform_from_pose,
)
from posegrasp_ros.grasping.grasp_set import Grasp, GraspError, GraspSet, load_grasps, save_grasps
from posegrasp_ros.grasping.gripper import Gripper, GripperError, load_gripper
from posegrasp_ros.grasping.robustness.tolerance_fit import ToleranceAsked, fit_tolerance
from posegrasp_ros.runtime.resources import resource_path

FRANKA = load_gripper()
JOINTS = ('cspace_position', 'pregrasp_cspace_position')


@pytest.fixture(scope='module')
def meshes() -> dict[str, Mesh]:
    return {name: load_mesh(resource_path(f'models/{name}/mesh.obj')) for name in ('box', 'can')}


@pytest.fixture(scope='module')
def documents() -> dict[str, dict]:
    """Every tenth grasp of the shipped sets, best first."""
    def read(name: str) -> dict:
        document = yaml.safe_load(resource_path(f'models/{name}/grasps.yaml').read_text())
        return {**document, 'grasps': dict(list(document['grasps'].items())[::10])}
    return {name: read(name) for name in ('box', 'can')}


def written(path: Path, document: dict, change: Callable[[dict], None] = lambda entry: None, **fields) -> Path:
    """A file of the document with each grasp changed; a field None is left out."""
    document = {name: value for name, value in {**copy.deepcopy(document), **fields}.items() if value is not None}
    for entry in document['grasps'].values():
        change(entry)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def object_from_base(entry: dict) -> np.ndarray:
    return transform_from_pose(np.array(entry['position']), np.array([*entry['orientation']['xyz'],
                                                                      entry['orientation']['w']]))


def moved(left: np.ndarray | None = None, right: np.ndarray | None = None) -> Callable[[dict], None]:
    """The base's pose seen from another object's frame (left), or that of another frame of the gripper (right)."""
    def change(entry: dict) -> None:
        pose = object_from_base(entry)
        pose = pose if left is None else left @ pose
        pose = pose if right is None else pose @ right
        x, y, z, w = quaternion_from_matrix(pose[:3, :3]).tolist()
        entry.update(position=pose[:3, 3].tolist(), orientation={'w': w, 'xyz': [x, y, z]})
    return change


def turned(axis: int, degrees: float) -> np.ndarray:
    return make_transform(rotation_from_vector(np.radians(degrees) * np.eye(3)[axis]))


def shifted(axis: int, mm: float) -> np.ndarray:
    return make_transform(translation=mm / 1000 * np.eye(3)[axis])


def joints(rename: Callable[[dict], dict]) -> Callable[[dict], None]:
    def change(entry: dict) -> None:
        entry.update({field: rename(entry[field]) for field in JOINTS})
    return change


def both(*changes: Callable[[dict], None]) -> Callable[[dict], None]:
    def change(entry: dict) -> None:
        for each in changes:
            each(entry)
    return change


def editor(entry: dict) -> None:
    """Isaac Sim's Grasp Editor states the joint that is driven."""
    joints(lambda stated: {'panda_finger_joint1': stated['panda_finger_joint1']})(entry)


def datagen(entry: dict) -> None:
    """GraspDataGen says whether a grasp held in its simulation, and more of each than is asked for."""
    entry.update(confidence=1.0, bite_point=[0.0, 0.0, 0.1], pregrasp_bite_point=[0.0, 0.0, 0.1])


EDITOR = {'gripper_frame': None, 'object_frame': None, 'gripper_frame_link': '/World/panda_hand',
          'object_frame_link': '/World/box', 'rated_by': None}
DATAGEN = {'gripper_frame': None, 'object_frame': None, 'gripper_frame_link': 'panda_hand', 'rated_by': None,
           'format_version': '1.0', 'created_with': 'grasp_guess', 'gripper_file': 'bots/franka_panda.usd',
           'object_scale': 1.0}


@pytest.mark.parametrize('change, fields', [
    (editor, EDITOR),
    (datagen, DATAGEN),
    (moved(right=invert(turned(2, -45))), {'gripper_frame': 'panda_link8'}),
    (moved(right=invert(turned(2, -45))), {**EDITOR, 'gripper_frame_link': '/World/franka/fr3_link8'}),
    (moved(right=shifted(2, 103.4)), {'gripper_frame': 'fr3_hand_tcp'}),
    (joints(lambda stated: {f'fr3_finger_joint{k}': stated[f'panda_finger_joint{k}'] for k in (1, 2)}),
     {'gripper_frame': 'fr3_hand'}),
    (joints(lambda stated: {**stated, 'panda_finger_joint2': -stated['panda_finger_joint2']}), {}),
    (joints(lambda stated: {**stated, 'panda_joint1': 2.0, 'panda_joint7': -2.5}), {}),
])
def test_another_spelling_gives_the_same_grasps(tmp_path, documents, meshes, change, fields):
    ours = load_grasps(written(tmp_path / 'ours.yaml', documents['box']), FRANKA, meshes['box'])
    theirs = load_grasps(written(tmp_path / 'g.yaml', documents['box'], change, **fields), FRANKA, meshes['box'])
    assert [grasp.name for grasp in theirs.grasps] == [grasp.name for grasp in ours.grasps] and len(ours) == 40
    np.testing.assert_allclose(theirs.object_from_tcp, ours.object_from_tcp, atol=1e-6)
    for figure in ('opening_m', 'width_m'):
        np.testing.assert_allclose([getattr(grasp, figure) for grasp in theirs.grasps],
                                   [getattr(grasp, figure) for grasp in ours.grasps], atol=1e-6)
    assert theirs.gripper_frame in (FRANKA.base_frame, FRANKA.name)


@pytest.mark.parametrize('change, fields', [
    (lambda entry: None, {'gripper_frame': 'robotiq_arg2f_base_link'}),
    (moved(right=turned(2, 90)), {'gripper_frame': 'robotiq_85_base_link'}),
    (both(moved(right=turned(2, 90)), joints(lambda stated: {
        'robotiq_85_left_knuckle_joint': stated['finger_joint'],
        'robotiq_85_right_knuckle_joint': -stated['finger_joint']})), {'gripper_frame': 'robotiq_85_base_link'}),
])
def test_a_robotiq_of_another_description_gives_the_same_grasps(tmp_path, change, fields):
    gripper, down = load_gripper('robotiq_2f_85'), np.diag([1.0, -1.0, -1.0, 1.0])
    grasp_set = GraspSet([Grasp('g', down, 0.9, 0.085, 0.045)], 'object', gripper.base_frame)
    save_grasps(tmp_path / 'ours.yaml', grasp_set, gripper)
    document = yaml.safe_load((tmp_path / 'ours.yaml').read_text())
    read, = load_grasps(written(tmp_path / 'g.yaml', document, change, **fields), gripper).grasps
    np.testing.assert_allclose(read.object_from_tcp, down, atol=1e-6)
    assert read.width_m == pytest.approx(0.045, abs=1e-6)


def test_shipped_sets_are_as_their_files_say(meshes):
    for name, mesh in meshes.items():
        path = resource_path(f'models/{name}/grasps.yaml')
        read, stated = load_grasps(path, FRANKA, mesh), yaml.safe_load(path.read_text())['grasps']
        assert {grasp.name: grasp.confidence for grasp in read.grasps} == {
            grasp: entry['confidence'] for grasp, entry in stated.items()}
        assert not read.left_out


def test_grasps_of_others_get_our_rating(tmp_path, documents, meshes):
    read = load_grasps(written(tmp_path / 'g.yaml', documents['box'], datagen, **DATAGEN), FRANKA, meshes['box'])
    rated = FRANKA.ratings(read.object_from_tcp, np.array([grasp.opening_m for grasp in read.grasps]),
                           meshes['box'].solid)
    np.testing.assert_array_equal([grasp.confidence for grasp in read.grasps], rated)
    assert len(set(rated)) > 20
    save_grasps(tmp_path / 'again.yaml', read, FRANKA)
    again = load_grasps(tmp_path / 'again.yaml', FRANKA, meshes['box'])
    np.testing.assert_allclose(sorted(grasp.confidence for grasp in again.grasps), sorted(rated), atol=1e-4)


def test_a_joint_target_that_the_object_stops_becomes_the_width_where_it_does(tmp_path, documents, meshes):
    ours = load_grasps(written(tmp_path / 'ours.yaml', documents['can']), FRANKA, meshes['can'])
    closed = joints(lambda stated: dict.fromkeys(stated, 0.0))

    def to_the_end(entry: dict) -> None:
        before = entry['pregrasp_cspace_position']
        closed(entry)
        entry['pregrasp_cspace_position'] = before

    path = written(tmp_path / 'g.yaml', documents['can'], to_the_end, rated_by=None)
    read = load_grasps(path, FRANKA, meshes['can'])
    widths_m = {grasp.name: grasp.width_m for grasp in ours.grasps}
    errors_m = [grasp.width_m - widths_m[grasp.name] for grasp in read.grasps]
    assert np.median(np.abs(errors_m)) < 1e-3 and max(np.abs(errors_m)) < 0.008


def test_what_was_marked_failed_is_left_out_and_counted_aloud(tmp_path, documents, meshes, caplog):
    path = written(tmp_path / 'g.yaml', documents['box'], datagen, **DATAGEN)
    document = yaml.safe_load(path.read_text())
    failed, away = list(document['grasps'])[:3], list(document['grasps'])[3:5]
    for name in failed:
        document['grasps'][name]['confidence'] = 0.0
    for name in away:
        document['grasps'][name]['position'] = [0.0, 0.0, 1.0]
    with caplog.at_level(logging.WARNING):
        read = load_grasps(written(path, document), FRANKA, meshes['box'])
    assert not {grasp.name for grasp in read.grasps} & {*failed, *away} and len(read) == 35
    assert read.left_out == {'are marked failed': 3, 'touch nothing': 2}
    assert [record.getMessage() for record in caplog.records] == [
        f'{path}: 5 of 40 grasps are left out: 3 are marked failed, 2 touch nothing']


def mirrored(axis: int) -> Callable[[dict], None]:
    def change(entry: dict) -> None:
        entry['position'][axis] *= -1
    return change


def scaled(factor: float) -> Callable[[dict], None]:
    return lambda entry: entry.update(position=[factor * value for value in entry['position']])


WRONG = [
    *[(moved(left=shifted(axis, mm)), 'start inside') for axis in range(3) for mm in (20, 30, 50, 100)],
    (moved(right=shifted(2, 103.4)), 'start inside'),  # poses of the TCP
    (moved(right=turned(1, 90)), 'touch nothing'),  # a gripper that points along x
    (moved(right=turned(2, 45)), 'start inside'),  # poses of the flange
    (scaled(0.001), 'start inside'), (scaled(30), 'touch nothing'),
    (scaled(1000), 'position: expected 3 numbers between -10 and 10'),
    (mirrored(2), 'touch nothing'),
]


@pytest.mark.parametrize('name', ['box', 'can'])
@pytest.mark.parametrize('change, reason', WRONG)
def test_grasps_of_ours_in_a_wrong_place_are_refused(tmp_path, documents, meshes, name, change, reason):
    with pytest.raises(GraspError) as caught:
        load_grasps(written(tmp_path / 'g.yaml', documents[name], change), FRANKA, meshes[name])
    assert reason in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('name, change, found', [
    ('box', moved(left=shifted(2, 20)), r'1. of 40 \(.*start inside'),
    ('box', mirrored(0), r'1. of 40 \(.*touch nothing'),
    ('can', moved(left=shifted(0, 20)), r'.{1,2} of 40 \(.*start inside'),
    ('can', moved(right=turned(2, 90)), r'.{1,2} of 40 \(.*slip off'),
])
def test_a_file_of_others_of_which_most_do_not_hold_is_refused(tmp_path, documents, meshes, name, change, found):
    path = written(tmp_path / 'g.yaml', documents[name], change, rated_by=None)
    with pytest.raises(GraspError, match=f'expected that most of them hold, found {found}.*mark those that'):
        load_grasps(path, FRANKA, meshes[name])


def test_grasps_marked_failed_do_not_count_against_a_file(tmp_path, documents, meshes):
    document = copy.deepcopy(documents['box'])
    for name in list(document['grasps'])[:30]:
        document['grasps'][name]['confidence'] = 0.0
    path = written(tmp_path / 'g.yaml', document, rated_by=None)
    assert len(load_grasps(path, FRANKA, meshes['box'])) == 10


def test_a_few_grasps_say_too_little_of_their_file_to_refuse_it(tmp_path, documents, meshes, caplog):
    document = copy.deepcopy(documents['box'])
    document['grasps'] = dict(list(document['grasps'].items())[:10])
    for name in list(document['grasps'])[1:]:
        document['grasps'][name]['position'] = [0.0, 0.0, 1.0]
    path = written(tmp_path / 'g.yaml', document, rated_by=None)
    with caplog.at_level(logging.WARNING):
        assert len(load_grasps(path, FRANKA, meshes['box'])) == 1
    assert '9 of 10 grasps are left out: 9 touch nothing; check that they are of this mesh' in caplog.text


@pytest.mark.parametrize('name, other', [('box', 'can'), ('can', 'box')])
def test_grasps_of_ours_for_another_object_are_refused(tmp_path, documents, meshes, name, other):
    with pytest.raises(GraspError, match=r'expected that those rated by posegrasp hold on this mesh, found . of 40'
                                         r' \(.*\d+ touch nothing'):
        load_grasps(written(tmp_path / 'g.yaml', documents[other]), FRANKA, meshes[name])


def test_grasps_of_ours_that_close_to_other_widths_are_refused(tmp_path, documents, meshes):
    """A box that was turned onto another side is held as before, but is not as thick."""
    path = written(tmp_path / 'g.yaml', documents['box'], moved(left=turned(0, 90)))
    with pytest.raises(GraspError, match='are of another mesh, or its frame or unit was changed; make them anew'):
        load_grasps(path, FRANKA, meshes['box'])


@pytest.mark.parametrize('change, reason', [
    (scaled(30), '40 touch nothing'), (moved(right=shifted(2, 103.4)), '40 start inside'),
    (lambda entry: entry.update(confidence=0.0), '40 are marked failed'),
    (joints(lambda stated: dict.fromkeys(stated, 0.07)), '40 are wider than the opening'),
])
def test_a_file_of_which_none_holds_is_refused_with_counts(tmp_path, documents, meshes, change, reason):
    path = written(tmp_path / 'g.yaml', documents['box'], change, rated_by=None)
    with pytest.raises(GraspError, match=f'some that hold the mesh of 142 mm, found none of 40: {reason}; check'):
        load_grasps(path, FRANKA, meshes['box'])


def test_an_object_wider_than_the_opening_is_said_so(tmp_path, documents, meshes):
    along = moved(right=turned(2, 90))  # closes along the box's 120 mm, from above
    document = {**documents['box'], 'grasps': dict(list(documents['box']['grasps'].items())[:1])}
    with pytest.raises(GraspError, match='1 are wider than the opening'):
        load_grasps(written(tmp_path / 'g.yaml', document, along, rated_by=None), FRANKA, meshes['box'])


def test_without_a_mesh_the_file_is_believed_and_that_is_said(tmp_path, documents, caplog):
    path = written(tmp_path / 'g.yaml', documents['box'], scaled(30))
    with caplog.at_level(logging.WARNING):
        assert len(load_grasps(path, FRANKA)) == 40
    assert [record.getMessage() for record in caplog.records] == [
        f'{path}: the grasps are not checked: there is no mesh of the object']


@pytest.mark.parametrize('frame, expected', [
    ('tool0', "gripper_frame: expected one of franka_hand: panda_hand, franka_hand, fr3_hand, .*, got 'tool0'; "),
    ('robotiq_arg2f_base_link', "got 'robotiq_arg2f_base_link'; name it in the gripper file .* or choose another"),
    ('/World/allegro/palm_link', "got 'palm_link', of a hand with more than two fingers: only parallel jaws"),
    ('epick_suction_cup', 'of a suction gripper: only parallel jaws are known'),
])
def test_a_frame_of_another_gripper_is_refused_with_those_known(tmp_path, documents, frame, expected):
    with pytest.raises(GraspError, match=expected):
        load_grasps(written(tmp_path / 'g.yaml', documents['box'], gripper_frame=frame), FRANKA)


@pytest.mark.parametrize('stated, expected', [
    ({'finger_joint': 0.3}, "positions of panda_finger_joint1 or .*fr3_finger_joint1.* got 'finger_joint 0.3'"),
    ({}, "for franka_hand, got 'none'"),
    ({'bhand_j11_joint': 0.1, 'bhand_j12_joint': 0.1}, 'of a hand with more than two fingers: only parallel jaws'),
    ({'panda_finger_joint1': 0.03, 'panda_finger_joint2': 0.0}, 'expected the same position of all finger joints'),
])
def test_joints_that_do_not_tell_the_opening_are_refused(tmp_path, documents, stated, expected):
    path = written(tmp_path / 'g.yaml', documents['box'], joints(lambda _: dict(stated)))
    with pytest.raises(GraspError, match=rf'grasps\.grasp_000\.(pregrasp_)?cspace_position: .*{expected}'):
        load_grasps(path, FRANKA)


@pytest.mark.parametrize('change, expected', [
    ({'name': 'my_vacuum_gripper'}, "two parallel jaws, got 'my_vacuum_gripper', a suction gripper"),
    ({'name': 'barrett_bh282'}, "got 'barrett_bh282', a hand with more than two fingers"),
    ({'finger_joints': {'names': ['j1', 'j2', 'j3'], 'open': 0.0, 'closed': 1.0}},
     'finger_joints.names: expected one or two, of parallel jaws'),
])
def test_a_gripper_file_of_another_kind_is_refused(tmp_path, change, expected):
    document = yaml.safe_load(resource_path('config/grippers/franka_hand.yaml').read_text())
    (tmp_path / 'gripper.yaml').write_text(yaml.safe_dump({**document, **change}))
    with pytest.raises(GripperError) as caught:
        load_gripper(tmp_path / 'gripper.yaml')
    assert expected in str(caught.value)


def in_air(gripper: Gripper) -> GraspSet:
    pose = make_transform(translation=(0.0, 0.0, 0.3)) @ np.diag([1.0, -1.0, -1.0, 1.0])
    return GraspSet([Grasp('air', pose, 0.9, 0.08, 0.06)], 'object', gripper.base_frame)


@pytest.mark.parametrize('sigma', [0.0, 1e-4, 0.01])
def test_a_grasp_in_empty_air_never_succeeds(meshes, sigma):
    tolerance = fit_tolerance(meshes['box'], FRANKA, in_air(FRANKA))
    assert tolerance.probability_inside(sigma**2 * np.eye(6)[None])[0] == pytest.approx(0.0, abs=1e-6)
    assert not tolerance.contains(np.zeros((1, 6)), np.zeros(1, dtype=int))[0]
    asked = ToleranceAsked(meshes['box'], FRANKA, in_air(FRANKA))
    assert not asked.contains(np.zeros((1, 6)), np.zeros(1, dtype=int))[0]
