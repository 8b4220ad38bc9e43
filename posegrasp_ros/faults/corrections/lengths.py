# SPDX-License-Identifier: Apache-2.0
"""Factors of distances: another unit, another size, another focal length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from posegrasp_ros.faults.corrections.correction import Fixed, Untimed

LOG_MOST = 20.0


class _Factor(Untimed):
    """A factor, refined as its logarithm."""

    factor: float

    @property
    def parameters(self) -> np.ndarray:
        """(1,) its logarithm."""
        return np.array([np.log(self.factor)])

    def moved(self, parameters: np.ndarray) -> Any:
        """From the logarithm (1,)."""
        return type(self)(float(np.exp(np.clip(parameters[0], -LOG_MOST, LOG_MOST))))  # type: ignore[call-arg]

    def inverse(self) -> Any:
        """By the inverse factor."""
        return type(self)(1 / self.factor)  # type: ignore[call-arg]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'factor': float(self.factor)}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Any:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        factor = float(stated['factor'])
        if not 0 < factor < np.inf:
            raise ValueError('expected a factor above 0')
        return cls(factor)  # type: ignore[call-arg]


@dataclass(frozen=True)
class Scale(_Factor):
    """All distances from the camera by a factor: of the unit or of the mesh."""

    factor: float
    kind: ClassVar[str] = 'scale'

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        scaled = poses.copy()
        scaled[:, :3, 3] *= self.factor
        return scaled


class Unit(Fixed, Scale):
    """Another unit of length, without a number to refine."""


@dataclass(frozen=True)
class Depth(_Factor):
    """Distances along the optical axis by a factor: of the focal length."""

    factor: float
    kind: ClassVar[str] = 'depth'

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        scaled = poses.copy()
        scaled[:, 2, 3] *= self.factor
        return scaled
