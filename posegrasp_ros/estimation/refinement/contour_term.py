# SPDX-License-Identifier: Apache-2.0
"""Contour term: places of the outline and of sharp edges along lines across them, from the colours on both sides.

The inside of an edge is known: the mesh's colours beside it in the light that the colour term fits, and the
colours that the object shows in the image. The outside of an outline is what the image shows around the object.
Each possible place of the edge along its line gets the likelihood of the line's pixels, as in region-based
tracking (Stoiber et al., "SRT3D", IJCV 2022, section 3), so the strongest gradient, which may be something behind
the object, is not taken for the outline.

A line may have several likely places. The pose and its covariance before the step weigh them: the line's
information is that of the posterior without the prior (expectation propagation, Minka 2001), so a line that is
ambiguous says little until the others have settled the pose. A line whose edge is likelier hidden than at any of
its places weighs little, and so does one that is far from where the others agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import Picture
from posegrasp_ros.estimation.refinement.edges import Edges, insets
from posegrasp_ros.estimation.refinement.illumination import Illumination, lit_sides
from posegrasp_ros.estimation.refinement.mismatch import COUNT, POSE, RADIUS, STATE, size_columns
from posegrasp_ros.estimation.refinement.place_likelihood import Lines, place_likelihoods
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.refinement.terms import (
    LEAST_LIKELY,
    add_residual,
    evenly,
    eye_of,
    likely_seen,
    no_equations,
    tukey,
)
from posegrasp_ros.runtime.numba_cache import compiled

MOST_LINES, LEAST_LINES = 130, 6
STEPS_A_REACH, LEAST_STEP_PX = 8, 0.5
"""Number of places on either side of the expected one, and the least distance between them."""
DEPTH_PX = 5.0
"""How far beyond the reach a line is read, to either side."""
TRANSITION_PX = 1.0
"""Half width of the transition between the two sides, beyond the picture's blur."""
LEAST_PROJECTION = 0.3
"""A face seen at a more grazing angle than this counts as seen at it: outlines of curved surfaces."""
HIDDEN_PRIOR = 0.2
"""Probability that a line is hidden where nothing is known."""
SPREAD, LEAST_SPREAD_PX = 2.0, 0.7
"""Width of the expected places about the one that the pose shows: so many standard deviations of it, and at least
so many pixels."""
LEAST_INFORMATION = 1e-4
INSIDE = 0.8
"""Occlusion of an edge point is read at this fraction of the way from the centre, as the mask ends at the edge."""
FAR_PX = 3.0
"""An edge found at this distance or farther, or hidden, is no evidence for the pose."""


