# SPDX-License-Identifier: Apache-2.0
"""ChArUco boards: of posegrasp board, or any other by its measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from posegrasp_ros.board.board_file import load_board
from posegrasp_ros.board.board_pose import BoardFinder
from posegrasp_ros.board.charuco_pattern import dictionary_of
from posegrasp_ros.board.plane_pose import FEWEST_CORNERS, NotSeen
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.handeye.targets.target import (
    SeenTarget,
    TargetError,
    grid_of,
    length_of,
    parts_of,
    seen_plane,
)
from posegrasp_ros.runtime.errors import quoted

FORM = 'charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM[:DICTIONARY]'
DEFAULT_DICTIONARY = 'DICT_4X4_250'


class PrintedBoard:
    """The board that ``posegrasp board`` draws, without or with its object.

    :param path: its YAML file
    """

    def __init__(self, path: Path):
        self._board = load_board(path)
        self._finder = BoardFinder(self._board)
        self.size_m = 3 * self._board.pattern.square_m

    def __str__(self) -> str:
        return f'printed board of {self._board.object}'

    def find(self, image: np.ndarray, camera: Camera) -> SeenTarget:
        """Where it is, with the errors of its paper and scale."""
        seen = self._finder.find(image, camera)
        of_scale = (self._board.scale_sigma / self._board.scale) ** 2 * np.outer(seen.per_scale, seen.per_scale)
        return SeenTarget(seen.camera_from_board, seen.covariance + of_scale)


class Charuco:
    """A ChArUco board; its frame is OpenCV's, with the origin at the first chessboard corner's square.

    :param text: see :data:`FORM`
    :raises TargetError: when it describes no board
    """

    def __init__(self, text: str):
        grid, square, marker, *rest = parts_of(text, FORM, range(3, 5))
        self._text, size = text, grid_of(grid, FORM)
        self.square_m = length_of(square, FORM)
        name = rest[0] if rest else DEFAULT_DICTIONARY
        if not (name.startswith('DICT_') and hasattr(cv2.aruco, name)):
            raise TargetError(f'--target: expected a dictionary of OpenCV such as {DEFAULT_DICTIONARY} or '
                              f'DICT_5X5_100, got {quoted(name)}')
        dictionary = dictionary_of(name)
        if not length_of(marker, FORM) < self.square_m:
            raise TargetError(f'--target: expected markers smaller than their squares, got {quoted(text)}')
        board = cv2.aruco.CharucoBoard(size, self.square_m, length_of(marker, FORM), dictionary)
        self._corners_m = np.asarray(board.getChessboardCorners(), dtype=float)
        self._detector: Any = cv2.aruco.CharucoDetector(board)
        self.size_m = 3 * self.square_m

    def __str__(self) -> str:
        return self._text

    def find(self, image: np.ndarray, camera: Camera) -> SeenTarget:
        """Where it is."""
        pixels, numbers, _, markers = self._detector.detectBoard(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        if markers is None or not len(markers):
            raise NotSeen('no_board', 'no marker of the board was found')
        if numbers is None:
            raise NotSeen('few_corners', 'no corner of the board was found')
        return seen_plane(self._corners_m[numbers.ravel()], pixels.reshape(-1, 2).astype(float), camera,
                          self.square_m, FEWEST_CORNERS)
