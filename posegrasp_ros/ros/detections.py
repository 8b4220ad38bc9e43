# SPDX-License-Identifier: Apache-2.0
"""Poses as vision_msgs/Detection3DArray, where vision_msgs is installed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from std_msgs.msg import Header

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.ros.messages import to_pose


class Detected(NamedTuple):
    """An object of one model and its poses, best first.

    :param name: of the object, as class
    :param frames: of the poses in TF, unique for each instance
    """

    name: str
    mesh: Mesh
    poses: Sequence[PoseEstimate]
    frames: Sequence[str]


def to_vision_info(vision: ModuleType, header: Header, cards: Sequence[ModelCard]) -> Any:
    """A VisionInfo: where the classes are described, and a version that changes with any of the models."""
    message = vision.VisionInfo(header=header)
    message.method = ', '.join(f'{card.name}: {card.network.family}' for card in cards)
    message.database_location = ', '.join(str(card.path) for card in cards)
    message.database_version = zlib.crc32(' '.join(card.identity for card in cards).encode()) & 0x7fffffff
    return message


def to_detections(vision: ModuleType, header: Header, objects: Sequence[Detected]) -> Any:
    """A Detection3DArray of all objects, best first.

    :param vision: the module vision_msgs.msg
    """
    found = [(pose, each, frame) for each in objects for pose, frame in zip(each.poses, each.frames, strict=True)]
    # Of one object the order is its own: the estimator's best is first, whatever its score.
    if len(objects) > 1:
        found.sort(key=lambda item: -item[0].score)
    message = vision.Detection3DArray(header=header)
    message.detections = [_detection(vision, header, each, pose, frame) for pose, each, frame in found]
    return message


def _detection(vision: ModuleType, header: Header, detected: Detected, estimate: PoseEstimate, frame: str) -> Any:
    detection = vision.Detection3D(header=header, id=frame)
    result = vision.ObjectHypothesisWithPose()
    result.hypothesis.class_id = detected.name
    result.hypothesis.score = float(estimate.score)
    result.pose.pose = to_pose(estimate.camera_from_object)
    result.pose.covariance = np.asarray(estimate.covariance, dtype=float).ravel()
    detection.results = [result]
    mesh = detected.mesh
    detection.bbox.center = to_pose(estimate.camera_from_object @ make_transform(None, mesh.centre))
    detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z = (float(v) for v in mesh.extents)
    return detection
