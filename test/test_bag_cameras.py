# SPDX-License-Identifier: Apache-2.0
"""Which camera a recording's images are taken with: a wrong partner is refused, never used."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made_bags import CAMERA, MS, SECOND, HandMade

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.geometry.transforms import make_transform

P = np.array([[55.0, 0, 30, 0], [0, 55, 22, 0], [0, 0, 1, 0]])


def frames_of(path, **topics):
    return list(BagReader(path, BagTopics(**topics)))


@pytest.mark.parametrize(('topic', 'rectified', 'expected'), [
    ('/cam/image_rect', 'auto', P[:, :3]), ('/cam/image_raw', 'auto', CAMERA.matrix),
    ('/cam/image', 'yes', P[:, :3]), ('/cam/image_rect', 'no', CAMERA.matrix),
])
def test_p_counts_for_rectified_images(tmp_path, topic, rectified, expected):
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND, p=P.ravel())
        writer.image(SECOND, topic)
    frame, = frames_of(tmp_path / 'bag', rectified=rectified)
    assert frame.camera.matrix.tolist() == expected.tolist()
    assert frame.camera.is_distorted is (expected is CAMERA.matrix)


def test_an_image_that_may_be_rectified_is_taken_for_raw_aloud(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for second in (1, 2):
            writer.info(second * SECOND, p=P.ravel())
            writer.image(second * SECOND, '/cam/image')
    reader = BagReader(tmp_path / 'bag')
    assert all(frame.camera.is_distorted for frame in reader)
    assert sum('set rectified to yes or no' in line for line in reader.warnings) == 1


@pytest.mark.parametrize('frame_id', ['cam', 'right'])
def test_the_camera_info_beside_another_image_is_not_taken(tmp_path, frame_id):
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND, topic='/right/camera_info', frame_id=frame_id)
        writer.image(SECOND, '/left/image_raw')
    with pytest.raises(BagError, match=r'camera_info of /left/image_raw .* set the right one with'):
        BagReader(tmp_path / 'bag')
    frame, = frames_of(tmp_path / 'bag', camera_info='/right/camera_info')
    assert frame.reason == '', 'who names one, means it'


@pytest.mark.parametrize(('info_topic', 'frame_id', 'reason'), [
    ('/cam/camera_info', 'cam', ''), ('/cam/camera_info', '', ''), ('/camera_info', 'cam', ''),
    ('/cam/camera_info', 'other', 'bad_camera_info'), ('/camera_info', '', 'bad_camera_info'),
])
def test_partners_share_namespace_and_frame(tmp_path, info_topic, frame_id, reason):
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND, topic=info_topic, frame_id=frame_id)
        writer.image(SECOND)
    frame, = frames_of(tmp_path / 'bag')
    assert frame.reason == reason
    assert not reason or 'with --camera-info-topic' in frame.problem


@pytest.mark.parametrize(('info_stamps', 'late_ms'), [
    ([0, 0], 0), ([10**18, 10**18 + 1], 0), ([SECOND, 2 * SECOND], 30), ([1, 2], 40),
], ids=['no stamps', 'another clock', 'after the image', 'after it and on another clock'])
def test_a_camera_info_in_time_serves_whatever_its_stamp(tmp_path, info_stamps, late_ms):
    with HandMade(tmp_path / 'bag') as writer:
        for second, stamp in enumerate(info_stamps, start=1):
            writer.image(second * SECOND)
            writer.info(stamp, at_ns=second * SECOND + late_ms * MS)
    assert [frame.reason for frame in frames_of(tmp_path / 'bag')] == ['', '']


def test_images_without_stamps_are_told_apart_by_when_they_were_recorded(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for second in (1, 2, 3):
            writer.info(0, at_ns=second * SECOND)
            writer.image(0, at_ns=second * SECOND)
    reader = BagReader(tmp_path / 'bag')
    assert [frame.stamp_ns for frame in reader] == [0, 2 * SECOND, 3 * SECOND]
    assert any('images without a stamp' in line for line in reader.warnings)


def test_depth_that_is_seen_from_another_frame_is_left_out_aloud(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.image(SECOND)
        writer.depth(SECOND, 0.5, frame_id='depth_optical_frame')
    reader = BagReader(tmp_path / 'bag', BagTopics(depth='/cam/depth/image_raw'))
    frame, = reader
    assert frame.reason == '' and frame.depth_m is None
    assert any("frame of the camera image, 'cam', got 'depth_optical_frame'" in line for line in reader.warnings)


def test_the_cameras_pose_is_not_extrapolated(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for tenth in range(10, 40):
            if tenth <= 20:
                writer.transform(tenth * SECOND // 10, 'base_link', 'cam', make_transform(None, (tenth, 0, 0)),
                                 '/tf')
            writer.info(tenth * SECOND // 10)
            writer.image(tenth * SECOND // 10)
    reader = BagReader(tmp_path / 'bag')
    known = [frame.base_from_camera is not None for frame in reader]
    assert known == [True] * 11 + [False] * 19
    assert any('only at other times, and is not extrapolated' in line for line in reader.warnings)


@pytest.mark.parametrize(('parents', 'found'), [(('base',), 'base'), (('base', 'base_link'), 'base_link')])
def test_the_camera_is_found_in_the_default_frame_or_in_that_of_former_recordings(tmp_path, parents, found):
    with HandMade(tmp_path / 'bag') as writer:
        poses = {parent: make_transform(None, (place + 1, 0, 0)) for place, parent in enumerate(parents)}
        writer.transform(SECOND, parents[-1], 'cam', poses[parents[-1]])
        if len(parents) > 1:
            writer.transform(SECOND, 'base', 'base_link', make_transform(None, (9, 0, 0)))
        writer.info(SECOND)
        writer.image(SECOND)
    frame, = BagReader(tmp_path / 'bag')
    np.testing.assert_allclose(frame.base_from_camera, poses[found])
