# SPDX-License-Identifier: Apache-2.0
"""Footprint: an object as it stands on paper in a stable pose, seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.board.charuco_pattern import PatternError
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.generation.stable_poses import resting

OUTLINE_STEP_M = 1e-4
MOST_OUTLINE_PX = 4000
# Vertices so close to the paper touch it.
TOUCHING_M = 1e-3
# An axis of the mesh at most this far from level (cosine with the upright) is the one that points along the page.
LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class Footprint:
    """An object that stands on a plane.

    :param paper_from_object: (4, 4); z up, the lowest point at z = 0, the outline's centre at x = y = 0
    :param outlines_m: closed polygons (N, 2) around the object as seen from straight above
    :param contact_m: (N, 2) convex hull of what touches the paper
    :param size_m: width and height of the outlines
    """

    paper_from_object: np.ndarray
    outlines_m: list[np.ndarray]
    contact_m: np.ndarray
    size_m: tuple[float, float]

    def turned(self) -> Footprint:
        """The same turned to the left by a quarter."""
        turn = make_transform(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))
        quarter = turn[:2, :2].T
        return Footprint(turn @ self.paper_from_object, [outline @ quarter for outline in self.outlines_m],
                         self.contact_m @ quarter, self.size_m[::-1])

    def axis_along(self, direction: np.ndarray) -> str:
        """The mesh's axis nearest to a direction (3,) of the paper, such as ``+x``."""
        along = self.paper_from_object[:3, :3].T @ direction
        axis = int(np.argmax(np.abs(along)))
        return f'{"+" if along[axis] > 0 else "-"}{"xyz"[axis]}'


def poses_line(mesh: Mesh, stable_pose: int) -> str:
    """In which pose an object stands, and in which it could, by number: what points down and how likely."""
    downs, probabilities = resting(mesh.outward().solid)
    poses = [f'{number} ({" ".join(f"{value:.2f}" for value in down + 0.0)}) {100 * probability:.0f} %'
             for number, (down, probability) in enumerate(zip(downs, probabilities), start=1)]
    return (f'stands in pose {stable_pose} of those after a fall, with this direction of the mesh down: '
            f'{", ".join(poses)}')


def footprint(mesh: Mesh, stable_pose: int) -> Footprint:
    """The footprint of a mesh.

    :param stable_pose: number of the pose, 1 the likeliest, see
        :func:`posegrasp_ros.grasping.generation.stable_poses.resting`
    :raises PatternError: when there is no such pose
    """
    downs, _ = resting(mesh.outward().solid)
    if not 1 <= stable_pose <= len(downs):
        raise PatternError(f'--stable-pose: expected 1 to {len(downs)}, the poses in which the object stands, got '
                           f'{stable_pose}' if len(downs) else
                           'object: expected one that can stand on a table, but it has no stable pose')
    up = -downs[stable_pose - 1]
    level = next(axis for axis in np.eye(3) if abs(axis @ up) < LEVEL)
    right = level - (level @ up) * up
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(up, right), up])
    turned = mesh.vertices @ rotation.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    shift = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    standing = turned + shift
    touching = standing[standing[:, 2] < TOUCHING_M, :2]
    contact = cv2.convexHull(touching.astype(np.float32)).reshape(-1, 2).astype(float)
    return Footprint(make_transform(rotation, shift), _outlines(standing[:, :2][mesh.faces]), contact,
                     (float(high[0] - low[0]), float(high[1] - low[1])))


def _outlines(triangles_m: np.ndarray) -> list[np.ndarray]:
    """Boundary polygons of the union of triangles (F, 3, 2), exact to a pixel of a picture of them."""
    low = triangles_m.min(axis=(0, 1))
    step = max(OUTLINE_STEP_M, float((triangles_m.max(axis=(0, 1)) - low).max()) / MOST_OUTLINE_PX)
    pixels = np.rint((triangles_m - low) / step).astype(np.int32) + 1
    width, height = pixels.max(axis=(0, 1)) + 2
    covered = np.zeros((height, width), dtype=np.uint8)
    for triangle in pixels:
        cv2.fillConvexPoly(covered, triangle, 255)
    contours, _ = cv2.findContours(covered, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    smooth = [cv2.approxPolyDP(contour, 1.0, True).reshape(-1, 2) for contour in contours]
    return [(outline - 1) * step + low for outline in smooth if len(outline) > 2]
