# SPDX-License-Identifier: Apache-2.0
"""Whatever a reader is handed, it answers with data or with one line: nothing else comes out of it.

``make fuzz`` tries for minutes a reader instead of a few examples.
"""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzing import fuzzed
from hand_made_bags import CAMERA, IMAGE, SECOND, HandMade
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_typestore

from posegrasp_ros.datasets.bag_messages import BagMessages
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import make_camera_info, make_header
from posegrasp_ros.datasets.bop_dataset import BopReader
from posegrasp_ros.datasets.ground_truth_file import read_ground_truth
from posegrasp_ros.datasets.photographs import PhotographReader
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.sensing.compressed_depth import decode_compressed_depth
from posegrasp_ros.sensing.compressed_images import compressed_bits, decode_compressed
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.sensing.images import ALIASES, ENCODINGS, PLANAR
from posegrasp_ros.sensing.packed_image import BitDepth, PackedImage

# Damage as it happens, and as somebody would make it: bytes changed, left out, put in, repeated.
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(['flip', 'set', 'cut', 'drop', 'add',
                                                                               'huge', 'zeros']),
                           st.integers(0, 255), st.integers(1, 64)), max_size=6)


def damaged(content: bytes, edits) -> bytes:
    data = bytearray(content)
    for share, how, value, length in edits:
        place = int(share * len(data))
        if how == 'flip' and data:
            data[place] ^= 1 << value % 8
        elif how == 'set' and data:
            data[place] = value
        elif how == 'cut':
            del data[place:]
        elif how == 'drop':
            del data[place:place + length]
        elif how == 'add':
            data[place:place] = bytes([value]) * length
        elif how == 'huge':
            data[place:place + 8] = struct.pack('<Q', (1 << 8 * (value % 8 + 1)) - 1)
        else:
            data[place:place + length] = bytes(length)
    return bytes(data)


def is_answered(reader) -> list:
    """What a reader gives; a refusal is one short line."""
    try:
        return list(reader())
    except InvalidInputError as error:
        assert '\n' not in str(error) and len(str(error)) < 2000
        return []


def check_frames(frames) -> None:
    for frame in frames:
        assert frame.reason or (frame.image.dtype == np.uint8 and frame.image.shape[2] == 3)
        assert bool(frame.reason) == bool(frame.problem) and '\n' not in frame.problem
        assert all(np.isfinite(truth).all() for truth in frame.truths)


def recording(plugin, compression=CompressionMode.NONE) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with HandMade(Path(folder) / 'bag', plugin, compression) as writer:
            for stamp in range(SECOND, 4 * SECOND, SECOND):
                writer.info(stamp)
                writer.image(stamp, step=64, encoding='mono8', data=IMAGE[..., 0].ravel())
                writer.truth(stamp)
                writer.transform(stamp, 'base', 'cam', np.eye(4))
        return next(path for path in Path(folder, 'bag').iterdir() if path.suffix != '.yaml').read_bytes()


def ros1_recording() -> bytes:
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'old.bag'
        with Ros1Writer(path) as writer:
            kind = 'sensor_msgs/msg/Image'
            connection = writer.add_connection('/cam/image_raw', kind, typestore=store)
            for second in (1, 2, 3):
                header = types['std_msgs/msg/Header'](
                    seq=3, stamp=types['builtin_interfaces/msg/Time'](sec=second, nanosec=5), frame_id='cam')
                image = types[kind](header=header, height=48, width=64, encoding='bgr8', is_bigendian=0, step=192,
                                    data=IMAGE.ravel())
                writer.write(connection, second * SECOND, store.serialize_ros1(image, kind))
        return path.read_bytes()


RECORDINGS = {
    'whole.mcap': recording(StoragePlugin.MCAP),
    'packed.mcap': recording(StoragePlugin.MCAP, CompressionMode.STORAGE),
    'whole.db3': recording(StoragePlugin.SQLITE3),
    'packed.db3': recording(StoragePlugin.SQLITE3, CompressionMode.MESSAGE), 'old.bag': ros1_recording()}


