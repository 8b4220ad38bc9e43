# SPDX-License-Identifier: Apache-2.0
"""The score of a pose: how probable it is that the pose is right, logistic in named figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BIAS = 'bias'


def sigmoid(logit: np.ndarray | float) -> np.ndarray:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logit, dtype=float)))


def score(coefficients: Mapping[str, float], figures: Mapping[str, float]) -> float:
    """Probability that a pose is right.

    :param coefficients: one a figure and a :data:`BIAS`, fitted on held-out images
    :param figures: what decoder and refiner say of the pose
    """
    return float(sigmoid(coefficients[BIAS] + sum(slope * figures[name] for name, slope in coefficients.items()
                                                  if name != BIAS)))
