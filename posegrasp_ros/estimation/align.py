"""Refine a pose by laying the known mesh onto the image: no renderer, a few hundred points.

Two terms, minimised together by Gauss-Newton. Colour: surface points are projected, the image is read there,
and has to agree with their known colour. Light is unknown: each channel may be any c * (a + b . normal) + d of
the known colour c, and that is eliminated at every step (variable projection), so a bright top and a dark
side cost nothing. Edges: points of the outline and of sharp edges look for the strongest change of the image
across the edge; they hold what colour alone leaves loose, above all the depth. Tukey weights let go of what
is hidden, glares or found the wrong edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.estimation.solve import reproject
from posegrasp_ros.estimation.surface import Edges, Surface
from posegrasp_ros.geometry import perturb

TUKEY = 4.685
"""95 % efficiency under Gaussian noise (Huber and Ronchetti, Robust Statistics)."""
CHI_3_MEDIAN = 1.54
"""Of the chi law with three degrees of freedom, one a colour channel."""
INDEPENDENT_CHANNELS = 1.5
"""Blue, green and red mostly say the same."""
LEAST_POINTS, LEAST_EDGE_POINTS = 30, 6
LEAST_COLOUR_SIGMA = 4.0
EDGE_SIGMA_PX, LEAST_STEEPNESS = 0.7, 4.0
SMALL_SHIFT, SMALL_TURN_RAD = 2e-4, 5e-4
"""Steps below these, of the distance and in radians, move no pixel by a tenth."""


@dataclass
class Alignment:
    """A refined pose.

    :param pose: (4, 4) crop_from_object
    :param information: (6, 6) inverse covariance as if all residuals were independent
    :param correlation: between image and lit surface colour, 1 when they agree
    :param edge_share: share of the visible edge points that found an edge where they should
    """

    pose: np.ndarray
    information: np.ndarray
    correlation: float
    edge_share: float


class Picture:
    """A blurred crop with its derivatives, read at fractional pixels.

    :param crop: (S, S, 3) float32
    :param blur_px: standard deviation of the Gaussian that is laid over it
    """

    def __init__(self, crop: np.ndarray, blur_px: float):
        image = cv2.GaussianBlur(crop, (0, 0), blur_px)
        self.blur_px = blur_px
        # neighbours closer than this share their noise: they count together
        self.correlation_length_px = 2 * np.sqrt(np.pi) * np.hypot(blur_px, 0.5)
        self._image = image
        self._slope_u = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        self._slope_v = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)

    def read(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, slope along u and along v, each (..., 3), at (..., 2) pixels."""
        where = pixels.reshape(-1, 1, 2).astype(np.float32)
        shape = (*pixels.shape[:-1], 3)
        return tuple(cv2.remap(layer, where, None, cv2.INTER_LINEAR).reshape(shape).astype(float)
                     for layer in (self._image, self._slope_u, self._slope_v))

    def slopes(self, pixels: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(N, K) steepness of the image at (N, K, 2) pixels along (N, 2) directions."""
        where = pixels.reshape(-1, 1, 2).astype(np.float32)
        shape = (*pixels.shape[:-1], 3)
        along_u, along_v = (cv2.remap(layer, where, None, cv2.INTER_LINEAR).reshape(shape)
                            for layer in (self._slope_u, self._slope_v))
        return np.linalg.norm(along_u * directions[:, None, :1] + along_v * directions[:, None, 1:], axis=2)


def align(picture: Picture, matrix: np.ndarray, surface: Surface, edges: Edges, level: int, pose: np.ndarray,
          reach_px: int, iterations: int = 6, most_points: int = 300) -> Alignment | None:
    """Move ``pose`` until mesh and picture agree.

    :param matrix: (3, 3) pinhole matrix of the picture
    :param level: blur of the surface's colours that matches the picture's
    :param reach_px: how far an edge may lie from where it is expected
    :return: None when too little of the object is seen
    """
    visible = surface.visible(pose, level)
    visible = visible[::max(1, len(visible) // most_points)]
    if len(visible) < LEAST_POINTS:
        return None
    points = _ColourPoints(surface.points[visible], surface.normals[visible], surface.colours[level][visible],
                           surface.area_m2)
    outline = edges.visible(pose)
    weight = np.ones(len(visible))
    for _ in range(iterations):
        colour, weight, correlation = _colour_term(picture, matrix, points, pose, weight)
        edge, edge_share = _edge_term(picture, matrix, edges, outline, pose, reach_px)
        rows = np.concatenate([colour.rows, edge.rows])
        information = rows.T @ rows
        try:
            step = -np.linalg.solve(information, rows.T @ np.concatenate([colour.residuals, edge.residuals]))
        except np.linalg.LinAlgError:  # nothing is left that agrees
            return None
        pose = perturb(pose, step)
        if not (np.isfinite(pose).all() and pose[2, 3] > surface.radius_m):
            return None
        if np.linalg.norm(step[:3]) < SMALL_SHIFT * pose[2, 3] and np.linalg.norm(step[3:]) < SMALL_TURN_RAD:
            break
    return Alignment(pose, information, correlation, edge_share)


@dataclass
class _Term:
    """Residuals (N,) in sigmas and their derivatives (N, 6) by the pose's disturbance, weighed."""

    rows: np.ndarray
    residuals: np.ndarray


@dataclass
class _ColourPoints:
    """Visible points of the surface: (N, 3) places, normals and colours; area of the whole surface."""

    points: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    area_m2: float


def _colour_term(picture: Picture, matrix: np.ndarray, visible: _ColourPoints, pose: np.ndarray,
                 weight: np.ndarray) -> tuple[_Term, np.ndarray, float]:
    """The term, the next square roots of Tukey's weights, and the correlation of picture and lit colour."""
    seen, jacobian, depth = reproject(visible.points, pose, matrix)
    value, slope_u, slope_v = picture.read(seen)
    light = np.column_stack([np.ones(len(seen)), visible.normals])
    residuals, rows, total = [], [], 1e-9
    for channel in range(3):
        slopes = slope_u[:, channel, None] * jacobian[:, 0] + slope_v[:, channel, None] * jacobian[:, 1]
        lit = np.column_stack([visible.colours[:, channel, None] * light, np.ones(len(seen))])
        free = _without(lit * weight[:, None], np.column_stack([value[:, channel], slopes]) * weight[:, None])
        residuals.append(free[:, 0])
        rows.append(free[:, 1:])
        mean = (weight ** 2 @ value[:, channel]) / (weight @ weight + 1e-9)
        total += np.sum((weight * (value[:, channel] - mean)) ** 2)
    explained = sum(residual @ residual for residual in residuals)
    length = np.sqrt(sum(residual ** 2 for residual in residuals)) / np.maximum(weight, 1e-2)
    sigma = max(np.median(length) / CHI_3_MEDIAN, LEAST_COLOUR_SIGMA)
    next_weight = np.clip(1 - (length / (TUKEY * CHI_3_MEDIAN * sigma)) ** 2, 0, 1)
    # what a convex body shows is a quarter of its surface on average (Cauchy); that many spots are independent
    spots = visible.area_m2 / 4 * (matrix[0, 0] / depth[0] / picture.correlation_length_px) ** 2
    scale = np.sqrt(min(1.0, INDEPENDENT_CHANNELS / 3 * spots / len(seen))) / sigma
    return (_Term(np.concatenate(rows) * scale, np.concatenate(residuals) * scale), next_weight,
            float(np.sqrt(max(0.0, 1 - explained / total))))


def _without(basis: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What is left of (N, K) columns when the best combination of (N, B) basis vectors is taken away."""
    scale = np.linalg.norm(basis, axis=0) + 1e-9
    basis = basis / scale
    gram = basis.T @ basis + 1e-6 * np.eye(basis.shape[1])  # one face in view cannot tell light from colour
    return columns - basis @ np.linalg.solve(gram, basis.T @ columns)


def _edge_term(picture: Picture, matrix: np.ndarray, edges: Edges, outline: np.ndarray, pose: np.ndarray,
               reach_px: int) -> tuple[_Term, float]:
    """The term, and the share of the edge points that found an edge."""
    nothing = _Term(np.zeros((0, 6)), np.zeros(0))
    if len(outline) < LEAST_EDGE_POINTS:
        return nothing, 0.0
    seen, jacobian, depth = reproject(edges.points[outline], pose, matrix)
    # how a pixel moves with the position is also how it moves along the edge
    along = np.einsum('nij,nj->ni', jacobian[:, :, :3], edges.directions[outline] @ pose[:3, :3].T)
    across = np.column_stack([-along[:, 1], along[:, 0]])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    offset, found = _nearest_edges(picture, seen, across, reach_px)
    share = float(found.mean())
    if found.sum() < LEAST_EDGE_POINTS:
        return nothing, share
    sigma = max(1.4826 * np.median(np.abs(offset[found])), EDGE_SIGMA_PX)
    spacing_px = edges.length_m * matrix[0, 0] / depth[0]
    weight = np.clip(1 - (offset / (TUKEY * sigma)) ** 2, 0, 1) * found / EDGE_SIGMA_PX
    weight *= np.sqrt(min(1.0, spacing_px / picture.correlation_length_px))
    return _Term(-np.einsum('nd,ndk->nk', across, jacobian) * weight[:, None], offset * weight), share


def _nearest_edges(picture: Picture, pixels: np.ndarray, across: np.ndarray, reach_px: int):
    """Offsets (N,) along ``across`` to where the picture is steepest, and whether there is an edge at all."""
    spacing = min(1.0, picture.blur_px / 2)
    steps = np.arange(-reach_px, reach_px + spacing / 2, spacing)
    steepness = picture.slopes(pixels[:, None] + steps[:, None] * across[:, None], across)
    # near is likelier than far: an edge of the artwork close by must not win for a little more contrast
    preferred = steepness * np.exp(-0.5 * (steps / (0.6 * reach_px)) ** 2)
    best = np.argmax(preferred, axis=1).clip(1, len(steps) - 2)
    before, middle, after = (steepness[np.arange(len(best)), best + shift] for shift in (-1, 0, 1))
    bend = np.minimum(before - 2 * middle + after, -1e-6)  # a parabola through three samples has its peak between
    offset = steps[best] + np.clip(0.5 * (before - after) / bend, -1, 1) * spacing
    return offset, (middle > LEAST_STEEPNESS) & (np.abs(offset) < reach_px - spacing)
