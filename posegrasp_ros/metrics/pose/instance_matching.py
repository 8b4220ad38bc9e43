# SPDX-License-Identifier: Apache-2.0
"""Matching of estimates and true poses in images with several objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.transforms import Symmetry
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.metrics.pose.pose_errors import PoseTolerance, position_error, rotation_error


class InstanceCount(NamedTuple):
    """Counts of one image.

    :param present: objects in the image
    :param given: estimated poses
    :param right: estimates matched to an object within tolerance
    """

    present: int = 0
    given: int = 0
    right: int = 0


NO_INSTANCES = InstanceCount()


def nearest_instance(estimate: np.ndarray, truths: Sequence[TruePose]) -> TruePose:
    """The truth whose position is nearest to that of an estimate (4, 4)."""
    return min(truths, key=lambda truth: position_error(estimate, truth.pose))


def count_instances(estimates: Sequence[np.ndarray], truths: Sequence[np.ndarray], symmetry: Symmetry,
                    tolerance: PoseTolerance) -> InstanceCount:
    """Match estimates, best first, to the nearest unmatched truth, greedily.

    An estimate outside tolerance does not take its truth; a second estimate of the same object stays unmatched and
    counts as wrong.

    :param estimates: (4, 4) camera_from_object each
    :param truths: (4, 4) each
    :param symmetry: of the object
    :param tolerance: upper limits of the errors of a correct pose
    """
    left, right = list(truths), 0
    for estimate in estimates:
        if not left:
            break
        distances = [position_error(estimate, truth) for truth in left]
        nearest = int(np.argmin(distances))
        truth = symmetry.nearest(left[nearest], estimate)
        if (position_error(estimate, truth) < tolerance.position_m
                and rotation_error(estimate, truth) < tolerance.rotation_rad):
            left.pop(nearest)
            right += 1
    return InstanceCount(len(truths), len(estimates), right)
