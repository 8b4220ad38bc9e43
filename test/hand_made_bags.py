# SPDX-License-Identifier: Apache-2.0
"""Small recordings, also such as are not as they should be."""

from __future__ import annotations

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES
from posegrasp_ros.datasets.bag_writer import (
    make_camera_info,
    make_depth_image,
    make_header,
    new_message,
    pose_parts,
)
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import look_at, make_transform, rotation_from_vector

SECOND = 1_000_000_000
MS = 1_000_000
CAMERA = Camera(64, 48, [[60, 0, 31], [0, 61, 23], [0, 0, 1]], [0.1, -0.05, 0.001, 0, 0])
TRUTH = make_transform(rotation_from_vector([0.1, 0.2, 0.3]), (0.01, -0.02, 0.5))
BASE_FROM_CAMERA = look_at((0.5, 0.1, 0.6), (0, 0, 0))
IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 4)


def frames(count, step_ns=SECOND):
    return [BagFrame(100 * SECOND + index * step_ns, IMAGE, CAMERA, TRUTH, BASE_FROM_CAMERA)
            for index in range(count)]


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

    def info(self, stamp_ns, camera=CAMERA, topic='/cam/camera_info', at_ns=None, frame_id='cam', **changes):
        message = make_camera_info(make_header(stamp_ns, frame_id), camera)
        for name, value in changes.items():
            setattr(message, name, value)
        self.put(topic, 'sensor_msgs/msg/CameraInfo', at_ns or stamp_ns, message)

    def truth(self, stamp_ns, pose=TRUTH, topic='/ground_truth', at_ns=None, frame_id='cam', scale=1.0,
              covariance=None):
        """:param covariance: (6, 6), for a message that has one"""
        position, orientation = pose_parts(pose)
        for axis in 'xyzw':
            setattr(orientation, axis, getattr(orientation, axis) * scale)
        pose = new_message('geometry_msgs/msg/Pose', orientation=orientation,
                           position=new_message('geometry_msgs/msg/Point', **position))
        kind = 'geometry_msgs/msg/PoseStamped'
        if covariance is not None:
            kind = 'geometry_msgs/msg/PoseWithCovarianceStamped'
            pose = new_message('geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=covariance.ravel())
        message = new_message(kind, header=make_header(stamp_ns, frame_id), pose=pose)
        self.put(topic, kind, at_ns or stamp_ns, message)

    def depth(self, stamp_ns, value_m, at_ns=None, shape=(48, 64), frame_id='cam'):
        message = make_depth_image(make_header(stamp_ns, frame_id), np.full(shape, value_m, np.float32))
        self.put('/cam/depth/image_raw', 'sensor_msgs/msg/Image', at_ns or stamp_ns, message)

    def transform(self, stamp_ns, parent, child, pose, topic='/tf_static', at_ns=None):
        position, orientation = pose_parts(pose)
        transform = new_message('geometry_msgs/msg/Transform', rotation=orientation,
                                    translation=new_message('geometry_msgs/msg/Vector3', **position))
        stamped = new_message('geometry_msgs/msg/TransformStamped', transform=transform, child_frame_id=child,
                                  header=make_header(stamp_ns, parent))
        self.put(topic, 'tf2_msgs/msg/TFMessage', at_ns or stamp_ns,
                 new_message('tf2_msgs/msg/TFMessage', transforms=[stamped]))
