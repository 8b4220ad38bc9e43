# SPDX-License-Identifier: Apache-2.0
"""Plausibility check: rejects poses that no image can show, as a wrong network or keypoints produce them."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points

LEAST_DIAMETER_PX = 4.0
"""Smallest size in the image at which an orientation can be estimated."""
CORNERS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T / 2


def is_plausible(camera_from_object: np.ndarray, mesh: Mesh, camera: Camera) -> bool:
    """Whether an object at a pose is in the image and large enough to be recognised.

    :param camera_from_object: (4, 4); one with NaN is not plausible
    """
    centre = transform_points(camera_from_object, mesh.centre[None])[0]
    distance_m = float(np.linalg.norm(centre))
    diameter_px = 2 * mesh.radius * camera.fx / max(distance_m, 1e-9)
    # The camera must not be inside the object.
    if not (distance_m > mesh.extents.min() / 2 and diameter_px >= LEAST_DIAMETER_PX):
        return False
    corners = transform_points(camera_from_object, mesh.centre + CORNERS * mesh.extents)
    pixels = camera.project(np.vstack([centre, corners]))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not len(pixels):
        return False
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    return bool(right > 0 and bottom > 0 and left < camera.width - 1 and top < camera.height - 1)
