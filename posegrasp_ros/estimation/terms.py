"""What the terms of a refinement have in common: each gives its share of the normal equations.

All of them work on several poses at once, one row a pose: numpy's calls cost more than what they do on a few
hundred points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TUKEY = 4.685
"""95 % efficiency under Gaussian noise (Huber and Ronchetti, Robust Statistics)."""
LEAST_POINTS = 30


@dataclass
class NormalEquations:
    """NormalEquations equations of weighed residuals r with derivatives J by the pose's disturbance.

    :param information: (B, 6, 6) JᵀJ
    :param gradient: (B, 6) Jᵀr
    """

    information: np.ndarray
    gradient: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, residuals: np.ndarray) -> NormalEquations:
        """Of (B, N, 6) derivatives and (B, N) residuals, in standard deviations."""
        across = np.swapaxes(rows, 1, 2)
        return cls(across @ rows, (across @ residuals[:, :, None])[:, :, 0])

    def __add__(self, other: NormalEquations) -> NormalEquations:
        return NormalEquations(self.information + other.information, self.gradient + other.gradient)


def eyes(poses: np.ndarray) -> np.ndarray:
    """(B, 3) the camera in the object's frame, for (B, 4, 4) poses."""
    return -np.einsum('bij,bi->bj', poses[:, :3, :3], poses[:, :3, 3])


def chosen(shown: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many of the items shown, evenly; the same number in each row.

    :param shown: (B, N) bool
    :return: (B, K) indices; (B, K) bool, False where a row has fewer
    """
    counts = np.minimum(shown.sum(axis=1), most)
    width = max(int(counts.max()), 1)
    indices, real = np.zeros((len(shown), width), np.intp), np.arange(width) < counts[:, None]
    for row, count in enumerate(counts):
        found = np.flatnonzero(shown[row])
        indices[row, :count] = found[np.linspace(0, len(found) - 1, count).astype(int)] if count else found
    return indices, real


def masked_median(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(B,) medians of the (B, N) values that are real; 0 for a row without any."""
    ordered = np.sort(np.where(real, values, np.inf), axis=1)
    middle = np.maximum(real.sum(axis=1) - 1, 0) // 2
    medians = ordered[np.arange(len(values)), middle]
    return np.where(np.isfinite(medians), medians, 0.0)
