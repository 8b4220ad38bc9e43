# SPDX-License-Identifier: Apache-2.0
"""AnyPoses: poses of a node without reports of its own, in the camera frame, with a report for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from posegrasp_ros.faults.corrected_pairs import corrected_pose
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.geometry.transforms import rotate_covariance
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.pose_sources.pose_messages import READERS, states_class
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.ros.optional import TransformListenerIfInstalled, import_optional
from posegrasp_ros.runtime.errors import InvalidInputError

MOST_LATENCY_NS = 60_000_000_000
"""A pose older than this is not late: its clock is another one."""


def pose_types() -> dict[str, type]:
    """The message types of poses that are installed."""
    types: dict[str, type] = {
        'geometry_msgs/msg/PoseWithCovarianceStamped': PoseWithCovarianceStamped,
        'geometry_msgs/msg/PoseStamped': PoseStamped, 'geometry_msgs/msg/PoseArray': PoseArray,
        'geometry_msgs/msg/TransformStamped': TransformStamped, 'nav_msgs/msg/Odometry': Odometry}
    for package, name in (('vision_msgs', 'Detection3DArray'), ('vision_msgs', 'Detection2DArray'),
                          ('tf2_msgs', 'TFMessage')):
        if module := import_optional(f'{package}.msg'):
            types[f'{package}/msg/{name}'] = getattr(module, name)
    return types


class AnyPoses:
    """Reads the poses of one object.

    :param class_id: of the object in messages that name one, or its frame in /tf; empty where there is only one
    :param corrections: of its poses in the camera frame
    """

    def __init__(self, node: LifecycleNode, name: str, class_id: str, transforms: TransformListenerIfInstalled,
                 corrections: Sequence[Correction] = ()):
        self._node, self._name, self._class_id, self._transforms = node, name, class_id, transforms
        self._corrections = corrections

    def best(self, message: Any, kind: str, camera_frame: str) -> StatedPose | None:
        """The pose that counts: with the best score, else the first; None where the message has none.

        :param kind: the message's type, a key of :func:`pose_types`
        :param camera_frame: empty where it is not known yet, the pose's own then counts
        :raises InvalidInputError: when its frame is not the camera's and TF does not connect them
        """
        stated = list(READERS[kind](message))
        if states_class(kind) and self._class_id:
            stated = [pose for pose in stated if pose.class_id == self._class_id]
        if not stated:
            return None
        best = max(stated, key=lambda pose: pose.score if np.isfinite(pose.score) else 0.0)
        pose, covariance = best.frame_from_object, best.usable_covariance
        if best.frame_id and camera_frame and best.frame_id != camera_frame:
            camera_from_frame = self._looked_up(camera_frame, best)
            pose = camera_from_frame @ pose
            covariance = None if covariance is None else rotate_covariance(covariance, camera_from_frame[:3, :3])
        if np.isfinite(pose).all():
            pose, covariance = corrected_pose(self._corrections, pose, covariance)
        return best._replace(frame_from_object=pose, frame_id=camera_frame or best.frame_id, covariance=covariance)

    def report(self, best: StatedPose | None, image_ns: int) -> StageReport:
        """What the node would have reported of an image."""
        if best is None:
            return StageReport(image_ns, 'perception', False, 'no_pose', object=self._name)
        numbers = {'score': best.score} if np.isfinite(best.score) else {}
        late_ns = self._node.get_clock().now().nanoseconds - image_ns
        if 0 <= late_ns < MOST_LATENCY_NS:
            numbers['latency_ms'] = late_ns / 1e6
        return StageReport(image_ns, 'perception', True, '', numbers, object=self._name)

    def _looked_up(self, camera_frame: str, pose: StatedPose) -> np.ndarray:
        header = Header(stamp=messages.to_header(pose.stamp_ns).stamp, frame_id=pose.frame_id)
        found, why_not = self._transforms.lookup(camera_frame, pose.frame_id, header.stamp)
        if found is None:
            raise InvalidInputError(f'where {pose.frame_id!r} lies in {camera_frame!r}, the frame of camera_info, '
                                    f'is not known: {why_not}')
        return messages.matrix_from(found.transform)


def image_stamp_of(message: Any) -> int:
    """Stamp of a message with a header, nanoseconds; of /tf that of its first transform, 0 for none."""
    if hasattr(message, 'header'):
        return stamp_ns(message.header.stamp)
    return stamp_ns(message.transforms[0].header.stamp) if message.transforms else 0


def class_ids(stated: tuple[str, ...], objects: Mapping[str, Any]) -> dict[str, str]:
    """By object the class id in messages, which is its name where none is stated.

    :param stated: one for each object in their order, or none
    :raises InvalidInputError: when it is another number
    """
    if stated and len(stated) != len(objects):
        raise InvalidInputError(f'parameter pose_classes: expected one for each of {len(objects)} objects, got '
                                f'{", ".join(stated)}')
    return dict(zip(objects, stated)) if stated else {name: name for name in objects}
