# SPDX-License-Identifier: Apache-2.0
"""A family of networks from another installed package works in the perception node as in commands."""

from __future__ import annotations

import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from hand_made_bags import frames
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image
from test_decoder_seam import PLACE, folder, installed, other_package  # noqa: F401

from posegrasp_ros.nodes.perception_node import PerceptionNode
from posegrasp_ros.ros import messages


def test_the_node_publishes_what_the_other_packages_network_finds(installed, folder):  # noqa: F811
    frame, = frames(1)
    header = messages.to_header(7, 'camera')
    with running(PerceptionNode, model=str(folder), estimator='network') as harness:
        harness.start()
        poses = harness.collect(PoseWithCovarianceStamped, '/perception/pose')
        harness.publisher(CameraInfo, '/camera_info').publish(messages.to_camera_info(header, frame.camera))
        harness.publisher(Image, '/image').publish(messages.to_image(header, frame.image))
        harness.spin_until(lambda: poses)
    position = messages.transform_from(poses[0].pose.pose)[:3, 3]
    assert position == pytest.approx(PLACE[0])
