# SPDX-License-Identifier: Apache-2.0
"""Stamps shifted in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Time:
    """Stamps shifted by a number of seconds."""

    shift_s: float
    kind: ClassVar[str] = 'time'

    @property
    def parameters(self) -> np.ndarray:
        """(1,) seconds."""
        return np.array([self.shift_s])

    def moved(self, parameters: np.ndarray) -> Time:
        """From seconds (1,)."""
        return Time(float(parameters[0]))

    def inverse(self) -> Time:
        """The other way round."""
        return Time(-self.shift_s)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4), the same."""
        return poses

    def shift_ns(self) -> int:
        """What is added to the stamps of poses."""
        return round(1e9 * self.shift_s)

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same."""
        return covariance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'shift_ms': 1e3 * self.shift_s}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Time:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(float(stated['shift_ms']) / 1e3)
