# SPDX-License-Identifier: Apache-2.0
"""Gauss-Newton alignment of a pose with blurred images, on a few hundred points and without a renderer.

The cost is the sum of the colour term, the edge term, the depth term (with a depth camera) and a prior, which is
the network's pose weighted by its information. All terms are robust to occlusion, glare and wrongly matched edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.colour_term import ColourTerm, colour_equations
from posegrasp_ros.estimation.refinement.contour_term import ContourTerm, contour_equations
from posegrasp_ros.estimation.refinement.depth_term import DepthTerm, depth_equations
from posegrasp_ros.estimation.refinement.mismatch import POSE, STATE
from posegrasp_ros.estimation.refinement.motion import difference, moved
from posegrasp_ros.runtime.numba_cache import compiled

SMALL_SHIFT, SMALL_TURN_RAD = 2e-4, 5e-4
"""Convergence thresholds, as a fraction of the distance and in radians; smaller steps move no pixel by 0.1."""
EXPLAINED_WEIGHT, LEAST_EXPLAINED = 2.0, 0.005
"""A convex body shows at most half of its surface; with the weight 2 colour and edges count the same."""


class Prior(NamedTuple):
    """Prior knowledge of pose and mismatch.

    :param pose: (4, 4)
    :param mismatch: (COUNT,) see :mod:`posegrasp_ros.estimation.refinement.mismatch`
    :param information: (STATE, STATE) of both
    """

    pose: np.ndarray
    mismatch: np.ndarray
    information: np.ndarray


class Aligned(NamedTuple):
    """Result of an alignment.

    :param pose: (4, 4) crop_from_object
    :param mismatch: (COUNT,)
    :param information: (STATE, STATE) inverse covariance of both
    :param correlation: between image and lit surface colour, 1 when they agree
    :param evidence: how much of the surface and its edges agrees with the image. It measures the amount that fits
        and not the quality of the fit, because a pose that shows little fits easily. Below 0: no usable evidence.
    """

    pose: np.ndarray
    mismatch: np.ndarray
    information: np.ndarray
    correlation: float
    evidence: float


@compiled
def align(start: Aligned, prior: Prior, matrix: np.ndarray, colour: ColourTerm, contour: ContourTerm,
          depth: DepthTerm, iterations: int) -> Aligned:
    """Optimise a pose so that mesh and images agree.

    :param matrix: (3, 3) pinhole matrix of the crop
    """
    pose, mismatch, information = start.pose, start.mismatch, start.information
    weight, distance_m = colour.likely.copy(), prior.pose[2, 3]
    lost = Aligned(pose, mismatch, information, 0.0, -1.0)
    correlation, evidence = 0.0, -1.0
    away = np.empty(STATE)
    for _ in range(iterations):
        of_contour, fit = contour_equations(contour, pose, mismatch, matrix, np.linalg.inv(information))
        of_colour, correlation, explained = colour_equations(colour, pose, matrix, weight)
        of_depth, measured = depth_equations(depth, pose, matrix)
        # colour and depth are compared without mismatch, which moves their residuals
        shifted = np.zeros(STATE)
        shifted[POSE:] = mismatch
        unshifted = of_colour.information @ shifted + of_depth.information @ shifted
        information = prior.information + of_contour.information + of_colour.information + of_depth.information
        away[:POSE], away[POSE:] = difference(prior.pose, pose), mismatch - prior.mismatch
        step = -np.linalg.solve(information, prior.information @ away + of_contour.gradient + of_colour.gradient
                                + of_depth.gradient + unshifted)
        pose, mismatch = moved(pose, step[:POSE]), mismatch + step[POSE:]
        if not (np.isfinite(step).all() and pose[2, 3] > distance_m / 2):
            return lost
        explained += measured
        evidence = EXPLAINED_WEIGHT * explained + fit if explained >= LEAST_EXPLAINED or fit > 0 else -1.0
        if np.abs(step[:3]).max() < SMALL_SHIFT * distance_m and np.abs(step[3:POSE]).max() < SMALL_TURN_RAD:
            break
    return Aligned(pose, mismatch, information, correlation, evidence)
