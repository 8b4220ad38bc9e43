# SPDX-License-Identifier: Apache-2.0
"""DecoderParameters: what a decoder family reads from its section of the model card."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from posegrasp_ros.runtime.yaml_model import Reads, YamlModel, numbers

LEAST_KEYPOINTS, MOST_KEYPOINTS = 4, 64


class DecoderParameters(YamlModel, extra='forbid'):
    """A card's ``decoder`` section. A family with further fields has a subclass, which declares them::

        class PlaceParameters(DecoderParameters):
            sigma_m: float = Field(0.01, ge=1e-4, le=0.1)

    A card with a value out of range, or with a field that is not declared, is refused by name.
    """

    family: str


def _points(value: Any) -> np.ndarray:
    points = np.array(value, dtype=float)
    fits = points.ndim == 2 and points.shape[1] == 3 and LEAST_KEYPOINTS <= len(points) <= MOST_KEYPOINTS
    if not (fits and np.isfinite(points).all() and np.abs(points).max() <= 2
            and np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-4) >= 2):
        raise ValueError
    return points


Lengths = Annotated[np.ndarray, numbers(3, 0.001, 2.0)]
"""Three side lengths, metres."""
Points = Annotated[np.ndarray, Reads(_points, f'{LEAST_KEYPOINTS} to {MOST_KEYPOINTS} points [x, y, z] in metres, '
                                              'not all on one line')]
"""(K, 3) points in the object frame, metres."""
