# SPDX-License-Identifier: Apache-2.0
"""How far covariances spread the poses of the ground truth: four numbers for each that need little memory."""

from __future__ import annotations

import numpy as np


def spread_of(covariances: np.ndarray) -> np.ndarray:
    """(N, 4) of (N, 6, 6): :func:`squared_length` of the position, then of the rotation."""
    return np.concatenate([squared_length(covariances[:, :3, :3]), squared_length(covariances[:, 3:, 3:])], axis=1)


def squared_length(covariances: np.ndarray) -> np.ndarray:
    """(N, 2) tr C and tr C² of (N, 3, 3): mean, and half the variance, of the squared length of normal errors."""
    return np.stack([np.trace(covariances, axis1=1, axis2=2), np.square(covariances).sum(axis=(1, 2))], axis=1)
