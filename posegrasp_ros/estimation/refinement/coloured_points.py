# SPDX-License-Identifier: Apache-2.0
"""Dense surface points of a mesh with normals and colours, used instead of a renderer."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from posegrasp_ros.geometry.mesh import Mesh

POINTS = 100_000
STEPS = 8
NEIGHBOURS = 12


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


def colours_beside(mesh: Mesh, points: np.ndarray, inward: np.ndarray, normals: np.ndarray, step_m: float,
                   seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours of a face beside points on its edge, at :data:`STEPS` distances from it.

    :param points: (N, 3) object frame
    :param inward: (N, 3) unit, along the face and away from the edge
    :param normals: (N, 3) unit, of the face
    :param step_m: between the distances, the first of which is half a step
    :return: (N, STEPS, 3) mean blue green red of the surface there, NaN beyond the face; (N, STEPS) variance of
        the colour within about a step, mean of the channels
    """
    dense, of_dense, colours = coloured_points(mesh, seed)
    tree = cKDTree(dense)
    mean, variance = np.full((len(points), STEPS, 3), np.nan), np.zeros((len(points), STEPS))
    for k in range(STEPS):
        distance, near = tree.query(points + (k + 0.5) * step_m * inward, k=NEIGHBOURS)
        same = (distance < 2 * step_m) & (np.einsum('nkd,nd->nk', of_dense[near], normals) > 0.8)
        weight = (same / np.maximum(same.sum(axis=1, keepdims=True), 1))[..., None]
        found = same.any(axis=1)
        mean[found, k] = (weight * colours[near]).sum(axis=1)[found]
        spread = weight * (colours[near] - np.nan_to_num(mean[:, None, k])) ** 2
        variance[:, k] = spread.sum(axis=1).mean(axis=1)
    return mean, variance
