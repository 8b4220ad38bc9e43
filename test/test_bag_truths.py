# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hand_made_bags import BASE_FROM_CAMERA, MS, SECOND, TRUTH, HandMade, frames

from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import BagWriter, make_header, new_message, pose_parts
from posegrasp_ros.datasets.ground_truth import GroundTruth
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.geometry.true_pose import TruePose


@pytest.mark.parametrize(
    ('tolerance_ms', 'matched'), [(0, [False, False]), (5, [True, False]), (40, [True, True])]
)
def test_truth_is_that_of_the_nearest_stamp_within_a_tolerance_and_the_rest_is_counted(
    tmp_path, tolerance_ms, matched
):
    with HandMade(tmp_path / 'bag') as writer:
        for stamp in (SECOND, 2 * SECOND):
            writer.info(stamp)
        writer.image(SECOND)
        writer.truth(SECOND - 6 * MS, make_transform(None, (0, 0, 9)))
        writer.truth(SECOND + 4 * MS)
        writer.image(2 * SECOND)
        writer.truth(2 * SECOND + 30 * MS)
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None), tolerance_ms=tolerance_ms)
    truths = [frame.camera_from_object for frame in reader]
    assert [truth is not None for truth in truths] == matched
    if matched[0]:
        np.testing.assert_allclose(truths[0], TRUTH, atol=1e-12)
    assert (reader.truths[''].matched, reader.truths[''].unused) == (sum(matched), 3 - sum(matched))
    said = {
        0: 'no stamp matches an image',
        1: '1 of 2 images have no ground truth within 5 ms; 2 of 3 stamps',
        2: '',
    }
    assert (said[sum(matched)] in reader.warnings[0]) if sum(matched) < 2 else reader.warnings == []


