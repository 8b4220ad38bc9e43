# SPDX-License-Identifier: Apache-2.0
"""A symmetry that was not declared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from posegrasp_ros.faults.corrections.correction import Fixed
from posegrasp_ros.geometry.transforms import Symmetry, make_transform, rotation_from_vector


@dataclass(frozen=True)
class DeclaredSymmetry(Fixed):
    """An undeclared symmetry of the object: poses stay, what counts as an error changes.

    :param axis: (3,) unit vector, object frame
    :param point_m: (3,) on the axis
    :param angle_rad: the smallest turn that changes nothing; 0 for any turn
    """

    axis: tuple[float, ...]
    point_m: tuple[float, ...]
    angle_rad: float
    kind: ClassVar[str] = 'symmetry'

    def inverse(self) -> DeclaredSymmetry:
        """The same."""
        return self

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4), the same."""
        return poses

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same."""
        return covariance

    def added_to(self, symmetry: Symmetry) -> Symmetry:
        """The symmetry with this one.

        :raises ValueError: when they do not go together
        """
        if not self.angle_rad:
            return Symmetry.generated(symmetry.discrete[1:], self.axis, self.point_m)
        turn = rotation_from_vector(self.angle_rad * np.asarray(self.axis))
        moved = make_transform(turn, self.point_m - turn @ np.asarray(self.point_m))
        return Symmetry.generated([*symmetry.discrete[1:], moved], symmetry.axis, symmetry.offset)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'axis': list(self.axis), 'point_m': list(self.point_m),
                'angle_deg': float(np.degrees(self.angle_rad))}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> DeclaredSymmetry:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(tuple(map(float, stated['axis'])), tuple(map(float, stated['point_m'])),
                   math.radians(float(stated['angle_deg'])))
