"""Refine a pose by laying the known mesh onto the image: no renderer, a few hundred points.

Terms, minimised together by Gauss-Newton. Colour: surface points are projected, the image is read there,
and has to agree with their known colour. Light is unknown: each channel may be any c * (a + b . normal) + d of
the known colour c, and that is eliminated at every step (variable projection), so a bright top and a dark
side cost nothing. Edges: points of the outline and of sharp edges look for the strongest change of the image
across the edge; they hold what colour alone leaves loose, above all the depth and the tilt of a face seen from
the front. Depth, where a camera gives it: the measured surface has to lie on the mesh's. Prior: what the network
said, as far as it is to be trusted. Tukey weights let go of what is hidden, glares or found the wrong edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.estimation.depth_map import DepthMap
from posegrasp_ros.estimation.edges import Edges
from posegrasp_ros.estimation.picture import Picture
from posegrasp_ros.estimation.solve import reproject
from posegrasp_ros.estimation.surface import Surface
from posegrasp_ros.geometry import perturb

TUKEY = 4.685
"""95 % efficiency under Gaussian noise (Huber and Ronchetti, Robust Statistics)."""
CHI_3_MEDIAN = 1.54
"""Of the chi law with three degrees of freedom, one a colour channel."""
INDEPENDENT_CHANNELS = 1.5
"""Blue, green and red mostly say the same."""
LEAST_POINTS, LEAST_EDGE_POINTS, MOST_POINTS, MOST_EDGE_POINTS = 30, 6, 250, 150
LEAST_COLOUR_SIGMA = 4.0
COLOUR_SHIFT_PX = 0.15
"""Print, mesh and lens are never true to less than this, and all points share it."""
DEPTH_SPOTS = 50.0
"""Depth cameras err alike over a neighbourhood: an object's points count as this many measurements at most."""
LEAST_STEEPNESS = 4.0
GATE, LEAST_REACH_PX = 2.5, 2.5
"""An edge is looked for within this many standard deviations of where it is expected, but within some pixels."""
SMALL_SHIFT, SMALL_TURN_RAD = 2e-4, 5e-4
"""Steps below these, of the distance and in radians, move no pixel by a tenth."""


@dataclass
class Alignment:
    """A refined pose.

    :param pose: (4, 4) crop_from_object
    :param information: (6, 6) inverse covariance
    :param correlation: between image and lit surface colour, 1 when they agree
    :param edge_share: share of the visible edge points that found an edge where they should
    :param disagreement: squared distance from the prior, in its own standard deviations
    """

    pose: np.ndarray
    information: np.ndarray
    correlation: float = 0.0
    edge_share: float = 0.0
    disagreement: float = 0.0


@dataclass
class Term:
    """Residuals (N,) in standard deviations and their derivatives (N, 6) by the pose's disturbance, weighed."""

    rows: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True)
class Prior:
    """What is known before: a pose and its (6, 6) information."""

    pose: np.ndarray
    information: np.ndarray

    def difference(self, pose: np.ndarray) -> np.ndarray:
        """(6,) disturbance that makes the prior's pose this one."""
        turn = cv2.Rodrigues(pose[:3, :3] @ self.pose[:3, :3].T)[0].ravel()
        return np.concatenate([pose[:3, 3] - self.pose[:3, 3], turn])


