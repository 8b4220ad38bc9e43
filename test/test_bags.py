from __future__ import annotations

import shutil
import sqlite3
import tracemalloc
from dataclasses import replace

import cv2
import mcap.writer
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from posegrasp_ros.bags.messages import STANDARD_TYPES
from posegrasp_ros.bags.reader import BagError, BagFrame, BagReader, BagTopics, BagWriter, read_frames
from posegrasp_ros.bags.writer import (
    DEPTH_TOPIC,
    make_camera_info,
    make_depth_image,
    make_header,
    new_message,
    pose_parts,
)
from posegrasp_ros.camera import Camera
from posegrasp_ros.geometry import look_at, make_transform, rotation_from_vector

SECOND = 1_000_000_000
CAMERA = Camera(64, 48, [[60, 0, 31], [0, 61, 23], [0, 0, 1]], [0.1, -0.05, 0.001, 0, 0])
TRUTH = make_transform(rotation_from_vector([0.1, 0.2, 0.3]), (0.01, -0.02, 0.5))
BASE_FROM_CAMERA = look_at((0.5, 0.1, 0.6), (0, 0, 0))
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 4)


def frames(count, step_ns=SECOND):
    return [BagFrame(100 * SECOND + index * step_ns, IMAGE, CAMERA, TRUTH, BASE_FROM_CAMERA)
            for index in range(count)]


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames(5):
            writer.write(frame)
    return tmp_path / 'bag'


class HandMade:
    """Writes single messages, for bags that are not as they should be."""

    def __init__(self, path, plugin=StoragePlugin.MCAP, compression=CompressionMode.NONE):
        self._writer = Writer(path, version=9, storage_plugin=plugin)
        if compression != CompressionMode.NONE:
            self._writer.set_compression(compression, CompressionFormat.ZSTD)
        self._connections = {}

    def __enter__(self):
        self._writer.open()
        return self

    def __exit__(self, *_):
        self._writer.close()

    def put(self, topic, kind, stamp_ns, message=None, data=None):
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=STANDARD_TYPES)
        data = STANDARD_TYPES.serialize_cdr(message, kind) if data is None else data
        self._writer.write(self._connections[topic], stamp_ns, data)

    def image(self, stamp_ns, topic='/cam/image_raw', at_ns=None, frame_id='cam', encoding='bgr8', step=None,
              data=None):
        message = new_message(
            'sensor_msgs/msg/Image', header=make_header(stamp_ns, frame_id), height=48, width=64,
            encoding=encoding, is_bigendian=0, step=step or 192, data=IMAGE.ravel() if data is None else data)
        self.put(topic, 'sensor_msgs/msg/Image', at_ns or stamp_ns, message)

    def info(self, stamp_ns, camera=CAMERA, topic='/cam/camera_info', at_ns=None, **changes):
        message = make_camera_info(make_header(stamp_ns, 'cam'), camera)
        for name, value in changes.items():
            setattr(message, name, value)
        self.put(topic, 'sensor_msgs/msg/CameraInfo', at_ns or stamp_ns, message)

    def truth(self, stamp_ns, pose=TRUTH, topic='/ground_truth', at_ns=None, frame_id='cam', scale=1.0):
        position, orientation = pose_parts(pose)
        for axis in 'xyzw':
            setattr(orientation, axis, getattr(orientation, axis) * scale)
        message = new_message(
            'geometry_msgs/msg/PoseStamped', header=make_header(stamp_ns, frame_id),
            pose=new_message('geometry_msgs/msg/Pose', orientation=orientation,
                                 position=new_message('geometry_msgs/msg/Point', **position)))
        self.put(topic, 'geometry_msgs/msg/PoseStamped', at_ns or stamp_ns, message)

    def depth(self, stamp_ns, value_m, at_ns=None, shape=(48, 64)):
        message = make_depth_image(make_header(stamp_ns, 'cam'), np.full(shape, value_m, np.float32))
        self.put('/cam/depth/image_raw', 'sensor_msgs/msg/Image', at_ns or stamp_ns, message)

    def transform(self, stamp_ns, parent, child, pose, topic='/tf_static', at_ns=None):
        position, orientation = pose_parts(pose)
        transform = new_message('geometry_msgs/msg/Transform', rotation=orientation,
                                    translation=new_message('geometry_msgs/msg/Vector3', **position))
        stamped = new_message('geometry_msgs/msg/TransformStamped', transform=transform, child_frame_id=child,
                                  header=make_header(stamp_ns, parent))
        self.put(topic, 'tf2_msgs/msg/TFMessage', at_ns or stamp_ns,
                 new_message('tf2_msgs/msg/TFMessage', transforms=[stamped]))


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


def test_the_writer_does_not_overwrite(bag):
    with pytest.raises(BagError, match='exists already'):
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


