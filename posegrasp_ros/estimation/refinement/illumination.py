"""Illumination: how the mesh's colours appear in a crop, and the colours of the object and around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import Picture, read
from posegrasp_ros.estimation.refinement.colour_statistics import densities, surroundings
from posegrasp_ros.estimation.refinement.colour_term import LEAST_SIGMA, ColourTerm, fitted_light
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.refinement.terms import LEAST_POINTS


class Palette(NamedTuple):
    """Colour densities of a crop, see :func:`posegrasp_ros.estimation.refinement.colour_statistics.densities`.

    :param inside: of the object
    :param outside: of what is around it
    """

    inside: np.ndarray
    outside: np.ndarray

    @classmethod
    def of(cls, term: ColourTerm, picture: Picture, matrix: np.ndarray, pose: np.ndarray, outline: np.ndarray,
           gap_px: float) -> Palette:
        """The colours at a (4, 4) crop_from_object near the true one.

        :param outline: (K, 3) points of the object's outline, object frame
        :param gap_px: how far the outline may be off
        """
        pixels, _, _ = reproject(outline, pose, matrix)
        own, _, _ = read(term.layers, reproject(term.points, pose, matrix)[0])
        return cls(densities(own[term.likely > 0.5]), densities(surroundings(picture.layers[0], pixels, gap_px)))


class Illumination(NamedTuple):
    """Light on an object.

    :param coefficients: (3, 5) of each channel's light, see :class:`ColourTerm`: ambient, three of the normal, and
        what is added to every colour
    :param sigma: standard deviation of the colours about those that the light predicts
    """

    coefficients: np.ndarray
    sigma: float

    @classmethod
    def of(cls, term: ColourTerm, pose: np.ndarray, matrix: np.ndarray) -> Illumination:
        """The light at a (4, 4) crop_from_object near the true one; with too few points, none is predicted."""
        if len(term.points) < LEAST_POINTS:
            return cls(np.zeros((3, 5)), 255.0)
        coefficients, sigma = fitted_light(term, pose, matrix)
        return cls(coefficients, max(sigma, LEAST_SIGMA))

    def gains(self, normals: np.ndarray) -> np.ndarray:
        """(N, 3) factor on the colours of a surface with normals (N, 3), by channel."""
        return self.coefficients[:, 0] + normals @ self.coefficients[:, 1:4].T

    @property
    def offset(self) -> np.ndarray:
        """(3,) what is added to every colour."""
        return self.coefficients[:, 4]
