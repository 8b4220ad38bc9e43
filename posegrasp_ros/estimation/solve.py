"""From 2D-3D correspondences to a pose, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.geometry import make_transform, perturb

RANSAC_ITERATIONS = 60
RANSAC_PX = 4.0
CAUCHY = 2.0
"""Residuals beyond this many sigma count less and less."""
MIN_POINTS = 6


@dataclass
class Solution:
    """A pose with the figures that tell how far to trust it.

    :param pose: (4, 4) camera_from_object
    :param covariance: (6, 6), see :func:`posegrasp_ros.geometry.perturb`, as if residuals were independent
    :param inlier_share: share of the points whose residual is within three sigma
    :param residual_px: root mean square reprojection error of those, pixels
    """

    pose: np.ndarray
    covariance: np.ndarray
    inlier_share: float
    residual_px: float


def solve_pose(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray) -> Solution | None:
    """Pose from many correspondences of known spread, some of them wrong.

    RANSAC with EPnP finds a start, then Gauss-Newton with Cauchy weights uses every point.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) where they were seen, without distortion
    :param sigma_m: (N,) standard deviation of each point
    :param matrix: (3, 3) pinhole matrix, pixels
    :return: None when there are too few points or no pose explains them
    """
    if len(points) < MIN_POINTS:
        return None
    cv2.setRNGSeed(0)  # the same image gets the same answer
    found, rotation, translation, _ = cv2.solvePnPRansac(
        points, pixels, matrix, None, iterationsCount=RANSAC_ITERATIONS, reprojectionError=RANSAC_PX,
        confidence=0.999, flags=cv2.SOLVEPNP_EPNP)
    if not found or not np.isfinite(translation).all() or translation[2, 0] <= 0:
        return None
    start = make_transform(cv2.Rodrigues(rotation)[0], translation.ravel())
    return refine_pose(points, pixels, sigma_m, matrix, start)


def refine_pose(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
                pose: np.ndarray, iterations: int = 12) -> Solution | None:
    """Gauss-Newton on the reprojection error, each point weighed by its spread and by a Cauchy kernel.

    :return: None when the points leave the pose undetermined or the descent leaves the room before the camera
    """
    for _ in range(iterations):
        seen, jacobian, depth = reproject(points, pose, matrix)
        if not (depth > 1e-3).all():
            return None
        sigma_px = sigma_m * matrix[0, 0] / depth
        residual = pixels - seen
        squared = np.sum(residual ** 2, axis=1) / sigma_px ** 2
        weight = 1 / (sigma_px ** 2 * (1 + squared / CAUCHY ** 2))
        rows = jacobian.reshape(-1, 6)
        weighted = rows * np.repeat(weight, 2)[:, None]
        information = weighted.T @ rows
        try:
            step = np.linalg.solve(information, weighted.T @ residual.ravel())
        except np.linalg.LinAlgError:
            return None
        pose = perturb(pose, step)
        if np.linalg.norm(step) < 1e-5:
            break
    inliers = squared < 9.0
    if not np.isfinite(pose).all() or not inliers.any() or np.linalg.cond(information) > 1e14:
        return None
    # the kernel's weights would make every covariance too wide: it counts what fits, at its own spread
    rows = (jacobian[inliers] / sigma_px[inliers, None, None]).reshape(-1, 6)
    residual_px = float(np.sqrt(np.mean(residual[inliers] ** 2)))
    return Solution(pose, np.linalg.pinv(rows.T @ rows, hermitian=True), float(inliers.mean()), residual_px)


def reproject(points: np.ndarray, pose: np.ndarray, matrix: np.ndarray):
    """Where points are seen, and how that changes with the pose.

    :return: (N, 2) pixels; (N, 2, 6) their derivative by the disturbance of ``geometry.perturb``; (N,) depths
    """
    turned = points @ pose[:3, :3].T
    a, b, c = turned.T
    x, y, z = (turned + pose[:3, 3]).T
    focal_u, focal_v = matrix[0, 0] / z, matrix[1, 1] / z
    u, v = x / z, y / z
    jacobian = np.zeros((len(points), 2, 6))
    jacobian[:, 0, 0], jacobian[:, 0, 2] = focal_u, -focal_u * u
    jacobian[:, 1, 1], jacobian[:, 1, 2] = focal_v, -focal_v * v
    # a turn by d about the camera's axes moves a point by d x (R p), R p = (a, b, c)
    jacobian[:, 0, 3], jacobian[:, 0, 4], jacobian[:, 0, 5] = -focal_u * u * b, focal_u * (c + u * a), -focal_u * b
    jacobian[:, 1, 3], jacobian[:, 1, 4], jacobian[:, 1, 5] = -focal_v * (c + v * b), focal_v * v * a, focal_v * a
    seen = np.column_stack([u, v, np.ones_like(z)]) @ matrix[:2].T
    return seen, jacobian, z


def pose_covariance(points: np.ndarray, pixels: np.ndarray, pose: np.ndarray, matrix: np.ndarray,
                    least_sigma_px: float) -> np.ndarray:
    """Covariance (6, 6) of a least-squares pose, in the camera frame, as ``geometry.perturb`` disturbs it.

    To first order sigma² (JᵀJ)⁻¹, J being the derivative of the pixels by the disturbance (Hartley and
    Zisserman, Multiple View Geometry, 5.2.4) and sigma the residuals' own spread.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) where they were seen, without distortion
    :param pose: (4, 4) camera_from_object
    :param matrix: (3, 3) pinhole matrix, pixels
    :param least_sigma_px: sigma is at least this, however well the pose fits
    """
    seen, jacobian, _ = reproject(points, pose, matrix)
    jacobian = jacobian.reshape(-1, 6)
    freedom = max(pixels.size - 6, 1)
    variance = max(float(np.sum((pixels - seen) ** 2)) / freedom, least_sigma_px ** 2)
    return variance * np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
