# SPDX-License-Identifier: Apache-2.0
"""Pose and covariance from 2D-3D correspondences: RANSAC or weak perspective, then robust Gauss-Newton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from posegrasp_ros.estimation.refinement.motion import moved
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.refinement.terms import Equations, add_residual, no_equations
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.runtime.numba_cache import compiled

RANSAC_ITERATIONS = 60
RANSAC_PX = 4.0
CAUCHY = 2.0
"""Scale of the Cauchy kernel in sigma; larger residuals are down-weighted increasingly."""
MIN_POINTS = 6
SIMILARITY_ITERATIONS = 5
SMALL_STEP = 1e-4
"""Convergence threshold, as a fraction of the distance and in radians: far below the pose uncertainty."""
LEAST_DEPTH_M = 1e-3


@dataclass
class Solution:
    """A pose with its covariance and fit statistics.

    :param pose: (4, 4) camera_from_object
    :param covariance: (6, 6), see :func:`posegrasp_ros.geometry.transforms.perturb`
    :param inlier_share: fraction of the points with a residual within three sigma
    :param residual_px: root mean square reprojection error of these points, pixels
    """

    pose: np.ndarray
    covariance: np.ndarray
    inlier_share: float
    residual_px: float


class ViewDirection(NamedTuple):
    """View direction onto the object, estimated from the whole image.

    Coplanar points leave their tilt ambiguous: two poses, mirrored about the line of sight, fit almost equally
    well. The view direction resolves the ambiguity.

    :param centre_m: (3,) of the object, object frame
    :param direction: (3,) unit vector from there to the camera, object frame
    :param sigma_rad: its standard deviation along each axis
    """

    centre_m: np.ndarray
    direction: np.ndarray
    sigma_rad: float


NO_VIEW = ViewDirection(np.zeros(3), np.zeros(3), np.inf)


def solve_pose(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
               view: ViewDirection | None = None, points_an_error: float = 1.0) -> Solution | None:
    """Pose from many correspondences of known standard deviation, with outliers.

    The initial pose comes from the view direction, or from RANSAC with EPnP if there is none. Gauss-Newton with
    Cauchy weights then uses all points.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) their undistorted image positions
    :param sigma_m: (N,) standard deviation of each point
    :param matrix: (3, 3) pinhole matrix, pixels
    :param points_an_error: number of points with a common error; 1 when errors are independent
    :return: None when there are too few points or no pose fits them
    """
    if len(points) < MIN_POINTS:
        return None
    start = _start_by_ransac(points, pixels, matrix) if view is None else _start_by_view(
        points, pixels, sigma_m, matrix, view)
    return None if start is None else refine_pose(
        points, pixels, sigma_m, matrix, start, view, points_an_error)


def _start_by_ransac(points: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
    cv2.setRNGSeed(0)  # deterministic results
    found, rotation, translation, _ = cv2.solvePnPRansac(
        points, pixels, matrix, None, iterationsCount=RANSAC_ITERATIONS, reprojectionError=RANSAC_PX,
        confidence=0.999, flags=cv2.SOLVEPNP_EPNP)
    if not found or not np.isfinite(translation).all() or translation[2, 0] <= 0:
        return None
    return make_transform(cv2.Rodrigues(rotation)[0], translation.ravel())


def _start_by_view(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
                   view: ViewDirection) -> np.ndarray | None:
    """Pose under weak perspective: with a known view direction only a similarity in the image is unknown.

    In complex numbers, pixel = a * point + b, where the argument of a is the roll. Weights 1 / residual turn the
    fit into least absolute deviations, which is robust to outliers.
    """
    forward = -view.direction
    right = np.cross(np.eye(3)[np.argmin(np.abs(forward))], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    turned = (points - view.centre_m) @ rotation.T
    flat = turned[:, 0] + 1j * turned[:, 1]
    seen = (pixels[:, 0] - matrix[0, 2]) / matrix[0, 0] + 1j * (pixels[:, 1] - matrix[1, 2]) / matrix[1, 1]
    weight = 1 / sigma_m
    for _ in range(SIMILARITY_ITERATIONS):
        total = weight.sum()
        middle_flat, middle_seen = weight @ flat / total, weight @ seen / total
        around, seen_around = flat - middle_flat, seen - middle_seen
        turn = (weight * around.conj()) @ seen_around / (weight @ np.abs(around) ** 2 + 1e-18)
        if not abs(turn) > 1e-6:
            return None
        residual_m = np.abs(seen_around - turn * around) / abs(turn)
        weight = 1 / (sigma_m * np.maximum(residual_m, sigma_m))
    roll, depth = turn / abs(turn), 1 / abs(turn)
    about_axis = np.array([[roll.real, -roll.imag, 0], [roll.imag, roll.real, 0], [0, 0, 1]])
    shift = middle_seen - turn * middle_flat
    rotation = about_axis @ rotation
    centre = np.array([shift.real * depth, shift.imag * depth, depth])
    return make_transform(rotation, centre - rotation @ view.centre_m)


def refine_pose(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
                pose: np.ndarray, view: ViewDirection | None = None, points_an_error: float = 1.0,
                iterations: int = 12) -> Solution | None:
    """Gauss-Newton on the reprojection error, weighted by the points' variances and a Cauchy kernel.

    :return: None when the pose is not determined by the points or the iteration moves it behind the camera
    """
    view = NO_VIEW if view is None else view
    points, pixels = np.ascontiguousarray(points, float), np.ascontiguousarray(pixels, float)
    pose, squared = _descend(points, pixels, sigma_m, matrix, pose, view, float(points_an_error),
                             iterations)
    inliers = squared < 9.0
    if not np.isfinite(pose).all() or not inliers.any():
        return None
    # the kernel's weights would overestimate the covariance: use the inliers with their own variances
    seen, jacobian, depth = reproject(points[inliers], pose, matrix)
    rows = (jacobian * (depth / (sigma_m[inliers] * matrix[0, 0]))[:, None, None]).reshape(-1, 6)
    information = rows.T @ rows / points_an_error + _of_view(view, pose).information
    if not (np.isfinite(information).all() and np.linalg.cond(information) <= 1e14):
        return None
    residual_px = float(np.sqrt(np.mean((pixels[inliers] - seen) ** 2)))
    return Solution(pose, np.linalg.inv(information), float(inliers.mean()), residual_px)


@compiled
def _descend(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray, pose: np.ndarray,
             view: ViewDirection, points_an_error: float, iterations: int) -> tuple:
    """The pose after Gauss-Newton, NaN if it failed; (N,) squared residuals in standard deviations."""
    for _ in range(iterations):
        of_points, squared, nearest_m = _of_points(points, pixels, sigma_m, matrix, pose)
        of_view = _of_view(view, pose)
        information = of_points.information + points_an_error * of_view.information
        if not (nearest_m > LEAST_DEPTH_M and np.isfinite(information).all()
                and abs(np.linalg.det(information / np.trace(information))) > 0):
            return np.full((4, 4), np.nan), squared
        step = np.linalg.solve(information, of_points.gradient + points_an_error * of_view.gradient)
        pose = moved(pose, step)
        if (np.sqrt(np.sum(step[:3] ** 2)) < SMALL_STEP * pose[2, 3]
                and np.sqrt(np.sum(step[3:] ** 2)) < SMALL_STEP):
            break
    return pose, squared


@compiled
def _of_points(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
               pose: np.ndarray) -> tuple:
    """Normal equations of the points with a Cauchy kernel; (N,) squared residuals in standard deviations; the
    smallest depth.
    """
    seen, jacobian, depth = reproject(points, pose, matrix)
    equations, squared = no_equations(6), np.empty(len(points))
    for i in range(len(points)):
        variance = (sigma_m[i] * matrix[0, 0] / depth[i]) ** 2
        residual_u, residual_v = pixels[i, 0] - seen[i, 0], pixels[i, 1] - seen[i, 1]
        squared[i] = (residual_u ** 2 + residual_v ** 2) / variance
        weight = 1 / (variance * (1 + squared[i] / CAUCHY ** 2))
        add_residual(equations, jacobian[i, 0], residual_u, weight)
        add_residual(equations, jacobian[i, 1], residual_v, weight)
    return equations, squared, depth.min()


@compiled
def _of_view(view: ViewDirection, pose: np.ndarray) -> Equations:
    """Normal equations of the view direction by the object's rotation, with a Cauchy kernel."""
    rotation = np.ascontiguousarray(pose[:3, :3])
    turned, centre = rotation @ view.direction, rotation @ view.centre_m + pose[:3, 3]
    residual = -centre / np.sqrt(np.sum(centre ** 2)) - turned
    weight = 1 / (view.sigma_rad ** 2 * (1 + np.sum(residual ** 2) / (CAUCHY * view.sigma_rad) ** 2))
    rows = np.zeros((3, 6))
    for axis in range(3):
        rows[:, 3 + axis] = np.cross(np.eye(3)[axis], turned)
    equations = no_equations(6)
    for k in range(3):
        add_residual(equations, rows[k], residual[k], weight)
    return equations


def pose_covariance(points: np.ndarray, pixels: np.ndarray, pose: np.ndarray, matrix: np.ndarray,
                    least_sigma_px: float) -> np.ndarray:
    """Covariance (6, 6) of a least-squares pose in the camera frame, in the convention of ``transforms.perturb``.

    To first order sigma² (JᵀJ)⁻¹, where J is the derivative of the pixels by the perturbation (Hartley and
    Zisserman, Multiple View Geometry, 5.2.4) and sigma the standard deviation of the residuals.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) their undistorted image positions
    :param pose: (4, 4) camera_from_object
    :param matrix: (3, 3) pinhole matrix, pixels
    :param least_sigma_px: lower bound of sigma
    """
    seen, jacobian, _ = reproject(points, pose, matrix)
    jacobian = jacobian.reshape(-1, 6)
    freedom = max(pixels.size - 6, 1)
    variance = max(float(np.sum((pixels - seen) ** 2)) / freedom, least_sigma_px ** 2)
    return variance * np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
