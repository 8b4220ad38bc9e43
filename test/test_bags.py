# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from hand_made_bags import BASE_FROM_CAMERA, CAMERA, IMAGE, SECOND, TRUTH, HandMade, frames
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer

from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES, BagError
from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import BagWriter, RawBagWriter
from posegrasp_ros.geometry.transforms import make_transform


def test_what_is_written_comes_back(bag):
    read = list(read_frames(bag))
    assert [frame.stamp_ns for frame in read] == [frame.stamp_ns for frame in frames(5)]
    for frame in read:
        assert frame.reason == frame.problem == ''
        assert np.abs(frame.image.astype(int) - IMAGE).max() < 12, 'JPEG of quality 95'
        np.testing.assert_allclose(frame.camera.matrix, CAMERA.matrix)
        np.testing.assert_allclose(frame.camera.distortion, CAMERA.distortion)
        np.testing.assert_allclose(frame.camera_from_object, TRUTH, atol=1e-12)
        np.testing.assert_allclose(frame.base_from_camera, BASE_FROM_CAMERA, atol=1e-12)
        assert frame.decode_ms > 0


def test_a_bare_file_reads_like_its_folder(bag):
    assert len(list(read_frames(bag / 'bag.mcap'))) == 5


@pytest.mark.parametrize('missing', ['camera_from_object', 'base_from_camera'])
def test_truth_and_camera_pose_may_be_missing(tmp_path, missing):
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames(3):
            writer.write(replace(frame, **{missing: None}))
    for frame in read_frames(tmp_path / 'bag'):
        assert frame.reason == '' and getattr(frame, missing) is None


def test_a_writer_that_is_interrupted_leaves_a_whole_bag(tmp_path):
    with pytest.raises(KeyboardInterrupt), BagWriter(tmp_path / 'bag') as writer:
        for index, frame in enumerate(frames(5)):
            if index == 3:
                raise KeyboardInterrupt
            writer.write(frame)
    reader = BagReader(tmp_path / 'bag')
    assert len(list(reader)) == 3 and reader.warnings == []


@pytest.mark.parametrize('call', ['write', 'close'])
def test_a_full_disk_is_reported_with_the_name_of_the_bag(tmp_path, monkeypatch, call):
    """Errors of files that are open name none."""
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(OSError, match='No space') as caught, RawBagWriter(tmp_path / 'bag') as writer:
        monkeypatch.setattr(Writer, call, full)
        writer.write('/x', 'std_msgs/msg/Header', 0, b'', STANDARD_TYPES)
    assert caught.value.filename == str(tmp_path / 'bag')


def test_the_writer_does_not_overwrite(bag):
    with pytest.raises(BagError, match='already exists'):
        BagWriter(bag)


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('compression', [CompressionMode.NONE, CompressionMode.MESSAGE])
def test_raw_images_of_both_storages_compressed_or_not(tmp_path, plugin, compression):
    with HandMade(tmp_path / 'bag', plugin, compression) as writer:
        for stamp in (SECOND, 2 * SECOND):
            writer.info(stamp)
            writer.image(stamp)
            writer.truth(stamp)
    read = list(read_frames(tmp_path / 'bag'))
    assert [frame.stamp_ns for frame in read] == [SECOND, 2 * SECOND]
    np.testing.assert_array_equal(read[0].image, IMAGE)
    assert read[0].camera is not None and read[0].camera_from_object is not None


