# SPDX-License-Identifier: Apache-2.0
"""The cameras of a recording."""

from __future__ import annotations

from posegrasp_ros.datasets.bag_messages import BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera


def stated_cameras(bag: BagMessages) -> dict[str, Camera]:
    """By the topic of its camera_info, the first camera that each states; without those that state none."""
    cameras: dict[str, Camera] = {}
    topics = {topic for topic, kind in bag.topics.items() if kind == CAMERA_INFO}
    for topic in sorted(topics):
        for message in bag.messages([topic]):
            try:
                cameras[topic] = StatedCamera.from_info(bag.decode(message)).raw
            except CameraError:
                continue
            break
    return cameras