def test_of_a_truth_for_half_of_the_frames_the_other_half_is_said_aloud(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for index, frame in enumerate(frames(10)):
            writer.write(frame if index % 2 else replace(frame, camera_from_object=None))
    reader = BagReader(tmp_path / 'bag')
    assert sum(frame.camera_from_object is not None for frame in reader) == 5
    warning, = reader.warnings
    assert '5 of 10 images have no ground truth' in warning


@pytest.mark.parametrize('kind', ['geometry_msgs/msg/TransformStamped', 'nav_msgs/msg/Odometry'])
def test_truth_comes_in_the_messages_of_motion_capture_and_odometry(tmp_path, kind):
    position, orientation = pose_parts(TRUTH)
    header = make_header(SECOND, 'cam')
    if kind.endswith('TransformStamped'):
        vector = new_message('geometry_msgs/msg/Vector3', **position)
        transform = new_message('geometry_msgs/msg/Transform', translation=vector, rotation=orientation)
        message = new_message(kind, header=header, child_frame_id='box', transform=transform)
    else:
        pose = new_message('geometry_msgs/msg/Pose', orientation=orientation,
                           position=new_message('geometry_msgs/msg/Point', **position))
        zero = new_message('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
        twist = new_message('geometry_msgs/msg/Twist', linear=zero, angular=zero)
        message = new_message(
            kind, header=header, child_frame_id='box',
            pose=new_message('geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=np.zeros(36)),
            twist=new_message('geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=np.zeros(36)))
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.image(SECOND)
        writer.put('/vicon/box', kind, SECOND, message)
    frame, = read_frames(tmp_path / 'bag', BagTopics(ground_truth='/vicon/box', base_frame=None))
    np.testing.assert_allclose(frame.camera_from_object, TRUTH, atol=1e-12)


def test_topics_that_could_be_ground_truth_are_listed_when_none_is_named_like_it(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.image(SECOND)
        writer.truth(SECOND, topic='/optitrack/box')
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None))
    list(reader)
    assert '/optitrack/box (geometry_msgs/msg/PoseStamped)' in reader.warnings[0]


def test_truth_comes_from_tf_where_the_object_has_a_frame(tmp_path):
    later = TRUTH @ make_transform(rotation_from_vector([0, 0, 0.2]), (0.02, 0, 0))
    with HandMade(tmp_path / 'bag') as writer:
        writer.transform(SECOND, 'world', 'cam', BASE_FROM_CAMERA)
        for stamp in (SECOND, SECOND + 10 * MS, SECOND + 200 * MS):
            writer.info(stamp)
            writer.image(stamp)
        for at_ns, pose in ((SECOND - 4 * MS, TRUTH), (SECOND + 4 * MS, later), (SECOND + 400 * MS, TRUTH)):
            writer.transform(at_ns, 'world', 'box', BASE_FROM_CAMERA @ pose, topic='/tf')
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None, object_frame='box'))
    first, second, third = (frame.camera_from_object for frame in reader)
    half = TRUTH @ make_transform(rotation_from_vector([0, 0, 0.1]), (0.01, 0, 0))
    np.testing.assert_allclose(first, half, atol=1e-9)
    assert second is None and third is None, 'nothing of /tf is within 5 ms of them'
    assert '2 of 3 images have no ground truth within 5 ms' in reader.warnings[0]


def test_an_object_frame_that_tf_does_not_know_is_told_with_those_that_it_knows(tmp_path, bag):
    reader = BagReader(bag, BagTopics(object_frame='box'))
    assert all(frame.camera_from_object is None for frame in reader)
    assert "object frame 'box'; its frames are: base_link, camera_optical_frame" in reader.warnings[0]


def test_what_was_recorded_before_the_clock_was_set_back_is_not_joined_with_what_comes_after(tmp_path):
    other = make_transform(None, (0, 0, 0.7))
    at_ns = 100 * SECOND
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(10 * SECOND, at_ns=at_ns)
        for base_ns, pose in ((10 * SECOND, TRUTH), (8 * SECOND, other)):
            for index in range(60):
                stamp, at_ns = base_ns + index * 33 * MS, at_ns + 33 * MS
                writer.transform(stamp, 'base_link', 'cam', make_transform(None, (base_ns / SECOND, 0, 0)),
                                 topic='/tf', at_ns=at_ns)
                writer.image(stamp, at_ns=at_ns)
                writer.truth(stamp, pose, at_ns=at_ns)
    reader = BagReader(tmp_path / 'bag')
    read = list(reader)
    assert len(read) == 120 and all(frame.reason == '' for frame in read)
    for frame, pose, base in zip(read, [TRUTH] * 60 + [other] * 60, [10] * 60 + [8] * 60):
        np.testing.assert_allclose(frame.camera_from_object, pose, atol=1e-12)
        assert frame.base_from_camera[0, 3] == base
    assert 'clock was set back by' in reader.warnings[0]


def test_truths_that_are_no_poses_are_left_out_and_said_once(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for number, scale in enumerate((0.0, 1.0), start=1):
            writer.info(number * SECOND)
            writer.image(number * SECOND)
            writer.truth(number * SECOND, scale=scale)
        writer.info(3 * SECOND)
        writer.image(3 * SECOND)
        writer.truth(3 * SECOND, make_transform(None, (np.nan, 0, 0)))
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None))
    assert [frame.camera_from_object is not None for frame in reader] == [False, True, False]
    said = ' '.join(reader.warnings)
    assert 'quaternion' in said and 'finite position' in said and '2 of 3 images have no ground truth' in said


def test_camera_pose_follows_the_chain_of_static_and_moving_transforms(tmp_path):
    hand, mount = make_transform(None, (0, 0, 1)), make_transform(rotation_from_vector([np.pi, 0, 0]), (0.1, 0, 0))
    with HandMade(tmp_path / 'bag') as writer:
        writer.transform(SECOND, 'hand', 'cam', mount)
        writer.info(SECOND)
        for stamp in (SECOND, 2 * SECOND):
            hand_now = hand @ make_transform(None, (stamp / SECOND, 0, 0))
            writer.image(stamp)
            writer.transform(stamp, 'base_link', 'hand', hand_now, topic='/tf')
    for frame in read_frames(tmp_path / 'bag'):
        expected = hand @ make_transform(None, (frame.stamp_ns / SECOND, 0, 0)) @ mount
        np.testing.assert_allclose(frame.base_from_camera, expected, atol=1e-12)


def test_truth_in_the_base_frame_is_brought_to_the_camera(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.transform(SECOND, 'base_link', 'cam', BASE_FROM_CAMERA)
        writer.info(SECOND)
        writer.truth(SECOND, BASE_FROM_CAMERA @ TRUTH, frame_id='base_link')
        writer.image(SECOND)
    np.testing.assert_allclose(next(read_frames(tmp_path / 'bag')).camera_from_object, TRUTH, atol=1e-9)


def test_truth_in_a_frame_that_nothing_joins_is_left_out_and_said_once(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for stamp in (SECOND, 2 * SECOND):
            writer.info(stamp)
            writer.truth(stamp, frame_id='map')
            writer.image(stamp)
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None))
    assert [frame.camera_from_object for frame in reader] == [None, None]
    assert len(reader.warnings) == 1 and '/ground_truth: is in the frame map' in reader.warnings[0]
    own = GroundTruth()
    own.add(SECOND, 'map', TruePose(TRUTH))
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None), own)
    assert next(iter(reader)).camera_from_object is None
    assert 'ground truth: is in the frame map' in reader.warnings[0]


@pytest.mark.parametrize('apart_ns', [0, 5_000_000])
def test_several_truths_of_a_stamp_are_several_objects(tmp_path, apart_ns):
    second = TRUTH @ make_transform(None, (0.1, 0, 0))
    with HandMade(tmp_path / 'bag') as bag:
        for stamp in (SECOND, 2 * SECOND):
            bag.info(stamp)
            bag.image(stamp)
            bag.truth(stamp)
            bag.truth(stamp, at_ns=stamp + apart_ns)  # said twice
            bag.truth(stamp, pose=second, at_ns=stamp + apart_ns)
    for frame in read_frames(tmp_path / 'bag'):
        assert len(frame.truths) == 2
        assert np.allclose(frame.truths, [TRUTH, second])
