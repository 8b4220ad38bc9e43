# SPDX-License-Identifier: Apache-2.0
"""BoardFile: board.yaml, what a printed board is and where the object stands on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from posegrasp_ros.board.charuco_pattern import CharucoPattern
from posegrasp_ros.geometry.transforms import make_transform, matrix_from_quaternion, quaternion_from_matrix
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.yaml_model import Name, YamlModel, numbers, unexpected, validated

FORMAT = 'posegrasp.board/1'
RULER_MM = 100.0
"""Length of the printed ruler on a print without scaling."""
MOST_SCALE_ERROR = 0.03
"""A print scaled by more was printed with "fit to page" or is another one."""
UNMEASURED_SCALE_SIGMA = 0.01
"""Standard deviation of the scale of a print that nobody measured: what printers do untold."""


class BoardError(InvalidInputError):
    """A board file that cannot be used."""


class BoardSigmas(YamlModel):
    """Standard deviations of what is not exact about a printed board with an object on it.

    :ivar position_mm: of the object on its outline, along x and along y
    :ivar turn_deg: of the object on its outline, about the upright
    :ivar height_mm: of the object over the paper
    :ivar tilt_deg: of the object about x and about y
    :ivar paper_mm: height of the paper over a plane, far from the object, which presses it flat
    :ivar join_mm: of a sheet against its neighbours, along x and along y
    :ivar ruler_mm: of the length read from the ruler, whose two ends are each read to 0.1 mm
    """

    model_config = ConfigDict(extra='forbid')

    position_mm: float = Field(default=1.0, ge=0, le=50)
    turn_deg: float = Field(default=0.5, ge=0, le=90)
    height_mm: float = Field(default=0.2, ge=0, le=50)
    tilt_deg: float = Field(default=0.1, ge=0, le=90)
    paper_mm: float = Field(default=1.0, ge=0, le=50)
    join_mm: float = Field(default=0.5, ge=0, le=50)
    ruler_mm: float = Field(default=0.2, ge=0, le=10)


class ObjectPlace(YamlModel):
    """Where the object stands.

    :ivar position_m: (3,) of the object's origin in the board's frame, see :class:`CharucoPattern`
    :ivar quaternion_xyzw: (4,) of board_from_object
    """

    position_m: Annotated[np.ndarray, numbers(3)]
    quaternion_xyzw: Annotated[np.ndarray, numbers(4, -1.0, 1.0)]


class BoardFile(YamlModel):
    """A printed board with the place of an object on it.

    :ivar object: name of the object
    :ivar mesh_sha256: of its mesh, see :attr:`posegrasp_ros.geometry.mesh.Mesh.sha256`
    :ivar stable_pose: number of the pose in which it stands, 1 the likeliest
    :ivar sheets: from left to right, from top to bottom
    :ivar squares: of the whole board, from left to right, from top to bottom
    :ivar blank: squares left out, see :class:`CharucoPattern`
    :ivar outline_centre_m: (2,) of the object's outline, board frame
    :ivar measured_ruler_mm: length of the printed ruler as measured; None when it was not
    """

    format: Literal['posegrasp.board/1']
    object: Name
    mesh_sha256: str = Field(pattern='^[0-9a-f]{64}$')
    stable_pose: int = Field(default=1, ge=1, le=1000)
    paper: Literal['a4', 'letter']
    sheets: list[int] = Field(default=[1, 1], min_length=2, max_length=2)
    dictionary: Literal['DICT_4X4_50', 'DICT_4X4_100', 'DICT_4X4_250', 'DICT_4X4_1000']
    squares: list[int] = Field(min_length=2, max_length=2)
    square_m: float = Field(ge=0.005, le=1.0)
    marker_m: float = Field(ge=0.002, le=1.0)
    blank: list[int] = Field(min_length=4, max_length=4)
    board_from_object: ObjectPlace
    outline_centre_m: Annotated[np.ndarray, numbers(2)]
    measured_ruler_mm: float | None = Field(default=None, gt=0, le=1000)
    sigmas: BoardSigmas = BoardSigmas()

    @model_validator(mode='after')
    def _fits_together(self) -> BoardFile:
        (columns, rows), (column, row, across, down) = self.squares, self.blank
        if not (3 <= columns <= 200 and 3 <= rows <= 200):
            raise unexpected(f'squares: 3 to 200 each way, not {columns} and {rows}')
        if not all(1 <= count <= min(10, most) for count, most in zip(self.sheets, self.squares, strict=True)):
            raise unexpected(f'sheets: 1 to 10 each way, not {self.sheets[0]} and {self.sheets[1]}')
        if columns % self.sheets[0] or rows % self.sheets[1]:
            raise unexpected(f'squares: a whole number on each of {self.sheets[0]} x {self.sheets[1]} sheets')
        if min(self.blank) < 0 or column + across > columns or row + down > rows:
            raise unexpected(f'blank: column, row, columns and rows within {columns} x {rows} squares')
        if not self.marker_m < self.square_m:
            raise unexpected(f'marker_m: less than square_m, {self.square_m:g}')
        if columns * rows // 2 > int(self.dictionary.rsplit('_', 1)[1]):
            raise unexpected(f'dictionary: one with a marker for each of {columns * rows // 2} white squares')
        if abs(np.linalg.norm(self.board_from_object.quaternion_xyzw) - 1) > 1e-3:
            raise unexpected('board_from_object.quaternion_xyzw: x y z w of length 1')
        return self

    @property
    def is_measured(self) -> bool:
        """Whether the print's scale was measured."""
        return self.measured_ruler_mm is not None

    @property
    def scale(self) -> float:
        """Size of the print over that of the drawing."""
        return 1.0 if self.measured_ruler_mm is None else self.measured_ruler_mm / RULER_MM

    @property
    def scale_sigma(self) -> float:
        """Standard deviation of :attr:`scale`."""
        return self.sigmas.ruler_mm / RULER_MM if self.is_measured else UNMEASURED_SCALE_SIGMA

    @property
    def pattern(self) -> CharucoPattern:
        """The pattern at the size it was printed at."""
        column, row, across, down = self.blank
        return CharucoPattern(self.dictionary, self.squares[0], self.squares[1], self.square_m * self.scale,
                              self.marker_m * self.scale, (column, row, across, down))

    @property
    def placed_object(self) -> np.ndarray:
        """(4, 4) board_from_object on the print: its outline was scaled with the pattern, the object was not."""
        place = self.board_from_object
        position_m = place.position_m * (self.scale, self.scale, 1.0)
        return make_transform(matrix_from_quaternion(place.quaternion_xyzw), position_m)

    @property
    def outline_centre(self) -> np.ndarray:
        """(3,) centre of the object's outline on the print, board frame, metres."""
        return np.append(self.outline_centre_m * self.scale, 0.0)

    def sheet_of(self, points_m: np.ndarray) -> np.ndarray:
        """(N,) number of the sheet that points (N, 3) of the print are on, row by row from the top left."""
        width_m, height_m = self.pattern.size_m
        across, down = self.sheets
        column = np.clip(np.floor(points_m[:, 0] / width_m * across), 0, across - 1)
        row = np.clip(np.floor((height_m - points_m[:, 1]) / height_m * down), 0, down - 1)
        return (row * across + column).astype(int)


