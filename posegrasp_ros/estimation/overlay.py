# SPDX-License-Identifier: Apache-2.0
"""Overlay of estimated poses on their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points

# Blue, green, red. Axes in the colours of rviz: x red, y green, z blue.
AXIS_COLOURS = ((60, 60, 235), (70, 190, 60), (235, 130, 50))
EDGE_COLOUR, FAINT, DARK, WHITE = (40, 200, 250), (160, 160, 160), (30, 30, 30), (245, 245, 245)
# Sub-pixel drawing: OpenCV takes coordinates in sixteenths.
SHIFT = 4
CORNER_SIGNS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(CORNER_SIGNS[a] - CORNER_SIGNS[b]).sum() == 2]


def draw_overlay(image: np.ndarray, camera: Camera, mesh: Mesh, poses: Sequence[PoseEstimate],
                 note: str = '') -> np.ndarray:
    """The image with each pose's bounding box, axes and score; the best pose in colour, others faint.

    :param image: (H, W, 3) uint8 blue green red; not modified
    :param note: shown in a corner, such as the reason why there is no pose
    :return: (H, W, 3) uint8
    """
    canvas = image.copy()
    thickness = max(1, round(image.shape[1] / 480))
    for rank, estimate in reversed(list(enumerate(poses))):
        draw_box(canvas, camera, mesh, estimate.camera_from_object, EDGE_COLOUR if rank == 0 else FAINT, thickness)
        if rank == 0:
            draw_axes(canvas, camera, estimate.camera_from_object, 0.6 * float(mesh.extents.max()), 2 * thickness)
        _label(canvas, camera, mesh, estimate)
    if note:
        _text(canvas, note, (8, canvas.shape[0] - 8))
    return canvas


class Boxed(Protocol):
    """What has a bounding box along the axes of its own frame, such as a mesh."""

    @property
    def centre(self) -> np.ndarray:
        """(3,) of the box, metres."""

    @property
    def extents(self) -> np.ndarray:
        """(3,) sides of the box, metres."""


def draw_box(canvas: np.ndarray, camera: Camera, mesh: Boxed, camera_from_object: np.ndarray,
             colour: tuple[int, int, int], thickness: int) -> None:
    """The twelve edges of the mesh's bounding box; edges at the back are thin."""
    corners = transform_points(camera_from_object, mesh.centre + CORNER_SIGNS * mesh.extents / 2)
    pixels = camera.project(corners)
    hidden = int(np.argmax(np.linalg.norm(corners, axis=1)))
    for a, b in EDGES:
        draw_line(canvas, pixels[a], pixels[b], colour, 1 if hidden in (a, b) else thickness)


def draw_axes(canvas: np.ndarray, camera: Camera, camera_from_object: np.ndarray, length_m: float,
              thickness: int) -> None:
    """The object's axes, x red, y green, z blue."""
    tips = np.vstack([np.zeros(3), length_m * np.eye(3)])
    pixels = camera.project(transform_points(camera_from_object, tips))
    for tip, colour in zip(pixels[1:], AXIS_COLOURS):
        draw_line(canvas, pixels[0], tip, colour, thickness)


def draw_line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: tuple[int, int, int],
              thickness: int) -> None:
    """A line between two pixels (u, v); none where one is not known."""
    # Points behind the camera are NaN; far outside of the image OpenCV's integers would overflow.
    ends = np.array([start, end])
    if np.isfinite(ends).all() and np.abs(ends).max() < 1e5:
        (u0, v0), (u1, v1) = np.rint(ends * 2**SHIFT).astype(int).tolist()
        cv2.line(canvas, (u0, v0), (u1, v1), colour, thickness, cv2.LINE_AA, SHIFT)


def _label(canvas: np.ndarray, camera: Camera, mesh: Mesh, estimate: PoseEstimate) -> None:
    """Score and distance above the box."""
    corners = transform_points(estimate.camera_from_object, mesh.centre + CORNER_SIGNS * mesh.extents / 2)
    pixels = camera.project(corners)
    if np.isfinite(pixels).all():
        distance_m = float(np.linalg.norm(estimate.camera_from_object[:3, 3]))
        u, v = pixels.min(axis=0)
        height, width = canvas.shape[:2]
        place = (int(np.clip(u, 4, width - 130)), int(np.clip(v - 8, 18, height - 8)))
        _text(canvas, f'{estimate.score:.2f}  {1000 * distance_m:.0f} mm', place)


def _text(canvas: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """Draw white text on a dark background."""
    font, size, weight = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1
    (width, height), below = cv2.getTextSize(text, font, size, weight)
    u, v = place
    cv2.rectangle(canvas, (u - 3, v - height - 3), (u + width + 3, v + below), DARK, cv2.FILLED)
    cv2.putText(canvas, text, place, font, size, WHITE, weight, cv2.LINE_AA)
