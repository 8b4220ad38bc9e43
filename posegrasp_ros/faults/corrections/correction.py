# SPDX-License-Identifier: Apache-2.0
"""Correction: what undoes one fault, and its inverse, which is the fault itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np


class Correction(Protocol):
    """A map of poses, with its parameters.

    :ivar kind: its name in files
    """

    kind: ClassVar[str]

    @property
    def parameters(self) -> np.ndarray:
        """(P,) what may be refined; empty for a map without numbers."""

    def moved(self, parameters: np.ndarray) -> Correction:
        """The map with other parameters (P,)."""

    def inverse(self) -> Correction:
        """The map that undoes this one."""

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4) of poses camera_from_object (N, 4, 4)."""

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) in the camera frame after the map; zeros where it is not known any more."""

    def shift_ns(self) -> int:
        """What is added to the stamps of poses."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Correction:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """


class Untimed:
    """Part of the maps that leave stamps alone, and of which the covariance does not say what they do to it."""

    def shift_ns(self) -> int:
        """What is added to the stamps of poses."""
        return 0

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Not known: zeros (6, 6)."""
        return np.zeros((6, 6))


class Fixed(Untimed):
    """Part of the maps that have no numbers."""

    @property
    def parameters(self) -> np.ndarray:
        """(0,)"""
        return np.empty(0)

    def moved(self, parameters: np.ndarray) -> Any:
        """The same."""
        return self
