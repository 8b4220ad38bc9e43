# SPDX-License-Identifier: Apache-2.0
"""The intrinsics of another camera, replaced by those of the camera that took the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from posegrasp_ros.faults.corrections.correction import Fixed
from posegrasp_ros.faults.corrections.lengths import Depth
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import rotation_from_vector


@dataclass(frozen=True)
class OtherIntrinsics(Fixed):
    """Another camera's focal length and principal point in place of the right ones.

    The pose keeps its pixels: the same point of the image and size in it, under the right intrinsics. Rotations
    turn with the rays of the image's middle.

    :param used: name of the camera whose intrinsics were used
    :param factor: the right focal length over the one that was used
    :param u_rad: to the right, the principal point's shift over the geometric mean of the focal lengths
    :param v_rad: down
    """

    used: str
    factor: float
    u_rad: float
    v_rad: float
    kind: ClassVar[str] = 'intrinsics'

    @classmethod
    def between(cls, name: str, used: Camera, right: Camera) -> OtherIntrinsics:
        """What corrects poses that were computed with a camera's intrinsics.

        :param name: of the camera that was used
        """
        used_px, right_px = used.matrix[0, 0], right.matrix[0, 0]
        shift = (used.matrix[:2, 2] - right.matrix[:2, 2]) / np.sqrt(used_px * right_px)
        return cls(name, float(right_px / used_px), float(shift[0]), float(shift[1]))

    def inverse(self) -> OtherIntrinsics:
        """The other way round."""
        return OtherIntrinsics(self.used, 1 / self.factor, -self.u_rad, -self.v_rad)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        shift = np.sqrt(self.factor) * np.array([self.u_rad, self.v_rad])
        moved = poses.copy()
        moved[:, :2, 3] += shift * poses[:, 2:3, 3]
        moved[:, 2, 3] *= self.factor
        moved[:, :3, :3] = rotation_from_vector((-self.v_rad, self.u_rad, 0.0)) @ poses[:, :3, :3]
        return moved

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'used': self.used, 'factor': self.factor, 'u_rad': self.u_rad, 'v_rad': self.v_rad}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> OtherIntrinsics:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(str(stated['used']), Depth.from_dict(stated).factor, float(stated['u_rad']),
                   float(stated['v_rad']))
