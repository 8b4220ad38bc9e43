"""BoardPose: where a board is in an image, from its corners; and what its paper adds to the uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from posegrasp_ros.board.board_file import BoardFile
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.solve import pose_covariance
from posegrasp_ros.geometry.camera import Camera
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
PAPER_LENGTH = 0.4
"""Over this share of a sheet's diagonal the height of the paper changes."""


class NoBoardPose(Exception):
    """No pose of the board in an image.

    :param reason: one word: ``no_board``, ``few_corners``, ``large_residual`` or ``ambiguous``
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class BoardPose:
    """Pose of a board.

    :param camera_from_board: (4, 4)
    :param covariance: (6, 6) of the corners as seen and of the paper's height and joints, without its scale
    :param per_scale: (6,) change of the pose by the relative error of the print's scale
    :param residual_px: root mean square reprojection error
    :param corners: how many
    """

    camera_from_board: np.ndarray
    covariance: np.ndarray
    per_scale: np.ndarray
    residual_px: float
    corners: int


class BoardFinder:
    """Finds one board in images.

    :raises posegrasp_ros.board.charuco_pattern.PatternError: when OpenCV cannot
    """

    def __init__(self, board: BoardFile):
        self._board, self._pattern = board, board.pattern
        self._detector: Any = self._pattern.detector()

    def find(self, image: np.ndarray, camera: Camera) -> BoardPose:
        """The board's pose.

        :param image: (H, W, 3) uint8 blue green red
        :raises NoBoardPose: saying why there is none
        """
        numbers, pixels = self._corners(image)
        pixels = camera.undistorted(pixels)
        is_known = np.isfinite(pixels).all(axis=1)
        return self.solve(self._pattern.corners_m[numbers[is_known]], pixels[is_known], camera.matrix)

    def _corners(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (N,) and pixels (N, 2) of the corners whose four squares are printed."""
        pixels, numbers, _, markers = self._detector.detectBoard(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        if markers is None or not len(markers):
            raise NoBoardPose('no_board', 'no marker of the board was found')
        if numbers is None:
            return np.zeros(0, dtype=int), np.zeros((0, 2))
        numbers, pixels = numbers.ravel(), pixels.reshape(-1, 2).astype(float)
        is_usable = self._pattern.is_usable[numbers]
        return numbers[is_usable], pixels[is_usable]

    def solve(self, corners_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> BoardPose:
        """The pose from corners (N, 3) of the board and their undistorted pixels (N, 2).

        Corners that a hand, the object's edge or a reflection moved are left out.

        :param matrix: (3, 3) pinhole matrix, pixels
        :raises NoBoardPose: saying why there is none
        """
        kept = self._on_a_plane(corners_m, pixels)
        corners_m, pixels = corners_m[kept], pixels[kept]
        pose = _best_of_two(corners_m, pixels, matrix)
        for _ in range(3):
            errors = np.linalg.norm(reproject(corners_m, pose, matrix)[0] - pixels, axis=1)
            sigma = max(float(np.median(errors)) / MEDIAN_OF_DISTANCE, LEAST_SIGMA_PX)
            fits = errors <= OUTLIER_SIGMAS * sigma
            if fits.all():
                break
            corners_m, pixels = corners_m[fits], pixels[fits]
            self._check_spread(corners_m)
            pose = _refined(corners_m, pixels, matrix, pose)
        residual_px = float(np.sqrt(np.mean((reproject(corners_m, pose, matrix)[0] - pixels) ** 2)))
        largest_px = max(LARGEST_RESIDUAL_PX, LARGEST_RESIDUAL_MM / 1000 * matrix[0, 0] / pose[2, 3])
        if not residual_px <= largest_px:
            raise NoBoardPose('large_residual', f'the corners fit the board to {residual_px:.1f} px, expected '
                                                f'{largest_px:.1f}')
        covariance = pose_covariance(corners_m, pixels, pose, matrix, LEAST_SIGMA_PX)
        moves = _by_corners(corners_m, pose, matrix)
        covariance = covariance + self._of_paper(corners_m, moves) + self._of_joints(corners_m, moves)
        return BoardPose(pose, covariance, np.einsum('kni,ni->k', moves, corners_m), residual_px, len(corners_m))

    def _on_a_plane(self, corners_m: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """(N,) bool: corners that one homography explains.

        :raises NoBoardPose: when they are too few, or lie on a line
        """
        self._check_spread(corners_m)
        homography, inliers = cv2.findHomography(corners_m[:, :2], pixels, cv2.RANSAC, HOMOGRAPHY_PX)
        if homography is None:
            raise NoBoardPose('few_corners', 'the corners are on no common plane')
        kept = inliers.ravel().astype(bool)
        self._check_spread(corners_m[kept])
        return kept

    def _check_spread(self, corners_m: np.ndarray) -> None:
        if len(corners_m) < FEWEST_CORNERS:
            raise NoBoardPose('few_corners', f'{len(corners_m)} corners of the board were found, expected '
                                             f'{FEWEST_CORNERS}')
        spread = np.linalg.svd(corners_m - corners_m.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(corners_m))
        if not spread > self._pattern.square_m / 3:
            raise NoBoardPose('few_corners', 'the corners that were found lie on a line')

    def _of_paper(self, corners_m: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """(6, 6) of paper that is not flat: its height is a smooth random field, zero where the object stands."""
        width_m, height_m = self._pattern.size_m
        across, down = self._board.sheets
        length = PAPER_LENGTH * float(np.hypot(width_m / across, height_m / down))
        places = np.vstack([self._board.outline_centre, corners_m])
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        field = np.exp(-0.5 * (apart / length) ** 2)
        heights = field[1:, 1:] - np.outer(field[1:, 0], field[0, 1:])
        by_height = moves[:, :, 2]
        return (self._board.sigmas.paper_mm / 1000) ** 2 * by_height @ heights @ by_height.T

    def _of_joints(self, corners_m: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """(6, 6) of sheets that are not joined exactly, each against the one that the object stands on."""
        sheets = self._board.sheet_of(corners_m)
        own = self._board.sheet_of(self._board.outline_centre[None])[0]
        shifts = [moves[:, sheets == sheet].sum(axis=1)[:, :2] for sheet in np.unique(sheets) if sheet != own]
        total = sum((shift @ shift.T for shift in shifts), np.zeros((6, 6)))
        return (self._board.sigmas.join_mm / 1000) ** 2 * total


def _best_of_two(corners_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The better of the two mirrored poses of a plane, refined.

    :raises NoBoardPose: when the image does not tell which
    """
    count, rotations, shifts, _ = cv2.solvePnPGeneric(corners_m, pixels, matrix, None, flags=cv2.SOLVEPNP_IPPE)
    poses = [_refined(corners_m, pixels, matrix, make_transform(cv2.Rodrigues(rotation)[0], shift.ravel()))
             for rotation, shift in zip(rotations[:count], shifts[:count])]
    poses = [pose for pose in poses if np.isfinite(pose).all() and pose[2, 3] > 0]
    if not poses:
        raise NoBoardPose('few_corners', 'no pose fits the corners')
    errors = [float(np.sqrt(np.mean((reproject(corners_m, pose, matrix)[0] - pixels) ** 2))) for pose in poses]
    order = np.argsort(errors)
    best = poses[order[0]]
    if len(poses) > 1:
        other = poses[order[1]]
        differ = rotation_angle(other[:3, :3].T @ best[:3, :3]) > DIFFERENT_RAD
        if differ and errors[order[1]] < AMBIGUOUS * max(errors[order[0]], LEAST_SIGMA_PX):
            raise NoBoardPose('ambiguous', 'two tilts of the board fit the corners alike: go nearer or look from '
                                           'farther aside')
    return best


def _refined(corners_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The pose (4, 4) of least squared reprojection error near another, by Levenberg-Marquardt."""
    turn, shift = cv2.solvePnPRefineLM(corners_m, pixels, matrix, None, cv2.Rodrigues(pose[:3, :3])[0],
                                       pose[:3, 3].reshape(3, 1).copy())
    return make_transform(cv2.Rodrigues(turn)[0], shift.ravel())


def _by_corners(corners_m: np.ndarray, pose: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(6, N, 3) change of the least-squares pose by a shift of each corner on the board, board frame."""
    _, jacobian, _ = reproject(corners_m, pose, matrix)
    rows = jacobian.reshape(-1, 6)
    solver = np.linalg.pinv(rows).reshape(6, -1, 2)
    # The derivative by the camera's translation is that by the point in the camera's frame.
    by_corner = jacobian[:, :, :3] @ pose[:3, :3]
    return np.einsum('knp,npi->kni', solver, by_corner)
