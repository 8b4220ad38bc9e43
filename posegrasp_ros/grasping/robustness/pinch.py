# SPDX-License-Identifier: Apache-2.0
"""Pinch: how far an object may move between two pads before they lose it."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.grasping.end_effector import HoldLimits

# Directions in which the object slips off the pads: to either side, past the fingertips, over their corners.
_OFF_THE_PADS = np.array([[0, 1, 0], [0, -1, 0], [0, 0, 1], [0, np.sqrt(0.5), np.sqrt(0.5)],
                          [0, -np.sqrt(0.5), np.sqrt(0.5)]])
END_POINTS = 5  # their mean is the end of the contact surface
# Contact length that must remain between the pads along their sides, and twice that along a diagonal. Tuned by
# hand on some 500 simulated picks of a box and a can: with 3 mm boxes slip out, a larger value is too strict.
HELD_M = 0.004
LEAST_HOLD_M = 0.003  # lower bound of the slip limit: a grasp of the set holds even if few sampled points show it
NEIGHBOURHOOD_M = 0.1  # considered along the pads about the TCP
CONTACT_DEPTH_M = 0.005  # depth behind its foremost point to which a curved surface counts as contact


def pinch_limits(points: np.ndarray, normals: np.ndarray, width_m: float, pad_half_extents: np.ndarray,
                 friction: float) -> HoldLimits:
    """Limits that keep enough of the contact surface between the pads.

    On either side the contact surface is the foremost part of the surface with normals in the friction cone. It
    must overlap the pads by at least :data:`HELD_M`. Towards the palm there is no limit: the fingers continue.

    :param points: (M, 3) of the object's surface, TCP frame
    :param normals: (M, 3) outward
    :param width_m: distance between the pads
    :param pad_half_extents: (2,) along y and z, metres
    """
    half_y, half_z = pad_half_extents
    depth = min(CONTACT_DEPTH_M, width_m / 4)
    steep = 1.0 / np.hypot(1.0, friction)
    ends, directions, gaps_m = [], [], []
    for side in (-1.0, 1.0):
        foremost = side * points[:, 0] > width_m / 2 - depth
        within = (np.abs(points[:, 1:]) < NEIGHBOURHOOD_M).all(axis=1)
        patch = points[foremost & within & (side * normals[:, 0] > steep)]
        if not len(patch):
            continue
        for direction in _OFF_THE_PADS:
            heights = patch @ direction
            lowest = np.argsort(heights)[:END_POINTS]
            overlap = np.abs(direction[1:]) @ (half_y, half_z) - heights[lowest].mean()
            ends.append(patch[lowest].mean(axis=0))
            directions.append(direction)
            gaps_m.append(max(overlap - HELD_M * np.abs(direction).sum() ** 2, LEAST_HOLD_M))
    return HoldLimits(np.reshape(ends, (-1, 3)), np.reshape(directions, (-1, 3)), np.array(gaps_m))
