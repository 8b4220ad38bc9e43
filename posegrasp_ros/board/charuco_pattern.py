# SPDX-License-Identifier: Apache-2.0
"""CharucoPattern: squares, markers and corners of a ChArUco board with room for an object in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from posegrasp_ros.runtime.errors import InvalidInputError

# Smallest first; all have 4x4 bits, which are the largest on paper.
DICTIONARIES = ('DICT_4X4_50', 'DICT_4X4_100', 'DICT_4X4_250', 'DICT_4X4_1000')
MOST_MARKERS = 1000
MARKER_SHARE = 0.75
"""Side of a marker as a share of the square around it."""


class PatternError(InvalidInputError):
    """A board that cannot be made or found."""


@dataclass(frozen=True)
class CharucoPattern:
    """A chessboard with a marker in each white square; a block of squares may be left out for the object.

    The board's frame has its origin at the lower left corner of the chessboard as printed, x to the right, y up
    the page and z out of the paper. The first square, at the top left, is black, as OpenCV 4.7 and later draw.

    :param dictionary: one of :data:`DICTIONARIES`
    :param columns: squares from left to right
    :param rows: squares from top to bottom
    :param square_m: side of a square
    :param marker_m: side of a marker
    :param blank: first column, first row (from the top left), columns and rows of the block without a pattern
    """

    dictionary: str
    columns: int
    rows: int
    square_m: float
    marker_m: float
    blank: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the chessboard."""
        return self.columns * self.square_m, self.rows * self.square_m

    @cached_property
    def is_printed(self) -> np.ndarray:
        """(rows, columns) bool: squares outside of the block that is left out."""
        printed = np.ones((self.rows, self.columns), dtype=bool)
        column, row, columns, rows = self.blank
        printed[row:row + rows, column:column + columns] = False
        return printed

    @cached_property
    def corners_m(self) -> np.ndarray:
        """((rows - 1) * (columns - 1), 3) inner corners of the chessboard by OpenCV's number, board frame."""
        x, y = np.meshgrid(np.arange(1, self.columns), self.rows - np.arange(1, self.rows))
        flat = np.column_stack([x.ravel(), y.ravel()]) * self.square_m
        return np.column_stack([flat, np.zeros(len(flat))])

    @cached_property
    def is_usable(self) -> np.ndarray:
        """(N,) bool: corners of :attr:`corners_m` whose four squares are all printed."""
        printed = self.is_printed
        return (printed[:-1, :-1] & printed[1:, :-1] & printed[:-1, 1:] & printed[1:, 1:]).ravel()

    def black_squares(self) -> list[tuple[int, int]]:
        """Column and row, from the top left, of the printed black squares."""
        return [(column, row) for row in range(self.rows) for column in range(self.columns)
                if (column + row) % 2 == 0 and self.is_printed[row, column]]

    def markers(self) -> list[tuple[int, int, int]]:
        """Column, row and number of the printed markers."""
        white = [(column, row) for row in range(self.rows) for column in range(self.columns)
                 if (column + row) % 2 == 1]
        return [(column, row, number) for number, (column, row) in enumerate(white)
                if self.is_printed[row, column]]

    def marker_bits(self, number: int) -> np.ndarray:
        """(6, 6) bool, True where a marker is white, its black border included.

        :raises PatternError: when OpenCV is too old
        """
        cells = dictionary_of(self.dictionary).markerSize + 2
        return cv2.aruco.generateImageMarker(dictionary_of(self.dictionary), number, cells) > 127

    def detector(self) -> Any:
        """OpenCV's detector of this board.

        :raises PatternError: when OpenCV is too old
        """
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m,
                                       dictionary_of(self.dictionary))
        return cv2.aruco.CharucoDetector(board)


def smallest_dictionary(columns: int, rows: int) -> str:
    """The smallest dictionary with a marker for each white square.

    :raises PatternError: when there are too many
    """
    count = columns * rows // 2
    if count > MOST_MARKERS:
        raise PatternError(f'board: expected at most {MOST_MARKERS} markers, got {count}, of {columns}x{rows} '
                           'squares: make the squares larger or the sheets fewer')
    return next(name for name in DICTIONARIES if count <= int(name.rsplit('_', 1)[1]))


def dictionary_of(name: str) -> Any:
    """OpenCV's dictionary of markers.

    :raises PatternError: when OpenCV is too old to find them
    """
    if not hasattr(getattr(cv2, 'aruco', None), 'CharucoDetector'):
        raise PatternError(f'OpenCV: expected version 4.7 or later, which finds ChArUco boards, got '
                           f'{cv2.__version__}: pip install "opencv-python-headless>=4.8"')
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
