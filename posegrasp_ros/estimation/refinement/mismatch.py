# SPDX-License-Identifier: Apache-2.0
"""Mismatch: how an object may differ from its mesh, as parameters that the refinement estimates with the pose.

An object is seldom exactly as its mesh says: its edges are rounded, its sides and its print are a little larger or
smaller. Such errors are common to all points and do not average out. So they are unknowns with a stated prior, and
the pose's covariance is what is left when they are marginalised.
"""

from __future__ import annotations

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled

RADIUS, SIZE, PRINT, SHIFT = 0, 1, 4, 5
"""Places of the parameters: radius of the edges, metres; relative errors of the size along the three axes of the
object frame; relative error of the print's scale against the surface; its shift along these axes, metres."""
COUNT = 8
POSE = 6
"""Number of pose parameters, which come first in a state."""
STATE = POSE + COUNT
EDGE_RADIUS_M, EDGE_SIGMA_M, THICKEST_EDGE = 0.0013, 0.0010, 0.04
"""Mean and standard deviation of the edges' radius, and the largest mean as a share of the smallest side."""
SIZE_SIGMA, PRINT_SIGMA, SHIFT_SIGMA = 0.004, 0.003, 0.003
"""Standard deviations; of the shift as a share of the object's radius."""


def mismatch_prior(smallest_side_m: float, radius_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (COUNT,) and standard deviation (COUNT,) of the parameters for an object.

    :param smallest_side_m: of the mesh's bounding box
    :param radius_m: of its bounding sphere
    """
    share = min(1.0, THICKEST_EDGE * smallest_side_m / EDGE_RADIUS_M)
    mean, sigma = np.zeros(COUNT), np.empty(COUNT)
    mean[RADIUS], sigma[RADIUS] = share * EDGE_RADIUS_M, share * EDGE_SIGMA_M
    sigma[SIZE:PRINT], sigma[PRINT], sigma[SHIFT:] = SIZE_SIGMA, PRINT_SIGMA, SHIFT_SIGMA * radius_m
    return mean, sigma


def state_information(of_pose: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """(STATE, STATE) information of a pose (6, 6) and of the parameters with standard deviations (COUNT,)."""
    information = np.zeros((STATE, STATE))
    information[:POSE, :POSE] = of_pose
    information[range(POSE, STATE), range(POSE, STATE)] = 1 / sigma ** 2
    return information


@compiled
def size_columns(row: np.ndarray, along: np.ndarray, rotation: np.ndarray, point: np.ndarray) -> None:
    """Fill in the derivatives of a residual by the size, in place.

    :param row: (STATE,)
    :param along: (3,) derivative of the residual by the point's position in the camera's frame
    :param rotation: (3, 3) from the object's frame to the camera's
    :param point: (3,) in the object's frame
    """
    for axis in range(3):
        row[POSE + SIZE + axis] = point[axis] * (along[0] * rotation[0, axis] + along[1] * rotation[1, axis]
                                                 + along[2] * rotation[2, axis])
