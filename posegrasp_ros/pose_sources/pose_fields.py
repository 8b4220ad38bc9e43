# SPDX-License-Identifier: Apache-2.0
"""Writing poses back into messages of other nodes: the rest of a message stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from posegrasp_ros.geometry.transforms import quaternion_from_matrix


def set_poses(content: Any, poses: Sequence[np.ndarray]) -> None:
    """Replace the poses of a message, (4, 4) each, in the order in which its reader gives them.

    :param content: of a type in :data:`posegrasp_ros.pose_sources.pose_messages.READERS`
    """
    places = list(_places(content))
    for (position, orientation, box), pose in zip(places, poses, strict=True):
        for target in filter(None, (position, box and box.position)):
            target.x, target.y, target.z = (float(value) for value in pose[:3, 3])
        for target in filter(None, (orientation, box and box.orientation)):
            target.x, target.y, target.z, target.w = (
                float(value) for value in quaternion_from_matrix(pose[:3, :3]))


def set_stamp(content: Any, stamp_ns: int) -> None:
    """Replace the stamps of a message."""
    headers = [content.header] if hasattr(content, 'header') else []
    headers += [each.header for name in ('detections', 'transforms') for each in getattr(content, name, ())]
    for header in headers:
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)


def _places(content: Any) -> Any:
    """Position, orientation and, of a detection in space, the middle of its box, of each pose."""
    if hasattr(content, 'detections'):
        for detection in content.detections:
            if len(detection.results):
                pose, box = _best(detection).pose.pose, detection.bbox.center
                yield pose.position, pose.orientation, box if hasattr(box, 'orientation') else None
    elif hasattr(content, 'poses'):
        yield from ((pose.position, pose.orientation, None) for pose in content.poses)
    elif hasattr(content, 'transforms'):
        yield from ((each.transform.translation, each.transform.rotation, None) for each in content.transforms)
    elif hasattr(content, 'transform'):
        yield content.transform.translation, content.transform.rotation, None
    else:
        pose = content.pose.pose if hasattr(content.pose, 'pose') else content.pose
        yield pose.position, pose.orientation, None


def _best(detection: Any) -> Any:
    def score(result: Any) -> float:
        return float(getattr(result, 'hypothesis', result).score)

    return max(detection.results, key=score)
