# SPDX-License-Identifier: Apache-2.0
"""Depth term: point-to-plane distance between the measured surface and the mesh (Chen and Medioni 1992)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.depth_map import distance_from
from posegrasp_ros.estimation.refinement.mismatch import POSE, STATE, size_columns
from posegrasp_ros.estimation.refinement.surface import Surface
from posegrasp_ros.estimation.refinement.terms import (
    LEAST_POINTS,
    add_residual,
    evenly,
    eye_of,
    no_equations,
    tukey,
)
from posegrasp_ros.runtime.numba_cache import compiled

MOST_POINTS = 200
FAR = 4.0
"""Distance in standard deviations from which a measurement is not counted as evidence for the pose."""
SPOTS = 50.0
"""Largest number of independent measurements on an object; depth errors are correlated between neighbours."""


class DepthTerm(NamedTuple):
    """Visible points of a surface, to be compared with one depth map.

    :param points: (N, 3) object frame, metres
    :param normals: (N, 3) unit
    :param depth_m: (S, S) along the crop's optical axis, NaN where unknown
    :param seen_share: fraction of the whole surface that these points represent
    """

    points: np.ndarray
    normals: np.ndarray
    depth_m: np.ndarray
    seen_share: float

    @classmethod
    def of(cls, surface: Surface, depth_m: np.ndarray | None, pose: np.ndarray) -> DepthTerm:
        """Select the points visible at a (4, 4) crop_from_object near the true one; none without depth.

        :param depth_m: see :func:`posegrasp_ros.estimation.refinement.depth_map.depth_of_crop`
        """
        if depth_m is None:
            return cls(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((1, 1), np.float32), 0.0)
        shown = surface.cosines(eye_of(pose)) > 0
        facing = evenly(shown, MOST_POINTS)
        return cls(surface.points[facing], surface.normals[facing], depth_m, float(shown.mean()))


@compiled
def depth_equations(term: DepthTerm, pose: np.ndarray, matrix: np.ndarray) -> tuple:
    """The normal equations of depth at a pose; empty if too few depths are known.

    :return: the equations; fraction of the whole surface that agrees with the measured depth
    """
    count, rotation = len(term.points), np.ascontiguousarray(pose[:3, :3])
    equations = no_equations(STATE)
    rows, residuals = np.zeros((count, STATE)), np.empty(count)
    explained = 0.0
    for i in range(count):
        turned, normal = rotation @ term.points[i], rotation @ term.normals[i]
        distance, noise = distance_from(term.depth_m, matrix, turned + pose[:3, 3], normal)
        residuals[i] = distance / noise
        rows[i, :3], rows[i, 3:POSE] = -normal / noise, -np.cross(turned, normal) / noise
        size_columns(rows[i], -normal / noise, rotation, term.points[i])
        if abs(residuals[i]) < FAR:
            explained += (1 - (residuals[i] / FAR) ** 2) * term.seen_share / count
    known = np.isfinite(residuals)
    if known.sum() < LEAST_POINTS:
        return equations, explained
    sigma = max(1.4826 * np.median(np.abs(residuals[known])), 1.0)
    share = min(1.0, SPOTS / known.sum())
    for i in range(count):
        if known[i]:
            add_residual(equations, rows[i], residuals[i], share * tukey(residuals[i], sigma))
    return equations, explained
