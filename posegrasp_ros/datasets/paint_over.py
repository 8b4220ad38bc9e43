# SPDX-License-Identifier: Apache-2.0
"""Removal of the object from frames by inpainting, to measure false detections."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points

# Margin about the silhouette as a fraction of its extent: the reference pose is not exact, and remaining edges
# would reveal the object.
MARGIN = 0.1
RADIUS_PX = 5


def paint_over(frame: BagFrame, mesh: Mesh) -> BagFrame | None:
    """The frame with its object removed: the silhouette is inpainted from its surroundings (Telea, 2004).

    Depth is set to unknown in the silhouette.

    :return: the frame without ground truth; None if it had none, or the object reaches behind the camera
    """
    if frame.reason or not frame.truths:
        return None
    image, camera = frame.view()
    silhouettes = np.zeros(image.shape[:2], np.uint8)
    for camera_from_object in frame.truths:
        pixels = camera.project(transform_points(camera_from_object, mesh.vertices))
        if not np.isfinite(pixels).all():
            return None
        silhouettes |= _silhouette(pixels, mesh, silhouettes.shape)
    painted = cv2.inpaint(image, silhouettes, RADIUS_PX, cv2.INPAINT_TELEA)
    depth_m = None if frame.depth_m is None else np.where(silhouettes > 0, np.nan, frame.depth_m)
    return replace(frame.with_truths(()), image=painted, depth_m=depth_m)


def _silhouette(pixels: np.ndarray, mesh: Mesh, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) uint8 mask of a mesh with its vertices at (N, 2) pixels, including the margin."""
    silhouette = np.zeros(shape, np.uint8)
    for triangle in np.round(pixels).astype(np.int32)[mesh.faces]:
        cv2.fillConvexPoly(silhouette, triangle, 255)
    margin_px = int(np.ceil(MARGIN * np.ptp(pixels, axis=0).max()))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin_px + 1, 2 * margin_px + 1))
    return cv2.dilate(silhouette, brush)
