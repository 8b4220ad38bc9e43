# SPDX-License-Identifier: Apache-2.0
"""PlanePose: where a plane with known points is, from their pixels; points that do not fit are left out."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.geometry.transforms import make_transform, rotation_angle

FEWEST_CORNERS = 8
LEAST_SIGMA_PX = 0.2
"""Lower bound of the standard deviation of a corner: few corners may fit better than they are."""
HOMOGRAPHY_PX = 4.0
OUTLIER_SIGMAS = 4.0
# Median length of a normal vector of the plane, in standard deviations of its coordinates.
MEDIAN_OF_DISTANCE = 1.1774
LARGEST_RESIDUAL_PX = 1.0
LARGEST_RESIDUAL_MM = 1.5
"""On the board: what paper that is not flat explains. The larger of the two counts."""
AMBIGUOUS = 1.3
"""Two mirrored poses of a plane fit alike where the residual of one is less than this times the other's."""
DIFFERENT_RAD = np.radians(3.0)


class NotSeen(Exception):
    """No pose of a board or another target in an image.

    :param reason: one word: ``no_board``, ``few_corners``, ``large_residual`` or ``ambiguous``, of an object that
        of its estimator, or why its image cannot be used
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


class PlanePose(NamedTuple):
    """Pose of a plane.

    :param camera_from_plane: (4, 4)
    :param points_m: (N, 3) that fit, frame of the plane
    :param pixels: (N, 2) of them, undistorted
    :param residual_px: root mean square reprojection error
    """

    camera_from_plane: np.ndarray
    points_m: np.ndarray
    pixels: np.ndarray
    residual_px: float


def plane_pose(points_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray, spacing_m: float,
               fewest: int = FEWEST_CORNERS) -> PlanePose:
    """The pose from points (N, 3) of a plane and their undistorted pixels (N, 2).

    Points that a hand, an object's edge or a reflection moved are left out.

    :param matrix: (3, 3) pinhole matrix, pixels
    :param spacing_m: between neighbouring points
    :raises NotSeen: saying why there is none
    """
    kept = _on_a_plane(points_m, pixels, spacing_m, fewest)
    points_m, pixels = points_m[kept], pixels[kept]
    pose = _best_of_two(points_m, pixels, matrix)
    for _ in range(3):
        errors = np.linalg.norm(reproject(points_m, pose, matrix)[0] - pixels, axis=1)
        sigma = max(float(np.median(errors)) / MEDIAN_OF_DISTANCE, LEAST_SIGMA_PX)
        fits = errors <= OUTLIER_SIGMAS * sigma
        if fits.all():
            break
        points_m, pixels = points_m[fits], pixels[fits]
        _check_spread(points_m, spacing_m, fewest)
        pose = _refined(points_m, pixels, matrix, pose)
    residual_px = float(np.sqrt(np.mean((reproject(points_m, pose, matrix)[0] - pixels) ** 2)))
    largest_px = max(LARGEST_RESIDUAL_PX, LARGEST_RESIDUAL_MM / 1000 * matrix[0, 0] / pose[2, 3])
    if not residual_px <= largest_px:
        raise NotSeen('large_residual', f'the corners fit the board to {residual_px:.1f} px, expected '
                                            f'{largest_px:.1f}')
    return PlanePose(pose, points_m, pixels, residual_px)


def _on_a_plane(points_m: np.ndarray, pixels: np.ndarray, spacing_m: float, fewest: int) -> np.ndarray:
    """(N,) bool: points that one homography explains.

    :raises NotSeen: when they are too few, or lie on a line
    """
    _check_spread(points_m, spacing_m, fewest)
    homography, inliers = cv2.findHomography(points_m[:, :2], pixels, cv2.RANSAC, HOMOGRAPHY_PX)
    if homography is None:
        raise NotSeen('few_corners', 'the corners are not in one plane')
    kept = inliers.ravel().astype(bool)
    _check_spread(points_m[kept], spacing_m, fewest)
    return kept


def _check_spread(points_m: np.ndarray, spacing_m: float, fewest: int) -> None:
    if len(points_m) < fewest:
        raise NotSeen('few_corners', f'{len(points_m)} corners of the board were found, expected {fewest}')
    spread = np.linalg.svd(points_m - points_m.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(points_m))
    if not spread > spacing_m / 3:
        raise NotSeen('few_corners', 'the corners that were found lie on a line')


def _best_of_two(corners_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The better of the two mirrored poses of a plane, refined.

    :raises NotSeen: when the image does not tell which
    """
    count, rotations, shifts, _ = cv2.solvePnPGeneric(corners_m, pixels, matrix, None, flags=cv2.SOLVEPNP_IPPE)
    poses = [_refined(corners_m, pixels, matrix, make_transform(cv2.Rodrigues(rotation)[0], shift.ravel()))
             for rotation, shift in zip(rotations[:count], shifts[:count])]
    poses = [pose for pose in poses if np.isfinite(pose).all() and pose[2, 3] > 0]
    if not poses:
        raise NotSeen('few_corners', 'no pose fits the corners')
    errors = [float(np.sqrt(np.mean((reproject(corners_m, pose, matrix)[0] - pixels) ** 2))) for pose in poses]
    order = np.argsort(errors)
    best = poses[order[0]]
    if len(poses) > 1:
        other = poses[order[1]]
        differ = rotation_angle(other[:3, :3].T @ best[:3, :3]) > DIFFERENT_RAD
        if differ and errors[order[1]] < AMBIGUOUS * max(errors[order[0]], LEAST_SIGMA_PX):
            raise NotSeen('ambiguous', 'two tilts of the board fit the corners equally well: go nearer or view '
                                       'it more obliquely')
    return best


def _refined(corners_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The pose (4, 4) of least squared reprojection error near another, by Levenberg-Marquardt."""
    turn, shift = cv2.solvePnPRefineLM(corners_m, pixels, matrix, None, cv2.Rodrigues(pose[:3, :3])[0],
                                       pose[:3, 3].reshape(3, 1).copy())
    return make_transform(cv2.Rodrigues(turn)[0], shift.ravel())
