# SPDX-License-Identifier: Apache-2.0
"""MeshView: a textured mesh drawn by itself or over an image, which also tells what surface a pixel shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.runtime.numba_cache import compiled

BACKGROUND = (236, 232, 228)
DARKEST = 0.45
"""Brightness of a surface that is seen from the side, of one that is seen from the front 1."""
FILLED = 0.9
"""Share of the picture of a mesh alone that it fills at zoom 1."""


@dataclass(frozen=True)
class MeshView:
    """What a picture shows of a mesh.

    :param owner: (H, W) int32 triangle that a pixel shows, -1 for none
    :param weights: (H, W, 3) float32 of the triangle's corners: the shown point is their weighted mean
    :param facing: (F,) cosine between each triangle's normal and the line of sight
    """

    mesh: Mesh
    owner: np.ndarray
    weights: np.ndarray
    facing: np.ndarray

    @classmethod
    def in_image(cls, mesh: Mesh, camera_from_object: np.ndarray, camera: Camera) -> MeshView:
        """The mesh as a camera sees it, lens distortion included."""
        points = transform_points(camera_from_object, mesh.vertices)
        near = 1 / np.where(points[:, 2] > 1e-6, points[:, 2], np.nan)
        corners = points[mesh.faces]
        return cls._drawn(mesh, camera.project(points), near, corners, -corners.mean(axis=1), camera.width,
                          camera.height, True)

    @classmethod
    def alone(cls, mesh: Mesh, view_from_object: np.ndarray, zoom: float, side_px: int) -> MeshView:
        """The mesh from afar (parallel projection), its centre in the middle of a square picture.

        :param view_from_object: (3, 3) rotation; the view's x is right, y down, z away
        """
        placed = placed_alone(mesh, mesh.vertices, view_from_object, zoom, side_px)
        # any numbers above 0 that are larger where it is nearer
        near = 2 - placed[:, 2] / mesh.radius
        corners = (mesh.vertices @ view_from_object.T)[mesh.faces]
        towards = np.array([[0.0, 0.0, -1.0]])
        return cls._drawn(mesh, placed[:, :2], near, corners, towards, side_px, side_px, False)

    @classmethod
    def _drawn(cls, mesh: Mesh, pixels: np.ndarray, near: np.ndarray, corners: np.ndarray, towards: np.ndarray,
               width: int, height: int, is_perspective: bool) -> MeshView:
        """The triangles that a picture shows.

        :param pixels: (V, 2) of the vertices, NaN where the picture cannot show them
        :param near: (V,) larger where nearer
        :param corners: (F, 3, 3) in the eye's frame
        :param towards: (F, 3) or (1, 3) from each triangle to the eye
        """
        owner, weights = _nearest(pixels[mesh.faces], near[mesh.faces], width, height, is_perspective)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(towards, axis=1)
        facing = np.abs((normals * towards).sum(axis=1)) / np.maximum(lengths, 1e-18)
        return cls(mesh, owner, weights, facing)

    def point_at(self, pixel: np.ndarray) -> np.ndarray | None:
        """(3,) of the surface at a pixel (2,), object frame; None where there is none."""
        column, row = np.rint(pixel).astype(int)
        height, width = self.owner.shape
        if not (0 <= column < width and 0 <= row < height) or self.owner[row, column] < 0:
            return None
        return self.weights[row, column] @ self.mesh.vertices[self.mesh.faces[self.owner[row, column]]]

    def over(self, image: np.ndarray, opacity: float) -> np.ndarray:
        """The image with the mesh drawn over it.

        :param image: (H, W, 3) uint8 blue green red; not modified
        :param opacity: 0 the image, 1 the mesh
        """
        canvas, shown = image.copy(), self.owner >= 0
        canvas[shown] = np.rint((1 - opacity) * image[shown] + opacity * self._colours(shown)).astype(np.uint8)
        return canvas

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 of the mesh alone."""
        return self.over(np.full((*self.owner.shape, 3), BACKGROUND, np.uint8), 1.0)

    def outlines(self) -> list[np.ndarray]:
        """(N, 2) pixels of each closed line around the mesh."""
        shown = (self.owner >= 0).astype(np.uint8)
        found, _ = cv2.findContours(shown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
        return [line[:, 0] for line in found]

    def _colours(self, shown: np.ndarray) -> np.ndarray:
        """(N, 3) of the pixels that show the mesh."""
        mesh, owner = self.mesh, self.owner[shown]
        shade = DARKEST + (1 - DARKEST) * self.facing[owner, None]
        if mesh.uv is None:
            return shade * mesh.texture[0, 0]
        u, v = np.einsum('nk,nkd->dn', self.weights[shown], mesh.uv[mesh.faces[owner]])
        height, width = mesh.texture.shape[:2]
        columns, rows = (np.floor(values).astype(int) for values in (u * width, (1 - v) * height))
        return shade * mesh.texture[rows % height, columns % width]


def placed_alone(mesh: Mesh, points: np.ndarray, view_from_object: np.ndarray, zoom: float,
                 side_px: int) -> np.ndarray:
    """(N, 3) pixels of points (N, 3), object frame, in :meth:`MeshView.alone`, and depth in metres."""
    turned = (points - mesh.centre) @ view_from_object.T
    scale = FILLED * zoom * side_px / (2 * mesh.radius)
    return np.column_stack([(side_px - 1) / 2 + scale * turned[:, :2], turned[:, 2]])


@compiled
def _nearest(corners: np.ndarray, near: np.ndarray, width: int, height: int, is_perspective: bool) -> tuple:
    """The triangle that each pixel shows, and where in it.

    :param corners: (F, 3, 2) pixels
    :param near: (F, 3) larger where nearer; the inverse of the depth where it is a perspective
    """
    owner = np.full((height, width), -1, np.int32)
    weights = np.zeros((height, width, 3), np.float32)
    nearest = np.zeros((height, width))
    for face in range(len(corners)):
        (ax, ay), (bx, by), (cx, cy) = corners[face, 0], corners[face, 1], corners[face, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        inverse = near[face, 0], near[face, 1], near[face, 2]
        if not (np.isfinite(area) and np.isfinite(inverse[0] + inverse[1] + inverse[2]) and abs(area) > 1e-9):
            continue
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy))))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                a = ((bx - column) * (cy - row) - (by - row) * (cx - column)) / area
                b = ((cx - column) * (ay - row) - (cy - row) * (ax - column)) / area
                c = 1 - a - b
                if a < 0 or b < 0 or c < 0:
                    continue
                here = a * inverse[0] + b * inverse[1] + c * inverse[2]
                if here <= nearest[row, column]:
                    continue
                nearest[row, column], owner[row, column] = here, face
                if is_perspective:
                    a, b, c = a * inverse[0] / here, b * inverse[1] / here, c * inverse[2] / here
                weights[row, column, 0], weights[row, column, 1], weights[row, column, 2] = a, b, c
    return owner, weights
