"""Edge term: distance of the outline and of sharp edges to the strongest image gradient across the edge.

It constrains what colour alone leaves uncertain, in particular depth and tilt of a face seen from the front.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.refinement.blurred_image import Picture, steepness
from posegrasp_ros.estimation.refinement.edges import Edges
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.refinement.terms import (
    add_residual,
    evenly,
    eye_of,
    likely_seen,
    no_equations,
    tukey,
)
from posegrasp_ros.runtime.numba_cache import compiled

MOST_POINTS, LEAST_POINTS = 130, 6
LEAST_STEEPNESS = 4.0
"""Smallest gradient of an edge, of 255 per pixel."""
STRONG_STEEPNESS = 30.0
"""Gradients above this count as equal, so that bold artwork next to an outline is not preferred to the outline."""
GATE, LEAST_REACH_PX = 2.5, 2.5
"""Search range about the expected position: this many standard deviations, at least so many pixels."""
INSIDE = 0.8
"""Occlusion of an edge point is read at this fraction of the way from the centre, as the mask ends at the edge."""
CLEAR_SHARE = 0.35
"""The search over a face ends at this fraction of the way to the nearest print, to avoid matching the print."""
FAR_PX = 3.0
"""An edge found at this distance or farther, or not found, is no evidence for the pose."""


class EdgeTerm(NamedTuple):
    """Visible edges of a mesh, to be compared with one picture.

    :param points: (N, 3) object frame, metres
    :param directions: (N, 3) unit, along the edges
    :param likely: (N,) probability that a point is not occluded
    :param clear: (N, 2, 3) metres, object frame: limit of the search from the edge into either face
    :param tensor: of the picture
    :param steps_px: (K,) search positions across an edge
    :param sigma_px: assumed standard deviation of the found positions
    :param independence: square root of the number of independent measurements per point, at most 1
    """

    points: np.ndarray
    directions: np.ndarray
    likely: np.ndarray
    clear: np.ndarray
    tensor: np.ndarray
    steps_px: np.ndarray
    sigma_px: float
    independence: float

    @classmethod
    def of(cls, edges: Edges, picture: Picture, matrix: np.ndarray, pose: np.ndarray, reach_px: int,
           sigma_px: float, seen: np.ndarray | None, share: float = 1.0) -> EdgeTerm:
        """Select the edge points visible at a (4, 4) crop_from_object near the true one.

        :param matrix: (3, 3) pinhole matrix of the picture
        :param reach_px: largest search distance from the expected position
        :param seen: see :func:`posegrasp_ros.estimation.refinement.terms.likely_seen`
        :param share: fraction of :data:`MOST_POINTS` to use
        """
        eye = eye_of(pose)
        outline = evenly(edges.visible(eye), round(share * MOST_POINTS))
        spacing_px = edges.length_m / share * matrix[0, 0] / pose[2, 3]
        step_px = min(max(picture.blur_px / 1.5, 0.5), 1.0)
        points = edges.points[outline]
        return cls(points, edges.directions[outline], likely_seen(INSIDE * points, pose, matrix, seen),
                   CLEAR_SHARE * edges.clear(outline, eye), picture.tensor,
                   np.arange(-reach_px, reach_px + step_px / 2, step_px), sigma_px,
                   math.sqrt(min(1.0, spacing_px / picture.correlation_length_px)))


@compiled
def edge_equations(term: EdgeTerm, pose: np.ndarray, matrix: np.ndarray, covariance: np.ndarray) -> tuple:
    """The normal equations of edges at a pose; empty if too few are found.

    :param covariance: (6, 6) of the pose before this step
    :return: the equations; mean closeness of edges to their expected position, 1 if all are exactly there
    """
    equations, fit = no_equations(), 0.0
    rows, offsets = _look(term, pose, matrix, covariance)
    distances = np.abs(offsets[np.isfinite(offsets)])
    for distance in distances:
        fit += 1 - min(distance, FAR_PX) / FAR_PX
    fit /= max(len(term.points), 1)
    if len(distances) < LEAST_POINTS:
        return equations, fit
    sigma = max(1.4826 * np.median(distances), term.sigma_px)
    for i in range(len(offsets)):
        if np.isfinite(offsets[i]):
            weight = term.likely[i] ** 2 * tukey(offsets[i], sigma) * (term.independence / term.sigma_px) ** 2
            add_residual(equations, rows[i], offsets[i], weight)
    return equations, fit


@compiled
def _look(term: EdgeTerm, pose: np.ndarray, matrix: np.ndarray, covariance: np.ndarray) -> tuple:
    """Search for the image edge across every edge point.

    :return: (N, 6) derivatives of the offsets by the pose perturbation; (N,) offsets in pixels to the largest
        gradient, NaN where there is no edge
    """
    count = len(term.points)
    seen, jacobian, _ = reproject(term.points, pose, matrix)
    rotation = np.ascontiguousarray(pose[:3, :3])
    turned = term.directions @ rotation.T
    clear = (term.clear.reshape(-1, 3) @ rotation.T).reshape(-1, 2, 3)
    rows, offsets = np.empty((count, 6)), np.empty(count)
    for i in range(count):
        # the derivative by the position also gives the image direction of the edge
        along_u = jacobian[i, 0, 0] * turned[i, 0] + jacobian[i, 0, 2] * turned[i, 2]
        along_v = jacobian[i, 1, 1] * turned[i, 1] + jacobian[i, 1, 2] * turned[i, 2]
        length = np.sqrt(along_u ** 2 + along_v ** 2) + 1e-9
        across_u, across_v = -along_v / length, along_u / length
        for k in range(6):
            rows[i, k] = -across_u * jacobian[i, 0, k] - across_v * jacobian[i, 1, k]
        variance = 0.0
        for k in range(6):  # for six values, compiled loops are faster than array products
            for m in range(6):
                variance += rows[i, k] * covariance[k, m] * rows[i, m]
        reach = min(max(GATE * np.sqrt(max(variance, 0.0)), LEAST_REACH_PX), -term.steps_px[0])
        low, high = -reach, reach
        for face in range(2):
            end = -(rows[i, 0] * clear[i, face, 0] + rows[i, 1] * clear[i, face, 1]
                    + rows[i, 2] * clear[i, face, 2])
            low, high = (max(low, end), high) if end < 0 else (low, min(high, end))
        offsets[i] = _steepest(term, seen[i], (across_u, across_v), reach, low, high)
    return rows, offsets


@compiled
def _steepest(term: EdgeTerm, pixel: np.ndarray, across: tuple, reach: float, low: float, high: float) -> float:
    """Offset from a pixel, along the direction across, at which the image gradient is largest.

    :return: pixels; NaN without an edge between low and high
    """
    step = term.steps_px[1] - term.steps_px[0]
    most, best = -1.0, 0.0
    for offset in term.steps_px:
        if low - step <= offset <= high + step:
            # prefer near edges: a farther one must not win by slightly higher contrast
            preferred = (min(_steep(term, pixel, across, offset), STRONG_STEEPNESS)
                         * np.exp(-0.5 * (GATE * offset / reach) ** 2))
            if preferred > most:
                most, best = preferred, offset
    # sub-step position: vertex of a parabola through three samples
    before, after = _steep(term, pixel, across, best - step), _steep(term, pixel, across, best + step)
    middle = _steep(term, pixel, across, best)
    bend = min(before - 2 * middle + after, -1e-6)
    offset = best + min(max(0.5 * (before - after) / bend, -1.0), 1.0) * step
    return offset if middle > LEAST_STEEPNESS and low < offset < high else np.nan


@compiled
def _steep(term: EdgeTerm, pixel: np.ndarray, across: tuple, offset: float) -> float:
    along_u, along_v = across
    return steepness(term.tensor, pixel[0] + offset * along_u, pixel[1] + offset * along_v, along_u, along_v)
