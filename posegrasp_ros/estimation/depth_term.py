"""Depth: the surface that a depth camera measures has to lie on the mesh's (Chen and Medioni 1992)."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.estimation.depth_map import DepthMap
from posegrasp_ros.estimation.surface import Surface
from posegrasp_ros.estimation.terms import LEAST_POINTS, TUKEY, NormalEquations, chosen, eyes, masked_median

MOST_POINTS = 200
FAR = 4.0
"""Standard deviations from the mesh: what was measured there is no evidence for a pose."""
SPOTS = 50.0
"""Depth cameras err alike over a neighbourhood: an object's points count as this many measurements at most."""


class DepthTerm:
    """The visible points of a surface against one depth map.

    :param poses: (B, 4, 4) crop_from_object, near enough to tell what is visible
    :ivar explained: (B,) share of the whole surface that was measured where it should be at the last poses
    """

    def __init__(self, surface: Surface, depth: DepthMap, poses: np.ndarray):
        self._depth = depth
        shown = surface.cosines(eyes(poses)) > 0
        facing, self._real = chosen(shown, MOST_POINTS)
        self._seen_share, self.explained = shown.mean(axis=1), np.zeros(len(poses))
        self._points, self._normals = surface.points[facing], surface.normals[facing]

    def at(self, poses: np.ndarray) -> NormalEquations:
        """The normal equations at poses; empty where too little is known."""
        rotation = np.swapaxes(poses[:, :3, :3], 1, 2)
        turned, normals = self._points @ rotation, self._normals @ rotation
        distance, noise = self._depth.distance(turned + poses[:, None, :3, 3], normals)
        known = np.isfinite(distance) & self._real
        residual = np.where(known, distance, 0.0) / np.where(known, noise, 1.0)
        near = known * np.clip(1 - (residual / FAR) ** 2, 0, 1)
        self.explained = self._seen_share * near.sum(axis=1) / np.maximum(self._real.sum(axis=1), 1)
        sigma = np.maximum(1.4826 * masked_median(np.abs(residual), known), 1.0)[:, None]
        count = known.sum(axis=1)
        weight = np.clip(1 - (residual / (TUKEY * sigma)) ** 2, 0, 1) * known
        weight *= (np.sqrt(np.minimum(1.0, SPOTS / np.maximum(count, 1))) * (count >= LEAST_POINTS))[:, None]
        rows = -np.concatenate([normals, np.cross(turned, normals)], axis=2)
        rows *= (weight / np.where(known, noise, 1.0))[..., None]
        return NormalEquations.of(rows, residual * weight)
