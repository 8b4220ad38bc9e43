# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources, stated_truths
from posegrasp_ros.datasets.ground_truth import GroundTruth
from posegrasp_ros.datasets.ground_truth_file import GroundTruthError, read_ground_truth
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import look_at, make_transform, quaternion_from_matrix, rotation_from_vector
from posegrasp_ros.geometry.true_pose import TruePose

# More digits than a float of seconds has.
STAMP_NS = 1_700_000_000_123_456_789
POSE = make_transform(rotation_from_vector([0.3, -0.1, 0.2]), (0.1, -0.2, 0.6))
VALUES = [*POSE[:3, 3], *quaternion_from_matrix(POSE[:3, :3])]
HEAD = 'x,y,z,qx,qy,qz,qw'


@pytest.mark.parametrize('text', [
    'stamp_ns,{head}\n{ns},{commas}\n',
    'qw,qz,qy,qx,z,y,x,note,stamp_s\n{reverse},hello,1700000000.123456789\n',
    '# of evo\n1700000000.123456789 {blanks}\n\n',
    '1700000000.123456789,{commas}\n',
    '#timestamp, p_RS_R_x [m], p_RS_R_y [m], q_RS_w [], v_RS_R_x [m s^-1]\n{ns},{euroc},0.1,0.2,0.3\n',
    '#timestamp [ns],p_RS_R_x [m]\n{ns},{euroc}\n',
    '{ns},{euroc}\n',
    'frame_id, stamp_ns, {head}\n, {ns}, {commas}\n'])
def test_a_pose_is_read_to_the_nanosecond_whatever_the_order_of_columns(tmp_path, text):
    path = tmp_path / 'truth.csv'
    path.write_text(text.format(
        euroc=','.join(map(repr, map(float, [*VALUES[:3], VALUES[6], *VALUES[3:6]]))),
        head=HEAD, ns=STAMP_NS, commas=','.join(map(repr, map(float, VALUES))),
        blanks=' '.join(map(repr, map(float, VALUES))),
        reverse=','.join(map(repr, map(float, VALUES[::-1])))))
    (stamp_ns, frame_id, pose), = read_ground_truth(path)
    assert stamp_ns == STAMP_NS and frame_id == ''
    np.testing.assert_allclose(pose.pose, POSE, atol=1e-12)
    assert pose.covariance is None


@pytest.mark.parametrize(('text', 'words'), [
    ('', 'got no line'), ('time,x\n1,2\n', "got the columns 'time, x'"),
    ('stamp_ns,x,y,z,qx,qy,qz,qw,x\n1,0,0,1,0,0,0,1,9\n', 'each column once, got x more than once'),
    ('stamp_ns,x,y,z,qx,qy,qz,qw\n1,0,0,1,0,0,0\n', 'line 2: expected a stamp, a position'),
    ('1.0 0 0 1 0 0 0 0\n', 'line 1: .*quaternion'), ('1.0 0 0 nan 0 0 0 1\n', 'finite'),
    ('1.0 0 0 1 0 0 0 1\nxyz 0 0 1 0 0 0 1\n', "line 2: .*got 'xyz, 0"),
    ('2026-13-45,0,0,1,0,0,0,1\n', 'got the columns .2026-13-45'),
    (f'{"9" * 5000} 0 0 1 0 0 0 1\n', 'a stamp of 0 to'),
    ('1e5000000 0 0 1 0 0 0 1\n', 'Overflow'), ('-1 0 0 1 0 0 0 1\n', 'a stamp of 0 to'),
    ('1.0 0 0 1 0 0 0 1\nnan 0 0 1 0 0 0 1\n', 'line 2'), (f'1.0 0 0 {"9" * 5000} 0 0 0 1\n', 'finite'),
    (f'1.0,"{200_000 * "x"}\n', 'line 1: expected fewer'),
    ('stamp_ns,x,y,z,qx,qy,qz,qw\n1e99999999,0,0,1,0,0,0,1\n', 'line 2'),
    ('1.0 0 0 1 0 0 0 \x00\n', 'line 1')])
def test_a_file_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, words):
    path = tmp_path / 'truth.csv'
    path.write_text(text)
    with pytest.raises(GroundTruthError, match=words) as caught:
        list(read_ground_truth(path))
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.fixture
def bag(tmp_path):
    camera = Camera.from_field_of_view(64, 48, 1.0)
    base_from_camera = look_at((0.4, 0, 0.5), (0, 0, 0))
    with BagWriter(tmp_path / 'bag') as writer:
        for index in range(3):
            writer.write(BagFrame((index + 1) * 1_000_000_000, np.zeros((48, 64, 3), np.uint8), camera,
                                  make_transform(), base_from_camera))
    return tmp_path / 'bag', base_from_camera


def test_truth_of_a_file_goes_before_that_of_a_topic_and_what_is_unmatched_is_counted(bag, tmp_path):
    path, base_from_camera = bag
    file = tmp_path / 'truth.csv'
    lines = [f'{stamp},{frame},{",".join(map(repr, map(float, VALUES)))}'
             for stamp, frame in ((1_002_000_000, ''), (2_000_000_000, 'base_link'), (9_000_000_000, ''))]
    file.write_text('\n'.join([f'stamp_ns,frame_id,{HEAD}', *lines]))
    reader, = open_sources([path], SourceOptions(BagTopics(base_frame=None), file), {'': 0.14})
    first, second, third = (frame.camera_from_object for frame in reader)
    np.testing.assert_allclose(first, POSE, atol=1e-12)
    np.testing.assert_allclose(second, np.linalg.inv(base_from_camera) @ POSE, atol=1e-9)
    assert third is None
    warning, = reader.warnings
    assert '1 of 3 images have no ground truth within 5 ms' in warning
    assert '1 of 3 stamps of ground truth match no image' in warning


def test_one_file_is_of_one_recording(bag, tmp_path):
    with pytest.raises(BagError, match='expected one recording'):
        open_sources([bag[0], bag[0]], SourceOptions(ground_truth=tmp_path / 'truth.csv'), {'': 0.14})


def test_truths_of_a_topic_are_forgotten_and_those_of_a_file_are_not():
    topic, file = GroundTruth(), GroundTruth()
    file.add_all([(1, '', TruePose(POSE))])
    topic.add(1, '', TruePose(POSE), arrived_ns=1)
    for truths in (topic, file):
        truths.forget(10)
    assert topic.of(1) == [] and len(file.of(1)) == 1
    assert (topic.seen, topic.unused, file.unused) == (1, 1, 0)


def test_a_truth_that_nothing_is_known_of_is_waited_for_only_where_it_may_come():
    topic, file = GroundTruth(), GroundTruth()
    file.add_all([])
    assert topic.may_come(5, now_ns=5) and not file.may_come(5, now_ns=5)


def test_reading_without_a_tolerance_wants_the_very_stamp(bag):
    reader = BagReader(bag[0], tolerance_ms=0)
    assert all(frame.camera_from_object is not None for frame in reader)


def test_a_file_without_poses_is_refused_as_ground_truth(tmp_path):
    path = tmp_path / 'truth.csv'
    path.write_text('stamp_ns,x,y,z,qx,qy,qz,qw\n')
    with pytest.raises(BagError, match='expected poses below the column names, found none'):
        stated_truths(SourceOptions(ground_truth=path))
