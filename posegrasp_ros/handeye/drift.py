# SPDX-License-Identifier: Apache-2.0
"""Whether a hand-eye calibration still holds: looks at the target against what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.linalg import block_diag

from posegrasp_ros.handeye.mount_solution import FREEDOM, MountSolution, jacobians
from posegrasp_ros.handeye.sample import Sample

FALSE_ALARM = 0.002
"""Chance that looks at a camera that has not moved are called a drift, each time they are judged."""


@dataclass(frozen=True)
class Drift:
    """How far the camera, or the target, has moved since the calibration.

    :param position_m: of the camera in its mount's frame, best estimate
    :param rotation_rad: the same of its angle
    :param chance: of looks so far off when nothing has moved
    """

    position_m: float
    rotation_rad: float
    chance: float

    @property
    def is_moved(self) -> bool:
        """Whether the calibration no longer holds."""
        return not self.chance >= FALSE_ALARM

    def __str__(self) -> str:
        if self.is_moved:
            return (f'the calibration no longer holds: camera or target have moved by about '
                    f'{1000 * self.position_m:.1f} mm and {np.degrees(self.rotation_rad):.2f} degrees: calibrate '
                    'again')
        return (f'the calibration holds: {1000 * self.position_m:.1f} mm and {np.degrees(self.rotation_rad):.2f} '
                'degrees are within its accuracy')


def drift(solution: MountSolution, looks: Sequence[Sample]) -> Drift:
    """Judge one or more looks at the target.

    The camera's shift by generalised least squares; the looks share the errors of the calibration.

    :param looks: with the target mounted as in the calibration
    """
    rows = jacobians(looks, solution.mounting, solution.mount_from_camera, solution.hold_from_target)
    stacked = rows.reshape(-1, rows.shape[-1])
    spread = max(1.0, solution.scatter) ** 2  # a look is not one of the samples, and may be a worse one
    covariance = block_diag(*(spread * each.covariance for each in looks)) + (
        stacked @ solution.covariance @ stacked.T)
    by_shift = stacked[:, :FREEDOM]
    weighted = np.linalg.solve(covariance, by_shift)
    information = by_shift.T @ weighted
    shift = np.linalg.solve(information, weighted.T @ solution.residuals(looks).ravel())
    distance = float(shift @ information @ shift)
    return Drift(float(np.linalg.norm(shift[:3])), float(np.linalg.norm(shift[3:])),
                 float(stats.chi2(FREEDOM).sf(distance)))
