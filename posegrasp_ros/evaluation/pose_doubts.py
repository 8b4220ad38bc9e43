# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the poses that a source states, before any is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from posegrasp_ros.metrics.pose.calibration import are_probabilities
from posegrasp_ros.pose_sources.stated_pose import StatedPose


def doubts_about(poses: Sequence[StatedPose]) -> Iterator[str]:
    """One line on each kind of numbers that cannot be what they should be."""
    broken = sum(not np.isfinite(pose.frame_from_object).all() for pose in poses)
    if broken:
        yield (f'{broken} of {len(poses)} poses have a quaternion without length or a position that is not '
               'finite: they count as images in which the object was not found')
    stated = [pose for pose in poses if pose.covariance is not None]
    unusable = sum(pose.usable_covariance is None for pose in stated)
    if unusable:
        yield (f'{unusable} of {len(stated)} covariances are none: expected finite numbers and a positive '
               'semi-definite matrix; they count as unknown')
    scores = np.array([pose.score for pose in poses if np.isfinite(pose.score)])
    if not are_probabilities(scores):
        yield (f'scores are between {scores.min():g} and {scores.max():g}: expected probabilities from 0 to 1; '
               'they order the poses of an image, and their calibration is not measured')
