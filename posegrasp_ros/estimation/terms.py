"""What the terms of a refinement have in common: each gives its share of the normal equations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TUKEY = 4.685
"""95 % efficiency under Gaussian noise (Huber and Ronchetti, Robust Statistics)."""
LEAST_POINTS = 30


@dataclass
class Normal:
    """Normal equations of weighed residuals r with derivatives J by the pose's disturbance.

    :param information: (6, 6) JᵀJ
    :param gradient: (6,) Jᵀr
    """

    information: np.ndarray = field(default_factory=lambda: np.zeros((6, 6)))
    gradient: np.ndarray = field(default_factory=lambda: np.zeros(6))

    @classmethod
    def of(cls, rows: np.ndarray, residuals: np.ndarray) -> Normal:
        """Of (N, 6) derivatives and (N,) residuals, in standard deviations."""
        return cls(rows.T @ rows, rows.T @ residuals)

    def __add__(self, other: Normal) -> Normal:
        return Normal(self.information + other.information, self.gradient + other.gradient)


def thinned(indices: np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, evenly."""
    return indices[np.linspace(0, len(indices) - 1, most).astype(int)] if len(indices) > most else indices
