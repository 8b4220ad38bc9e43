"""Depth: the surface that a depth camera measures has to lie on the mesh's (Chen and Medioni 1992)."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.estimation.depth_map import DepthMap
from posegrasp_ros.estimation.surface import Surface
from posegrasp_ros.estimation.terms import LEAST_POINTS, TUKEY, Normal, thinned

MOST_POINTS = 250
SPOTS = 50.0
"""Depth cameras err alike over a neighbourhood: an object's points count as this many measurements at most."""


class DepthTerm:
    """The visible points of a surface against one depth map.

    :param pose: (4, 4) crop_from_object, near enough to tell what is visible
    """

    def __init__(self, surface: Surface, depth: DepthMap, pose: np.ndarray):
        self._depth = depth
        facing = thinned(surface.facing(-pose[:3, :3].T @ pose[:3, 3]), MOST_POINTS)
        self._points, self._normals = surface.points[facing], surface.normals[facing]

    def at(self, pose: np.ndarray) -> Normal:
        """The normal equations at a pose; empty where too little is known."""
        turned, normals = self._points @ pose[:3, :3].T, self._normals @ pose[:3, :3].T
        distance, noise = self._depth.distance(turned + pose[:3, 3], normals)
        known = np.isfinite(distance)
        if known.sum() < LEAST_POINTS:
            return Normal()
        residual, turned, normals = (distance / noise)[known], turned[known], normals[known]
        sigma = max(1.4826 * float(np.median(np.abs(residual))), 1.0)
        weight = np.clip(1 - (residual / (TUKEY * sigma)) ** 2, 0, 1) * np.sqrt(min(1.0, SPOTS / known.sum()))
        rows = -np.concatenate([normals, np.cross(turned, normals)], axis=1) / noise[known, None]
        return Normal.of(rows * weight[:, None], residual * weight)