class Aligner:
    """One level of a refinement: mesh, pictures and prior are fixed, the pose moves.

    :param matrix: (3, 3) pinhole matrix of the pictures
    :param colours: picture whose blur the surface's colours are compared at
    :param outlines: picture that edges are looked for in
    :param reach_px: edges farther from where they are expected are not looked for
    :param edge_sigma_px: how far off they are taken to be found
    :param depth: of the same crop, where there is a depth camera
    """

    def __init__(self, surface: Surface, edges: Edges, matrix: np.ndarray, prior: Prior, colours: Picture,
                 outlines: Picture, reach_px: int, edge_sigma_px: float,
                 depth: DepthMap | None = None):
        self._surface, self._edges, self._matrix, self._prior = surface, edges, matrix, prior
        self._colours, self._outlines = colours, outlines
        self._reach_px, self._edge_sigma_px, self._depth = reach_px, edge_sigma_px, depth

    def align(self, start: Alignment, iterations: int) -> Alignment | None:
        """Move the pose until mesh and picture agree; None when too little of the object is seen or it is lost."""
        pose, information = start.pose, start.information
        eye = -pose[:3, :3].T @ pose[:3, 3]
        points = self._colour_points(eye, pose[2, 3])
        outline = _thinned(np.flatnonzero(self._edges.visible(eye)), MOST_EDGE_POINTS)
        if points is None and len(outline) < LEAST_EDGE_POINTS:
            return None
        faces = self._surface.facing(eye) if self._depth is not None else None
        weight, correlation = None, 0.0
        for _ in range(iterations):
            edge, edge_share = self._edge_term(outline, pose, information)
            information = self._prior.information + edge.rows.T @ edge.rows
            gradient = self._prior.information @ self._prior.difference(pose) + edge.rows.T @ edge.residuals
            if faces is not None:
                surface = self._depth_term(faces, pose)
                information += surface.rows.T @ surface.rows
                gradient += surface.rows.T @ surface.residuals
            if points is not None:
                colour, weight, correlation = self._colour_term(points, pose, weight)
                information += colour.rows.T @ colour.rows
                gradient += colour.rows.T @ colour.residuals
            step = -np.linalg.solve(information, gradient)
            pose = perturb(pose, step)
            if not (np.isfinite(pose).all() and pose[2, 3] > 0):
                return None
            if np.abs(step[:3]).max() < SMALL_SHIFT * pose[2, 3] and np.abs(step[3:]).max() < SMALL_TURN_RAD:
                break
        change = self._prior.difference(pose)
        return Alignment(pose, information, correlation, edge_share,
                         float(change @ self._prior.information @ change))

    def _colour_points(self, eye: np.ndarray, depth_m: float):
        """(N, 3) places and (3, N, 5) colours under the five lights, of what is seen; None when that is little."""
        blur_m = np.hypot(self._colours.blur_px, 0.5) * depth_m / self._matrix[0, 0]
        chosen, colours = self._surface.visible(eye, blur_m)
        if len(chosen) < LEAST_POINTS:
            return None
        some = _thinned(np.arange(len(chosen)), MOST_POINTS)
        chosen, colours = chosen[some], colours[some]
        light = np.column_stack([np.ones(len(chosen)), self._surface.normals[chosen]])
        lit = colours.T[:, :, None] * light
        return self._surface.points[chosen], np.concatenate([lit, np.ones((3, len(chosen), 1))], axis=2)

    def _colour_term(self, points, pose: np.ndarray, weight: np.ndarray | None):
        """The term, the next square roots of Tukey's weights, and the correlation of picture and lit colour."""
        places, lit = points
        seen, jacobian, depth = reproject(places, pose, self._matrix)
        value, slope_u, slope_v = (layer.T for layer in self._colours.read(seen))
        if weight is None:
            weight = np.ones(len(places))
        columns = np.empty((3, len(places), 7))
        columns[:, :, 0] = value - (value @ weight / weight.sum())[:, None]
        np.multiply(slope_u[:, :, None], jacobian[:, 0], out=columns[:, :, 1:])
        columns[:, :, 1:] += slope_v[:, :, None] * jacobian[:, 1]
        columns *= weight[:, None]
        free = _without(lit * weight[:, None], columns)
        squared = np.sum(free[:, :, 0] ** 2, axis=0)
        total, explained = np.sum(columns[:, :, 0] ** 2) + 1e-9, np.sum(squared)
        length = np.sqrt(squared) / np.maximum(weight, 1e-2)
        sigma = max(np.median(length) / CHI_3_MEDIAN, LEAST_COLOUR_SIGMA)
        next_weight = np.clip(1 - (length / (TUKEY * CHI_3_MEDIAN * sigma)) ** 2, 1e-3, 1)
        free /= sigma
        free *= self._colour_scale(free[:, :, 1:3], depth[0], len(places))
        return (Term(free[:, :, 1:].reshape(-1, 6), free[:, :, 0].ravel()), next_weight,
                float(np.sqrt(max(0.0, 1 - explained / total))))

    def _colour_scale(self, by_shift: np.ndarray, depth_m: float, count: int) -> float:
        """How much less the points say together than they would if each erred by itself.

        :param by_shift: (3, N, 2) derivatives of the residuals, in standard deviations, by a shift sideways
        """
        pixels_a_metre = self._matrix[0, 0] / depth_m
        # what a convex body shows is a quarter of its surface on average (Cauchy); that many spots are independent
        spots = self._surface.area_m2 / 4 * (pixels_a_metre / self._colours.correlation_length_px) ** 2
        scale = min(1.0, INDEPENDENT_CHANNELS / 3 * spots / count)
        shift_px = pixels_a_metre / np.sqrt(scale * np.sum(by_shift ** 2) / 2 + 1e-12)
        return float(np.sqrt(scale) * min(1.0, shift_px / COLOUR_SHIFT_PX))

    def _depth_term(self, faces: np.ndarray, pose: np.ndarray) -> Term:
        """Distances of the measured surface from the planes of the mesh's points (Chen and Medioni 1992)."""
        faces = _thinned(faces, MOST_POINTS)
        turned = self._surface.points[faces] @ pose[:3, :3].T
        points, normals = turned + pose[:3, 3], self._surface.normals[faces] @ pose[:3, :3].T
        pixels = points[:, :2] / points[:, 2:] * self._matrix[0, 0] + self._matrix[:2, 2]
        distance, noise = self._depth.distance(pixels, points, normals)
        known = np.isfinite(distance)
        if known.sum() < LEAST_POINTS:
            return Term(np.zeros((0, 6)), np.zeros(0))
        residual, turned, normals = (distance / noise)[known], turned[known], normals[known]
        sigma = max(1.4826 * np.median(np.abs(residual)), 1.0)
        weight = np.clip(1 - (residual / (TUKEY * sigma)) ** 2, 0, 1)
        rows = -np.concatenate([normals, np.cross(turned, normals)], axis=1) / noise[known, None]
        weight *= min(1.0, np.sqrt(DEPTH_SPOTS / known.sum()))
        return Term(rows * weight[:, None], residual * weight)

    def _edge_term(self, outline: np.ndarray, pose: np.ndarray, information: np.ndarray) -> tuple[Term, float]:
        """The term, and the share of the edge points that found an edge."""
        nothing = Term(np.zeros((0, 6)), np.zeros(0))
        if len(outline) < LEAST_EDGE_POINTS or self._reach_px < 1:
            return nothing, 0.0
        seen, jacobian, depth = reproject(self._edges.points[outline], pose, self._matrix)
        # how a pixel moves with the position is also how it moves along the edge
        turned = self._edges.directions[outline] @ pose[:3, :3].T
        along = (jacobian[:, :, :3] @ turned[:, :, None])[:, :, 0]
        across = along[:, ::-1] * (-1.0, 1.0)
        across /= np.sqrt(np.sum(across ** 2, axis=1, keepdims=True)) + 1e-9
        rows = -(across[:, None] @ jacobian)[:, 0]
        spread_px = np.sqrt(np.sum(rows @ np.linalg.inv(information) * rows, axis=1))
        offset, found = self._nearest_edges(seen, across, spread_px)
        share = float(found.mean())
        if found.sum() < LEAST_EDGE_POINTS:
            return nothing, share
        sigma = max(1.4826 * np.median(np.abs(offset[found])), self._edge_sigma_px)
        spacing_px = self._edges.length_m * self._matrix[0, 0] / depth[0]
        weight = np.clip(1 - (offset / (TUKEY * sigma)) ** 2, 0, 1) * found / self._edge_sigma_px
        weight *= np.sqrt(min(1.0, spacing_px / self._outlines.correlation_length_px))
        return Term(rows * weight[:, None], offset * weight), share

    def _nearest_edges(self, pixels: np.ndarray, across: np.ndarray, spread_px: np.ndarray):
        """Offsets (N,) along ``across`` to where the picture is steepest, and whether there is an edge at all."""
        spacing = float(np.clip(self._outlines.blur_px / 2, 0.5, 1.0))
        steps = np.arange(-self._reach_px, self._reach_px + spacing / 2, spacing)
        steepness = self._outlines.slopes(pixels[:, None] + steps[:, None] * across[:, None], across)
        # near is likelier than far: another edge close by must not win for a little more contrast
        reach = np.clip(GATE * spread_px, LEAST_REACH_PX, self._reach_px)[:, None]
        preferred = steepness * np.exp(-0.5 * (GATE * steps / reach) ** 2)
        each = np.arange(len(pixels))
        best = np.argmax(preferred, axis=1).clip(1, len(steps) - 2)
        before, middle, after = (steepness[each, best + shift] for shift in (-1, 0, 1))
        # a parabola through three samples has its peak between
        bend = np.minimum(before - 2 * middle + after, -1e-6)
        offset = steps[best] + np.clip(0.5 * (before - after) / bend, -1, 1) * spacing
        return offset, (middle > LEAST_STEEPNESS) & (np.abs(offset) < reach[:, 0])


def _without(basis: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What is left of (C, N, K) columns when the best combination of (C, N, B) basis vectors is taken away."""
    transposed = np.swapaxes(basis, 1, 2)
    gram = transposed @ basis
    each = np.arange(basis.shape[2])
    gram[:, each, each] *= 1 + 1e-6  # one face in view cannot tell light from colour
    gram[:, each, each] += 1e-6
    return columns - basis @ np.linalg.solve(gram, transposed @ columns)


def _thinned(indices: np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, evenly."""
    return indices[np.linspace(0, len(indices) - 1, most).astype(int)] if len(indices) > most else indices
