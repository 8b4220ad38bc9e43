# SPDX-License-Identifier: Apache-2.0
"""Illumination: how the mesh's colours appear in a crop, and the colours of the object and around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import Picture, read
from posegrasp_ros.estimation.refinement.colour_statistics import densities, surroundings
from posegrasp_ros.estimation.refinement.colour_term import LEAST_SIGMA, ColourTerm, fitted_light
from posegrasp_ros.estimation.refinement.edges import Faces
from posegrasp_ros.estimation.refinement.place_likelihood import Sides, log_densities, log_peak
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.refinement.terms import LEAST_POINTS
from posegrasp_ros.runtime.numba_cache import compiled


def palette_of(term: ColourTerm, picture: Picture, matrix: np.ndarray, pose: np.ndarray, outline: np.ndarray,
               gap_px: float) -> np.ndarray:
    """Log densities of colours on the object and around it, see :func:`place_likelihood.log_densities`.

    :param pose: (4, 4) crop_from_object near the true one
    :param outline: (K, 3) points of the object's outline, object frame
    :param gap_px: how far the outline may be off
    """
    pixels, _, _ = reproject(outline, pose, matrix)
    own, _, _ = read(term.layers, reproject(term.points, pose, matrix)[0])
    return log_densities(densities(own[term.likely > 0.5]),
                         densities(surroundings(picture.layers[0], pixels, gap_px)))


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


@compiled
def lit_sides(light: Illumination, faces: Faces, steps_px: np.ndarray) -> Sides:
    """The colours that the image is expected to show on both sides of edges.

    :param steps_px: (N, 2) distance of the faces' colours in the image
    """
    count, steps = faces.variances.shape[0], faces.variances.shape[2]
    sides = Sides(np.empty((count, 2, steps, 3)), np.empty((count, 2, steps)), np.empty((count, 2, steps)),
                  steps_px, faces.shown[:, 1].copy())
    gain = np.empty(3)
    for i in range(count):
        for side in range(2):
            normal, power = faces.normals[i, side], 0.0
            for c in range(3):
                of_channel = light.coefficients[c]
                gain[c] = (of_channel[0] + of_channel[1] * normal[0] + of_channel[2] * normal[1]
                           + of_channel[3] * normal[2])
                power += gain[c] ** 2 / 3
            for k in range(steps):
                for c in range(3):
                    sides.colours[i, side, k, c] = (gain[c] * faces.colours[i, side, k, c]
                                                    + light.coefficients[c, 4])
                sigma = np.sqrt(power * faces.variances[i, side, k] + light.sigma ** 2)
                sides.sigmas[i, side, k], sides.log_peaks[i, side, k] = sigma, log_peak(sigma)
    return sides
