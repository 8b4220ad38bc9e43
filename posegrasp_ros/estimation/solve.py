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
SIMILARITY_ITERATIONS = 5
SMALL_STEP = 1e-4
"""Of the distance and in radians: far below what the correspondences tell."""


@dataclass
class Solution:
    """A pose with the figures that tell how far to trust it.

    :param pose: (4, 4) camera_from_object
    :param covariance: (6, 6), see :func:`posegrasp_ros.geometry.perturb`
    :param inlier_share: share of the points whose residual is within three sigma
    :param residual_px: root mean square reprojection error of those, pixels
    """

    pose: np.ndarray
    covariance: np.ndarray
    inlier_share: float
    residual_px: float


@dataclass(frozen=True)
class View:
    """From where the object is seen, read from the image as a whole.

    Points that lie in one plane hardly tell how it is tilted: two poses, mirrored about the line of sight, explain
    them nearly alike. Where the camera is, seen from the object, tells the two apart.

    :param centre_m: (3,) of the object, object frame
    :param direction: (3,) unit vector from there to the camera, object frame
    :param sigma_rad: its standard deviation along each axis
    """

    centre_m: np.ndarray
    direction: np.ndarray
    sigma_rad: float


def solve_pose(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
               view: View | None = None, points_an_error: float = 1.0) -> Solution | None:
    """Pose from many correspondences of known spread, some of them wrong.

    A first pose comes from the view, or without one from RANSAC with EPnP; then Gauss-Newton with Cauchy weights
    uses every point.

    :param points: (N, 3) object frame, metres
    :param pixels: (N, 2) where they were seen, without distortion
    :param sigma_m: (N,) standard deviation of each point
    :param matrix: (3, 3) pinhole matrix, pixels
    :param points_an_error: how many points share one error; 1 when each errs by itself
    :return: None when there are too few points or no pose explains them
    """
    if len(points) < MIN_POINTS:
        return None
    start = _start_by_ransac(points, pixels, matrix) if view is None else _start_by_view(
        points, pixels, sigma_m, matrix, view)
    return None if start is None else refine_pose(
        points, pixels, sigma_m, matrix, start, view, points_an_error)


def _start_by_ransac(points: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
    cv2.setRNGSeed(0)  # the same image gets the same answer
    found, rotation, translation, _ = cv2.solvePnPRansac(
        points, pixels, matrix, None, iterationsCount=RANSAC_ITERATIONS, reprojectionError=RANSAC_PX,
        confidence=0.999, flags=cv2.SOLVEPNP_EPNP)
    if not found or not np.isfinite(translation).all() or translation[2, 0] <= 0:
        return None
    return make_transform(cv2.Rodrigues(rotation)[0], translation.ravel())


def _start_by_view(points: np.ndarray, pixels: np.ndarray, sigma_m: np.ndarray, matrix: np.ndarray,
                   view: View) -> np.ndarray | None:
    """Pose under weak perspective: with the view known, only a similarity in the image is left to find.

    In complex numbers, pixel = a * point + b, and the argument of a is the roll; weights 1 / residual make the fit
    one of least absolute deviations, which bears wrong points.
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
                pose: np.ndarray, view: View | None = None, points_an_error: float = 1.0,
                iterations: int = 12) -> Solution | None:
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
        information, gradient = weighted.T @ rows, weighted.T @ residual.ravel()
        if view is not None:
            of_view, pull = _view_term(view, pose)
            information, gradient = information + points_an_error * of_view, gradient + points_an_error * pull
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
        pose = perturb(pose, step)
        if np.linalg.norm(step[:3]) < SMALL_STEP * pose[2, 3] and np.linalg.norm(step[3:]) < SMALL_STEP:
            break
    inliers = squared < 9.0
    if not np.isfinite(pose).all() or not inliers.any():
        return None
    # the kernel's weights would make every covariance too wide: it counts what fits, at its own spread
    rows = (jacobian[inliers] / sigma_px[inliers, None, None]).reshape(-1, 6)
    information = rows.T @ rows / points_an_error
    if view is not None:
        information = information + _view_term(view, pose)[0]
    if np.linalg.cond(information) > 1e14:
        return None
    residual_px = float(np.sqrt(np.mean(residual[inliers] ** 2)))
    return Solution(pose, np.linalg.inv(information), float(inliers.mean()), residual_px)


def _view_term(view: View, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(6, 6) information and (6,) gradient of the view, with a Cauchy kernel, as the object turns."""
    turned = pose[:3, :3] @ view.direction
    centre = pose[:3, :3] @ view.centre_m + pose[:3, 3]
    residual = -centre / np.linalg.norm(centre) - turned
    x, y, z = turned
    rows = np.zeros((3, 6))
    rows[:, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]  # d x turned, by d
    weight = 1 / (view.sigma_rad ** 2 * (1 + residual @ residual / (CAUCHY * view.sigma_rad) ** 2))
    return weight * rows.T @ rows, weight * rows.T @ residual


def reproject(points: np.ndarray, pose: np.ndarray, matrix: np.ndarray):
    """Where points are seen, and how that changes with the pose; leading dimensions are as many poses.

    :param points: (..., N, 3) object frame, metres
    :param pose: (..., 4, 4)
    :return: (..., N, 2) pixels; (..., N, 2, 6) their derivative by the disturbance of ``geometry.perturb``;
        (..., N) depths
    """
    turned = points @ np.swapaxes(pose[..., :3, :3], -1, -2)
    a, b, c = np.moveaxis(turned, -1, 0)
    x, y, z = np.moveaxis(turned + pose[..., None, :3, 3], -1, 0)
    focal_u, focal_v = matrix[0, 0] / z, matrix[1, 1] / z
    u, v = x / z, y / z
    jacobian = np.zeros((*z.shape, 2, 6))
    # a turn by d about the camera's axes moves a point by d x (R p), R p = (a, b, c)
    for column, values in enumerate((focal_u, 0.0, -focal_u * u, -focal_u * u * b, focal_u * (c + u * a),
                                     -focal_u * b)):
        jacobian[..., 0, column] = values
    for column, values in enumerate((0.0, focal_v, -focal_v * v, -focal_v * (c + v * b), focal_v * v * a,
                                     focal_v * a)):
        jacobian[..., 1, column] = values
    seen = np.empty((*z.shape, 2))
    seen[..., 0] = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2]
    seen[..., 1] = matrix[1, 1] * v + matrix[1, 2]
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
