"""Poses as vision_msgs/Detection3DArray, where vision_msgs is installed."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from std_msgs.msg import Header

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.ros.messages import to_pose


class Detected(NamedTuple):
    """An object of one model and its poses, best first.

    :param name: of the object, as class
    """

    name: str
    mesh: Mesh
    poses: Sequence[PoseEstimate]


def to_detections(vision: ModuleType, header: Header, objects: Sequence[Detected]) -> Any:
    """A Detection3DArray of all objects, best first.

    :param vision: the module vision_msgs.msg
    """
    found = [(pose, each) for each in objects for pose in each.poses]
    # Of one object the order is its own: the estimator's best is first, whatever its score.
    if len(objects) > 1:
        found.sort(key=lambda item: -item[0].score)
    message = vision.Detection3DArray(header=header)
    message.detections = [_detection(vision, header, each, pose) for pose, each in found]
    return message


def _detection(vision: ModuleType, header: Header, detected: Detected, estimate: PoseEstimate) -> Any:
    detection = vision.Detection3D(header=header, id=detected.name)
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