MS = 1_000_000


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
    assert (reader.truths.matched, reader.truths.unused) == (sum(matched), 3 - sum(matched))
    said = {
        0: 'has no stamp of an image',
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
    assert "object frame 'box'; its frames are: base, camera_optical_frame" in reader.warnings[0]


def test_what_was_recorded_before_the_clock_was_set_back_is_not_joined_with_what_comes_after(tmp_path):
    other = make_transform(None, (0, 0, 0.7))
    at_ns = 100 * SECOND
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(10 * SECOND, at_ns=at_ns)
        for base_ns, pose in ((10 * SECOND, TRUTH), (8 * SECOND, other)):
            for index in range(60):
                stamp, at_ns = base_ns + index * 33 * MS, at_ns + 33 * MS
                writer.transform(stamp, 'base', 'cam', make_transform(None, (base_ns / SECOND, 0, 0)), topic='/tf',
                                 at_ns=at_ns)
                writer.image(stamp, at_ns=at_ns)
                writer.truth(stamp, pose, at_ns=at_ns)
    reader = BagReader(tmp_path / 'bag')
    read = list(reader)
    assert len(read) == 120 and all(frame.reason == '' for frame in read)
    for frame, pose, base in zip(read, [TRUTH] * 60 + [other] * 60, [10] * 60 + [8] * 60):
        np.testing.assert_allclose(frame.camera_from_object, pose, atol=1e-12)
        assert frame.base_from_camera[0, 3] == base
    assert 'clock was set back by' in reader.warnings[0]


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
            writer.transform(stamp, 'base', 'hand', hand_now, topic='/tf')
    for frame in read_frames(tmp_path / 'bag'):
        expected = hand @ make_transform(None, (frame.stamp_ns / SECOND, 0, 0)) @ mount
        np.testing.assert_allclose(frame.base_from_camera, expected, atol=1e-12)


def test_truth_in_the_base_frame_is_brought_to_the_camera(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.transform(SECOND, 'base', 'cam', BASE_FROM_CAMERA)
        writer.info(SECOND)
        writer.truth(SECOND, BASE_FROM_CAMERA @ TRUTH, frame_id='base')
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
    assert len(reader.warnings) == 1 and 'frame map' in reader.warnings[0]


def test_single_bad_messages_become_frames_with_a_reason_and_the_rest_goes_on(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.image(1 * SECOND)
        writer.info(2 * SECOND, k=np.zeros(9))
        writer.image(2 * SECOND)
        writer.info(3 * SECOND)
        writer.image(3 * SECOND, encoding='bayer_rggb8')
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
    words = ['no camera_info', 'focal lengths', 'bayer_rggb8', '9211', '/cam/image_raw', '128x96', '']
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


@pytest.fixture(scope='module')
def long_recording(tmp_path_factory):
    path = tmp_path_factory.mktemp('long') / 'bag'
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    camera = CAMERA.resized(320, 240)
    with BagWriter(path) as writer:
        for frame in frames(60, SECOND // 30):
            writer.write(replace(frame, image=noise, camera=camera))
    return path


@pytest.mark.parametrize('as_folder', [True, False])
def test_a_recording_that_was_cut_off_is_read_up_to_the_damage_and_says_so(tmp_path, long_recording, as_folder):
    folder = tmp_path / 'bag'
    shutil.copytree(long_recording, folder)
    file = folder / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:int(file.stat().st_size * 0.6)])
    reader = BagReader(folder if as_folder else file)
    read = list(reader)
    assert 5 < len(read) < 60
    assert all(frame.reason == '' for frame in read[:-1])
    assert 'cut off' in reader.warnings[0] and not any('cut off' in line for line in reader.warnings[1:])


def test_a_recording_that_was_killed_has_no_metadata_and_is_read(tmp_path, long_recording):
    folder = tmp_path / 'bag'
    shutil.copytree(long_recording, folder)
    (folder / 'metadata.yaml').unlink()
    reader = BagReader(folder)
    assert len(list(reader)) == 60 and reader.warnings


def test_a_file_cut_before_its_first_message_is_refused(tmp_path, long_recording):
    file = tmp_path / 'cut.mcap'
    file.write_bytes((long_recording / 'bag.mcap').read_bytes()[:200])
    with pytest.raises(BagError, match='cut off before its first message'):
        read_frames(file)


def test_a_sqlite_recording_that_was_cut_off_is_read_up_to_the_damage_and_says_so(tmp_path):
    with HandMade(tmp_path / 'bag', StoragePlugin.SQLITE3) as writer:
        for stamp in range(SECOND, 21 * SECOND, SECOND):
            writer.info(stamp)
            writer.image(stamp)
    file = tmp_path / 'bag' / 'bag.db3'
    file.write_bytes(file.read_bytes()[:100_000])
    for path in (file, file.parent):
        reader = BagReader(path, BagTopics(base_frame=None))
        read = list(reader)
        assert 5 < len(read) < 20 and all(frame.reason == '' for frame in read[:-1])
        assert len(reader.warnings) == 1 and 'cut off' in reader.warnings[0]


def test_a_sqlite_recording_that_was_killed_has_no_metadata_and_is_read(tmp_path):
    with HandMade(tmp_path / 'bag', StoragePlugin.SQLITE3, CompressionMode.MESSAGE) as writer:
        writer.info(SECOND)
        writer.image(SECOND)
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    reader = BagReader(tmp_path / 'bag')
    assert [frame.reason for frame in reader] == [''] and reader.warnings


def test_of_several_files_a_damaged_one_costs_its_own_end_alone(tmp_path, long_recording):
    folder = tmp_path / 'bag'
    folder.mkdir()
    whole = (long_recording / 'bag.mcap').read_bytes()
    for number in (0, 2, 10):
        (folder / f'bag_{number}.mcap').write_bytes(whole if number != 2 else whole[:int(len(whole) * 0.9)])
    reader = BagReader(folder)
    read = list(reader)
    assert 160 < len(read) < 180
    assert any('bag_2.mcap: damaged' in line for line in reader.warnings)
    assert sum('clock was set back' in line for line in reader.warnings) == 2, 'the same times three times over'


def test_a_file_without_chunks_is_read_whatever_the_order_of_its_messages(tmp_path):
    path = tmp_path / 'fast.mcap'
    kinds = {'/cam/image_raw': 'sensor_msgs/msg/Image', '/cam/camera_info': 'sensor_msgs/msg/CameraInfo'}
    header = make_header(SECOND, 'cam')
    image = new_message('sensor_msgs/msg/Image', header=header, height=48, width=64, encoding='bgr8',
                        is_bigendian=0, step=192, data=IMAGE.ravel())
    with path.open('wb') as file:
        writer = mcap.writer.Writer(file, use_chunking=False)
        writer.start(profile='ros2')
        for (topic, kind), message, at_ns in zip(kinds.items(), (image, make_camera_info(header, CAMERA)), (9, 5)):
            definition, _ = STANDARD_TYPES.generate_msgdef(kind, ros_version=2)
            schema = writer.register_schema(kind, 'ros2msg', definition.encode())
            channel = writer.register_channel(topic, 'cdr', schema)
            writer.add_message(channel, at_ns, bytes(STANDARD_TYPES.serialize_cdr(message, kind)), at_ns)
        writer.finish()
    reader = BagReader(path, BagTopics(base_frame=None))
    assert [frame.reason for frame in reader] == [''] and reader.warnings == []


def test_memory_does_not_grow_with_the_recording(long_recording):
    def peak(count):
        tracemalloc.start()
        for index, _ in enumerate(read_frames(long_recording)):
            if index == count:
                break
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(59) < peak(20) + 3_000_000


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


def test_depth_comes_back_where_its_topic_is_asked_for(tmp_path):
    depth_m = np.linspace(0.3, 2, 48 * 64, dtype=np.float32).reshape(48, 64)
    depth_m[3, 5] = np.nan
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames(3):
            writer.write(replace(frame, depth_m=depth_m))
    for frame in read_frames(tmp_path / 'bag', BagTopics(depth=DEPTH_TOPIC)):
        np.testing.assert_array_equal(frame.depth_m, depth_m)
    assert all(frame.depth_m is None for frame in read_frames(tmp_path / 'bag'))


def test_a_recording_without_a_depth_camera_has_no_depth_topic(bag):
    assert DEPTH_TOPIC not in BagReader(bag)._bag.topics
    with pytest.raises(BagError, match='/camera/depth/image_raw: no such topic; found'):
        BagReader(bag, BagTopics(depth=DEPTH_TOPIC))
    with pytest.raises(BagError, match='/ground_truth: expected sensor_msgs/msg/Image, found geometry_msgs'):
        BagReader(bag, BagTopics(depth='/ground_truth'))


def test_depth_of_the_same_stamp_goes_before_the_nearest_and_far_ones_are_not_taken(tmp_path):
    ms = 1_000_000
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.depth(SECOND - 5 * ms, 0.1)
        writer.image(SECOND)
        writer.depth(SECOND, 0.2, at_ns=SECOND + 30 * ms)
        writer.image(2 * SECOND)
        writer.depth(2 * SECOND + 19 * ms, 0.3)
        writer.image(3 * SECOND)
        writer.depth(3 * SECOND + 21 * ms, 0.4)
    read = list(read_frames(tmp_path / 'bag', BagTopics(depth='/cam/depth/image_raw')))
    assert [None if frame.depth_m is None else frame.depth_m[0, 0] for frame in read] == [
        np.float32(0.2), np.float32(0.3), None]


def test_depth_of_another_size_is_left_out_and_said_once(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for stamp in (SECOND, 2 * SECOND):
            writer.info(stamp)
            writer.image(stamp)
            writer.depth(stamp, 0.5, shape=(24, 32))
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None, depth='/cam/depth/image_raw'))
    assert [(frame.reason, frame.depth_m) for frame in reader] == [('', None)] * 2
    assert len(reader.warnings) == 1 and 'expected 64x48' in reader.warnings[0] and '32x24' in reader.warnings[0]