def load_board(path: str | Path) -> BoardFile:
    """Read a board file.

    :raises BoardError: naming the field, what was found and what was expected
    """
    values = read_mapping(path, BoardError)
    if values.get('format') != FORMAT:
        raise BoardError(f'{path}: format: expected {FORMAT}, as posegrasp board writes it, got '
                         f'{values.get("format")!r}')
    board = validated(BoardFile, values, path, BoardError)
    if not abs(board.scale - 1) <= MOST_SCALE_ERROR:
        raise BoardError(f'{path}: measured_ruler_mm: expected {RULER_MM:g} mm within {100 * MOST_SCALE_ERROR:g} '
                         f'%, got {board.measured_ruler_mm:g}: print again at 100 %, not fitted to the page, or '
                         'measure again')
    return board


def scale_warning(path: str | Path, board: BoardFile) -> str:
    """One line where nobody measured the print; empty where somebody did."""
    if board.is_measured:
        return ''
    return (f'{path}: measured_ruler_mm: the printed ruler was not measured; the scale of the print is assumed '
            f'to be accurate to {100 * UNMEASURED_SCALE_SIGMA:g} % (one sigma), which widens every covariance')


def save_board(path: Path, board: BoardFile) -> None:
    """Write a board file, with what its reader has to enter on top."""
    place = board.board_from_object
    lines = [
        f'format: {board.format}',
        f'# Measure the printed ruler and write its length here, in mm; {RULER_MM:g} if the print was not scaled.',
        f'measured_ruler_mm: {f"{board.measured_ruler_mm:g}" if board.is_measured else "null"}',
        '',
        f'object: {_quoted(board.object)}',
        f"mesh_sha256: '{board.mesh_sha256}'",
        f'stable_pose: {board.stable_pose}',
        '',
        '# The board: origin at the lower left corner of the chessboard, x right, y up the page, z out of it.',
        f'paper: {board.paper}',
        f'sheets: {board.sheets}',
        f'dictionary: {board.dictionary}',
        f'squares: {board.squares}',
        f'square_m: {board.square_m:.9g}',
        f'marker_m: {board.marker_m:.9g}',
        '# First column and row from the top left, columns and rows of the squares left out for the object.',
        f'blank: {board.blank}',
        'board_from_object:',
        f'  position_m: {_list(place.position_m)}',
        f'  quaternion_xyzw: {_list(place.quaternion_xyzw)}',
        f'outline_centre_m: {_list(board.outline_centre_m)}',
        '',
        '# Standard deviations of what is not exact: the object on its outline (position, turn, height, tilt),',
        '# the height of paper that is not flat, sheets joined, and the ruler read.',
        'sigmas:',
        *(f'  {name}: {value:g}' for name, value in board.sigmas.model_dump().items()),
    ]
    write_whole(path, '\n'.join(lines) + '\n', check=load_board)


def place_of(board_from_object: np.ndarray) -> ObjectPlace:
    """The fields of a (4, 4) board_from_object."""
    return ObjectPlace(position_m=board_from_object[:3, 3].tolist(),
                       quaternion_xyzw=quaternion_from_matrix(board_from_object[:3, :3]).tolist())


def _list(values: np.ndarray) -> str:
    # never with an exponent, which YAML takes for a text
    return '[' + ', '.join(f'{value:.9f}'.rstrip('0') + '0' for value in values.round(9) + 0.0) + ']'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
