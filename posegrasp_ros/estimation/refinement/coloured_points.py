"""Dense surface points of a mesh with normals and colours, used instead of a renderer."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from posegrasp_ros.geometry.mesh import Mesh

POINTS = 100_000
STEPS = 24
PRINTED_CHANGE = 30.0
"""Smallest colour change, of 255 and over the three channels, that could be mistaken for an outline."""


def coloured_points(mesh: Mesh, seed: int, count: int = POINTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 3) uniform over the area, their unit normals (N, 3) and colours (N, 3), blue green red."""
    rng = np.random.default_rng(seed)
    triangles = mesh.vertices[mesh.faces]
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    a, b = rng.random((2, count))
    folded = a + b > 1
    a[folded], b[folded] = 1 - a[folded], 1 - b[folded]
    corners = np.column_stack([1 - a - b, a, b])
    points = np.einsum('nk,nkd->nd', corners, triangles[face])
    normals = cross[face] / area[face, None]
    if mesh.uv is None:
        return points, normals, np.broadcast_to(mesh.texture[0, 0].astype(float), (count, 3))
    uv = np.einsum('nk,nkd->nd', corners, mesh.uv[mesh.faces[face]])
    height, width = mesh.texture.shape[:2]
    pixels = np.column_stack([uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5]).astype(np.float32)
    # OpenCV's remap is limited to 32,766 points per row
    u, v = cv2.split(pixels.reshape(-1, 1000, 2))
    colours = cv2.remap(mesh.texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).reshape(-1, 3)
    return points, normals, colours.astype(float)


def clear_of_print(mesh: Mesh, points: np.ndarray, inward: np.ndarray, normals: np.ndarray, step_m: float,
                   seed: int) -> np.ndarray:
    """(N,) metres from points on edges inward over a face to the first change of its print; inf if there is none.

    :param points: (N, 3) object frame
    :param inward: (N, 3) unit, along the face and away from the edge
    :param normals: (N, 3) unit, of the face
    :param step_m: sampling distance; :data:`STEPS` samples are taken
    """
    dense, of_dense, colours = coloured_points(mesh, seed)
    tree = cKDTree(dense)
    along = np.empty((STEPS, len(points), 3))
    for k in range(STEPS):
        distance, near = tree.query(points + (k + 0.5) * step_m * inward, k=5)
        same = (distance < 2 * step_m) & (np.einsum('nkd,nd->nk', of_dense[near], normals) > 0.8)
        weight = same / np.maximum(same.sum(axis=1, keepdims=True), 1)
        along[k] = np.where(same.any(axis=1)[:, None], np.einsum('nk,nkd->nd', weight, colours[near]), np.nan)
    change = np.linalg.norm(along[2:] - along[:-2], axis=2) > PRINTED_CHANGE  # NaN off the face: no change
    return np.where(change.any(axis=0), (change.argmax(axis=0) + 1.5) * step_m, np.inf)
