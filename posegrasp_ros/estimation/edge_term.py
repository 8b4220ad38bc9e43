"""Edges: points of the outline and of sharp edges look for the strongest change of the image across the edge.

They hold what colour alone leaves loose, above all the depth and the tilt of a face seen from the front.
"""

from __future__ import annotations

import numpy as np

from posegrasp_ros.estimation.edges import Edges
from posegrasp_ros.estimation.picture import Picture
from posegrasp_ros.estimation.solve import reproject
from posegrasp_ros.estimation.terms import TUKEY, NormalEquations, chosen, eyes, masked_median

MOST_POINTS, LEAST_POINTS = 130, 6
LEAST_STEEPNESS = 4.0
"""Of 255 a pixel: less is no edge."""
STRONG_STEEPNESS = 15.0
"""More is no better: bold artwork beside an outline must not win over the outline."""
GATE, LEAST_REACH_PX = 2.5, 2.5
"""An edge is looked for within this many standard deviations of where it is expected, but within some pixels."""
FAR_PX = 3.0
"""An edge found that far off, or none, is no evidence for a pose."""


class EdgeTerm:
    """The visible edges of a mesh against one picture.

    :param matrix: (3, 3) pinhole matrix of the picture
    :param poses: (B, 4, 4) crop_from_object, near enough to tell what is visible
    :param reach_px: edges farther from where they are expected are not looked for
    :param sigma_px: how far off they are taken to be found
    :ivar fit: (B,) how near to where they should be edges were found at the last poses, 1 exactly there
    """

    def __init__(self, edges: Edges, picture: Picture, matrix: np.ndarray, poses: np.ndarray, reach_px: int,
                 sigma_px: float):
        self._picture, self._matrix, self._reach_px, self._sigma_px = picture, matrix, reach_px, sigma_px
        self.fit = np.zeros(len(poses))
        outline, self._real = chosen(np.array([edges.visible(eye) for eye in eyes(poses)]), MOST_POINTS)
        self._points, self._directions = edges.points[outline], edges.directions[outline]
        self._count = np.maximum(self._real.sum(axis=1), 1)
        spacing_px = edges.length_m * matrix[0, 0] / poses[:, 2, 3]
        self._independence = np.sqrt(np.minimum(1.0, spacing_px / picture.correlation_length_px))
        spacing = float(np.clip(picture.blur_px / 1.5, 0.5, 1.0))
        self._steps = np.arange(-reach_px, reach_px + spacing / 2, spacing)

    def at(self, poses: np.ndarray, covariances: np.ndarray) -> NormalEquations:
        """The normal equations at poses that are known with (B, 6, 6) covariances; empty where little is found."""
        seen, jacobian, _ = reproject(self._points, poses, self._matrix)
        # how a pixel moves with the position is also how it moves along the edge
        turned = self._directions @ np.swapaxes(poses[:, :3, :3], 1, 2)
        along = (jacobian[..., :3] @ turned[..., None])[..., 0]
        across = along[..., ::-1] * (-1.0, 1.0)
        across /= np.sqrt(np.sum(across ** 2, axis=2, keepdims=True)) + 1e-9
        rows = -(across[:, :, None] @ jacobian)[:, :, 0]
        spread_px = np.sqrt(np.sum(rows @ covariances * rows, axis=2))
        offset, found = self._look(seen, across, spread_px)
        found &= self._real
        near = np.where(found, 1 - np.minimum(np.abs(offset), FAR_PX) / FAR_PX, 0.0)
        self.fit = near.sum(axis=1) / self._count
        sigma = np.maximum(1.4826 * masked_median(np.abs(offset), found), self._sigma_px)[:, None]
        weight = np.clip(1 - (offset / (TUKEY * sigma)) ** 2, 0, 1) * found
        weight *= (self._independence * (found.sum(axis=1) >= LEAST_POINTS))[:, None] / self._sigma_px
        return NormalEquations.of(rows * weight[..., None], offset * weight)

    def _look(self, pixels: np.ndarray, across: np.ndarray, spread_px: np.ndarray):
        """Offsets (B, N) along ``across`` to where the picture is steepest, and whether there is an edge."""
        steps, shape = self._steps, pixels.shape[:2]
        pixels, across = pixels.reshape(-1, 2), across.reshape(-1, 2)
        steepness = self._picture.slopes(pixels[:, None] + steps[:, None] * across[:, None], across)
        # near is likelier than far: another edge close by must not win for a little more contrast
        reach = np.clip(GATE * spread_px.reshape(-1, 1), LEAST_REACH_PX, self._reach_px)
        preferred = np.minimum(steepness, STRONG_STEEPNESS) * np.exp(-0.5 * (GATE * steps / reach) ** 2)
        each = np.arange(len(pixels))
        best = np.argmax(preferred, axis=1).clip(1, len(steps) - 2)
        before, middle, after = (steepness[each, best + shift] for shift in (-1, 0, 1))
        # a parabola through three samples has its peak between
        bend = np.minimum(before - 2 * middle + after, -1e-6)
        offset = steps[best] + np.clip(0.5 * (before - after) / bend, -1, 1) * (steps[1] - steps[0])
        found = (middle > LEAST_STEEPNESS) & (np.abs(offset) < reach[:, 0])
        return offset.reshape(shape), found.reshape(shape)
