# SPDX-License-Identifier: Apache-2.0
"""BagWriter: writes camera frames with ground truth to a rosbag2 folder (mcap), without ROS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer, WriterError

from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES, BagError
from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.datasets.storage.recorded_file import CDR
from posegrasp_ros.datasets.visible_shares import SHARES, STATUS_NAME, VISIBLE_SHARE, share_topic
from posegrasp_ros.geometry.transforms import quaternion_from_matrix
from posegrasp_ros.runtime.atomic_file import naming
from posegrasp_ros.sensing.images import encode_jpeg

if TYPE_CHECKING:
    from posegrasp_ros.datasets.frame import BagFrame
    from posegrasp_ros.geometry.camera import Camera

CAMERA_FRAME = 'camera_optical_frame'
GROUND_TRUTH = '/ground_truth'
TOPICS = {
    '/camera/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
    '/camera/camera_info': 'sensor_msgs/msg/CameraInfo',
    GROUND_TRUTH: 'geometry_msgs/msg/PoseStamped',
    '/tf': 'tf2_msgs/msg/TFMessage',
}
DEPTH_TOPIC = '/camera/depth/image_raw'
# A damaged chunk is lost as a whole; at this size it has one or two typical images.
CHUNK_BYTES = 1 << 16


class ChunkedStorage:
    """Storage plugin of rosbags' writer based on the library ``mcap``: short chunks with checksums.

    The plugin of rosbags itself writes chunks of a megabyte without checksums.
    """

    def __init__(self, path: Path, compression: CompressionMode):
        self.path = path / f'{path.name}.mcap'
        self._file = self.path.open('xb')
        self._writer = McapWriter(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
        self._writer.start(profile='ros2', library='posegrasp_ros')
        self._schemas: dict[str, int] = {}
        self._channels: dict[int, int] = {}

    def add_msgtype(self, connection: Connection) -> None:
        self._schemas[connection.msgtype] = self._writer.register_schema(
            connection.msgtype, 'ros2msg', connection.msgdef.data.encode())

    def add_connection(self, connection: Connection, offered_qos_profiles: str) -> None:
        self._channels[connection.id] = self._writer.register_channel(
            connection.topic, CDR, self._schemas[connection.msgtype],
            {'offered_qos_profiles': offered_qos_profiles, 'topic_type_hash': connection.digest})

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        self._writer.add_message(self._channels[connection.id], timestamp, bytes(data), timestamp)

    def close(self, version: int, metadata: str) -> None:
        """Finish the file; the folder's metadata is embedded, as rosbag2 does."""
        self._writer.add_metadata('rosbag2', {'serialized_metadata': metadata})
        self._writer.finish()
        self._file.close()

    def abort(self) -> None:
        self._file.close()


class _RosbagWriter(Writer):
    """rosbags' writer, which creates the metadata, with :class:`ChunkedStorage`."""

    STORAGE_PLUGINS = {StoragePlugin.MCAP: ChunkedStorage}

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        with naming(self.path):
            super().write(connection, timestamp, data)

    def close(self) -> None:
        with naming(self.path):
            super().close()


