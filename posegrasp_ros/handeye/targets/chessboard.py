# SPDX-License-Identifier: Apache-2.0
"""Chessboards without markers."""

from __future__ import annotations

import cv2
import numpy as np

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

FORM = 'chessboard:COLUMNSxROWS:SQUARE_MM'


class Chessboard:
    """A chessboard of COLUMNS x ROWS squares, one count odd and one even: else half a turn leaves it the same.

    Its origin is the inner corner at the black corner square, x along the columns.

    :param text: see :data:`FORM`
    :raises TargetError: when it describes no board whose orientation is seen
    """

    def __init__(self, text: str):
        grid, square = parts_of(text, FORM, range(2, 3))
        columns, rows = grid_of(grid, FORM)
        if (columns + rows) % 2 == 0:
            raise TargetError(f'--target: expected a chessboard with an odd and an even number of squares, got '
                              f'{columns}x{rows}, which looks the same after half a turn; COLUMNSxROWS counts '
                              'squares, not inner corners')
        self._text, self._inner, self._square_m = text, (columns - 1, rows - 1), length_of(square, FORM)
        x, y = np.meshgrid(np.arange(columns - 1), np.arange(rows - 1))
        self._corners_m = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)]) * self._square_m
        self.size_m = 3 * self._square_m

    def __str__(self) -> str:
        return self._text

    def find(self, image: np.ndarray, camera: Camera) -> SeenTarget:
        """Where it is; all inner corners must be in view."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found, corners = cv2.findChessboardCornersSB(grey, self._inner)
        if not found:
            across, down = self._inner
            raise NotSeen('no_board', f'no chessboard of {across}x{down} inner corners was found')
        pixels = corners.reshape(-1, 2).astype(float)
        if self._is_turned(grey, pixels):
            pixels = pixels[::-1]
        return seen_plane(self._corners_m, pixels, camera, self._square_m, FEWEST_CORNERS)

    def _is_turned(self, grey: np.ndarray, pixels: np.ndarray) -> bool:
        """Whether the first square between four corners is white; it has the colour of the corner square."""
        columns, rows = self._inner
        grid = pixels.reshape(rows, columns, 2)

        def brightness(row: int, column: int) -> float:
            u, v = np.rint(grid[row:row + 2, column:column + 2].mean(axis=(0, 1))).astype(int)
            return float(grey[max(v - 1, 0):v + 2, max(u - 1, 0):u + 2].mean())

        return brightness(0, 0) > brightness(0, 1)
