# SPDX-License-Identifier: Apache-2.0
"""Orders equally good grasps by the arm's joint travel."""

from __future__ import annotations

import numpy as np


def shortest_first(scores: np.ndarray, probabilities: np.ndarray, travels: np.ndarray,
                   margin: float) -> np.ndarray:
    """(N,) indices: as they are, but among equals the shortest travel first.

    Equals are neighbours whose score and probability of success are within a margin of those of the first of them,
    so that a chain of small differences does not make equals of what differs much.

    :param scores: (N,) best first
    :param travels: (N,) of the joints
    """
    order: list[int] = []
    while len(order) < len(scores):
        first = len(order)
        differs = np.maximum(np.abs(scores[first:] - scores[first]),
                             np.abs(probabilities[first:] - probabilities[first])) > margin + 1e-9
        count = int(np.argmax(differs)) if differs.any() else len(differs)
        order += (first + np.argsort(travels[first:first + count], kind='stable')).tolist()
    return np.array(order, dtype=int)
