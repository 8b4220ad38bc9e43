# SPDX-License-Identifier: Apache-2.0
"""Colour term: compares the image at projected surface points with the mesh's colours.

Illumination is unknown: each channel may be c * (a + b . normal) + d of the known colour c. These five parameters
are eliminated at every step (variable projection, Golub and Pereyra 1973), so shading by direction causes no
residual.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import Picture, read
from posegrasp_ros.estimation.refinement.mismatch import POSE, PRINT, SHIFT, SIZE, STATE
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.refinement.surface import Surface
from posegrasp_ros.estimation.refinement.terms import (
    LEAST_POINTS,
    TUKEY,
    Equations,
    evenly,
    eye_of,
    likely_seen,
    no_equations,
)
from posegrasp_ros.runtime.numba_cache import compiled

MOST_POINTS = 220
CHI_3_MEDIAN = 1.54
"""Median of the chi distribution with three degrees of freedom, one per colour channel."""
INDEPENDENT_CHANNELS = 1.5
"""Effective number of independent channels; blue, green and red are strongly correlated."""
LEAST_SIGMA = 4.0
"""Lower bound of the colour residual, of 255; no camera is more accurate."""
LEAST_SHIFT_PX = 0.07
"""Lower bound of the error of print, mesh and lens; it is common to all points."""
LIGHTS = 5


class ColourTerm(NamedTuple):
    """Visible points of a surface, to be compared with one picture.

    :param points: (N, 3) object frame, metres
    :param normals: (N, 3) unit
    :param lit: (3, N, LIGHTS) colour basis of the illumination model, by channel
    :param likely: (N,) probability that a point is not occluded
    :param layers: of the picture
    :param seen_share: fraction of the whole surface that these points represent
    :param independence: number of independent measurements per point, at most 1
    :param pixels_a_metre: at the object's distance
    """

    points: np.ndarray
    normals: np.ndarray
    lit: np.ndarray
    likely: np.ndarray
    layers: tuple[np.ndarray, np.ndarray, np.ndarray]
    seen_share: float
    independence: float
    pixels_a_metre: float

    @classmethod
    def of(cls, surface: Surface, picture: Picture, matrix: np.ndarray, pose: np.ndarray,
           seen: np.ndarray | None, share: float = 1.0) -> ColourTerm:
        """Select the points visible at a (4, 4) crop_from_object near the true one.

        :param matrix: (3, 3) pinhole matrix of the picture
        :param seen: see :func:`posegrasp_ros.estimation.refinement.terms.likely_seen`
        :param share: fraction of :data:`MOST_POINTS` to use
        """
        pixels_a_metre = matrix[0, 0] / pose[2, 3]
        blur_m = math.hypot(picture.blur_px, 0.5) / pixels_a_metre
        cosine = surface.cosines(eye_of(pose), blur_m)
        indices = evenly(cosine > 0, round(share * MOST_POINTS))
        lit = np.ones((3, len(indices), LIGHTS))
        lit[..., 0] = surface.colours(indices, cosine[indices], blur_m).T
        lit[..., 1:4] = lit[..., :1] * surface.normals[indices]
        # a convex body's mean projected area is a quarter of its surface (Cauchy)
        spots = surface.area_m2 / 4 * (pixels_a_metre / picture.correlation_length_px) ** 2
        independence = min(1.0, INDEPENDENT_CHANNELS / 3 * spots / max(len(indices), 1))
        points = surface.points[indices]
        return cls(points, surface.normals[indices], lit, likely_seen(points, pose, matrix, seen), picture.layers,
                   int(np.count_nonzero(cosine)) / len(cosine), independence, pixels_a_metre)


@compiled
def colour_equations(term: ColourTerm, pose: np.ndarray, matrix: np.ndarray, weight: np.ndarray) -> tuple:
    """The normal equations of colour at a pose; empty if too few points are visible.

    :param weight: (N,) square roots of the points' weights, initially ``likely``; updated in place
    :return: the equations; correlation between image and lit surface colour, 1 when they agree; fraction of the
        whole surface that agrees with the image
    """
    if len(term.points) < LEAST_POINTS:
        return no_equations(STATE), 0.0, 0.0
    noise = 3 * LEAST_SIGMA ** 2 * (weight ** 2).sum()  # a uniform grey image gives no correlation
    total, rest, squared = _compare(term, pose, matrix, weight)
    seen = term.likely > 0.5
    typical = np.median(np.sqrt(squared[seen] if seen.sum() >= LEAST_POINTS else squared))
    sigma = max(typical / CHI_3_MEDIAN, LEAST_SIGMA)
    weight[:] = np.clip(1 - squared / (TUKEY * CHI_3_MEDIAN * sigma) ** 2, 1e-3, 1.0) * term.likely
    correlation = np.sqrt(min(max((total - rest[0, 0]) / (total + noise), 0.0), 1.0))
    fitting = (weight ** 2).mean()
    # the shift error common to all points limits the information of the sum
    sideways = term.independence * (rest[1, 1] + rest[2, 2]) / (2 * (sigma * term.pixels_a_metre) ** 2)
    scale = term.independence * min(1.0, 1 / (LEAST_SHIFT_PX ** 2 * sideways + 1e-12)) / sigma ** 2
    explained = term.seen_share * fitting * correlation  # uniform grey fits any illumination
    return Equations(rest[1:, 1:] * scale, rest[1:, 0] * scale), correlation, explained


@compiled
def _compare(term: ColourTerm, pose: np.ndarray, matrix: np.ndarray, weight: np.ndarray) -> tuple:
    """Residuals of a picture after projecting out the lit colours.

    :return: the picture's sum of squares about its mean; (1 + STATE, 1 + STATE) products of the residual picture
        and its residual derivatives by the state; (N,) squared residuals
    """
    count = len(term.points)
    seen, jacobian, _ = reproject(term.points, pose, matrix)
    value, along_u, along_v = read(term.layers, seen)
    columns = np.empty((count, LIGHTS + 1 + STATE))
    total, rest, squared = 0.0, np.zeros((1 + STATE, 1 + STATE)), np.zeros(count)
    moves = _moves(term, pose, jacobian)
    for channel in range(3):
        mean = (value[:, channel] * weight).sum() / weight.sum()
        for i in range(count):
            for k in range(LIGHTS):
                columns[i, k] = term.lit[channel, i, k]
            columns[i, LIGHTS] = value[i, channel] - mean
            for k in range(STATE):
                columns[i, LIGHTS + 1 + k] = (along_u[i, channel] * moves[i, 0, k]
                                              + along_v[i, channel] * moves[i, 1, k])
        weighed = columns * weight.reshape(-1, 1)
        gram = weighed.T @ weighed
        lights = gram[:LIGHTS, :LIGHTS].copy()
        for k in range(LIGHTS):
            lights[k, k] = lights[k, k] * (1 + 1e-6) + 1e-6  # for a single face, light and colour are ambiguous
        fit = np.linalg.solve(lights, gram[:LIGHTS, LIGHTS:].copy())
        rest += gram[LIGHTS:, LIGHTS:] - gram[LIGHTS:, :LIGHTS].copy() @ fit
        total += gram[LIGHTS, LIGHTS]
        for i in range(count):
            residual = columns[i, LIGHTS]
            for k in range(LIGHTS):
                residual -= columns[i, k] * fit[k, 0]
            squared[i] += residual ** 2
    return total, rest, squared


@compiled
def _moves(term: ColourTerm, pose: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """(N, 2, STATE) derivatives of the points' pixels by the state."""
    moves = np.zeros((len(term.points), 2, STATE))
    rotation, along = np.ascontiguousarray(pose[:3, :3]), np.empty(3)
    for i in range(len(term.points)):
        point, normal = term.points[i], term.normals[i]
        out = point[0] * normal[0] + point[1] * normal[1] + point[2] * normal[2]
        for side in range(2):
            row = moves[i, side]
            for k in range(POSE):
                row[k] = jacobian[i, side, k]
            for axis in range(3):
                along[axis] = row[0] * rotation[0, axis] + row[1] * rotation[1, axis] + row[2] * rotation[2, axis]
            across = along[0] * normal[0] + along[1] * normal[1] + along[2] * normal[2]
            for axis in range(3):
                row[POSE + SIZE + axis] = point[axis] * along[axis]
                # the print moves along the surface alone
                row[POSE + SHIFT + axis] = along[axis] - across * normal[axis]
                row[POSE + PRINT] += along[axis] * (point[axis] - out * normal[axis])
    return moves


