# SPDX-License-Identifier: Apache-2.0
"""The pose of an object from points that a person clicked in an image and on its mesh."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from posegrasp_ros.estimation.scripted import refine
from posegrasp_ros.estimation.solve import pose_covariance
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import project, transform_points
from posegrasp_ros.watch.watch_error import WatchError

FEWEST_POINTS = 4
CLICK_SIGMA_PX = 1.5
"""Standard deviation of a click, at least: few points may fit better than they were clicked."""
LEAST_SPREAD = 0.05
"""Of the points across the line that fits them best: root mean square, as a share of twice their largest distance
from the middle."""
LEAST_SPREAD_PX = 8.0
"""Of all clicks together: those nearer to one another are one place to a hand."""


class ClickedPose(NamedTuple):
    """A pose from clicked points.

    :param camera_from_object: (4, 4)
    :param covariance: (6, 6) from the residuals
    :param residual_px: root mean square reprojection error
    """

    camera_from_object: np.ndarray
    covariance: np.ndarray
    residual_px: float


def clicked_pose(points: np.ndarray, pixels: np.ndarray, camera: Camera) -> ClickedPose:
    """The pose of least squared reprojection error.

    :param points: (N, 3) clicked on the mesh, object frame
    :param pixels: (N, 2) clicked in the image, as its lens shows them
    :raises WatchError: when the points do not tell a pose
    """
    pixels = camera.undistorted(pixels)
    if not np.isfinite(pixels).all():
        raise WatchError('points: expected clicks where the lens model is valid, got one beyond')
    _check_spread(points, pixels)
    pose = _solved(points, pixels, camera.matrix)
    if not (np.isfinite(pose).all() and (transform_points(pose, points)[:, 2] > 0).all()):
        raise WatchError('points: expected points that one pose explains, found none before the camera: look '
                         'whether each number is at the same place in image and mesh')
    covariance = pose_covariance(points, pixels, pose, camera.matrix, CLICK_SIGMA_PX)
    seen = project(transform_points(pose, points), camera.matrix)
    return ClickedPose(pose, covariance, float(np.sqrt(np.mean(np.sum((seen - pixels) ** 2, axis=1)))))


def _solved(points: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(4, 4), NaN where none is found."""
    nothing = np.full((4, 4), np.nan)
    try:
        found, rotation, shift = cv2.solvePnP(points, pixels, matrix, None, flags=cv2.SOLVEPNP_SQPNP)
        return refine(points, pixels, matrix, (rotation, shift)) if found else nothing
    except cv2.error:  # of points that no camera sees so
        return nothing


def _check_spread(points: np.ndarray, pixels: np.ndarray) -> None:
    if len(points) < FEWEST_POINTS:
        raise WatchError(f'points: expected {FEWEST_POINTS} pairs at least, got {len(points)}')
    around = points - points.mean(axis=0)
    spread_m = np.linalg.svd(around, compute_uv=False)[1] / np.sqrt(len(points))
    if not spread_m > LEAST_SPREAD * 2 * np.linalg.norm(around, axis=1).max():
        raise WatchError('points: expected points all over the object, got some on a line or all in one place')
    if np.ptp(pixels, axis=0).max() < LEAST_SPREAD_PX:
        raise WatchError(f'points: expected clicks {LEAST_SPREAD_PX:g} pixels apart at least, got all in one '
                         'place of the image')
