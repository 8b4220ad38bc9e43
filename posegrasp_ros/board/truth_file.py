# SPDX-License-Identifier: Apache-2.0
"""A CSV file of true poses with their covariances, as :mod:`posegrasp_ros.datasets.ground_truth_file` reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from posegrasp_ros.board.object_truth import ObjectTruth
from posegrasp_ros.datasets.ground_truth_file import COVARIANCE_COLUMNS, POSE_COLUMNS
from posegrasp_ros.geometry.transforms import quaternion_from_matrix
from posegrasp_ros.runtime.atomic_file import write_whole

COLUMNS = ('stamp_ns', *POSE_COLUMNS, *COVARIANCE_COLUMNS)


def write_truths(path: Path, truths: Iterable[tuple[int, ObjectTruth]]) -> None:
    """Write poses in the camera's frame by their stamps in nanoseconds."""
    write_whole(path, '\n'.join([','.join(COLUMNS), *(_row(*each) for each in truths)]) + '\n')


def _row(stamp_ns: int, truth: ObjectTruth) -> str:
    pose = truth.camera_from_object
    values = [*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3])]
    covariance = truth.covariance[np.triu_indices(6)]
    return ','.join([str(int(stamp_ns)), *(f'{value:.9f}' for value in values),
                     *(f'{value:.6e}' for value in covariance)])
