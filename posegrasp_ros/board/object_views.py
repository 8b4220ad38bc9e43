# SPDX-License-Identifier: Apache-2.0
"""Pictures of an object as it stands on its board, without perspective."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points

WHITE = 255
# Brightness of a surface seen edge-on, as a share of one that faces the viewer.
EDGE_ON = 0.55
X, Y, Z = np.eye(3)
FROM_ABOVE = (X, Y)
"""What is right and up in a picture from above, in the paper's axes."""
SIDES = {'front': (X, Z), 'right': (Y, Z), 'back': (-X, Z), 'left': (-Y, Z)}
"""The same for pictures of each side: whoever sees the front has y going away."""


def picture(mesh: Mesh, paper_from_object: np.ndarray, right: np.ndarray, up: np.ndarray,
            longest_px: int = 300) -> tuple[np.ndarray, tuple[float, float]]:
    """A parallel view of an object, white around it.

    :param paper_from_object: (4, 4)
    :param right: (3,) what is right in the picture, and
    :param up: (3,) what is up, in the paper's axes
    :return: (H, W, 3) uint8 red green blue, and the width and height that it shows in metres
    """
    standing = trimesh.Trimesh(transform_points(paper_from_object, mesh.vertices), mesh.faces, process=False)
    towards = np.cross(right, up)
    across, upward = standing.vertices @ right, standing.vertices @ up
    width_m, height_m = float(np.ptp(across)), float(np.ptp(upward))
    step = max(width_m, height_m) / longest_px
    columns, rows = max(1, round(width_m / step)), max(1, round(height_m / step))
    x, y = np.meshgrid(across.min() + (np.arange(columns) + 0.5) * step,
                       upward.max() - (np.arange(rows) + 0.5) * step)
    far = float((standing.vertices @ towards).max()) + 0.01
    origins = x.reshape(-1, 1) * right + y.reshape(-1, 1) * up + far * towards
    faces, rays, places = standing.ray.intersects_id(origins, np.tile(-towards, (len(origins), 1)),
                                                     multiple_hits=False, return_locations=True)
    pixels = np.full((rows * columns, 3), WHITE, dtype=np.uint8)
    facing = np.abs(standing.face_normals[faces] @ towards)
    light = EDGE_ON + (1 - EDGE_ON) * facing[:, None]
    pixels[rays] = (_colours(mesh, standing, faces, places) * light).astype(np.uint8)
    return pixels.reshape(rows, columns, 3), (width_m, height_m)


def _colours(mesh: Mesh, standing: trimesh.Trimesh, faces: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 3) red green blue of the texture at points (N, 3) on triangles (N,)."""
    height, width = mesh.texture.shape[:2]
    if mesh.uv is None:
        return np.broadcast_to(mesh.texture[0, 0, ::-1], (len(faces), 3)).astype(float)
    weights = trimesh.triangles.points_to_barycentric(standing.triangles[faces], places)
    uv = (weights[..., None] * mesh.uv[mesh.faces[faces]]).sum(axis=1) % 1.0
    column = np.minimum((uv[:, 0] * width).astype(int), width - 1)
    row = np.minimum(((1 - uv[:, 1]) * height).astype(int), height - 1)
    return mesh.texture[row, column, ::-1].astype(float)
