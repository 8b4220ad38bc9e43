# SPDX-License-Identifier: Apache-2.0
"""The region that holds the object's centre with 95 % probability: an ellipsoid, and its outline in the image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import move_covariance, transform_points

SIGMAS_2D, SIGMAS_3D = 2.448, 2.795
"""Standard deviations within which 95 % of a normal distribution of two and of three dimensions lie."""
STEP_M = 1e-4


class Ellipse(NamedTuple):
    """In an image.

    :param centre: (2,) pixels
    :param radii: (2,) pixels, the larger first
    :param angle_rad: of the larger radius, from u to v
    """

    centre: np.ndarray
    radii: np.ndarray
    angle_rad: float


def centre_covariance(estimate: PoseEstimate, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """(3,) middle of the object in the camera's frame, and (3, 3) covariance of its position, m²."""
    pose = estimate.camera_from_object
    centre = transform_points(pose, mesh.centre[None])[0]
    return centre, move_covariance(estimate.covariance, centre - pose[:3, 3])[:3, :3]


def ellipsoid(estimate: PoseEstimate, mesh: Mesh) -> np.ndarray | None:
    """(3, 3) half axes as columns, metres, camera frame; None where the covariance is not known."""
    _, covariance = centre_covariance(estimate, mesh)
    if not np.isfinite(covariance).all() or not covariance.any():
        return None
    variances, axes = np.linalg.eigh(covariance)
    return SIGMAS_3D * axes * np.sqrt(np.maximum(variances, 0.0))


def image_ellipse(estimate: PoseEstimate, mesh: Mesh, camera: Camera) -> Ellipse | None:
    """Where the object's centre is in the image; None where that is not known."""
    centre, covariance = centre_covariance(estimate, mesh)
    pixels = camera.project(np.vstack([centre, centre + STEP_M * np.eye(3)]))
    if not (np.isfinite(pixels).all() and np.isfinite(covariance).all() and covariance.any()):
        return None
    slopes = (pixels[1:] - pixels[0]).T / STEP_M
    variances, axes = np.linalg.eigh(slopes @ covariance @ slopes.T)
    radii = SIGMAS_2D * np.sqrt(np.maximum(variances[::-1], 0.0))
    return Ellipse(pixels[0], radii, float(np.arctan2(axes[1, 1], axes[0, 1])))
