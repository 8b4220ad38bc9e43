# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import shutil
import tracemalloc
from dataclasses import replace

import mcap.writer
import numpy as np
import pytest
from hand_made_bags import CAMERA, IMAGE, SECOND, HandMade, frames
from mcap.reader import make_reader
from mcap.records import Chunk
from mcap.stream_reader import StreamReader
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES, BagError
from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import BagWriter, make_camera_info, make_header, new_message


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
        assert len(reader.warnings) == 2 and 'cut off' in reader.warnings[0]
        assert 'to the end are lost' in reader.warnings[1]


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


def lost_seconds(reader):
    """The spans that the reader's warnings say are damaged, seconds after the begin."""
    found = [re.search(r'of ([0-9.]+) to ([0-9.]+) s after its begin, messages are lost', line)
             for line in reader.warnings]
    return [tuple(map(float, match.groups())) for match in found if match]


def flipped(file, share):
    content = bytearray(file.read_bytes())
    content[int(share * len(content))] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize('share', [0.005, 0.02, 0.3, 0.9])
@pytest.mark.parametrize('has_index', [True, False])
def test_a_bit_that_flipped_costs_its_chunk_alone_and_the_time_is_said(tmp_path, long_recording, share, has_index):
    file = shutil.copy(long_recording / 'bag.mcap', tmp_path / 'bag.mcap')
    flipped(file, share)
    if not has_index:
        file.write_bytes(file.read_bytes()[:-20])
    reader = BagReader(file)
    read = [frame for frame in reader if not frame.reason]
    assert 57 <= len(read) < 60
    (start, end), = lost_seconds(reader)
    stamps = {round((frame.stamp_ns / SECOND - 100) * 30) for frame in read}
    missing = sorted(set(range(60)) - stamps)
    assert start - 0.04 <= missing[0] / 30 and missing[-1] / 30 <= end + 0.04


def test_a_chunk_that_says_another_length_does_not_hide_those_behind_it(tmp_path, long_recording):
    file = shutil.copy(long_recording / 'bag.mcap', tmp_path / 'bag.mcap')
    with file.open('rb') as opened:
        second = make_reader(opened).get_summary().chunk_indexes[1].chunk_start_offset
    content = bytearray(file.read_bytes()[:-20])
    content[second + 3] ^= 1
    file.write_bytes(content)
    reader = BagReader(file)
    assert sum(not frame.reason for frame in reader) >= 57 and any('left out' in line for line in reader.warnings)


def test_what_is_written_has_short_chunks_with_checksums(long_recording):
    with (long_recording / 'bag.mcap').open('rb') as file:
        chunks = [record for record in StreamReader(file, emit_chunks=True).records if isinstance(record, Chunk)]
    assert len(chunks) >= 30 and all(chunk.uncompressed_crc for chunk in chunks)
    assert max(chunk.message_end_time - chunk.message_start_time for chunk in chunks) <= SECOND


def test_pages_of_a_sqlite_recording_that_are_damaged_cost_what_was_in_them(tmp_path):
    with HandMade(tmp_path / 'bag', StoragePlugin.SQLITE3) as writer:
        for stamp in range(SECOND, 21 * SECOND, SECOND):
            writer.info(stamp)
            writer.image(stamp)
    file = tmp_path / 'bag' / 'bag.db3'
    content = bytearray(file.read_bytes())
    content[100_000:108_192] = bytes(8192)
    file.write_bytes(content)
    reader = BagReader(file, BagTopics(base_frame=None))
    assert 15 < sum(not frame.reason for frame in reader) <= 20


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
