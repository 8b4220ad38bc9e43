# SPDX-License-Identifier: Apache-2.0
"""Picture of grasps: the gripper's boxes around the object's mesh, a panel for each."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, transform_points
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_set import Grasp

SHOWN = 3
PANEL_PX, MARGIN_PX = 360, 24
BACKGROUND, INK = (250, 250, 250), (40, 40, 40)
OBJECT_COLOUR, GRIPPER_COLOUR = (80, 170, 240), (150, 140, 130)
# Faces are drawn from far to near, which is right for small ones: this share of the size of all.
FACE_SHARE = 1 / 16
# Axes of the picture in the TCP frame: right, down, away. The gripper comes from above and closes from the sides.
_AWAY = np.array([-0.35, -1.0, 0.3]) / np.linalg.norm([-0.35, -1.0, 0.3])
_RIGHT = np.cross((0.0, 0.0, 1.0), _AWAY) / np.linalg.norm(np.cross((0.0, 0.0, 1.0), _AWAY))
PICTURE_FROM_TCP = np.stack([_RIGHT, np.cross(_AWAY, _RIGHT), _AWAY])


def draw_grasps(grasps: Sequence[Grasp], gripper: EndEffector, mesh: Mesh) -> np.ndarray:
    """The gripper as it holds the object, for each of the best few grasps.

    :return: (H, W, 3) uint8 blue green red
    """
    best = sorted(grasps, key=lambda grasp: -grasp.confidence)[:SHOWN]
    return np.concatenate([_panel(grasp, gripper, mesh) for grasp in best], axis=1)


def _panel(grasp: Grasp, gripper: EndEffector, mesh: Mesh) -> np.ndarray:
    """One grasp, in parallel projection from beside the gripper."""
    solids = [(trimesh.Trimesh(transform_points(invert(grasp.object_from_tcp), mesh.vertices), mesh.faces,
                               process=False), OBJECT_COLOUR)]
    solids += [(trimesh.convex.convex_hull(box.corners()), GRIPPER_COLOUR) for box in gripper.boxes(grasp.width_m)]
    corners = np.concatenate([solid.vertices for solid, _ in solids]) @ PICTURE_FROM_TCP.T
    low, size = corners[:, :2].min(axis=0), np.ptp(corners[:, :2], axis=0)
    scale = (PANEL_PX - 2 * MARGIN_PX) / size.max()
    shift = (PANEL_PX - scale * size) / 2 - scale * low
    faces = []
    for solid, colour in solids:
        vertices, indices = trimesh.remesh.subdivide_to_size(solid.vertices, solid.faces, FACE_SHARE * size.max(),
                                                             max_iter=20)
        triangles = (vertices @ PICTURE_FROM_TCP.T)[indices]
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        lights = np.abs(normals[:, 2]) / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
        faces += [(corner, [(0.55 + 0.45 * light) * value for value in colour])
                  for corner, light in zip(triangles, lights.tolist())]
    canvas = np.full((PANEL_PX, PANEL_PX, 3), BACKGROUND, np.uint8)
    for corner, shade in sorted(faces, key=lambda face: -face[0][:, 2].mean()):
        cv2.fillConvexPoly(canvas, np.rint(scale * corner[:, :2] + shift).astype(np.int32), shade)
    text = f'{grasp.name}: {grasp.confidence:.2f}, {1000 * grasp.width_m:.0f} mm'
    cv2.putText(canvas, text, (8, PANEL_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return canvas
