# SPDX-License-Identifier: Apache-2.0
"""How uncertain a pose is, as one figure: the spread of the object's rim in the image."""

from __future__ import annotations

import numpy as np


def rim_spread(covariance: np.ndarray, depth_m: float, radius_m: float) -> float:
    """Standard deviation of the image of the rim, in radii of the object.

    :param covariance: (6, 6) of the pose, about the object's centre, in a frame whose z axis points at it
    :param depth_m: of the centre
    :param radius_m: of the bounding sphere
    """
    variance = np.diag(covariance)
    across = variance[:2].mean() / radius_m ** 2
    away = variance[2] / depth_m ** 2
    turn = variance[3:].mean()
    return float(np.sqrt(across + away + turn))