@pytest.mark.parametrize('name', RECORDINGS)
def test_recordings(name):
    @fuzzed(edits=EDITS)
    def test(edits):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(damaged(RECORDINGS[name], edits))
            check_frames(is_answered(lambda: BagReader(path, BagTopics())))

    test()


METADATA = """rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
  relative_file_paths: [bag.mcap]
  compression_format: ''
  topics_with_message_count: []
"""


@fuzzed(edits=EDITS)
def test_metadata(edits):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'bag.mcap').write_bytes(RECORDINGS['whole.mcap'])
        Path(folder, 'metadata.yaml').write_bytes(damaged(METADATA.encode(), edits))
        assert len(is_answered(lambda: BagReader(folder, BagTopics(base_frame=None)))) == 3


@fuzzed(edits=EDITS)
def test_messages_of_a_recording(edits):
    """Bytes of a message that is not what its topic says."""
    header = make_header(SECOND, 'cam')
    kind, whole = 'sensor_msgs/msg/CameraInfo', make_camera_info(header, CAMERA)
    with tempfile.TemporaryDirectory() as folder:
        with HandMade(Path(folder) / 'bag') as writer:
            writer.put('/cam/camera_info', kind, SECOND, whole)
        bag = BagMessages(Path(folder) / 'bag')
        message, = bag.messages(['/cam/camera_info'])
        is_answered(lambda: [bag.decode(message._replace(data=damaged(message.data, edits)))])


def coded(image, suffix, *parameters):
    return cv2.imencode(suffix, image, parameters)[1].tobytes()