class ContourTerm(NamedTuple):
    """Lines across the visible edges of a mesh, with the likelihood of each place.

    :param points: (N, 3) object frame, metres
    :param centres: (N, 2) pixels, where the lines start: the points as the term's pose shows them
    :param across: (N, 2) unit directions of the lines, out of the object
    :param insets: (N,) by how much a rounded edge lies within the sharp one, in radii of the rounding
    :param places_px: (K,) places along the lines
    :param likelihood: (N, K) of them, by that of the line's likeliest place
    :param log_hidden: (N,) logarithm of the line's likelihood if something hides the edge, by the same
    :param likely: (N,) probability that a point is not occluded
    :param sigma_px: least standard deviation of a place
    :param independence: number of independent measurements per line, at most 1
    """

    points: np.ndarray
    centres: np.ndarray
    across: np.ndarray
    insets: np.ndarray
    places_px: np.ndarray
    likelihood: np.ndarray
    log_hidden: np.ndarray
    likely: np.ndarray
    sigma_px: float
    independence: float

    @classmethod
    def of(cls, edges: Edges, picture: Picture, matrix: np.ndarray, pose: np.ndarray, reach_px: float,
           sigma_px: float, light: Illumination, palette: np.ndarray,
           seen: np.ndarray | None, share: float = 1.0) -> ContourTerm:
        """Lines across the edge points visible at a (4, 4) crop_from_object near the true one.

        :param matrix: (3, 3) pinhole matrix of the picture
        :param reach_px: largest distance of a place from the expected one
        :param light: at the pose
        :param palette: see :func:`posegrasp_ros.estimation.refinement.illumination.palette_of`
        :param seen: see :func:`posegrasp_ros.estimation.refinement.terms.likely_seen`
        :param share: fraction of :data:`MOST_LINES` to use
        """
        eye, pixels_a_metre = eye_of(pose), matrix[0, 0] / pose[2, 3]
        outline = evenly(edges.visible(eye), round(share * MOST_LINES))
        points, faces = edges.points[outline], edges.faces(outline, eye)
        pixels, across, slopes = _across(points, edges.directions[outline], faces.inward, pose, matrix)
        steps_px = np.maximum(slopes, LEAST_PROJECTION * pixels_a_metre) * edges.step_m
        step_px = max(reach_px / STEPS_A_REACH, LEAST_STEP_PX)
        places = np.arange(-reach_px, reach_px + step_px / 2, step_px)
        reads = np.arange(-reach_px - DEPTH_PX, reach_px + DEPTH_PX + 0.5, max(1.0, picture.blur_px))
        likelihood, hidden = place_likelihoods(
            picture.layers[0], picture.tensor, Lines(pixels, across, places, reads),
            lit_sides(light, faces, steps_px), palette, math.hypot(TRANSITION_PX, picture.blur_px))
        best = likelihood.max(axis=1)
        outward = across @ pose[:2, :3]
        return cls(points, pixels, across, insets(faces, outward), places,
                   np.exp(likelihood - best[:, None]), hidden - best,
                   likely_seen(INSIDE * points, pose, matrix, seen), sigma_px,
                   min(1.0, edges.length_m / share * pixels_a_metre / picture.correlation_length_px))


@compiled
def _across(points: np.ndarray, directions: np.ndarray, inward: np.ndarray, pose: np.ndarray,
            matrix: np.ndarray) -> tuple:
    """Directions across edges in the image.

    :param directions: (N, 3) along the edges, object frame
    :param inward: (N, 2, 3) into the two faces
    :return: (N, 2) pixels of the points; (N, 2) unit directions, out of the first face; (N, 2) pixels along them
        for a metre into either face
    """
    pixels, jacobian, _ = reproject(points, pose, matrix)
    across, slopes = np.empty((len(points), 2)), np.empty((len(points), 2))
    for i in range(len(points)):
        along_u, along_v = _shift(jacobian[i], pose, directions[i])
        length = np.sqrt(along_u ** 2 + along_v ** 2) + 1e-9
        u, v = -along_v / length, along_u / length
        for side in range(2):
            inward_u, inward_v = _shift(jacobian[i], pose, inward[i, side])
            slope = u * inward_u + v * inward_v
            if side == 0 and slope > 0:
                u, v = -u, -v
            slopes[i, side] = abs(slope)
        across[i, 0], across[i, 1] = u, v
    return pixels, across, slopes


@compiled
def _shift(jacobian: np.ndarray, pose: np.ndarray, direction: np.ndarray) -> tuple:
    """Movement of a pixel, (2, 6) derivatives of which are given, for a (3,) movement in the object's frame."""
    u, v = 0.0, 0.0
    for axis in range(3):  # for so few values, loops are faster than array products
        moved = pose[axis, 0] * direction[0] + pose[axis, 1] * direction[1] + pose[axis, 2] * direction[2]
        u, v = u + jacobian[0, axis] * moved, v + jacobian[1, axis] * moved
    return u, v


