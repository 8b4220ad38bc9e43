# SPDX-License-Identifier: Apache-2.0
"""BoardLayout: how many squares and sheets a board has, and where in it the object stands."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.board.board_file import FORMAT, BoardFile, place_of
from posegrasp_ros.board.charuco_pattern import MARKER_SHARE, CharucoPattern, PatternError, smallest_dictionary
from posegrasp_ros.board.footprint import Footprint
from posegrasp_ros.geometry.transforms import make_transform

PAPERS_MM = {'a4': (210.0, 297.0), 'letter': (215.9, 279.4)}
"""Width and height of a sheet, upright."""
MARGIN_MM = 10.0
"""What printers leave white at most, and where joined sheets overlap."""
STRIP_MM = 24.0
"""For ruler and text, below the pattern of each sheet."""
LABEL_MM = 9.0
"""White around the outline, for what faces which side."""
SQUARES_M = (0.025, 0.02)
"""Sides of squares that are tried where none is asked for: larger ones are seen from farther."""
ENOUGH_CORNERS = 24
FEWEST_CORNERS = 12
# Squares that stay on every side of the object: between two rows of them lie corners.
BORDER = 2
MOST_ACROSS = 4


@dataclass(frozen=True, eq=False)
class BoardLayout:
    """A board made for a footprint.

    :param pattern: of the whole board, at true scale
    :param sheets: from left to right, from top to bottom
    :param footprint: turned as it stands on the board
    :param outline_centre_m: (2,) board frame
    """

    pattern: CharucoPattern
    paper: str
    sheets: tuple[int, int]
    footprint: Footprint
    outline_centre_m: np.ndarray

    @property
    def board_from_object(self) -> np.ndarray:
        """(4, 4) place of the object."""
        return make_transform(translation=[*self.outline_centre_m, 0.0]) @ self.footprint.paper_from_object

    def to_file(self, name: str, mesh_sha256: str, stable_pose: int) -> BoardFile:
        """What :func:`posegrasp_ros.board.board_file.save_board` writes."""
        pattern = self.pattern
        return BoardFile.model_validate({
            'format': FORMAT, 'object': name, 'mesh_sha256': mesh_sha256, 'stable_pose': stable_pose,
            'paper': self.paper, 'sheets': list(self.sheets), 'dictionary': pattern.dictionary,
            'squares': [pattern.columns, pattern.rows], 'square_m': pattern.square_m, 'marker_m': pattern.marker_m,
            'blank': list(pattern.blank), 'board_from_object': place_of(self.board_from_object),
            'outline_centre_m': self.outline_centre_m.tolist()})


def lay_out(footprint: Footprint, paper: str, square_m: float | None = None,
            sheets: tuple[int, int] | None = None) -> BoardLayout:
    """The board of the fewest sheets that leaves enough corners around an object.

    On sheets that were asked for, fewer corners do, and the object may stand at the edge.

    :param paper: one of :data:`PAPERS_MM`
    :param square_m: side of a square; None for the first of :data:`SQUARES_M` that does
    :param sheets: from left to right and from top to bottom; None for as many as it takes
    :raises PatternError: when the object is too large, or too few corners are left
    """
    counts = itertools.product(range(1, MOST_ACROSS + 1), range(1, MOST_ACROSS + 1))
    fewest_first = sorted(counts, key=lambda count: (count[0] * count[1], abs(count[0] - count[1])))
    tried = [sheets] if sheets else fewest_first
    most, needed = 0, FEWEST_CORNERS if sheets else ENOUGH_CORNERS
    for count, side_m in itertools.product(tried, (square_m,) if square_m else SQUARES_M):
        layouts = [layout for turned in (footprint, footprint.turned())
                   if (layout := _layout(turned, paper, side_m, count, sheets is not None))]
        best = max(layouts, key=_usable, default=None)
        most = max(most, _usable(best) if best else 0)
        if best and most >= needed:
            return best
    size = ' x '.join(f'{1000 * side:.0f}' for side in footprint.size_m)
    asked = f'{sheets[0]}x{sheets[1]}' if sheets else f'up to {MOST_ACROSS}x{MOST_ACROSS}'
    raise PatternError(f'board: expected at least {needed} corners around an object of {size} mm on {asked} '
                       f'sheets of {paper}, got {most}: take more sheets, smaller squares or another stable pose')


def _usable(layout: BoardLayout) -> int:
    return int(layout.pattern.is_usable.sum())


def _layout(footprint: Footprint, paper: str, square_m: float, sheets: tuple[int, int],
            at_edge: bool) -> BoardLayout | None:
    """The board on a number of sheets, the object in the middle or at the lower edge; None if it is too large.

    :param at_edge: whether it may stand at an edge
    """
    columns, rows = (count * per_sheet for count, per_sheet in zip(sheets, _squares_a_sheet(paper, square_m)))
    across, down = (math.ceil((side + 2 * LABEL_MM / 1000) / square_m) for side in footprint.size_m)
    column, row = (columns - across) // 2, (rows - down) // 2
    if min(columns, rows) < 3 or column < 0 or row < 0:
        return None
    if at_edge and row < BORDER:  # all squares behind it
        row = rows - down
    elif not at_edge and min(column, row, columns - across - column, rows - down - row) < BORDER:
        return None
    pattern = CharucoPattern(smallest_dictionary(columns, rows), columns, rows, square_m, MARKER_SHARE * square_m,
                             (column, row, across, down))
    centre_m = np.array([column + across / 2, rows - row - down / 2]) * square_m
    return BoardLayout(pattern, paper, sheets, footprint, centre_m)


def _squares_a_sheet(paper: str, square_m: float) -> tuple[int, int]:
    """How many squares fit on a sheet, from left to right and from top to bottom."""
    width_mm, height_mm = PAPERS_MM[paper]
    return (math.floor((width_mm - 2 * MARGIN_MM) / (1000 * square_m) + 1e-9),
            math.floor((height_mm - 2 * MARGIN_MM - STRIP_MM) / (1000 * square_m) + 1e-9))
