# SPDX-License-Identifier: Apache-2.0
"""Projection of points with its derivative by the pose, compiled."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled


@compiled
def reproject(points: np.ndarray, pose: np.ndarray, matrix: np.ndarray) -> tuple:
    """Project points and differentiate by the pose.

    :param points: (N, 3) object frame, metres
    :param pose: (4, 4) camera_from_object
    :param matrix: (3, 3) pinhole matrix, pixels
    :return: (N, 2) pixels; (N, 2, 6) their derivatives by the step of ``transforms.perturb``; (N,) depths
    """
    count = len(points)
    seen, jacobian, depth = np.empty((count, 2)), np.empty((count, 2, 6)), np.empty(count)
    for i in range(count):
        # a rotation by d about the camera's axes moves a point by d x (R p), R p = (a, b, c)
        px, py, pz = points[i]
        a = pose[0, 0] * px + pose[0, 1] * py + pose[0, 2] * pz
        b = pose[1, 0] * px + pose[1, 1] * py + pose[1, 2] * pz
        c = pose[2, 0] * px + pose[2, 1] * py + pose[2, 2] * pz
        z = c + pose[2, 3]
        x, y = (a + pose[0, 3]) / z, (b + pose[1, 3]) / z
        focal_x, focal_y = matrix[0, 0] / z, matrix[1, 1] / z
        jacobian[i, 0] = (focal_x, 0.0, -focal_x * x, -focal_x * x * b, focal_x * (c + x * a), -focal_x * b)
        jacobian[i, 1] = (0.0, focal_y, -focal_y * y, -focal_y * (c + y * b), focal_y * y * a, focal_y * a)
        seen[i, 0] = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
        seen[i, 1] = matrix[1, 1] * y + matrix[1, 2]
        depth[i] = z
    return seen, jacobian, depth
