"""What the fields of recorded messages mean: stamps and poses."""

from __future__ import annotations

from typing import Any

import numpy as np

from posegrasp_ros.geometry.transforms import transform_from_pose


def stamp_of(header: Any) -> int:
    """A std_msgs/Header's stamp, nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def pose_of(content: Any) -> np.ndarray:
    """(4, 4) of a message with a pose or a transform in it, however deep.

    :raises ValueError: when that is not finite or its quaternion has no length
    """
    if hasattr(content, 'transform'):
        p, q = content.transform.translation, content.transform.rotation
    else:
        pose = content.pose.pose if hasattr(content.pose, 'pose') else content.pose
        p, q = pose.position, pose.orientation
    pose = transform_from_pose((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
    if not np.isfinite(pose).all():
        raise ValueError(f'expected a finite position, got ({p.x}, {p.y}, {p.z})')
    return pose
