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
LEAST_POINTS = 30
EDGE_SIGMA_PX = 0.7
LEAST_COLOUR_SIGMA = 4.0
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
    chosen = surface.visible(pose, level)
    chosen = chosen[::max(1, len(chosen) // most_points)]
    if len(chosen) < LEAST_POINTS:
        return None
    outline = edges.visible(pose)
    weight = np.ones(len(chosen))
    for _ in range(iterations):
        colour_rows, colour_residual, weight, correlation = _colour_term(
            picture, matrix, surface, level, chosen, pose, weight)
        edge_rows, edge_residual, edge_share = _edge_term(picture, matrix, edges, outline, pose, reach_px)
        rows = np.concatenate([colour_rows, edge_rows])
        residual = np.concatenate([colour_residual, edge_residual])
        information = rows.T @ rows
        try:
            step = -np.linalg.solve(information, rows.T @ residual)
        except np.linalg.LinAlgError:  # nothing is left that agrees
            return None
        pose = perturb(pose, step)
        if not (np.isfinite(pose).all() and pose[2, 3] > surface.radius_m):
            return None
        if np.linalg.norm(step[:3]) < SMALL_SHIFT * pose[2, 3] and np.linalg.norm(step[3:]) < SMALL_TURN_RAD:
            break
    return Alignment(pose, information, correlation, edge_share)


def _colour_term(picture: Picture, matrix, surface: Surface, level: int, chosen, pose, weight):
    """Rows and residuals in units of the residuals' own spread, the next weights, and the correlation."""
    points, colours = surface.points[chosen], surface.colours[level][chosen]
    light = np.column_stack([np.ones(len(chosen)), surface.normals[chosen]])
    seen, jacobian, depth = reproject(points, pose, matrix)
    area_px = surface.area_m2 * (matrix[0, 0] / depth[0]) ** 2 * len(surface.points) / 6
    share = np.sqrt(min(1.0, area_px / picture.correlation_length_px ** 2 / len(points)) / 2)
    value, slope_u, slope_v = picture.read(seen)
    rows, residuals, explained, total = [], [], 0.0, 1e-9
    for channel in range(3):
        basis = np.column_stack([colours[:, channel, None] / 128 * light, np.ones(len(points))])
        basis *= weight[:, None]
        slope = slope_u[:, channel, None] * jacobian[:, 0] + slope_v[:, channel, None] * jacobian[:, 1]
        both = np.column_stack([value[:, channel], slope]) * weight[:, None]
        free = both - basis @ np.linalg.solve(basis.T @ basis + 1e-3 * np.eye(5), basis.T @ both)
        residuals.append(free[:, 0])
        rows.append(free[:, 1:])
        centred = both[:, 0] - weight * (weight @ both[:, 0]) / (weight @ weight + 1e-9)
        explained += free[:, 0] @ free[:, 0]
        total += centred @ centred
    length = np.sqrt(sum(r ** 2 for r in residuals)) / np.maximum(weight, 1e-2)
    sigma = max(np.median(length) / 1.54, LEAST_COLOUR_SIGMA)  # median of chi with 3 degrees of freedom
    following = np.clip(1 - (length / (TUKEY * 1.5 * sigma)) ** 2, 0, 1)  # square root of Tukey's weight
    return (np.concatenate(rows) / sigma * share, np.concatenate(residuals) / sigma * share, following,
            float(np.sqrt(max(0.0, 1 - explained / total))))


def _edge_term(picture: Picture, matrix, edges: Edges, outline, pose, reach_px: int):
    """Rows and residuals in sigmas, and the share of the edge points that found an edge."""
    if len(outline) < 6:
        return np.zeros((0, 6)), np.zeros(0), 0.0
    points = edges.points[outline]
    seen, jacobian, depth = reproject(points, pose, matrix)
    # how a pixel moves with the position is also how it moves along the edge
    along = np.einsum('nij,nj->ni', jacobian[:, :, :3], edges.directions[outline] @ pose[:3, :3].T)
    across = np.column_stack([-along[:, 1], along[:, 0]])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    spacing = min(1.0, picture.blur_px / 2)
    steps = np.arange(-reach_px, reach_px + spacing / 2, spacing)
    steepness = picture.slopes(seen[:, None] + steps[:, None] * across[:, None], across)
    # near is likelier than far: an edge of the artwork close by must not win for a little more contrast
    preferred = steepness * np.exp(-0.5 * (steps / (0.6 * reach_px)) ** 2)
    best = np.argmax(preferred, axis=1).clip(1, len(steps) - 2)
    index = np.arange(len(best))
    before, middle, after = (steepness[index, best + shift] for shift in (-1, 0, 1))
    curve = np.minimum(before - 2 * middle + after, -1e-6)
    offset = steps[best] + np.clip(0.5 * (before - after) / curve, -1, 1) * spacing
    found = (middle > 4.0) & (np.abs(offset) < reach_px - spacing)
    if found.sum() < 6:
        return np.zeros((0, 6)), np.zeros(0), float(found.mean())
    sigma = max(1.4826 * np.median(np.abs(offset[found])), EDGE_SIGMA_PX)
    weight = np.clip(1 - (offset / (TUKEY * sigma)) ** 2, 0, 1) * found / EDGE_SIGMA_PX
    weight *= np.sqrt(min(1.0, edges.length_m * matrix[0, 0] / depth[0] / picture.correlation_length_px))
    rows = -np.einsum('nd,ndk->nk', across, jacobian) * weight[:, None]
    return rows, offset * weight, float(found.mean())
