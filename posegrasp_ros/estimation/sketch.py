# SPDX-License-Identifier: Apache-2.0
"""A mesh as a few lines, for pictures in which its surface would hide too much."""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.estimation.overlay import CORNER_SIGNS, EDGES
from posegrasp_ros.geometry.mesh import Mesh

SHARP_RAD, MOST_LINES = math.radians(35.0), 600


def sketch(mesh: Mesh) -> np.ndarray:
    """(L, 2, 3) lines that draw the object, object frame: its sharp edges; its box where those are too many."""
    solid = mesh.merged
    sharp = solid.face_adjacency_edges[solid.face_adjacency_angles > SHARP_RAD]
    if 3 <= len(sharp) <= MOST_LINES:
        return np.asarray(solid.vertices)[sharp]
    corners = mesh.centre + CORNER_SIGNS * mesh.extents / 2
    return corners[np.array(EDGES)]
