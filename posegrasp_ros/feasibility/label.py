# SPDX-License-Identifier: Apache-2.0
"""Adds a printed label to a mesh, to evaluate the benefit of texture."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.geometry.mesh import Mesh

SIDES, TILE_PX = 6, 256
# Colour patches per side, about as dense as artwork on packaging; the same in every study.
PATCHES, SEED = 8, 6


def with_label(mesh: Mesh) -> Mesh:
    """The mesh with different artwork for each of the six axis directions, projected along the axis."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    axes = np.abs(normals).argmax(axis=1)
    sides = 2 * axes + (normals[np.arange(len(axes)), axes] < 0)
    places = (corners - mesh.vertices.min(axis=0)) / np.maximum(mesh.extents, 1e-9)
    across = np.array([(1, 2), (0, 2), (0, 1)])[axes]
    on_side = np.take_along_axis(places, across[:, None], axis=2)
    # Keep away from tile edges, where interpolation would mix in the neighbouring tile.
    inset = 1.0 / TILE_PX
    on_side = inset + (1 - 2 * inset) * on_side
    uv = np.stack([(sides[:, None] + on_side[..., 0]) / SIDES, on_side[..., 1]], axis=-1)
    return Mesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), uv.reshape(-1, 2), _artwork())


def _artwork() -> np.ndarray:
    """(H, W, 3) uint8 BGR, the six sides next to each other."""
    patches = np.random.default_rng(SEED).integers(20, 236, (PATCHES, SIDES * PATCHES, 3), dtype=np.uint8)
    return cv2.resize(patches, (SIDES * TILE_PX, TILE_PX), interpolation=cv2.INTER_NEAREST)
