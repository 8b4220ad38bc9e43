# SPDX-License-Identifier: Apache-2.0
"""Stamps, poses and covariances from the fields of messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from posegrasp_ros.geometry.transforms import transform_from_pose
from posegrasp_ros.geometry.true_pose import OVERRULED, check_covariance
from posegrasp_ros.runtime.errors import InvalidInputError


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


def truth_covariance_of(content: Any, warn: Callable[[str], None],
                        is_overruled: bool = False) -> np.ndarray | None:
    """(6, 6) covariance of a true pose, in its frame; None where there is none or zeros say unknown.

    :param warn: takes a line about a covariance that cannot be used, which then counts as unknown, or is not
    :param is_overruled: whether another will be used
    """
    stated = getattr(getattr(content, 'pose', None), 'covariance', None)
    if stated is None or not np.any(stated):
        return None
    covariance = np.asarray(stated, dtype=float).reshape(6, 6)
    try:
        check_covariance(covariance)
    except InvalidInputError:
        warn('ground truth: covariance: expected finite numbers and a positive semi-definite matrix; the accuracy '
             'counts as unknown')
        return None
    if is_overruled:
        warn(OVERRULED)
    return covariance
