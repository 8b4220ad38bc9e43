# SPDX-License-Identifier: Apache-2.0
"""BoardPose: where a board is in an image, from its corners; and what its paper adds to the uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from posegrasp_ros.board.board_file import BoardFile
from posegrasp_ros.board.plane_pose import LEAST_SIGMA_PX, NotSeen, plane_pose
from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.solve import pose_covariance
from posegrasp_ros.geometry.camera import Camera

PAPER_LENGTH = 0.4
"""Over this share of a sheet's diagonal the height of the paper changes."""


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
        :raises NotSeen: saying why there is none
        """
        numbers, pixels = self._corners(image)
        pixels = camera.undistorted(pixels)
        is_known = np.isfinite(pixels).all(axis=1)
        return self.solve(self._pattern.corners_m[numbers[is_known]], pixels[is_known], camera.matrix)

    def _corners(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (N,) and pixels (N, 2) of the corners whose four squares are printed."""
        pixels, numbers, _, markers = self._detector.detectBoard(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        if markers is None or not len(markers):
            raise NotSeen('no_board', 'no marker of the board was found')
        if numbers is None:
            return np.zeros(0, dtype=int), np.zeros((0, 2))
        numbers, pixels = numbers.ravel(), pixels.reshape(-1, 2).astype(float)
        is_usable = self._pattern.is_usable[numbers]
        return numbers[is_usable], pixels[is_usable]

    def solve(self, corners_m: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> BoardPose:
        """The pose from corners (N, 3) of the board and their undistorted pixels (N, 2).

        Corners that a hand, the object's edge or a reflection moved are left out.

        :param matrix: (3, 3) pinhole matrix, pixels
        :raises NotSeen: saying why there is none
        """
        plane = plane_pose(corners_m, pixels, matrix, self._pattern.square_m)
        pose, corners_m, pixels = plane.camera_from_plane, plane.points_m, plane.pixels
        covariance = pose_covariance(corners_m, pixels, pose, matrix, LEAST_SIGMA_PX)
        moves = _by_corners(corners_m, pose, matrix)
        covariance = covariance + self._of_paper(corners_m, moves) + self._of_joints(corners_m, moves)
        return BoardPose(pose, covariance, np.einsum('kni,ni->k', moves, corners_m), plane.residual_px,
                         len(corners_m))

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


def _by_corners(corners_m: np.ndarray, pose: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(6, N, 3) change of the least-squares pose by a shift of each corner on the board, board frame."""
    _, jacobian, _ = reproject(corners_m, pose, matrix)
    rows = jacobian.reshape(-1, 6)
    solver = np.linalg.pinv(rows).reshape(6, -1, 2)
    # The derivative by the camera's translation is that by the point in the camera's frame.
    by_corner = jacobian[:, :, :3] @ pose[:3, :3]
    return np.einsum('knp,npi->kni', solver, by_corner)
