# SPDX-License-Identifier: Apache-2.0
"""Constant transforms on the camera's or the object's side, and turned rays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from posegrasp_ros.faults.corrections.correction import Fixed, Untimed
from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    rotate_covariance,
    rotation_from_vector,
    vector_from_rotation,
)


class _Rigid(Untimed):
    """A constant transform (4, 4), refined by a small motion after it."""

    transform: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """(6,) translation, metres, and rotation vector."""
        return np.concatenate([self.transform[:3, 3], vector_from_rotation(self.transform[:3, :3])])

    def moved(self, parameters: np.ndarray) -> Any:
        """From translation and rotation vector (6,)."""
        return type(self)(make_transform(rotation_from_vector(parameters[3:]), parameters[:3]))  # type: ignore

    def inverse(self) -> Any:
        """The inverse transform on the same side."""
        return type(self)(invert(self.transform))  # type: ignore[call-arg]


@dataclass(frozen=True)
class InCamera(_Rigid):
    """A constant transform on the camera's side: camera_from_stated, (4, 4)."""

    transform: np.ndarray
    kind: ClassVar[str] = 'camera'

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        return self.transform @ poses

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6) turned."""
        return rotate_covariance(covariance, self.transform[:3, :3])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'camera_from_stated': self.transform.tolist()}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> InCamera:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(_rigid(stated['camera_from_stated']))


@dataclass(frozen=True)
class InObject(_Rigid):
    """A constant transform on the object's side: stated_from_object, (4, 4)."""

    transform: np.ndarray
    kind: ClassVar[str] = 'object'

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        return poses @ self.transform

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same: the origin moves by little."""
        return covariance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'stated_from_object': self.transform.tolist()}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> InObject:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(_rigid(stated['stated_from_object']))


class CameraAxes(Fixed, InCamera):
    """A change of axes on the camera's side, without numbers."""


class ObjectAxes(Fixed, InObject):
    """A change of axes on the object's side, without numbers."""


@dataclass(frozen=True)
class Rays(Untimed):
    """All rays turned about the camera's centre, as a shifted principal point does.

    :param u_rad: to the right, the principal point's shift over the focal length
    :param v_rad: down
    """

    u_rad: float
    v_rad: float
    kind: ClassVar[str] = 'rays'

    @property
    def parameters(self) -> np.ndarray:
        """(2,) radians."""
        return np.array([self.u_rad, self.v_rad])

    def moved(self, parameters: np.ndarray) -> Rays:
        """From radians (2,)."""
        return Rays(*map(float, parameters))

    def inverse(self) -> Rays:
        """The other way round."""
        return Rays(-self.u_rad, -self.v_rad)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        return make_transform(rotation_from_vector((-self.v_rad, self.u_rad, 0.0))) @ poses

    def moved_covariance(self, covariance: np.ndarray) -> np.ndarray:
        """(6, 6), the same: rays turn by little."""
        return covariance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'u_rad': self.u_rad, 'v_rad': self.v_rad}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Rays:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(float(stated['u_rad']), float(stated['v_rad']))


def _rigid(stated: Any) -> np.ndarray:
    """(4, 4) as a rigid transform."""
    matrix = np.asarray(stated, dtype=float).reshape(4, 4)
    is_rotation = np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-6)
    if not is_rotation or np.linalg.det(matrix[:3, :3]) < 0 or not np.isfinite(matrix).all():
        raise ValueError('expected a rigid transform')
    return matrix