class BagWriter:
    """Context manager that writes frames; after an error or Ctrl-C the frames written so far are a valid bag.

    :param path: the folder to create
    :param about: additional information on the recording, stored as rosbag2's custom data in its metadata
    :raises BagError: when the folder exists or cannot be created
    """

    def __init__(self, path: str | Path, about: dict[str, str] | None = None):
        self._path = Path(path)
        self._writer = new_writer(self._path)
        for key, value in (about or {}).items():
            self._writer.set_custom_data(key, value)
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        open_writer(self._writer, self._path)
        for topic, kind in TOPICS.items():
            self._add(topic, kind)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, frame: BagFrame) -> None:
        """Write a frame's image and camera, and its ground truth, camera pose, depth and how much of the object is
        visible where it has them.

        All messages have the frame's stamp, which is also the recording time. Several objects are several messages
        of the same stamp.
        """
        image, camera = frame.view()
        header = make_header(frame.stamp_ns, CAMERA_FRAME)
        jpeg = new_message('sensor_msgs/msg/CompressedImage', header=header,
                           format='bgr8; jpeg compressed bgr8', data=encode_jpeg(image))
        self._put('/camera/image_raw/compressed', frame.stamp_ns, jpeg)
        self._put('/camera/camera_info', frame.stamp_ns, make_camera_info(header, camera))
        if frame.depth_m is not None:
            self._add(DEPTH_TOPIC, 'sensor_msgs/msg/Image')
            self._put(DEPTH_TOPIC, frame.stamp_ns, make_depth_image(header, frame.depth_m))
        self.write_truths(frame.stamp_ns, frame.truths)
        if frame.visible_share is not None:
            self.write_visible_share(frame.stamp_ns, frame.visible_share)
        if frame.base_from_camera is not None:
            position, orientation = pose_parts(frame.base_from_camera)
            vector = new_message('geometry_msgs/msg/Vector3', **position)
            transform = new_message('geometry_msgs/msg/Transform', translation=vector, rotation=orientation)
            stamped = new_message('geometry_msgs/msg/TransformStamped', transform=transform,
                                  header=make_header(frame.stamp_ns, BASE_FRAME), child_frame_id=CAMERA_FRAME)
            self._put('/tf', frame.stamp_ns, new_message('tf2_msgs/msg/TFMessage', transforms=[stamped]))

    def write_truths(self, stamp_ns: int, truths: Iterable[np.ndarray], topic: str = GROUND_TRUTH) -> None:
        """Write where objects are in an image.

        :param truths: (4, 4) camera_from_object each
        """
        self._add(topic, 'geometry_msgs/msg/PoseStamped')
        for camera_from_object in truths:
            position, orientation = pose_parts(camera_from_object)
            point = new_message('geometry_msgs/msg/Point', **position)
            pose = new_message('geometry_msgs/msg/Pose', position=point, orientation=orientation)
            header = make_header(stamp_ns, CAMERA_FRAME)
            truth = new_message('geometry_msgs/msg/PoseStamped', header=header, pose=pose)
            self._put(topic, stamp_ns, truth)

    def write_visible_share(self, stamp_ns: int, share: float, truth_topic: str = GROUND_TRUTH) -> None:
        """Write how much of an object is visible in an image, see
        :mod:`posegrasp_ros.datasets.visible_shares`.
        """
        topic = share_topic(truth_topic)
        self._add(topic, SHARES)
        value = new_message('diagnostic_msgs/msg/KeyValue', key=VISIBLE_SHARE, value=repr(float(share)))
        status = new_message('diagnostic_msgs/msg/DiagnosticStatus', level=0, name=STATUS_NAME, message='',
                             hardware_id='', values=[value])
        header = make_header(stamp_ns, CAMERA_FRAME)
        self._put(topic, stamp_ns, new_message(SHARES, header=header, status=[status]))

    def _add(self, topic: str, kind: str) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=STANDARD_TYPES)

    def _put(self, topic: str, stamp_ns: int, message: Any) -> None:
        data = STANDARD_TYPES.serialize_cdr(message, message.__msgtype__)
        self._writer.write(self._connections[topic], stamp_ns, data)


class RawBagWriter:
    """Context manager that writes messages as they are, for copies of recordings.

    :param path: the folder to create
    :raises BagError: when the folder exists or cannot be created
    """

    def __init__(self, path: str | Path):
        self._writer = new_writer(Path(path))
        self._path = Path(path)
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> RawBagWriter:
        open_writer(self._writer, self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, topic: str, kind: str, time_ns: int, data: bytes | memoryview, types: Any) -> None:
        """Write a message.

        :param data: in CDR
        :param types: type store that knows its type
        """
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=types)
        self._writer.write(self._connections[topic], time_ns, data)


def new_writer(path: Path) -> Writer:
    """A writer for a folder that is not there yet.

    :raises BagError: when it is
    """
    try:
        return _RosbagWriter(path, version=9, storage_plugin=StoragePlugin.MCAP)
    except WriterError as error:
        raise BagError(f'{path}: already exists; expected the name of a new folder') from error


def open_writer(writer: Writer, path: Path) -> None:
    """Create the folder.

    :raises BagError: when that is not possible
    """
    try:
        writer.open()
    except (OSError, WriterError) as error:
        raise BagError(f'{path}: expected a folder that can be created: {error}') from error


def new_message(kind: str, **fields: Any) -> Any:
    """A message of a standard type, such as ``std_msgs/msg/Header``, for rosbags to write."""
    return STANDARD_TYPES.types[kind](**fields)


def make_header(stamp_ns: int, frame_id: str) -> Any:
    """std_msgs/Header."""
    seconds, nanoseconds = divmod(int(stamp_ns), 1_000_000_000)
    stamp = new_message('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)
    return new_message('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def pose_parts(transform: np.ndarray) -> tuple[dict[str, float], Any]:
    """Position {x, y, z} and Quaternion message of a (4, 4) transform."""
    x, y, z, w = (float(value) for value in quaternion_from_matrix(transform[:3, :3]))
    position = dict(zip('xyz', (float(value) for value in transform[:3, 3])))
    return position, new_message('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)


def make_depth_image(header: Any, depth_m: np.ndarray) -> Any:
    """sensor_msgs/Image 32FC1 of (H, W) metres, NaN where unknown."""
    height, width = depth_m.shape
    data = np.ascontiguousarray(depth_m, '<f4').view(np.uint8).ravel()
    return new_message('sensor_msgs/msg/Image', header=header, height=height, width=width, encoding='32FC1',
                       is_bigendian=0, step=4 * width, data=data)


def make_camera_info(header: Any, camera: Camera) -> Any:
    """sensor_msgs/CameraInfo of an unrectified camera."""
    whole_image = new_message('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0,
                              do_rectify=False)
    return new_message('sensor_msgs/msg/CameraInfo', header=header, height=camera.height, width=camera.width,
                       distortion_model=camera.model, d=camera.distortion, k=camera.matrix.ravel(),
                       r=np.eye(3).ravel(), p=np.column_stack([camera.matrix, np.zeros(3)]).ravel(),
                       binning_x=0, binning_y=0, roi=whole_image)
