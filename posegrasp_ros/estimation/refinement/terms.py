# SPDX-License-Identifier: Apache-2.0
"""Common parts of the refinement terms: normal equations, robust weights and point selection.

Each term is a named tuple of arrays, created for one pose, and a compiled function that returns its part of the
normal equations at poses near that one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.runtime.numba_cache import compiled

TUKEY = 4.685
"""95 % efficiency under Gaussian noise (Huber and Ronchetti, Robust Statistics)."""
LEAST_POINTS = 30
LEAST_LIKELY = 0.1
"""Lower bound of the visibility, because networks also classify glare as an occluder."""


class Equations(NamedTuple):
    """Normal equations of weighted residuals r with derivatives J by N unknowns, the pose first.

    :param information: (N, N) JᵀJ
    :param gradient: (N,) Jᵀr
    """

    information: np.ndarray
    gradient: np.ndarray


@compiled
def no_equations(unknowns: int) -> Equations:
    """Equations without residuals."""
    return Equations(np.zeros((unknowns, unknowns)), np.zeros(unknowns))


@compiled
def add_residual(equations: Equations, row: np.ndarray, residual: float, weight: float) -> None:
    """Add one residual with its (N,) derivatives, in place."""
    for k in range(len(row)):
        weighed = weight * row[k]
        equations.gradient[k] += weighed * residual
        for m in range(len(row)):
            equations.information[k, m] += weighed * row[m]


@compiled
def tukey(residual: float, sigma: float) -> float:
    """Tukey's weight of a residual: 1 at zero, 0 from :data:`TUKEY` standard deviations."""
    share = residual / (TUKEY * sigma)
    return (1 - share * share) ** 2 if abs(share) < 1 else 0.0


def eye_of(pose: np.ndarray) -> np.ndarray:
    """(3,) the camera in the object's frame, for a (4, 4) camera_from_object."""
    return -pose[:3, 3] @ pose[:3, :3]


def evenly(shown: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most ``most`` true items of (N,) bool, evenly spaced."""
    found = np.flatnonzero(shown)
    return found if len(found) <= most else found[np.arange(most) * (len(found) - 1) // max(most - 1, 1)]


def likely_seen(points: np.ndarray, pose: np.ndarray, matrix: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
    """(N,) probability that points (N, 3) are not occluded, at least :data:`LEAST_LIKELY`; 1 if unknown.

    :param seen: (S, S) of the picture's pixels, see :class:`VisibilityMask`
    """
    if seen is None:
        return np.ones(len(points))
    pixels, _, _ = reproject(points, pose, matrix)
    column, row = np.clip(np.rint(pixels), 0, len(seen) - 1).astype(int).T
    return np.maximum(seen[row, column].astype(float), LEAST_LIKELY)
