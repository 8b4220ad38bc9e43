# SPDX-License-Identifier: Apache-2.0
"""SeenInstances: which instances the newest detections show, by their ids, and where each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped

from posegrasp_ros.ros.messages import stamp_ns


class SeenInstances:
    """Keeps the newest vision_msgs/Detection3DArray.

    :param known_as: the objects by the class of their detections, the name on the model's card
    """

    def __init__(self, known_as: Mapping[str, str]):
        self._known_as = known_as
        self._stamp_ns = -1
        self._poses: dict[str, PoseWithCovarianceStamped] = {}
        self.objects: dict[str, str] = {}
        """The object of each instance, by the instance's id."""

    def add(self, message: Any) -> None:
        """Replace what was seen; detections without an id, or of other classes, are none of ours."""
        self._stamp_ns = stamp_ns(message.header.stamp)
        self.objects, self._poses = {}, {}
        for detection in message.detections:
            for result in detection.results[:1]:
                if detection.id and result.hypothesis.class_id in self._known_as:
                    self.objects[detection.id] = self._known_as[result.hypothesis.class_id]
                    self._poses[detection.id] = PoseWithCovarianceStamped(header=message.header, pose=result.pose)

    def has(self, stamp: int) -> bool:
        """Whether the detections are those of an image, or of a later one."""
        return self._stamp_ns >= stamp

    def pose_of(self, instance: str, stamp: int) -> PoseWithCovarianceStamped | None:
        """The pose of an instance in one image; None where it is not seen there."""
        return self._poses.get(instance) if self._stamp_ns == stamp else None
