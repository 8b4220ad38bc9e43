"""Align a pose with pictures: no renderer, a few hundred points, Gauss-Newton.

Minimised together are the terms of colour and edges, of depth where a camera gives it, and the prior: what the
network said, as far as it is to be trusted. Each lets go of what is hidden, glares or found the wrong edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.colour_term import ColourTerm, colour_equations
from posegrasp_ros.estimation.refinement.depth_term import DepthTerm, depth_equations
from posegrasp_ros.estimation.refinement.edge_term import EdgeTerm, edge_equations
from posegrasp_ros.estimation.refinement.motion import difference, moved
from posegrasp_ros.runtime.numba_cache import compiled

SMALL_SHIFT, SMALL_TURN_RAD = 2e-4, 5e-4
"""Steps below these, of the distance and in radians, move no pixel by a tenth."""
EXPLAINED_WEIGHT, LEAST_EXPLAINED = 2.0, 0.005
"""A convex body shows half of its surface at most: then colour counts as much as edges."""


class Prior(NamedTuple):
    """What is known before: a (4, 4) pose and its (6, 6) information."""

    pose: np.ndarray
    information: np.ndarray


class Aligned(NamedTuple):
    """A pose that agrees with pictures.

    :param pose: (4, 4) crop_from_object
    :param information: (6, 6) inverse covariance
    :param correlation: between image and lit surface colour, 1 when they agree
    :param evidence: how much of the surface and of its edges is seen as it should be. A pose that shows little
        fits easily; so what counts is how much fits, not how well. Below 0 there is nothing to go by.
    """

    pose: np.ndarray
    information: np.ndarray
    correlation: float
    evidence: float


@compiled
def align(pose: np.ndarray, information: np.ndarray, prior: Prior, matrix: np.ndarray, colour: ColourTerm,
          edge: EdgeTerm, depth: DepthTerm, iterations: int) -> Aligned:
    """Move a pose until mesh and pictures agree.

    :param pose: (4, 4) crop_from_object
    :param information: (6, 6) inverse covariance of it
    :param matrix: (3, 3) pinhole matrix of the pictures
    """
    weight, distance_m = colour.likely.copy(), prior.pose[2, 3]
    lost = Aligned(pose, information, 0.0, -1.0)
    correlation, evidence = 0.0, -1.0
    for _ in range(iterations):
        of_edges, fit = edge_equations(edge, pose, matrix, np.linalg.inv(information))
        of_colour, correlation, explained = colour_equations(colour, pose, matrix, weight)
        of_depth, measured = depth_equations(depth, pose, matrix)
        information = prior.information + of_edges.information + of_colour.information + of_depth.information
        pull = prior.information @ difference(prior.pose, pose)
        step = -np.linalg.solve(information, pull + of_edges.gradient + of_colour.gradient + of_depth.gradient)
        pose = moved(pose, step)
        if not (np.isfinite(step).all() and pose[2, 3] > distance_m / 2):
            return lost
        explained += measured
        evidence = EXPLAINED_WEIGHT * explained + fit if explained >= LEAST_EXPLAINED or fit > 0 else -1.0
        if np.abs(step[:3]).max() < SMALL_SHIFT * distance_m and np.abs(step[3:]).max() < SMALL_TURN_RAD:
            break
    return Aligned(pose, information, correlation, evidence)
