# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from watched import CAMERA, image_of

from posegrasp_ros.ros.messages import to_camera_info, to_header, to_image
from posegrasp_ros.ros.node_processes import free_domain
from posegrasp_ros.ros.watched_topic import WatchedTopic, info_topic_of, topic_source
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.watch.watch_error import WatchError

SECOND = 1_000_000_000


@pytest.fixture
def publishing(monkeypatch):
    """A camera's publishers of image and camera_info."""
    with free_domain() as domain:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
        context = Context()
        rclpy.init(context=context)
        node = Node('camera', context=context)
        yield (node.create_publisher(Image, '/cam/image_raw', qos_profile_sensor_data),
               node.create_publisher(CameraInfo, '/cam/camera_info', qos_profile_sensor_data))
        node.destroy_node()
        rclpy.shutdown(context=context)


def watched(topic: WatchedTopic, publish, count: int, camera=None) -> list:
    """The first few frames of a topic."""
    frames, until_s = [], time.monotonic() + 30
    for number, item in enumerate(topic_source(topic, camera).frames()):
        if item is not None:
            frames.append(item.undecoded.decode())
        if len(frames) >= count or time.monotonic() > until_s:
            return frames
        publish(number)
    return frames


def test_images_of_a_topic_come_with_their_cameras(publishing):
    images, infos = publishing

    def publish(number):
        header = to_header(SECOND + number, 'camera')
        images.publish(to_image(header, image_of(number % 200)))
        infos.publish(to_camera_info(header, CAMERA))

    topic = WatchedTopic('cam/image_raw', None)
    try:
        first, _, last = watched(topic, publish, 3)
    finally:
        topic.close()
    assert last.stamp_ns > first.stamp_ns and last.image.mean() == (last.stamp_ns - SECOND) % 200
    np.testing.assert_allclose(last.camera.matrix, CAMERA.matrix)
    assert topic.topic == '/cam/image_raw' and topic.info_topic == '/cam/camera_info'


def test_without_camera_info_a_stated_camera_counts_or_the_reason(publishing):
    images, _ = publishing

    def publish(number):
        images.publish(to_image(to_header(SECOND + number, 'camera'), image_of(9)))

    for camera, reason in ((None, 'no_camera_info'), (ImageCamera(None, 1.0), '')):
        topic = WatchedTopic('/cam/image_raw', camera)
        try:
            (frame,) = watched(topic, publish, 1, camera)
        finally:
            topic.close()
        assert frame.reason == reason and (frame.camera is None) == bool(reason)


def test_what_is_no_name_of_a_topic_is_told():
    with pytest.raises(WatchError, match='no name: expected the name of a ROS topic'):
        WatchedTopic('no name', None)


@pytest.mark.parametrize(('image', 'info'), [
    ('/image', '/camera_info'), ('/a/b/image_rect', '/a/b/camera_info'),
    ('/cam/image_raw/compressed', '/cam/camera_info')])
def test_camera_info_is_beside_the_images(image, info):
    assert info_topic_of(image) == info
