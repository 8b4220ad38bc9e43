"""Poses as vision_msgs/Detection3DArray, where vision_msgs is installed."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from std_msgs.msg import Header

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.ros.messages import to_pose


def to_detections(vision: ModuleType, header: Header, name: str, mesh: Mesh, poses: Sequence[PoseEstimate]):
    """A Detection3DArray, best first.

    :param vision: the module vision_msgs.msg
    :param name: the object's, as class
    """
    message = vision.Detection3DArray(header=header)
    for estimate in poses:
        detection = vision.Detection3D(header=header, id=name)
        result = vision.ObjectHypothesisWithPose()
        result.hypothesis.class_id = name
        result.hypothesis.score = float(estimate.score)
        result.pose.pose = to_pose(estimate.camera_from_object)
        result.pose.covariance = np.asarray(estimate.covariance, dtype=float).ravel()
        detection.results = [result]
        detection.bbox.center = to_pose(estimate.camera_from_object @ make_transform(None, mesh.centre))
        detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z = (float(v) for v in mesh.extents)
        message.detections.append(detection)
    return message
