"""Edges: points of the outline and of sharp edges look for the strongest change of the image across the edge.

They hold what colour alone leaves loose, above all the depth and the tilt of a face seen from the front.
"""

from __future__ import annotations

import numpy as np

from posegrasp_ros.estimation.edges import Edges
from posegrasp_ros.estimation.picture import Picture
from posegrasp_ros.estimation.solve import reproject
from posegrasp_ros.estimation.terms import TUKEY, Normal, thinned

MOST_POINTS, LEAST_POINTS = 150, 6
LEAST_STEEPNESS = 4.0
"""Of 255 a pixel: less is no edge."""
GATE, LEAST_REACH_PX = 2.5, 2.5
"""An edge is looked for within this many standard deviations of where it is expected, but within some pixels."""


class EdgeTerm:
    """The visible edges of a mesh against one picture.

    :param matrix: (3, 3) pinhole matrix of the picture
    :param pose: (4, 4) crop_from_object, near enough to tell what is visible
    :param reach_px: edges farther from where they are expected are not looked for
    :param sigma_px: how far off they are taken to be found
    :ivar share: of the edge points that found an edge at the last pose
    """

    def __init__(self, edges: Edges, picture: Picture, matrix: np.ndarray, pose: np.ndarray, reach_px: int,
                 sigma_px: float):
        self._picture, self._matrix, self._reach_px, self._sigma_px = picture, matrix, reach_px, sigma_px
        self.share = 0.0
        outline = thinned(np.flatnonzero(edges.visible(-pose[:3, :3].T @ pose[:3, 3])), MOST_POINTS)
        self._points, self._directions = edges.points[outline], edges.directions[outline]
        spacing_px = edges.length_m * matrix[0, 0] / pose[2, 3]
        self._independence = np.sqrt(min(1.0, spacing_px / picture.correlation_length_px))
        spacing = float(np.clip(picture.blur_px / 2, 0.5, 1.0))
        self._steps = np.arange(-reach_px, reach_px + spacing / 2, spacing)

    @property
    def is_empty(self) -> bool:
        """Whether too little is seen to compare."""
        return len(self._points) < LEAST_POINTS

    def at(self, pose: np.ndarray, covariance: np.ndarray) -> Normal:
        """The normal equations at a pose that is known with a (6, 6) covariance."""
        seen, jacobian, _ = reproject(self._points, pose, self._matrix)
        # how a pixel moves with the position is also how it moves along the edge
        turned = self._directions @ pose[:3, :3].T
        along = (jacobian[:, :, :3] @ turned[:, :, None])[:, :, 0]
        across = along[:, ::-1] * (-1.0, 1.0)
        across /= np.sqrt(np.sum(across ** 2, axis=1, keepdims=True)) + 1e-9
        rows = -(across[:, None] @ jacobian)[:, 0]
        offset, found = self._look(seen, across, np.sqrt(np.sum(rows @ covariance * rows, axis=1)))
        self.share = float(found.mean())
        if found.sum() < LEAST_POINTS:
            return Normal()
        sigma = max(1.4826 * float(np.median(np.abs(offset[found]))), self._sigma_px)
        weight = np.clip(1 - (offset / (TUKEY * sigma)) ** 2, 0, 1) * found * (self._independence / self._sigma_px)
        return Normal.of(rows * weight[:, None], offset * weight)

    def _look(self, pixels: np.ndarray, across: np.ndarray, spread_px: np.ndarray):
        """Offsets (N,) along ``across`` to where the picture is steepest, and whether there is an edge at all."""
        steps = self._steps
        steepness = self._picture.slopes(pixels[:, None] + steps[:, None] * across[:, None], across)
        # near is likelier than far: another edge close by must not win for a little more contrast
        reach = np.clip(GATE * spread_px, LEAST_REACH_PX, self._reach_px)[:, None]
        preferred = steepness * np.exp(-0.5 * (GATE * steps / reach) ** 2)
        each = np.arange(len(pixels))
        best = np.argmax(preferred, axis=1).clip(1, len(steps) - 2)
        before, middle, after = (steepness[each, best + shift] for shift in (-1, 0, 1))
        # a parabola through three samples has its peak between
        bend = np.minimum(before - 2 * middle + after, -1e-6)
        offset = steps[best] + np.clip(0.5 * (before - after) / bend, -1, 1) * (steps[1] - steps[0])
        return offset, (middle > LEAST_STEEPNESS) & (np.abs(offset) < reach[:, 0])
