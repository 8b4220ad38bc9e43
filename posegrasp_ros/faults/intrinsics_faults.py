# SPDX-License-Identifier: Apache-2.0
"""Other intrinsics of the recording: another camera's, or K where P is due."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.other_intrinsics import OtherIntrinsics
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.pose_pairs import PosePairs

LEAST_PX = 1.0
"""Intrinsics that project the image's corners so near to one another are the same."""


def _other_cameras(pairs: PosePairs) -> list[Correction]:
    if pairs.camera is None:
        return []
    own = pairs.camera
    corners = np.array([[0, 0, 1], [own.width, own.height, 1]]).T
    return [OtherIntrinsics.between(name, other, own) for name, other in pairs.cameras.items()
            if np.abs(other.matrix @ np.linalg.inv(own.matrix) @ corners - corners).max() > LEAST_PX]


def _says_other_camera(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, OtherIntrinsics)
    used, own = (f'({camera.matrix[0, 0]:.1f}, {camera.matrix[0, 2]:.1f}, {camera.matrix[1, 2]:.1f}) px'
                 for camera in (pairs.cameras[correction.used], pairs.camera) if camera)
    return (f'poses are computed with the intrinsics of {correction.used}, fx, cx, cy = {used}: use those of the '
            f'images, {own}')


INTRINSICS_FAULTS: Sequence[FaultKind] = (
    FaultKind('other_camera', _other_cameras, _says_other_camera),
)
