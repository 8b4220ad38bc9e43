# SPDX-License-Identifier: Apache-2.0
"""Poses of messages, recorded or live: one reader for each message type.

The readers go by field names, which rosbags and rclpy have in common. Other packages need no reader of their own:
a type that is not here but has the fields of one is read by it, see :func:`reader_of`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from posegrasp_ros.datasets.message_fields import pose_of, stamp_of
from posegrasp_ros.pose_sources.stated_pose import StatedPose

Reader = Callable[[Any], Iterator[StatedPose]]
UNUSABLE = np.full((4, 4), np.nan)


def _single(content: Any) -> Iterator[StatedPose]:
    """PoseStamped, PoseWithCovarianceStamped, TransformStamped, Odometry."""
    yield _stated(content, content.header, covariance=getattr(getattr(content, 'pose', None), 'covariance', None))


def _array(content: Any) -> Iterator[StatedPose]:
    """PoseArray: several objects of one class, in the order of the message."""
    for pose in content.poses:
        yield _stated(_Posed(pose), content.header)


def _detections(content: Any) -> Iterator[StatedPose]:
    """vision_msgs/Detection3DArray, since ROS 2 Galactic or before, and Detection2DArray that states poses:
    each detection under its best hypothesis."""
    for detection in content.detections:
        if not len(detection.results):
            continue
        best = max(detection.results, key=lambda each: _hypothesis(each)[1])
        class_id, score = _hypothesis(best)
        header = detection.header if detection.header.frame_id else content.header
        # Of hypotheses without a pose of their own, it is that of the box, if that has one.
        posed = best.pose if _has_pose(best.pose.pose) else _Posed(detection.bbox.center)
        if not hasattr(posed.pose, 'orientation'):
            continue
        yield _stated(posed, header, content.header, getattr(posed, 'covariance', None), score, class_id)


def _transforms(content: Any) -> Iterator[StatedPose]:
    """TFMessage: the class is the child frame."""
    for item in content.transforms:
        yield _stated(item, item.header, class_id=item.child_frame_id.lstrip('/'))


READERS: dict[str, Reader] = {
    'geometry_msgs/msg/PoseStamped': _single,
    'geometry_msgs/msg/PoseWithCovarianceStamped': _single,
    'geometry_msgs/msg/TransformStamped': _single,
    'nav_msgs/msg/Odometry': _single,
    'geometry_msgs/msg/PoseArray': _array,
    'vision_msgs/msg/Detection3DArray': _detections,
    'vision_msgs/msg/Detection2DArray': _detections,
    'tf2_msgs/msg/TFMessage': _transforms,
}


def states_class(kind: str) -> bool:
    """Whether messages of a type name the class of each pose."""
    return READERS.get(kind) in (_detections, _transforms)


class _Posed:
    """A geometry_msgs/Pose under the name that messages have it."""

    def __init__(self, pose: Any):
        self.pose = pose


def _stated(content: Any, header: Any, stamped: Any = None, covariance: Any = None, score: float = math.nan,
            class_id: str = '') -> StatedPose:
    """:param stamped: header with the stamp, where it is another"""
    try:
        pose = pose_of(content)
    except ValueError:
        pose = UNUSABLE
    stated = None if covariance is None else np.asarray(covariance, dtype=float).reshape(6, 6)
    return StatedPose(pose, stamp_of(stamped or header), header.frame_id.lstrip('/'), None,
                      stated if stated is not None and stated.any() else None, score, class_id)


def _hypothesis(result: Any) -> tuple[str, float]:
    """Class and score; ``id`` and ``score`` lie beside the pose before Galactic."""
    hypothesis = getattr(result, 'hypothesis', result)
    class_id = getattr(hypothesis, 'class_id', None)
    return str(getattr(hypothesis, 'id', '') if class_id is None else class_id), float(hypothesis.score)


def _has_pose(pose: Any) -> bool:
    p, q = pose.position, pose.orientation
    return (p.x, p.y, p.z) != (0.0, 0.0, 0.0) or (q.x, q.y, q.z) != (0.0, 0.0, 0.0)