PICTURE = cv2.resize(IMAGE, (20, 14))
FILES = [coded(PICTURE, '.png'), coded(PICTURE, '.jpg'), coded(PICTURE, '.webp'), coded(PICTURE, '.tif'),
         coded(PICTURE, '.bmp'), coded(PICTURE[..., 0], '.png'), coded(PICTURE.astype(np.uint16) << 4, '.png'),
         coded(PICTURE.astype(np.uint16) << 4, '.tif'), coded(PICTURE, '.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1)]
FORMATS = ['', 'jpeg', 'rgb8; jpeg compressed bgr8', 'bayer_rggb8; png compressed ',
           'bayer_grbg16; png compressed ', 'rgba16; png compressed ', ';', '16UC1; compressedDepth png']


@fuzzed(content=st.sampled_from(FILES), edits=EDITS, format=st.sampled_from(FORMATS) | st.text(max_size=30))
def test_compressed_images(content, edits, format):
    data = damaged(content, edits)
    for image in is_answered(lambda: [decode_compressed(data, format)]):
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    is_answered(lambda: [compressed_bits(data)])


@fuzzed(encoding=st.sampled_from([*ENCODINGS, *ALIASES, *PLANAR]) | st.text(max_size=12),
        width=st.integers(0, 9), height=st.integers(0, 9), step=st.integers(0, 80), length=st.integers(0, 700),
        exact=st.booleans(), is_bigendian=st.integers(0, 2), bits=st.none() | st.sampled_from([8, 10, 16]))
def test_raw_images(encoding, width, height, step, length, exact, is_bigendian, bits):
    data = bytes(step * height if exact else length)
    image = PackedImage(data, encoding, width, height, step, is_bigendian, bits=bits)
    for pixels in is_answered(lambda: [BitDepth(str).noted(image).decode()]):
        assert pixels.shape == (height, width, 3) and pixels.dtype == np.uint8
    for depth_m in is_answered(lambda: [image.depth()]):
        assert depth_m.shape == (height, width) and not (depth_m <= 0).any()


DEPTH = cv2.imencode('.png', np.arange(300, 600, dtype=np.uint16).reshape(15, 20))[1].tobytes()
RVL = struct.pack('<II', 4, 3) + struct.pack('<4I', 0x0b1f9a2c, 0x12121212, 0x21212121, 0x10000000)


@fuzzed(content=st.sampled_from([bytes(12) + DEPTH, struct.pack('<iff', 0, 1e4, -1e3) + DEPTH, DEPTH,
                                 bytes(12) + RVL]), edits=EDITS,
        encoding=st.sampled_from(['16UC1', '32FC1', 'mono16']),
        codec=st.sampled_from(['; compressedDepth png', '; compressedDepth rvl', '', '; png compressed ']))
def test_compressed_depth(content, edits, encoding, codec):
    for depth_m in is_answered(lambda: [decode_compressed_depth(damaged(content, edits), encoding + codec)]):
        assert depth_m.dtype == np.float32 and not (depth_m <= 0).any()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(
        st.sampled_from(['0', '1', '3', 'obj_id', 'cam_K', 'cam_R_m2c', 'cam_t_m2c', 'depth_scale', 'scene_id',
                         'im_id', 'diameter', 'visib_fract', '-1', 'x']), inner, max_size=4), max_leaves=12)
ENTRY = {'obj_id': 2, 'cam_R_m2c': np.eye(3).ravel().tolist(), 'cam_t_m2c': [0, 0, 600]}
BOP_FILES = {
    'test/000001/scene_camera.json': {'0': {'cam_K': [60, 0, 10, 0, 60, 7, 0, 0, 1], 'depth_scale': 0.1}},
    'test/000001/scene_gt.json': {'0': [ENTRY]}, 'test/000001/scene_gt_info.json': {'0': [{'visib_fract': 0.9}]},
    'test_targets_bop19.json': [{'scene_id': 1, 'im_id': 0, 'obj_id': 2}],
    'models/models_info.json': {'2': {'diameter': 141.0}}}


def replaced(value, other, path):
    """A nested value with ``other`` in the place that ``path`` leads to."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return other
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = replaced(value[key], other, path[1:])
    return copy


@fuzzed(name=st.sampled_from(list(BOP_FILES)), other=JSON, path=st.lists(st.integers(0, 9), max_size=4),
        edits=EDITS, as_bytes=st.booleans())
def test_bop_datasets(name, other, path, edits, as_bytes):
    with tempfile.TemporaryDirectory() as folder:
        for each, value in BOP_FILES.items():
            file = Path(folder) / each
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        images = Path(folder, 'test', '000001')
        for kind, content in (('rgb', FILES[0]), ('depth', DEPTH)):
            (images / kind).mkdir()
            (images / kind / '000000.png').write_bytes(content)
        file = Path(folder) / name
        file.write_bytes(damaged(file.read_bytes(), edits) if as_bytes
                         else json.dumps(replaced(BOP_FILES[name], other, path)).encode())
        check_frames(is_answered(lambda: BopReader(folder, 2, 0.141)))


COVARIANCE = [f'cov_{row}_{column}' for row in range(6) for column in range(row, 6)]
TRUTHS = ['stamp_ns,x,y,z,qx,qy,qz,qw\n1,0,0,1,0,0,0,1\n',
          f'stamp_ns,x,y,z,qx,qy,qz,qw,{",".join(COVARIANCE)}\n1,0,0,1,0,0,0,1' + 21 * ',0' + '\n',
          '1.0 0 0 1 0 0 0 1\n2.0 0 0 1 0 0 0 1\n',
          '#timestamp [ns],p_RS_R_x [m]\n1700000000000000000,0,0,1,1,0,0,0,0.1\n']
WORDS = st.sampled_from(['2026-13-45', '1e5000000', '9' * 5000, 'nan', '-inf', '"', '1_0', '٣', '0x7', '', '\0'])


@fuzzed(text=st.sampled_from(TRUTHS), edits=EDITS, word=WORDS, place=st.floats(0, 1, exclude_max=True))
def test_ground_truth_files(text, edits, word, place):
    cells = text.replace('\n', ',\n,').split(',')
    cells[int(place * len(cells))] = word
    for content in (damaged(text.encode(), edits), ','.join(cells).replace(',\n,', '\n').encode()):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'truth.csv'
            path.write_bytes(content)
            for stamp_ns, _, pose in is_answered(lambda path=path: read_ground_truth(path)):
                assert 0 <= stamp_ns < 2**63 and np.isfinite(pose.pose).all()


@fuzzed(content=st.sampled_from(FILES), edits=EDITS)
def test_photographs(content, edits):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'a.png').write_bytes(damaged(content, edits))
        check_frames(is_answered(lambda: PhotographReader(folder, ImageCamera(None, 1.0))))
