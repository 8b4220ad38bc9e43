"""What the terms of a refinement have in common.

Each term is a named tuple of arrays, made for one pose, and a compiled function that gives its share of the normal
equations at poses near that one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.compiled import compiled

TUKEY = 4.685
"""95 % efficiency under Gaussian noise (Huber and Ronchetti, Robust Statistics)."""
LEAST_POINTS = 30


class Equations(NamedTuple):
    """Normal equations of weighed residuals r with derivatives J by the pose's disturbance.

    :param information: (6, 6) JᵀJ
    :param gradient: (6,) Jᵀr
    """

    information: np.ndarray
    gradient: np.ndarray


@compiled
def no_equations() -> Equations:
    """Of no residual at all."""
    return Equations(np.zeros((6, 6)), np.zeros(6))


@compiled
def add_residual(equations: Equations, row: np.ndarray, residual: float, weight: float) -> None:
    """Add one residual with its (6,) derivatives, in place."""
    for k in range(6):
        weighed = weight * row[k]
        equations.gradient[k] += weighed * residual
        for m in range(6):
            equations.information[k, m] += weighed * row[m]


@compiled
def tukey(residual: float, sigma: float) -> float:
    """Tukey's weight of a residual: 1 at none, 0 from :data:`TUKEY` standard deviations on."""
    share = residual / (TUKEY * sigma)
    return (1 - share * share) ** 2 if abs(share) < 1 else 0.0


def eye_of(pose: np.ndarray) -> np.ndarray:
    """(3,) the camera in the object's frame, for a (4, 4) camera_from_object."""
    return -pose[:3, 3] @ pose[:3, :3]


def evenly(shown: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most so many of the items (N,) bool that are shown, spread evenly over them."""
    found = np.flatnonzero(shown)
    return found if len(found) <= most else found[np.linspace(0, len(found) - 1, most).astype(int)]
