# SPDX-License-Identifier: Apache-2.0
"""Ground truth of a recording from a CSV file, or from a trajectory in TUM RGB-D or EuRoC format."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.transforms import quaternion_from_matrix, transform_from_pose
from posegrasp_ros.geometry.true_pose import TruePose, check_covariance
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.limits import TEXT_MEGABYTES, most_text_bytes

LOGGER = logging.getLogger(__name__)
POSE_COLUMNS = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
# Factors from the stamps of these columns to nanoseconds.
STAMP_COLUMNS = {'stamp_ns': 1, 'stamp_s': 1_000_000_000}
FRAME_COLUMN = 'frame_id'
# Upper triangle of the covariance, in the frame that the pose is in.
COVARIANCE_COLUMNS = tuple(f'cov_{row}_{column}' for row in range(6) for column in range(row, 6))
WRITTEN_COLUMNS = ('stamp_ns', *POSE_COLUMNS, *COVARIANCE_COLUMNS)
ANY_COVARIANCE_COLUMN = re.compile(r'cov_\d_\d')
TUM_COLUMNS = ('stamp_s', *POSE_COLUMNS)
EUROC_COLUMNS = ('stamp_ns', 'x', 'y', 'z', 'qw', 'qx', 'qy', 'qz')
# "#timestamp [ns], p_RS_R_x [m], ..., q_RS_w [], ...", followed by velocities and biases.
EUROC_HEAD = re.compile(r'#\s*timestamp\s*(\[ns\])?\s*,\s*p_', re.IGNORECASE)
# Stamps from this value are nanoseconds: in seconds they would be three million years from now.
LEAST_NANOSECONDS = 10**14
MOST_NANOSECONDS = 2**63 - 1
LONGEST_LINE = 1 << 16
EXPECTED = (
    f'a first line with the column names {" or ".join(STAMP_COLUMNS)}, {", ".join(POSE_COLUMNS)}, if the frame is '
    f'not the camera\'s, {FRAME_COLUMN}, and if it is known the covariance, cov_0_0, cov_0_1, ..., cov_5_5; or a '
    'trajectory in TUM format, "stamp_s x y z qx qy qz qw", or in EuRoC format, "stamp_ns,x,y,z,qw,qx,qy,qz"'
)


class GroundTruthError(InvalidInputError):
    """A ground-truth file that cannot be used."""


class _Layout(NamedTuple):
    """Columns of a file.

    :param has_head: whether the first line has the column names
    :param may_be_longer: further columns are allowed and ignored
    """

    columns: tuple[str, ...]
    has_head: bool = False
    may_be_longer: bool = False


def read_ground_truth(path: str | Path) -> Iterator[tuple[int, str, TruePose]]:
    """Stamp in nanoseconds, frame (empty for the camera's) and pose of each line.

    Metres, radians, quaternions x y z w except for EuRoC. The covariance is in the frame of the pose, as
    geometry_msgs/PoseWithCovariance has it; all zero says unknown. Lines that start with # are ignored; several
    lines with one stamp are several objects. The trajectory format is recognised by its header, else by its
    stamps.

    :raises GroundTruthError: naming the line, what was found and what was expected
    """
    path, layout, stamp_column, has_euroc_head = Path(path), None, '', False
    for number, line in _lines(path):
        if not line.strip() or line.startswith('#'):
            has_euroc_head = has_euroc_head or bool(EUROC_HEAD.match(line))
            continue
        cells = _cells(path, number, line)
        if layout is None:
            layout = _layout(path, cells, has_euroc_head)
            stamp_column = _stamp_column(path, layout.columns)
            if layout.has_head:
                continue
        fits = len(cells) == len(layout.columns) or (layout.may_be_longer and len(cells) > len(layout.columns))
        yield _read_row(f'{path}: line {number}', dict(zip(layout.columns, cells)), fits, stamp_column)
    if layout is None:
        raise GroundTruthError(f'{path}: expected {EXPECTED}, got no line')


def ground_truth_lines(truths: Iterable[tuple[int, TruePose]]) -> list[str]:
    """Lines of a CSV file with poses in the camera's frame by their stamps in nanoseconds, column names first."""
    return [','.join(WRITTEN_COLUMNS), *(_row(*each) for each in truths)]


def _row(stamp_ns: int, truth: TruePose) -> str:
    values = [*truth.pose[:3, 3], *quaternion_from_matrix(truth.pose[:3, :3])]
    covariance = np.zeros((6, 6)) if truth.covariance is None else truth.covariance
    return ','.join([str(int(stamp_ns)), *(f'{value:.9f}' for value in values),
                     *(f'{value:.6e}' for value in covariance[np.triu_indices(6)])])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, from 1."""
    try:
        if not path.is_file():
            raise OSError('not a regular file' if path.exists() else 'no such file')
        if path.stat().st_size > most_text_bytes():
            raise GroundTruthError(f'{path}: expected at most {most_text_bytes() / 1e6:g} MB, got '
                                   f'{path.stat().st_size / 1e6:g}; the environment variable {TEXT_MEGABYTES} '
                                   'sets the limit')
        with path.open(encoding='utf-8-sig') as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise GroundTruthError(f'{path}: line {number}: expected fewer than {LONGEST_LINE} characters')
                yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise GroundTruthError(f'{path}: expected a CSV file with ground truth: {error}') from error


def _layout(path: Path, first: list[str], has_euroc_head: bool) -> _Layout:
    """Columns according to the first line that is not a comment; logs the assumed format without column names."""
    if not has_euroc_head and _number(first[0]) is None:
        return _Layout(tuple(first), has_head=True)
    if has_euroc_head or _is_nanoseconds(first[0]):
        LOGGER.warning('%s: read as a trajectory in EuRoC format: nanoseconds, x y z, qw qx qy qz', path)
        return _Layout(EUROC_COLUMNS, may_be_longer=True)
    LOGGER.warning('%s: read as a trajectory in TUM format: seconds, x y z, qx qy qz qw', path)
    return _Layout(TUM_COLUMNS)


def _stamp_column(path: Path, columns: tuple[str, ...]) -> str:
    """Name of the stamp column, after checking that all columns of a pose are there."""
    stamp_column = next((name for name in STAMP_COLUMNS if name in columns), None)
    if stamp_column is None or not set(POSE_COLUMNS) <= set(columns):
        raise GroundTruthError(f'{path}: expected {EXPECTED}, got the columns {quoted(", ".join(columns))}')
    missing = [name for name in COVARIANCE_COLUMNS if name not in columns]
    if missing and any(ANY_COVARIANCE_COLUMN.fullmatch(name) for name in columns):
        raise GroundTruthError(f'{path}: expected all {len(COVARIANCE_COLUMNS)} columns of a covariance, cov_0_0 '
                               f'to cov_5_5 (upper triangle), or none; missing: {", ".join(missing)}')
    read = (stamp_column, FRAME_COLUMN, *POSE_COLUMNS, *COVARIANCE_COLUMNS)
    if twice := [name for name in read if columns.count(name) > 1]:
        raise GroundTruthError(f'{path}: expected each column once, got {", ".join(twice)} more than once')
    return stamp_column


def _read_row(place: str, row: dict[str, str], is_full: bool, stamp_column: str) -> tuple[int, str, TruePose]:
    try:
        if not is_full:
            raise ValueError('as many cells as columns')
        # Decimal, because a float cannot represent 1.7e9 seconds with nanosecond resolution.
        stamp_ns = Decimal(row[stamp_column]) * STAMP_COLUMNS[stamp_column]
        if not 0 <= stamp_ns <= MOST_NANOSECONDS:
            raise ValueError(f'a stamp of 0 to {MOST_NANOSECONDS} ns')
        values = [float(row[name]) for name in POSE_COLUMNS]
        if not np.isfinite(values).all():
            raise ValueError('finite numbers')
        pose = TruePose(transform_from_pose(values[:3], values[3:]), _covariance(row))
        return int(stamp_ns), row.get(FRAME_COLUMN, ''), pose
    except (ValueError, ArithmeticError, InvalidInputError) as error:  # Decimal raises ArithmeticError
        found = quoted(', '.join(row.values()))
        raise GroundTruthError(f'{place}: expected a stamp, a position and a quaternion, got {found}: '
                               f'{" ".join(str(error).split())[:200]}') from error


def _covariance(row: dict[str, str]) -> np.ndarray | None:
    """(6, 6) of a row; None where it has no such columns, or only zeros in them."""
    if COVARIANCE_COLUMNS[0] not in row:
        return None
    covariance = np.zeros((6, 6))
    covariance[np.triu_indices(6)] = [float(row[name]) for name in COVARIANCE_COLUMNS]
    covariance = np.triu(covariance) + np.triu(covariance, 1).T
    check_covariance(covariance)
    return covariance if covariance.any() else None


def _cells(path: Path, number: int, line: str) -> list[str]:
    """Split a line at commas if it has any, else at white space."""
    try:
        cells = next(csv.reader([line])) if ',' in line else line.split()
    except csv.Error as error:
        raise GroundTruthError(f'{path}: line {number}: expected cells between commas: {error}') from error
    return [cell.strip() for cell in cells]


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _is_nanoseconds(text: str) -> bool:
    """Whether a stamp is an integer too large for seconds."""
    number = _number(text) if text.isdigit() else None
    return number is not None and number >= LEAST_NANOSECONDS
