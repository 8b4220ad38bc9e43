"""Stamps and poses from the fields of recorded messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from posegrasp_ros.geometry.transforms import transform_from_pose


def stamp_of(header: Any) -> int:
    """Stamp of a std_msgs/Header, nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def pose_of(content: Any) -> np.ndarray:
    """(4, 4) from a message with a pose or transform, with or without covariance.

    :raises ValueError: when it is not finite or its quaternion has zero length
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
