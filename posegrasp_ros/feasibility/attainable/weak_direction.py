# SPDX-License-Identifier: Apache-2.0
"""The most uncertain direction of a pose, and its description."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.feasibility.attainable.view_sampling import CameraView

ALONG_COSINE = float(np.cos(np.radians(35)))
"""A direction within this angle of a named one gets its name."""


def weakest_direction(covariance: np.ndarray, radius_m: float) -> np.ndarray:
    """(6,) one standard deviation along the first eigenvector of a (6, 6) pose covariance, metres and radians.

    :param radius_m: of the object, at which rotations are converted to displacements
    """
    scale = np.repeat([1.0, radius_m], 3)
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    return np.sqrt(max(values[-1], 0.0)) * vectors[:, -1] / scale


def words_of(direction: np.ndarray, view: CameraView, radius_m: float) -> str:
    """Description of a direction (6,), camera axes, in this view: the larger of its translation and rotation."""
    shift, turn = direction[:3], direction[3:] * radius_m
    sight = view.camera_from_object[:3, 3]
    if np.linalg.norm(shift) >= np.linalg.norm(turn):
        return 'along the line of sight' if _is_along(shift, sight) else 'across the line of sight'
    if _is_along(turn, sight):
        return 'about the line of sight'
    if _is_along(turn, view.base_from_camera[2, :3]):
        return "about the table's vertical"
    for name, axis in zip('xyz', view.camera_from_object[:3, :3].T):
        if _is_along(turn, axis):
            return f"about the object's {name} axis"
    return 'about an axis across the line of sight'


def _is_along(vector: np.ndarray, axis: np.ndarray) -> bool:
    return bool(abs(vector @ axis) > ALONG_COSINE * np.linalg.norm(vector) * np.linalg.norm(axis))
