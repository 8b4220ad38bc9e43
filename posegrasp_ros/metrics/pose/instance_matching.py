"""Several objects in one image: which estimates are of which, and how many were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.transforms import Symmetry
from posegrasp_ros.metrics.pose.pose_errors import Tolerance, position_error, rotation_error


class InstanceCount(NamedTuple):
    """One image.

    :param present: objects in it
    :param given: poses that were estimated
    :param right: pairs of the two that agree
    """

    present: int = 0
    given: int = 0
    right: int = 0


NO_INSTANCES = InstanceCount()


def nearest_instance(estimate: np.ndarray, truths: Sequence[np.ndarray]) -> np.ndarray:
    """Of several (4, 4) truths the one whose place is nearest to an estimate's."""
    return min(truths, key=lambda truth: position_error(estimate, truth))


def count_instances(estimates: Sequence[np.ndarray], truths: Sequence[np.ndarray], symmetry: Symmetry,
                    tolerance: Tolerance) -> InstanceCount:
    """Give each estimate, best first, the nearest truth that no better one has.

    An estimate that is beyond the tolerance leaves its truth to the next; a second estimate of the same object has
    none left and is wrong.

    :param estimates: (4, 4) camera_from_object each
    :param truths: (4, 4) each
    :param symmetry: of the object
    :param tolerance: errors of a pose that is right are below
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
