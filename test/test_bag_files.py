# SPDX-License-Identifier: Apache-2.0
"""Files of recordings as people have them: packed, with a log beside them, of ROS 1, with foreign topics."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import cv2
import mcap.writer
import numpy as np
import pytest
import yaml
import zstandard
from hand_made_bags import CAMERA, IMAGE, MS, SECOND, HandMade
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_typestore

from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES, BagError
from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import make_camera_info, make_header, new_message

NO_BASE = BagTopics(base_frame=None)
PLUGINS = [StoragePlugin.MCAP, StoragePlugin.SQLITE3]
SUFFIXES = {StoragePlugin.MCAP: '.mcap', StoragePlugin.SQLITE3: '.db3'}


def recorded(folder, plugin=StoragePlugin.MCAP, count=5):
    with HandMade(folder, plugin) as writer:
        for stamp in range(SECOND, (1 + count) * SECOND, SECOND):
            writer.info(stamp)
            writer.image(stamp)
    return folder / f'{folder.name}{SUFFIXES[plugin]}'


def reasons(path):
    return [frame.reason for frame in read_frames(path, NO_BASE)]


@pytest.mark.parametrize('plugin', PLUGINS)
def test_the_file_is_believed_where_its_metadata_says_otherwise(tmp_path, plugin):
    recorded(tmp_path / 'bag', plugin)
    path = tmp_path / 'bag' / 'metadata.yaml'
    metadata = yaml.safe_load(path.read_text())
    for topic in metadata['rosbag2_bagfile_information']['topics_with_message_count']:
        topic['message_count'] = 0
        topic['topic_metadata'] |= {'type': 'std_msgs/msg/String', 'type_description_hash': 'RIHS01_00',
                                    'offered_qos_profiles': [{'history': 1}], 'serialization_format': 'other'}
    path.write_text(yaml.safe_dump(metadata))
    reader = BagReader(tmp_path / 'bag', NO_BASE)
    assert [frame.reason for frame in reader] == [''] * 5 and reader.image_count == 5 and reader.warnings == []


@pytest.mark.parametrize(('text', 'words'), [
    ('', 'cannot be read'), ('a: [', 'cannot be read'), ('- 1', 'cannot be read'), ('a: b', 'cannot be read'),
    ('rosbag2_bagfile_information: {relative_file_paths: [other.mcap]}', 'lists other.mcap, not found'),
    ('&a [*a]', 'cannot be read')])
def test_metadata_that_is_none_is_said_and_the_files_are_read(tmp_path, text, words):
    recorded(tmp_path / 'bag')
    (tmp_path / 'bag' / 'metadata.yaml').write_text(text)
    reader = BagReader(tmp_path / 'bag', NO_BASE)
    assert len(list(reader)) == 5 and len(reader.warnings) == 1 and words in reader.warnings[0]


@pytest.mark.parametrize('plugin', PLUGINS)
@pytest.mark.parametrize('suffix', ['.zstd', '.zst'])
@pytest.mark.parametrize('as_folder', [True, False])
def test_a_packed_file_is_read(tmp_path, plugin, suffix, as_folder):
    file = recorded(tmp_path / 'bag', plugin)
    packed = file.with_name(file.name + suffix)
    packed.write_bytes(zstandard.ZstdCompressor().compress(file.read_bytes()))
    file.unlink()
    reader = BagReader(tmp_path / 'bag' if as_folder else packed, NO_BASE)
    assert [frame.reason for frame in reader] == [''] * 5
    assert all(str(tmp_path) in line for line in reader.warnings)


def test_a_packed_file_that_was_cut_is_read_up_to_the_cut(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for stamp in range(SECOND, 100 * SECOND, SECOND):
            writer.info(stamp)
            writer.image(stamp, data=np.random.default_rng(stamp).integers(0, 256, IMAGE.size, np.uint8))
    file = tmp_path / 'bag' / 'bag.mcap'
    packed = tmp_path / 'cut.mcap.zstd'
    content = zstandard.ZstdCompressor().compress(file.read_bytes())
    packed.write_bytes(content[:int(0.7 * len(content))])
    reader = BagReader(packed, NO_BASE)
    assert 40 < len(list(reader)) < 99
    assert 'cut.mcap.zstd: cut off' in reader.warnings[0]


def test_what_is_in_a_write_ahead_log_counts_and_the_folder_stays_as_it_is(tmp_path):
    file = recorded(tmp_path / 'bag', StoragePlugin.SQLITE3)
    database = sqlite3.connect(file)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.execute('INSERT INTO messages(topic_id, timestamp, data) '
                     'SELECT topic_id, timestamp + 20000000000, data FROM messages')
    database.commit()
    killed = tmp_path / 'killed'
    killed.mkdir()
    for name in ('bag.db3', 'bag.db3-wal'):
        shutil.copy(tmp_path / 'bag' / name, killed / name)
    database.close()
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    reader = BagReader(killed / 'bag.db3', NO_BASE)
    assert reader.image_count == 10
    list(reader)
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def write_mcap(path, channels, renamed=(b'\n', b'\n')):
    """An image and its camera_info, and other channels: (topic, message encoding, schema or None).

    :param renamed: what stands in definitions, and what in its place
    """
    header = make_header(SECOND, 'cam')
    own = [('/cam/image_raw', new_message('sensor_msgs/msg/Image', header=header, height=48, width=64,
                                          encoding='bgr8', is_bigendian=0, step=192, data=IMAGE.ravel())),
           ('/cam/camera_info', make_camera_info(header, CAMERA))]
    with path.open('wb') as file:
        writer = mcap.writer.Writer(file)
        writer.start(profile='')
        for topic, message_encoding, schema in channels:
            number = writer.register_schema(*schema) if schema else 0
            writer.add_message(writer.register_channel(topic, message_encoding, number), 1, b'{"a": 1}', 1)
        for topic, message in own:
            kind = message.__msgtype__
            definition, _ = STANDARD_TYPES.generate_msgdef(kind, ros_version=2)
            schema = writer.register_schema(kind, 'ros2msg', definition.encode().replace(*renamed))
            data = bytes(STANDARD_TYPES.serialize_cdr(message, kind))
            writer.add_message(writer.register_channel(topic, 'cdr', schema), SECOND, data, SECOND)
        writer.finish()


@pytest.mark.parametrize('cut', [False, True])
@pytest.mark.parametrize(('channel', 'words'), [
    (('/notes', 'json', ('Note', 'jsonschema', b'{}')), '/notes (json with jsonschema (Note))'),
    (('/boxes', 'protobuf', ('foxglove.Box', 'protobuf', b'\0\1')), '/boxes (protobuf with protobuf'),
    (('/bare', 'json', None), '/bare (json, no type)'), (('/bytes', 'cdr', None), '/bytes (cdr, no type)'),
    (('/own', 'cdr', ('my/msg/Own', 'strange', b'?')), '/own (cdr with strange (my/msg/Own))')])
def test_foreign_channels_among_good_ones_are_left_out_aloud(tmp_path, channel, words, cut):
    path = tmp_path / 'mixed.mcap'
    write_mcap(path, [channel])
    if cut:
        path.write_bytes(path.read_bytes()[:-20])
    reader = BagReader(path, NO_BASE)
    assert [frame.reason for frame in reader] == ['']
    assert words in reader.warnings[-1] and 'without ROS messages' in reader.warnings[-1]
    assert not any('damaged' in line for line in reader.warnings[cut:])


def test_a_definition_that_nobody_needs_may_be_broken(tmp_path):
    path = tmp_path / 'mixed.mcap'
    write_mcap(path, [('/own', 'cdr', ('my/msg/Own', 'ros2msg', b'this is ] no definition'))])
    reader = BagReader(path, NO_BASE)
    assert [frame.reason for frame in reader] == [''] and reader.warnings == []


def test_a_definition_that_lacks_a_field_gives_way_to_the_standard_one(tmp_path):
    path = tmp_path / 'other.mcap'
    write_mcap(path, [], renamed=(b'is_bigendian', b'is_other'))
    reader = BagReader(path, NO_BASE)
    assert [frame.reason for frame in reader] == ['']
    assert 'has no sensor_msgs/msg/Image.is_bigendian, the standard one is used' in reader.warnings[-1]


def test_an_empty_topic_is_not_guessed(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        writer.image(SECOND, topic='/a/image_raw')
        writer.image(SECOND, topic='/b/image_raw')
        writer.info(SECOND, topic='/b/camera_info')
    path = tmp_path / 'bag' / 'bag.mcap'
    assert BagReader(path).topics.image == '/b/image_raw'
    with path.open('wb') as file:
        writer = mcap.writer.Writer(file)
        writer.start(profile='ros2')
        for topic in ('/a/image_raw', '/b/image_raw'):
            schema = writer.register_schema('sensor_msgs/msg/Image', 'ros2msg', b'')
            channel = writer.register_channel(topic, 'cdr', schema)
        writer.add_message(channel, 1, b'', 1)
        writer.finish()
    assert BagReader(path).topics.image == '/b/image_raw'


@pytest.mark.parametrize('name', ['/iris/camera/image_raw', '/infrastructure/image', '/depthai/rgb/image_raw',
                                  '/damask/image', '/viewpoints/image'])
def test_a_name_that_only_contains_a_word_is_no_reason_to_leave_it(tmp_path, name):
    with HandMade(tmp_path / 'bag') as writer:
        writer.image(SECOND, topic=name)
    assert BagReader(tmp_path / 'bag').topics.image == name


@pytest.mark.parametrize('name', ['/cam/ir/image_raw', '/cam/infra1/image', '/cam/depth/image_raw/compressedDepth',
                                  '/cam/image_raw/compressedDepth', '/aligned_depth_to_color/image_raw'])
def test_what_is_named_like_no_picture_is_named_in_the_refusal(tmp_path, name):
    with HandMade(tmp_path / 'bag') as writer:
        writer.image(SECOND, topic=name)
    with pytest.raises(BagError, match=rf'named like depth, infrared or results: {name} .*--image-topic'):
        BagReader(tmp_path / 'bag')


@pytest.mark.parametrize('codec', ['png', 'plain'])
def test_compressed_depth_is_a_depth_topic(tmp_path, codec):
    numbers = np.full((48, 64), 750, np.uint16)
    data = (bytes(12) if codec == 'png' else b'') + cv2.imencode('.png', numbers)[1].tobytes()
    topic = '/cam/depth/image_raw/compressedDepth'
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.image(SECOND)
        writer.put(topic, 'sensor_msgs/msg/CompressedImage', SECOND, new_message(
            'sensor_msgs/msg/CompressedImage', header=make_header(SECOND + MS, 'cam'),
            format='16UC1; compressedDepth png' if codec == 'png' else '16UC1; png compressed ',
            data=np.frombuffer(data, np.uint8)))
    frame, = read_frames(tmp_path / 'bag', BagTopics(base_frame=None, depth=topic))
    np.testing.assert_allclose(frame.depth_m, 0.75)


def test_sixteen_bits_are_scaled_by_the_stream_and_said(tmp_path):
    bright, dark = (np.full((48, 64), value, '<u2').view(np.uint8).ravel() for value in (4000, 160))
    with HandMade(tmp_path / 'bag') as writer:
        for stamp, data in ((SECOND, bright), (2 * SECOND, dark)):
            writer.info(stamp)
            writer.image(stamp, encoding='mono16', step=128, data=data)
    reader = BagReader(tmp_path / 'bag', NO_BASE)
    assert [int(frame.image[0, 0, 0]) for frame in reader] == [250, 10]
    assert len(reader.warnings) == 1 and 'mono16: 12 of 16 bits' in reader.warnings[0]


def test_a_bag_of_ros_1_is_read_like_one_of_ros_2(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    time = types['builtin_interfaces/msg/Time'](sec=7, nanosec=5)
    header = types['std_msgs/msg/Header'](seq=3, stamp=time, frame_id='cam')
    whole = types['sensor_msgs/msg/RegionOfInterest'](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    k = CAMERA.matrix.ravel()
    info = types['sensor_msgs/msg/CameraInfo'](
        header=header, height=48, width=64, distortion_model='plumb_bob', D=CAMERA.distortion, K=k,
        R=np.eye(3).ravel(), P=np.zeros(12), binning_x=0, binning_y=0, roi=whole)
    image = types['sensor_msgs/msg/Image'](header=header, height=48, width=64, encoding='bgr8', is_bigendian=0,
                                           step=192, data=IMAGE.ravel())
    path = tmp_path / 'old.bag'
    with Ros1Writer(path) as writer:
        for topic, message in (('/cam/camera_info', info), ('/cam/image_raw', image)):
            kind = message.__msgtype__
            connection = writer.add_connection(topic, kind, typestore=store)
            writer.write(connection, 7 * SECOND + 5, store.serialize_ros1(message, kind))
    frame, = read_frames(path, NO_BASE)
    assert (frame.reason, frame.stamp_ns) == ('', 7 * SECOND + 5)
    np.testing.assert_array_equal(frame.image, IMAGE)
    np.testing.assert_allclose(frame.camera.matrix.ravel(), k)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BagError, match=r'old.bag: a ROS 1 bag that cannot be read: .*rosbag reindex'):
        read_frames(path)


def bomb(size):
    return zstandard.ZstdCompressor().compress(bytes(size))


def test_what_unpacks_to_too_much_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv('POSEGRASP_MAX_MESSAGE_MB', '1')
    with HandMade(tmp_path / 'bag', StoragePlugin.SQLITE3) as writer:
        for stamp in (SECOND, 2 * SECOND):
            writer.info(stamp)
            writer.image(stamp)
        writer.put('/cam/image_raw', 'sensor_msgs/msg/Image', 3 * SECOND, data=bomb(1 << 26))
        writer.put('/cam/image_raw', 'sensor_msgs/msg/Image', 4 * SECOND, data=bytes(1 << 21))
    reader = BagReader(tmp_path / 'bag', NO_BASE)
    assert [frame.reason for frame in reader] == ['', '']
    assert len(reader.warnings) == 2 and all('POSEGRASP_MAX_MESSAGE_MB' in line for line in reader.warnings)


def test_a_query_in_the_place_of_rows_is_refused(tmp_path):
    """This one would go on for ever."""
    with closing(sqlite3.connect(tmp_path / 'endless.db3')) as database:
        database.execute('CREATE VIEW topics AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r) '
                         'SELECT id, id AS name, id AS type, id AS serialization_format FROM r')
        database.commit()
    with pytest.raises(BagError, match='expected a table topics, found a view'):
        BagReader(tmp_path / 'endless.db3')
