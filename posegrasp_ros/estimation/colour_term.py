"""Colour: surface points are projected, and the image there has to agree with what is known of the surface.

Light is unknown: each channel may be any c * (a + b . normal) + d of the known colour c. These five figures are
eliminated at every step (variable projection, Golub and Pereyra 1973), so a bright top and a dark side cost
nothing.
"""

from __future__ import annotations

import numpy as np

from posegrasp_ros.estimation.picture import Picture
from posegrasp_ros.estimation.solve import reproject
from posegrasp_ros.estimation.surface import Surface
from posegrasp_ros.estimation.terms import LEAST_POINTS, TUKEY, Normal, thinned

MOST_POINTS = 250
CHI_3_MEDIAN = 1.54
"""Of the chi law with three degrees of freedom, one a colour channel."""
INDEPENDENT_CHANNELS = 1.5
"""Blue, green and red mostly say the same."""
LEAST_SIGMA = 4.0
"""Of 255: no camera is truer."""
LEAST_SHIFT_PX = 0.15
"""Print, mesh and lens are never true to less than this, and all points share it."""
LIGHTS = 5


class ColourTerm:
    """The visible points of a surface against one picture.

    :param matrix: (3, 3) pinhole matrix of the picture
    :param pose: (4, 4) crop_from_object, near enough to tell what is visible
    :ivar correlation: between image and lit surface colour at the last pose, 1 when they agree
    """

    def __init__(self, surface: Surface, picture: Picture, matrix: np.ndarray, pose: np.ndarray):
        self._picture, self._matrix = picture, matrix
        self.correlation = 0.0
        pixels_a_metre = matrix[0, 0] / pose[2, 3]
        eye = -pose[:3, :3].T @ pose[:3, 3]
        chosen, colours = surface.visible(eye, np.hypot(picture.blur_px, 0.5) / pixels_a_metre)
        some = thinned(np.arange(len(chosen)), MOST_POINTS)
        chosen, colours = chosen[some], colours[some]
        self._points = surface.points[chosen]
        self._weight = np.ones(len(chosen))
        # columns of every channel: the lights, the image's value, its derivatives by the disturbance
        self._columns = np.ones((3, len(chosen), LIGHTS + 7))
        self._columns[:, :, 0] = colours.T
        self._columns[:, :, 1:4] = colours.T[:, :, None] * surface.normals[chosen]
        # what a convex body shows is a quarter of its surface on average (Cauchy); that many spots are independent
        spots = surface.area_m2 / 4 * (pixels_a_metre / picture.correlation_length_px) ** 2
        self._independence = min(1.0, INDEPENDENT_CHANNELS / 3 * spots / max(len(chosen), 1))
        self._pixels_a_metre = pixels_a_metre

    @property
    def is_empty(self) -> bool:
        """Whether too little is seen to compare."""
        return len(self._points) < LEAST_POINTS

    def at(self, pose: np.ndarray) -> Normal:
        """The normal equations at a pose."""
        seen, jacobian, _ = reproject(self._points, pose, self._matrix)
        value, slope_u, slope_v = (layer.T for layer in self._picture.read(seen))
        columns = self._columns
        columns[:, :, LIGHTS] = value - (value @ self._weight / self._weight.sum())[:, None]
        columns[:, :, LIGHTS + 1:] = slope_u[:, :, None] * jacobian[:, 0] + slope_v[:, :, None] * jacobian[:, 1]
        weighed = columns * self._weight[:, None]
        gram = np.swapaxes(weighed, 1, 2) @ weighed
        lights = gram[:, :LIGHTS, :LIGHTS].copy()
        each = np.arange(LIGHTS)
        lights[:, each, each] = lights[:, each, each] * (1 + 1e-6) + 1e-6  # one face cannot tell light from colour
        fit = np.linalg.solve(lights, gram[:, :LIGHTS, LIGHTS:])
        rest = (gram[:, LIGHTS:, LIGHTS:] - gram[:, LIGHTS:, :LIGHTS] @ fit).sum(axis=0)
        self.correlation = float(np.sqrt(max(0.0, 1 - rest[0, 0] / (gram[:, LIGHTS, LIGHTS].sum() + 1e-9))))
        sigma = self._weigh_anew(columns[:, :, LIGHTS] - (columns[:, :, :LIGHTS] @ fit[:, :, :1])[:, :, 0])
        information = rest[1:, 1:] / sigma ** 2
        scale = self._scale(information)
        return Normal(information * scale, rest[1:, 0] * scale / sigma ** 2)

    def _weigh_anew(self, residuals: np.ndarray) -> float:
        """Set the square roots of Tukey's weights for (3, N) residuals; their standard deviation."""
        length = np.sqrt(np.sum(residuals ** 2, axis=0))
        sigma = max(float(np.median(length)) / CHI_3_MEDIAN, LEAST_SIGMA)
        self._weight = np.clip(1 - (length / (TUKEY * CHI_3_MEDIAN * sigma)) ** 2, 1e-3, 1)
        return sigma

    def _scale(self, information: np.ndarray) -> float:
        """How much less the points say together than they would if each erred by itself."""
        sideways = self._independence * np.trace(information[:2, :2]) / 2 / self._pixels_a_metre ** 2
        return self._independence * min(1.0, 1 / (LEAST_SHIFT_PX ** 2 * sideways + 1e-12))
