# SPDX-License-Identifier: Apache-2.0
"""Requirements derived by a feasibility study, as entries of the baselines file."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv

from posegrasp_ros.metrics.baselines.baselines import Entry

NAME, KIND = 'derived need', 'requirement'
# Median norm of a vector of two or three normal numbers, in units of their standard deviation.
MEDIAN_OF = {count: float(np.sqrt(2 * gammaincinv(count / 2, 0.5))) for count in (2, 3)}


def derived_requirements(isotropic: tuple[float, float], calibration: np.ndarray, wanted: float, allowed_ms: float,
                         spins: bool = False) -> dict[str, float]:
    """Required value of each metric, in the metric's unit.

    The errors are medians of isotropic normal errors. The calibration's share is subtracted, as the metrics of an
    estimator do not include it.

    :param isotropic: largest standard deviation along each axis, metres, and about each axis, radians, with which
        the required success is still reached; zeros where no error is small enough
    :param calibration: (6, 6) mean covariance of the calibration errors, base frame
    :param spins: whether the object has a continuous symmetry axis, rotations about which are not errors
    """
    needs = {'grasp_success_rate': wanted, 'image_to_pose_p50': allowed_ms}
    taken = (calibration[:3, :3], calibration[3:, 3:])
    left = [std**2 - np.trace(part) / 3 for std, part in zip(isotropic, taken)]
    if min(left) > 0:
        position_m, rotation_rad = np.sqrt(left).tolist()
        needs |= {'position_error_median': MEDIAN_OF[3] * position_m,
                  'rotation_error_median': MEDIAN_OF[2 if spins else 3] * rotation_rad}
    return needs


def derived_entries(requirements: dict[str, float], setup: str, date: str) -> dict[str, Entry]:
    """The requirements as entries.

    :param setup: description of the cell that they apply to: object, gripper, camera
    """
    return {metric: Entry(NAME, KIND, value, f'derived by posegrasp feasibility: {setup}', date)
            for metric, value in requirements.items()}