@compiled
def contour_equations(term: ContourTerm, pose: np.ndarray, mismatch: np.ndarray, matrix: np.ndarray,
                      covariance: np.ndarray) -> tuple:
    """The normal equations of the contour at a pose; empty if too few lines say anything.

    :param mismatch: (COUNT,)
    :param covariance: (STATE, STATE) before this step
    :return: the equations; mean closeness of the edges to their expected places, 1 if all are exactly there
    """
    count = len(term.points)
    pixels, jacobian, depths = reproject(term.points, pose, matrix)
    rotation = np.ascontiguousarray(pose[:3, :3])
    along, spread_by = np.empty(3), np.empty(STATE)
    rows, residuals, weights = np.zeros((count, STATE)), np.full(count, np.nan), np.zeros(count)
    fit = 0.0
    for i in range(count):
        row = rows[i]
        expected = ((pixels[i, 0] - term.centres[i, 0]) * term.across[i, 0]
                    + (pixels[i, 1] - term.centres[i, 1]) * term.across[i, 1])
        for k in range(POSE):
            row[k] = jacobian[i, 0, k] * term.across[i, 0] + jacobian[i, 1, k] * term.across[i, 1]
        along[:] = row[:3]
        size_columns(row, along, rotation, term.points[i])
        row[POSE + RADIUS] = -term.insets[i] * matrix[0, 0] / depths[i]
        for k in range(COUNT):
            expected += row[POSE + k] * mismatch[k]
        spread_by[:] = 0.0
        for k in range(STATE):  # sums of rows, which compile to vector instructions
            for m in range(STATE):
                spread_by[m] += row[k] * covariance[k, m]
        variance = 0.0
        for k in range(STATE):
            variance += spread_by[k] * row[k]
        spread = SPREAD ** 2 * max(variance, 0.0) + LEAST_SPREAD_PX ** 2
        place, place_variance, before, before_variance, seen = _place(term, i, expected, spread)
        information = 1 / place_variance - 1 / before_variance
        if not information > LEAST_INFORMATION:
            continue
        # the posterior without the prior
        found = (place / place_variance - before / before_variance) / information
        clear = information / (information + 1 / FAR_PX ** 2)
        fit += seen * clear * (1 - min(abs(place - expected), FAR_PX) / FAR_PX)
        residuals[i] = expected - found
        weights[i] = seen / (1 / information + term.sigma_px ** 2) * term.independence
    fit /= max(count, 1)
    equations = no_equations(STATE)
    used = np.abs(residuals[weights > 0])
    if len(used) < LEAST_LINES:
        return equations, fit
    typical = max(1.4826 * np.median(used), term.sigma_px)
    for i in range(count):
        if weights[i] > 0:
            add_residual(equations, rows[i], residuals[i], weights[i] * tukey(residuals[i], typical))
    return equations, fit


@compiled
def _place(term: ContourTerm, i: int, expected: float, spread: float) -> tuple:
    """Posterior of a line's place.

    :param expected: by the pose, pixels
    :param spread: variance of it
    :return: mean and variance; the same before the line was read, within its places; probability that the edge is
        not hidden
    """
    places, step = term.places_px, term.places_px[1] - term.places_px[0]
    # the prior is a Gaussian at even distances: each value is the one before times a factor, which itself is too
    offset = places[0] - expected
    weight, factor = np.exp(-0.5 * offset ** 2 / spread), np.exp(-(offset + 0.5 * step) * step / spread)
    decrease = np.exp(-step ** 2 / spread)
    before_total, before, before_square, total, mean, square = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(len(places)):
        place, after = places[k], weight * term.likelihood[i, k]
        before_total, total = before_total + weight, total + after
        before, mean = before + weight * place, mean + after * place
        before_square, square = before_square + weight * place ** 2, square + after * place ** 2
        weight, factor = weight * factor, factor * decrease
    if not (before_total > 1e-6 and total > 0):
        return expected, spread, expected, spread, 0.0
    rounding = step ** 2 / 12
    before, mean = before / before_total, mean / total
    before_variance = max(before_square / before_total - before ** 2, 0.0) + rounding
    variance = max(square / total - mean ** 2, 0.0) + rounding
    visible = min(max(term.likely[i], LEAST_LIKELY), 1.0) * (1 - HIDDEN_PRIOR)
    odds = visible / (1 - visible) * total / before_total * np.exp(min(-term.log_hidden[i], 50.0))
    return mean, variance, before, before_variance, odds / (1 + odds)
