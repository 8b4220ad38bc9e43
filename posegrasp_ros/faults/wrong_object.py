# SPDX-License-Identifier: Apache-2.0
"""Poses that have nothing to do with the object: another one was followed."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.faults.pose_pairs import PosePairs, nearest_truths
from posegrasp_ros.geometry.transforms import rotation_angle

LEAST_P = 0.01
MOST_RIGHT = 0.1
NEAR_RAD = np.radians(20)


def says_wrong_object(pairs: PosePairs) -> str:
    """A sentence where hardly a pose is on the object; else empty."""
    truths = nearest_truths(pairs.estimates, pairs.truths, pairs.symmetry)
    angles = rotation_angle(pairs.estimates[:, :3, :3].transpose(0, 2, 1) @ truths[:, :3, :3])
    apart_m = np.linalg.norm(pairs.estimates[:, :3, 3] - truths[:, :3, 3], axis=1)
    is_right = (apart_m < pairs.radius_m) & (angles < NEAR_RAD)
    if np.median(apart_m) < 2 * pairs.radius_m or is_right.mean() > MOST_RIGHT:
        return ''
    from scipy.stats import kstest  # slow to import

    unrelated = ''
    if pairs.symmetry.is_none and kstest(angles, lambda angle: (angle - np.sin(angle)) / np.pi).pvalue > LEAST_P:
        unrelated = ', and rotations are random'
    return (f'poses are {100 * np.median(apart_m):.0f} cm from the object{unrelated}, and no constant offset '
            'explains it: is it the pose of another object?')
