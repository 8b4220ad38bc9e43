# SPDX-License-Identifier: Apache-2.0
"""Numbers read the wrong way: an inverted transform, another order of quaternions, a left-handed frame."""

from __future__ import annotations

from collections.abc import Sequence

from posegrasp_ros.faults.corrections.conventions import Inverse, Mirror, QuaternionOrder
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.pose_pairs import PosePairs


def _says_quaternion(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, QuaternionOrder)
    filled, due = ('w x y z', 'x y z w') if correction.places == 1 else ('y z w x', 'x y z w')
    return f'quaternions are filled in the order {filled}: fill them in as {due}'


def _says_mirror(correction: Correction, pairs: PosePairs) -> str:
    assert isinstance(correction, Mirror)
    name = 'xyz'[correction.axis]
    return f'frames are left-handed: {name} points the other way, in the camera and the object frame'


CONVENTION_FAULTS: Sequence[FaultKind] = (
    FaultKind('inverted', lambda pairs: [Inverse()],
              lambda correction, pairs: 'poses are object_from_camera: publish their inverse'),
    FaultKind('quaternion_order', lambda pairs: [QuaternionOrder(1), QuaternionOrder(3)], _says_quaternion),
    FaultKind('left_handed', lambda pairs: [Mirror(axis) for axis in range(3)],
              _says_mirror),
)
