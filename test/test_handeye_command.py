# SPDX-License-Identifier: Apache-2.0
"""The command handeye: a recording of an arm before a board becomes a mounted camera, and is tested later."""

from __future__ import annotations

import ast
from xml.etree import ElementTree

import numpy as np
import pytest
from arm_views import CAMERA, Cell, photograph, random_view
from hand_made_bags import MS, SECOND, HandMade
from test_handeye_targets import charuco
from transforms3d.euler import euler2mat

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_writer import make_header, new_message
from posegrasp_ros.geometry.transforms import (
    make_transform,
    perturb,
    quaternion_from_matrix,
    rotation_angle,
    transform_from_pose,
)
from posegrasp_ros.handeye import recorded_samples
from posegrasp_ros.handeye.arm_track import track_of_bag
from posegrasp_ros.handeye.calibration_file import CalibrationFileError, load_mounted_camera
from posegrasp_ros.handeye.sample import Mounting

TARGET = charuco()[0]


def view(rng):
    """(4, 4) camera_from_target of the whole board."""
    middle = np.array([0.135, 0.09, 0.0])
    return make_transform(None, (0, 0, 0.1)) @ random_view(rng, 0.35) @ make_transform(
        np.diag([1.0, -1.0, -1.0])) @ make_transform(None, -middle)


def record(path, cell, arm_poses, seen_by=None, arm_topic=None):
    """A bag in which the arm rests in each pose for two images, 3 seconds apart.

    :param seen_by: the cell that the images are taken in, after a shift of the camera
    :param arm_topic: of the arm's poses, in the place of /tf
    """
    _, picture, px_per_m, corner_m, y_down = charuco()
    rng = np.random.default_rng(9)
    with HandMade(path) as bag:
        for place, base_from_tool in enumerate(arm_poses):
            true = (seen_by or cell).camera_from_target(base_from_tool)
            image = photograph(picture, px_per_m, corner_m, y_down, true)
            for shot in range(2):
                stamp = 100 * SECOND + 3 * place * SECOND + 500 * shot * MS
                for around in (-100, 0, 100):
                    at_ns = stamp + around * MS
                    if arm_topic:
                        bag.truth(at_ns, base_from_tool, arm_topic, frame_id='base_link')
                    else:
                        bag.transform(at_ns, 'base_link', 'tool0', base_from_tool, topic='/tf', at_ns=at_ns)
                noisy = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
                bag.put('/cam/image_raw', 'sensor_msgs/msg/Image', stamp, new_message(
                    'sensor_msgs/msg/Image', header=make_header(stamp, 'cam'), height=480, width=640,
                    encoding='bgr8', is_bigendian=0, step=1920, data=noisy.ravel()))
                bag.info(stamp, CAMERA)


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """A cell, its arm's poses and the folder of its bag."""
    folder = tmp_path_factory.mktemp('handeye')
    rng = np.random.default_rng(0)
    cell = Cell.random(rng, Mounting.IN_HAND)
    poses = [cell.base_from_tool(view(rng)) for _ in range(14)]
    record(folder / 'bag', cell, poses)
    return folder, cell, poses


def calibrated(recorded, out):
    """Run the command; the calibration file."""
    assert main(['handeye', str(recorded[0] / 'bag'), '--target', TARGET, '--mounting', 'eye-in-hand',
                 '--out', str(out)]) == 0
    return load_mounted_camera(out / 'handeye.yaml')


def test_a_recording_becomes_a_mounted_camera_with_all_its_files(recorded, tmp_path, capsys):
    _, cell, _ = recorded
    camera = calibrated(recorded, tmp_path / 'out')
    printed = capsys.readouterr().out
    assert '14 of 14' in printed and 'cam in tool0' in printed and 'held-out error' in printed
    pose, true = camera.parent_from_camera.transform, cell.mount_from_camera
    assert np.linalg.norm(pose[:3, 3] - true[:3, 3]) < 2e-3
    assert rotation_angle(pose[:3, :3].T @ true[:3, :3]) < np.radians(0.2)
    position, rotation = camera.sigmas
    assert 0 < position < 2e-3 and 0 < rotation < np.radians(0.2)
    assert (camera.parent_frame, camera.camera_frame, camera.held_frame) == ('tool0', 'cam', 'base_link')

    launched = ast.parse((tmp_path / 'out' / 'camera_mount.launch.py').read_text())
    texts = [node.value for node in ast.walk(launched) if isinstance(node, ast.Constant)]
    numbers = [float(texts[texts.index(f'--{name}') + 1]) for name in ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')]
    assert np.allclose(transform_from_pose(numbers[:3], numbers[3:]), pose, atol=1e-6)
    assert texts[texts.index('--frame-id') + 1] == 'tool0'
    joint = ElementTree.fromstring(f'<robot>{(tmp_path / "out" / "camera_mount.urdf").read_text()}</robot>')
    origin = joint.find('joint/origin')
    assert np.allclose([float(each) for each in origin.get('xyz').split()], pose[:3, 3], atol=1e-6)
    turns = [float(each) for each in origin.get('rpy').split()]
    assert np.allclose(euler2mat(*turns, 'sxyz'), pose[:3, :3], atol=1e-6)
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert page.count('data:image/jpeg') == 14 and 'http:' not in page and 'https:' not in page
    assert 'bag, 0.00 s' in page and 'bag, 39.' in page  # samples by recording and time from its first image
    figures = [line.split('  ')[-1].strip() for line in printed.splitlines()
               if line.startswith(('standard', 'turns'))]
    assert len(figures) == 2 and all(each in page for each in figures)


def test_arm_poses_of_a_csv_file_give_the_same(recorded, tmp_path):
    folder, _, poses = recorded
    rows = ['stamp_ns,x,y,z,qx,qy,qz,qw']
    for place, pose in enumerate(poses):
        for around in (-100, 0, 100, 400, 600):
            stamp = 100 * SECOND + 3 * place * SECOND + around * MS
            values = [*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3])]
            rows.append(','.join([str(stamp), *(f'{value:.12f}' for value in values)]))
    (tmp_path / 'arm.csv').write_text('\n'.join(rows))
    from_tf = calibrated(recorded, tmp_path / 'tf').parent_from_camera.transform
    assert main(['handeye', str(folder / 'bag'), '--target', TARGET, '--mounting', 'eye-in-hand', '--arm',
                 str(tmp_path / 'arm.csv'), '--out', str(tmp_path / 'csv')]) == 0
    from_csv = load_mounted_camera(tmp_path / 'csv' / 'handeye.yaml').parent_from_camera.transform
    assert np.allclose(from_tf, from_csv, atol=1e-6)


