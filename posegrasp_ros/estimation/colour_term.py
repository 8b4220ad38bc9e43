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
from posegrasp_ros.estimation.terms import LEAST_POINTS, TUKEY, NormalEquations, chosen, eyes, masked_median

MOST_POINTS = 220
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
    :param poses: (B, 4, 4) crop_from_object, near enough to tell what is visible
    :ivar correlation: (B,) between image and lit surface colour at the last poses, 1 when they agree
    :ivar explained: (B,) share of the whole surface that is seen as it should be
    """

    def __init__(self, surface: Surface, picture: Picture, matrix: np.ndarray, poses: np.ndarray):
        self._picture, self._matrix = picture, matrix
        self.correlation = self.explained = np.zeros(len(poses))
        self._pixels_a_metre = matrix[0, 0] / poses[:, 2, 3]
        cosine = surface.cosines(eyes(poses), np.hypot(picture.blur_px, 0.5) / self._pixels_a_metre)
        indices, self._real = chosen(cosine > 0, MOST_POINTS)
        self._seen_share = (cosine > 0).mean(axis=1)
        self._points = surface.points[indices]
        colours = surface.colours(indices, np.take_along_axis(cosine, indices, axis=1),
                                  np.hypot(picture.blur_px, 0.5) / self._pixels_a_metre)
        self._weight = self._real.astype(float)
        # columns of every channel: the lights, the image's value, its derivatives by the disturbance
        self._columns = np.ones((len(poses), 3, indices.shape[1], LIGHTS + 7))
        self._columns[..., 0] = np.swapaxes(colours, 1, 2)
        self._columns[..., 1:4] = self._columns[..., :1] * surface.normals[indices][:, None]
        # what a convex body shows is a quarter of its surface on average (Cauchy); that many spots are independent
        spots = surface.area_m2 / 4 * (self._pixels_a_metre / picture.correlation_length_px) ** 2
        self._count = np.maximum(self._real.sum(axis=1), 1)
        self._independence = np.minimum(1.0, INDEPENDENT_CHANNELS / 3 * spots / self._count)
        self._independence *= self._real.sum(axis=1) >= LEAST_POINTS

    def at(self, poses: np.ndarray) -> NormalEquations:
        """The normal equations at poses; empty where too little is seen to compare."""
        seen, jacobian, _ = reproject(self._points, poses, self._matrix)
        value, slope_u, slope_v = (np.moveaxis(layer, 2, 1) for layer in self._picture.read(seen))
        weight, columns = self._weight[:, None], self._columns
        columns[..., LIGHTS] = value - ((value * weight).sum(2) / (weight.sum(2) + 1e-9))[..., None]
        columns[..., LIGHTS + 1:] = (slope_u[..., None] * jacobian[:, None, :, 0]
                                     + slope_v[..., None] * jacobian[:, None, :, 1])
        weighed = columns * weight[..., None]
        gram = np.swapaxes(weighed, 2, 3) @ weighed
        lights = gram[..., :LIGHTS, :LIGHTS].copy()
        each = np.arange(LIGHTS)
        lights[..., each, each] = lights[..., each, each] * (1 + 1e-6) + 1e-6  # one face: light or colour?
        fit = np.linalg.solve(lights, gram[..., :LIGHTS, LIGHTS:])
        rest = (gram[..., LIGHTS:, LIGHTS:] - gram[..., LIGHTS:, :LIGHTS] @ fit).sum(axis=1)
        total = gram[..., LIGHTS, LIGHTS].sum(axis=1)
        noise = 3 * LEAST_SIGMA ** 2 * np.sum(self._weight ** 2, axis=1) + 1e-9  # a plain grey agrees with nothing
        self.correlation = np.sqrt(np.clip((total - rest[:, 0, 0]) / (total + noise), 0, 1))
        self.correlation *= self._independence > 0
        sigma = self._weigh_anew(columns[..., LIGHTS] - (columns[..., :LIGHTS] @ fit[..., :1])[..., 0])
        rest /= (sigma ** 2)[:, None, None]
        fitting = np.sum(self._weight ** 2, axis=1) / self._count
        self.explained = self._seen_share * fitting * self.correlation  # plain grey fits any light
        scale = self._scale(rest[:, 1:3, 1:3])
        return NormalEquations(rest[:, 1:, 1:] * scale[:, None, None], rest[:, 1:, 0] * scale[:, None])

    def _weigh_anew(self, residuals: np.ndarray) -> np.ndarray:
        """Set the square roots of Tukey's weights for (B, 3, N) residuals; (B,) their standard deviation."""
        length = np.sqrt(np.sum(residuals ** 2, axis=1))
        sigma = np.maximum(masked_median(length, self._real) / CHI_3_MEDIAN, LEAST_SIGMA)
        weight = np.clip(1 - (length / (TUKEY * CHI_3_MEDIAN * sigma)[:, None]) ** 2, 1e-3, 1)
        self._weight = np.where(self._real, weight, 0.0)
        return sigma

    def _scale(self, by_shift: np.ndarray) -> np.ndarray:
        """(B,) how much less the points say together than they would if each erred by itself.

        :param by_shift: (B, 2, 2) information about a shift sideways, as if they did
        """
        sideways = self._independence * np.trace(by_shift, axis1=1, axis2=2) / 2 / self._pixels_a_metre ** 2
        return self._independence * np.minimum(1.0, 1 / (LEAST_SHIFT_PX ** 2 * sideways + 1e-12))