@compiled
def fitted_light(term: ColourTerm, pose: np.ndarray, matrix: np.ndarray) -> tuple:
    """The light under which the mesh's colours agree best with the picture at a pose.

    :return: (3, LIGHTS) coefficients of ``lit``, by channel; robust standard deviation of the residuals
    """
    count = len(term.points)
    seen, _, _ = reproject(term.points, pose, matrix)
    value, _, _ = read(term.layers, seen)
    weight, fit, squared = term.likely.copy(), np.zeros((3, LIGHTS)), np.zeros(count)
    sigma = 0.0
    for _ in range(3):
        squared[:] = 0.0
        for channel in range(3):
            lit = term.lit[channel] * weight.reshape(-1, 1)
            gram = lit.T @ lit
            for k in range(LIGHTS):
                gram[k, k] = gram[k, k] * (1 + 1e-6) + 1e-6
            fit[channel] = np.linalg.solve(gram, lit.T @ (value[:, channel] * weight))
            squared += (value[:, channel] - term.lit[channel] @ fit[channel]) ** 2
        sigma = max(np.median(np.sqrt(squared)) / CHI_3_MEDIAN, LEAST_SIGMA)
        weight[:] = np.clip(1 - squared / (TUKEY * CHI_3_MEDIAN * sigma) ** 2, 1e-3, 1.0) * term.likely
    return fit, sigma