def test_check_tells_a_camera_that_was_moved_from_one_that_was_not(recorded, tmp_path, capsys):
    _, cell, _ = recorded
    calibrated(recorded, tmp_path / 'out')
    rng = np.random.default_rng(1)
    later = [cell.base_from_tool(view(rng)) for _ in range(4)]
    moved = Cell(cell.mounting, perturb(cell.mount_from_camera, np.array([0.004, 0, 0, 0, 0, 0])),
                 cell.hold_from_target)
    record(tmp_path / 'still', cell, later)
    record(tmp_path / 'moved', cell, later, seen_by=moved)
    asked = ['--check', str(tmp_path / 'out' / 'handeye.yaml'), '--target', TARGET]
    capsys.readouterr()
    assert main(['handeye', str(tmp_path / 'still'), *asked]) == 0
    assert 'the calibration holds' in capsys.readouterr().out
    assert main(['handeye', str(tmp_path / 'moved'), *asked]) == 3
    assert 'no longer holds' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, expected', [
    (['--target', TARGET], 'expected --mounting to calibrate, or --check'),
    (['--target', TARGET, '--mounting', 'eye-in-hand', '--tool-frame', 'flange'],
     "expected the frame 'flange' in /tf, found base_link, tool0: name it with --tool-frame"),
    (['--target', TARGET, '--mounting', 'eye-in-hand', '--arm', '/nothing'], 'expected a topic of'),
    (['--target', 'apriltag:36h11:3:100', '--mounting', 'eye-in-hand'],
     'expected apriltag:36h11:3:100 in its images'),
])
def test_what_is_missing_is_said_in_one_line(recorded, tmp_path, capsys, arguments, expected):
    assert main(['handeye', str(recorded[0] / 'bag'), *arguments, '--out', str(tmp_path / 'out')]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('change, expected', [
    (('format: posegrasp.handeye/1', 'format: 7'), 'format: expected posegrasp.handeye/1'),
    (('mounting: eye-in-hand', 'mounting: eye'), 'mounting'),
    (('samples: 14', 'samples: 1'), 'samples'),
    (('covariance:', 'variance:'), 'covariance'),
])
def test_a_broken_calibration_file_is_refused_by_its_field(recorded, tmp_path, change, expected):
    calibrated(recorded, tmp_path / 'out')
    path = tmp_path / 'out' / 'handeye.yaml'
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(CalibrationFileError, match=expected):
        load_mounted_camera(path)


def test_poses_of_the_arm_that_are_none_are_skipped_aloud(recorded, tmp_path, caplog):
    _, _, poses = recorded
    with HandMade(tmp_path / 'broken') as bag:
        nowhere = make_transform(None, (np.nan, 0, 0))
        for second in range(3):
            bag.transform(second * SECOND, 'base_link', 'tool0', nowhere if second == 1 else poses[0], topic='/tf')
    track = track_of_bag(tmp_path / 'broken', 'base_link', 'tool0')
    assert 'poses are skipped: expected a finite position' in caplog.text
    assert np.isfinite(track.at(0)).all() and track.at(SECOND) is None


def test_eye_to_hand_with_a_topic_of_poses(tmp_path):
    rng = np.random.default_rng(3)
    cell = Cell.random(rng, Mounting.TO_HAND)
    poses = [cell.base_from_tool(view(rng)) for _ in range(10)]
    record(tmp_path / 'bag', cell, poses, arm_topic='/tool_pose')
    assert main(['handeye', str(tmp_path / 'bag'), '--target', TARGET, '--mounting', 'eye-to-hand', '--arm',
                 '/tool_pose', '--out', str(tmp_path / 'out')]) == 0
    camera = load_mounted_camera(tmp_path / 'out' / 'handeye.yaml')
    found, true = camera.parent_from_camera.transform, cell.mount_from_camera
    assert (camera.parent_frame, camera.held_frame) == ('base_link', 'tool0')
    assert np.linalg.norm(found[:3, 3] - true[:3, 3]) < 3e-3


def test_an_arm_that_never_rests_gives_so_many_samples_at_most(recorded, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setattr(recorded_samples, 'MOST_SAMPLES', 9)
    calibrated(recorded, tmp_path / 'out')
    assert '9 of 9' in capsys.readouterr().out
    assert 'of 14 poses of the arm the most certain 9 are used' in caplog.text