def test_a_bare_sqlite_file_without_definitions_reads(tmp_path):
    with HandMade(tmp_path / 'bag', StoragePlugin.SQLITE3) as writer:
        writer.info(SECOND)
        writer.image(SECOND)
    path = tmp_path / 'old.db3'
    shutil.copy(tmp_path / 'bag' / 'bag.db3', path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE message_definitions SET encoded_message_definition = '', encoding = 'ros2msg'")
    assert [frame.reason for frame in read_frames(path)] == ['']


def test_messages_of_a_stamp_are_joined_whatever_their_order(tmp_path):
    near = make_transform(None, (0, 0, 0.3))
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.image(SECOND)
        writer.image(2 * SECOND, at_ns=SECOND + 1)
        writer.truth(2 * SECOND, near, at_ns=SECOND + 2)
        writer.truth(SECOND, at_ns=SECOND + 3)
    first, second = read_frames(tmp_path / 'bag')
    np.testing.assert_allclose(first.camera_from_object, TRUTH, atol=1e-12)
    np.testing.assert_allclose(second.camera_from_object, near, atol=1e-12)
    assert second.camera is not None, 'the last camera_info before it'


def test_images_that_repeat_a_stamp_are_left_out_and_counted_and_disorder_is_none(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        for number, stamp in enumerate((SECOND, SECOND + 40, SECOND + 20, SECOND + 40, SECOND + 60)):
            writer.image(stamp, at_ns=SECOND + number)
            writer.truth(stamp, at_ns=SECOND + number)
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None))
    read = list(reader)
    assert [frame.stamp_ns - SECOND for frame in read] == [0, 40, 20, 60]
    assert all(frame.camera_from_object is not None for frame in read)
    warning, = reader.warnings
    assert '1 images have the stamp of another' in warning


def test_single_bad_messages_become_frames_with_a_reason_and_the_rest_goes_on(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.image(1 * SECOND)
        writer.info(2 * SECOND, k=np.zeros(9))
        writer.image(2 * SECOND)
        writer.info(3 * SECOND)
        writer.image(3 * SECOND, encoding='32FC3')
        writer.image(4 * SECOND, data=IMAGE.ravel()[:-5])
        writer.put('/cam/image_raw', 'sensor_msgs/msg/Image', 5 * SECOND, data=b'\0\1\0\0\7\7')
        writer.info(6 * SECOND, camera=CAMERA.resized(128, 96))
        writer.image(6 * SECOND)
        writer.info(7 * SECOND)
        writer.image(7 * SECOND)
        writer.truth(7 * SECOND, scale=0.0)
    read = list(read_frames(tmp_path / 'bag'))
    assert [frame.stamp_ns // SECOND for frame in read] == [1, 2, 3, 4, 5, 6, 7]
    assert [frame.reason for frame in read] == [
        'no_camera_info', 'bad_camera_info', 'bad_image', 'bad_image', 'bad_image', 'size_mismatch', '']
    words = ['no camera_info', 'focal lengths', '32FC3', '9211', '/cam/image_raw', '128x96', '']
    assert all(word in frame.problem for word, frame in zip(words, read))
    assert read[6].camera_from_object is None, 'a quaternion without length is no truth'


def test_the_right_topics_are_guessed_among_many(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for topic in ('/debug/overlay', '/cam/depth/image_raw', '/cam/color/image_raw', '/other'):
            writer.image(SECOND, topic=topic)
        for topic in ('/cam/depth/camera_info', '/cam/color/camera_info'):
            writer.info(SECOND, topic=topic)
        for topic in ('/tcp_pose', '/object/ground_truth'):
            writer.truth(SECOND, topic=topic)
    reader = BagReader(tmp_path / 'bag')
    assert reader.topics == BagTopics('/cam/color/image_raw', '/cam/color/camera_info', '/object/ground_truth')
    asked = BagTopics(image='/cam/depth/image_raw', ground_truth='/tcp_pose')
    assert BagReader(tmp_path / 'bag', asked).topics == BagTopics(
        '/cam/depth/image_raw', '/cam/depth/camera_info', '/tcp_pose')


def test_a_bag_without_images_lists_what_it_holds(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.truth(SECOND, topic='/tcp_pose')
    with pytest.raises(BagError, match=r'sensor_msgs/msg/CompressedImage.*found /tcp_pose \(geometry_msgs'):
        read_frames(tmp_path / 'bag')
    with pytest.raises(BagError, match='/nope: no such topic; found /tcp_pose'):
        read_frames(tmp_path / 'bag', BagTopics(image='/nope'))


@pytest.mark.parametrize('name, content', [
    ('missing.mcap', None), ('text.mcap', b'hello'), ('empty.mcap', b''), ('empty.db3', b''),
    ('notes.txt', b'hello'), ('text.db3', b'hello ' * 500)])
def test_what_is_no_bag_is_refused_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BagError) as caught:
        list(read_frames(path))
    assert str(caught.value).startswith(str(path)) and '\n' not in str(caught.value)


def test_a_folder_that_is_no_bag_is_refused(tmp_path):
    with pytest.raises(BagError, match='not a bag'):
        read_frames(tmp_path)
