# SPDX-License-Identifier: Apache-2.0
"""A CSV file of true poses with their covariances, as :mod:`posegrasp_ros.datasets.ground_truth_file` reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from posegrasp_ros.board.object_truth import ObjectTruth
from posegrasp_ros.datasets.ground_truth_file import ground_truth_lines
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.runtime.atomic_file import write_whole


def write_truths(path: Path, truths: Iterable[tuple[int, ObjectTruth]]) -> None:
    """Write poses in the camera's frame by their stamps in nanoseconds."""
    lines = ground_truth_lines((stamp_ns, TruePose(each.camera_from_object, each.covariance))
                               for stamp_ns, each in truths)
    write_whole(path, '\n'.join(lines) + '\n')
