# SPDX-License-Identifier: Apache-2.0
"""Numbers that were read the wrong way, undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from posegrasp_ros.faults.corrections.correction import Fixed


@dataclass(frozen=True)
class Mirror(Fixed):
    """One axis of camera and object points the other way: 0, 1 or 2."""

    axis: int
    kind: ClassVar[str] = 'mirror'

    def inverse(self) -> Mirror:
        """The same."""
        return self

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        flip = np.eye(4)
        flip[self.axis, self.axis] = -1
        return flip @ poses @ flip

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'axis': 'xyz'[self.axis]}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Mirror:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls('xyz'.index(stated['axis']))


@dataclass(frozen=True)
class Inverse(Fixed):
    """object_from_camera in place of camera_from_object."""

    kind: ClassVar[str] = 'inverse'

    def inverse(self) -> Inverse:
        """The same."""
        return self

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        inverse = poses.copy()
        inverse[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
        inverse[:, :3, 3] = -np.einsum('nij,nj->ni', inverse[:, :3, :3], poses[:, :3, 3])
        return inverse

    def to_dict(self) -> dict[str, Any]:
        """Plain values: none."""
        return {}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Inverse:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls()


@dataclass(frozen=True)
class QuaternionOrder(Fixed):
    """The four numbers of a quaternion shifted by some places: 1 turns w x y z into x y z w, 3 undoes that."""

    places: int
    kind: ClassVar[str] = 'quaternion'

    def inverse(self) -> QuaternionOrder:
        """The other way round."""
        return QuaternionOrder(4 - self.places)

    def apply(self, poses: np.ndarray) -> np.ndarray:
        """(N, 4, 4)"""
        moved = poses.copy()
        quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
        moved[:, :3, :3] = Rotation.from_quat(np.roll(quaternions, -self.places, axis=1)).as_matrix()
        return moved

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {'places': self.places}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> QuaternionOrder:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when it is none; also KeyError, TypeError
        """
        return cls(int(stated['places']) % 4)
