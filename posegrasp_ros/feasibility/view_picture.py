# SPDX-License-Identifier: Apache-2.0
"""Picture of a view for the report: the rendered, lit object, cropped."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.feasibility.attainable.image_information import LIGHT_BASE, ImagedSurface
from posegrasp_ros.feasibility.attainable.view_sampling import CameraView
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.simulation.object_renderer import ObjectRenderer

BACKGROUND_GREY = 128
MARGIN = 0.1


def view_picture(mesh: Mesh, camera: Camera, view: CameraView, turn: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3) uint8 BGR on a grey background; finer than the camera's pixels where the object is small.

    :param turn: (4, 4) object-frame rotation, to show an ambiguous pose
    """
    drawn = None if turn is None else view.camera_from_object @ turn
    with ObjectRenderer(mesh) as renderer:
        image = renderer.render(camera, view.camera_from_object, drawn_pose=drawn)
    surface = ImagedSurface.of(image)
    lit = surface.lit(view.base_from_camera[:3, :3].T @ LIGHT_BASE)
    picture = np.where(surface.covered[..., None] > 0, lit, BACKGROUND_GREY).clip(0, 255).astype(np.uint8)
    rows, columns = (np.flatnonzero(surface.covered.any(axis=axis)) for axis in (1, 0))
    margin = 2 + int(MARGIN * max(np.ptp(rows), np.ptp(columns)))
    top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
    return np.ascontiguousarray(picture[top:rows[-1] + margin + 1, left:columns[-1] + margin + 1])
