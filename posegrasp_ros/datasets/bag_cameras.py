# SPDX-License-Identifier: Apache-2.0
"""The cameras of a recording."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.datasets.bag_messages import BagError, BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO, BagTopics, guess_topics
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera


def stated_cameras(bag: BagMessages) -> dict[str, StatedCamera]:
    """By the topic of its camera_info, what each states first; that of the images first, where it can be told.

    Topics that state no camera are left out.
    """
    try:
        own = guess_topics(bag.path, bag.topics, BagTopics()).camera_info
    except BagError:
        own = None  # without images, or with several cameras'
    topics = sorted((topic for topic, kind in bag.topics.items() if kind == CAMERA_INFO),
                    key=lambda topic: (topic != own, topic))
    cameras: dict[str, StatedCamera] = {}
    for topic in topics:
        for message in bag.messages([topic]):
            try:
                cameras[topic] = StatedCamera.from_info(bag.decode(message))
            except CameraError:
                continue
            break
    return cameras


def stated_intrinsics(bag: BagMessages) -> dict[str, Camera]:
    """All intrinsics that a recording states, by topic; by topic and K or P where these two differ."""
    found: dict[str, Camera] = {}
    for topic, stated in stated_cameras(bag).items():
        if stated.rectified is None or np.allclose(stated.rectified.matrix, stated.raw.matrix):
            found[topic] = stated.raw
        else:
            found |= {f'{topic}, K': stated.raw, f'{topic}, P': stated.rectified}
    return found
