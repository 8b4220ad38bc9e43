# SPDX-License-Identifier: Apache-2.0
"""TruePose: ground truth with the covariance of its errors; TruthSigmas: such errors as a user states them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.transforms import rotate_covariance, rotation_from_vector
from posegrasp_ros.runtime.errors import InvalidInputError

OVERRULED = 'the ground truth states covariances of its own: the stated truth sigmas are used instead'
LEAST_VISIBLE = 0.1
"""An object of which less is visible counts as hidden: the BOP benchmark does not ask for its pose either."""
# Rounding of written files, relative to the largest entry.
NEGLIGIBLE = 1e-6


def checked_visible_share(share: float) -> float:
    """How much of an object is visible.

    :raises InvalidInputError: when it is not between 0 and 1
    """
    if not 0 <= share <= 1:
        raise InvalidInputError(f'visible share: expected a number between 0 and 1, got {share}')
    return share


class TruePose(NamedTuple):
    """A pose of ground truth.

    :param pose: (4, 4)
    :param covariance: (6, 6) of its errors in the frame of the pose, see
        :func:`posegrasp_ros.geometry.transforms.perturb`; all zero for an exact one, None where it is not known
    """

    pose: np.ndarray
    covariance: np.ndarray | None = None

    def seen_from(self, b_from_a: np.ndarray) -> TruePose:
        """The same in frame b, of a pose in frame a; the transform (4, 4) is taken as exact."""
        covariance = self.covariance
        return TruePose(b_from_a @ self.pose,
                        None if covariance is None else rotate_covariance(covariance, b_from_a[:3, :3]))


@dataclass(frozen=True)
class TruthSigmas:
    """Standard deviations of the errors of ground truth, independent of each other.

    The axes are those of a camera that was turned, on the shortest way, to look at the object: x and y across the
    line of sight, and the line of sight itself, from the camera to the object's origin.

    :param position_m: across x, across y, along the line of sight
    :param rotation_rad: about the same axes
    """

    position_m: tuple[float, float, float]
    rotation_rad: tuple[float, float, float]

    @classmethod
    def stated(cls, position_mm: Sequence[float] = (), rotation_deg: Sequence[float] = ()) -> TruthSigmas | None:
        """From millimetres and degrees, three numbers each or one for all three; none are zeros.

        :return: None where neither is stated
        :raises InvalidInputError: when there are other than one or three numbers, or one is not finite or below 0
        """
        if not len(position_mm) and not len(rotation_deg):
            return None
        return cls(_three('truth sigma, mm', position_mm, 1e-3),
                   _three('truth sigma, degrees', rotation_deg, math.radians(1)))

    def covariance(self, camera_from_object: np.ndarray) -> np.ndarray:
        """(6, 6) covariance in the camera frame of a true pose (4, 4)."""
        along = np.diag(np.square([*self.position_m, *self.rotation_rad]))
        return rotate_covariance(along, _towards(camera_from_object[:3, 3]))


def check_covariance(covariance: np.ndarray) -> None:
    """Refuse a (6, 6) matrix that is the covariance of nothing.

    :raises InvalidInputError: when it is not finite, not symmetric or not positive semi-definite
    """
    if not np.isfinite(covariance).all():
        raise InvalidInputError('covariance: expected finite numbers')
    # Metres and radians differ in size: scaled to correlations, so that neither hides the other.
    sizes = np.sqrt(np.abs(np.diag(covariance)))
    sizes[sizes == 0] = 1.0
    scaled = covariance / np.outer(sizes, sizes)
    if np.abs(scaled - scaled.T).max() > NEGLIGIBLE:
        raise InvalidInputError('covariance: expected a symmetric matrix')
    smallest = float(np.linalg.eigvalsh(scaled)[0])
    if smallest < -NEGLIGIBLE:
        raise InvalidInputError('covariance: expected a positive semi-definite matrix, got one whose smallest '
                                f'eigenvalue, scaled to correlations, is {smallest:.3g}')


def _three(what: str, values: Sequence[float], factor: float) -> tuple[float, float, float]:
    """Three numbers, of which one stands for all, times a factor."""
    if len(values) not in (0, 1, 3) or not all(0 <= value < math.inf for value in values):
        raise InvalidInputError(f'{what}: expected one or three numbers of at least 0, got '
                                f'{", ".join(f"{value:g}" for value in values)}')
    x, y, z = values if len(values) == 3 else 3 * tuple(values or (0.0,))
    return factor * x, factor * y, factor * z


def _towards(direction: np.ndarray) -> np.ndarray:
    """(3, 3) shortest rotation that takes z to a direction; none where that is along z or has no length."""
    axis = np.cross((0.0, 0.0, 1.0), direction)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-12:
        return np.eye(3)
    return rotation_from_vector(axis * (math.atan2(sine, direction[2]) / sine))
