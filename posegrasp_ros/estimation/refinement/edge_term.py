"""Edges: points of the outline and of sharp edges look for the strongest change of the image across the edge.

They hold what colour alone leaves loose, above all the depth and the tilt of a face seen from the front.
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
"""Of 255 a pixel: less is no edge."""
STRONG_STEEPNESS = 30.0
"""More is no better: bold artwork beside an outline must not win over the outline."""
GATE, LEAST_REACH_PX = 2.5, 2.5
"""An edge is looked for within this many standard deviations of where it is expected, but within some pixels."""
INSIDE = 0.8
"""Of the way from the middle to an edge: there it shows what is hidden, for an edge itself is a border."""
CLEAR_SHARE = 0.35
"""Of the way to the nearest print, as far as one looks: what lies farther off may as well be that."""
FAR_PX = 3.0
"""An edge found that far off, or none, is no evidence for a pose."""


class EdgeTerm(NamedTuple):
    """The visible edges of a mesh against one picture.

    :param points: (N, 3) object frame, metres
    :param directions: (N, 3) unit, along the edges
    :param likely: (N,) how likely they are not hidden
    :param clear: (N, 2, 3) metres, object frame: from the edge into either face, as far as to look there
    :param tensor: of the picture
    :param steps_px: (K,) where to look across an edge
    :param sigma_px: how far off edges are taken to be found
    :param independence: square root of how many independent points each stands for, at most 1
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
        """What is visible from a (4, 4) crop_from_object near the true one.

        :param matrix: (3, 3) pinhole matrix of the picture
        :param reach_px: edges farther from where they are expected are not looked for
        :param seen: see :func:`posegrasp_ros.estimation.refinement.terms.likely_seen`
        :param share: of :data:`MOST_POINTS`
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
    """The normal equations of edges at a pose; empty where few are found.

    :param covariance: (6, 6) of the pose, before
    :return: the equations; how near to where they should be edges were found, 1 exactly there
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
    """Look across every edge.

    :return: (N, 6) derivatives of the offsets by the disturbance; (N,) offsets in pixels to where the picture is
        steepest, NaN where there is no edge
    """
    count = len(term.points)
    seen, jacobian, _ = reproject(term.points, pose, matrix)
    rotation = np.ascontiguousarray(pose[:3, :3])
    turned = term.directions @ rotation.T
    clear = (term.clear.reshape(-1, 3) @ rotation.T).reshape(-1, 2, 3)
    rows, offsets = np.empty((count, 6)), np.empty(count)
    for i in range(count):
        # how a pixel moves with the position is also how it moves along the edge
        along_u = jacobian[i, 0, 0] * turned[i, 0] + jacobian[i, 0, 2] * turned[i, 2]
        along_v = jacobian[i, 1, 1] * turned[i, 1] + jacobian[i, 1, 2] * turned[i, 2]
        length = np.sqrt(along_u ** 2 + along_v ** 2) + 1e-9
        across_u, across_v = -along_v / length, along_u / length
        for k in range(6):
            rows[i, k] = -across_u * jacobian[i, 0, k] - across_v * jacobian[i, 1, k]
        variance = 0.0
        for k in range(6):  # loops: on six numbers they are quicker than products of arrays
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
    """How far from a pixel, along the direction across, the picture is steepest.

    :return: pixels; NaN without an edge between low and high
    """
    step = term.steps_px[1] - term.steps_px[0]
    most, best = -1.0, 0.0
    for offset in term.steps_px:
        if low - step <= offset <= high + step:
            # near is likelier than far: another edge close by must not win for a little more contrast
            preferred = (min(_steep(term, pixel, across, offset), STRONG_STEEPNESS)
                         * np.exp(-0.5 * (GATE * offset / reach) ** 2))
            if preferred > most:
                most, best = preferred, offset
    # a parabola through three samples has its peak between
    before, after = _steep(term, pixel, across, best - step), _steep(term, pixel, across, best + step)
    middle = _steep(term, pixel, across, best)
    bend = min(before - 2 * middle + after, -1e-6)
    offset = best + min(max(0.5 * (before - after) / bend, -1.0), 1.0) * step
    return offset if middle > LEAST_STEEPNESS and low < offset < high else np.nan


@compiled
def _steep(term: EdgeTerm, pixel: np.ndarray, across: tuple, offset: float) -> float:
    along_u, along_v = across
    return steepness(term.tensor, pixel[0] + offset * along_u, pixel[1] + offset * along_v, along_u, along_v)
