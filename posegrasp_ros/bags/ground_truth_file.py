"""Ground truth of a recording from a CSV file, or a trajectory of TUM's RGB-D benchmark or of EuRoC."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posegrasp_ros.errors import BadInput
from posegrasp_ros.geometry import transform_from_pose
from posegrasp_ros.limits import JSON_MEGABYTES, most_json_bytes

LOGGER = logging.getLogger(__name__)
POSE_COLUMNS = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
# What makes a stamp of each into nanoseconds.
STAMP_COLUMNS = {'stamp_ns': 1, 'stamp_s': 1_000_000_000}
FRAME_COLUMN = 'frame_id'
TUM_COLUMNS = ('stamp_s', *POSE_COLUMNS)
EUROC_COLUMNS = ('stamp_ns', 'x', 'y', 'z', 'qw', 'qx', 'qy', 'qz')
# "#timestamp [ns], p_RS_R_x [m], ..., q_RS_w [], ...", what follows are velocities and the like.
EUROC_HEAD = re.compile(r'#\s*timestamp\s*(\[ns\])?\s*,\s*p_', re.IGNORECASE)
# Seconds have fewer digits for another three million years.
LEAST_NANOSECONDS = 10**14
MOST_NANOSECONDS = 2**63 - 1
EXPECTED = (
    f'a first line that names the columns {" or ".join(STAMP_COLUMNS)}, {", ".join(POSE_COLUMNS)} and, if it is '
    f'not the camera\'s, {FRAME_COLUMN}; or a trajectory of TUM, "stamp_s x y z qx qy qz qw", or of EuRoC, '
    '"stamp_ns,x,y,z,qw,qx,qy,qz"'
)


class GroundTruthError(BadInput):
    """A file of ground truth that cannot be used."""


class _Table(NamedTuple):
    """Columns by name, and the rows with the numbers of their lines.

    :param may_be_longer: columns behind those that are named are not looked at
    """

    columns: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    may_be_longer: bool = False


def read_ground_truth(path: str | Path) -> Iterator[tuple[int, str, np.ndarray]]:
    """Stamp in nanoseconds, frame (empty: the camera's) and pose (4, 4) of each line.

    Metres, quaternions x y z w but for EuRoC. Lines that begin with # are left out, several of one stamp are
    several objects. Which kind of trajectory it is, is told by its head, else by its stamps.

    :raises GroundTruthError: naming the line, what was found and what was expected
    """
    path = Path(path)
    table = _table(path, _lines(path))
    stamp_column = next((name for name in STAMP_COLUMNS if name in table.columns), None)
    if stamp_column is None or not set(POSE_COLUMNS) <= set(table.columns):
        raise GroundTruthError(f'{path}: expected {EXPECTED}, got the columns '
                               f'{_shown(", ".join(table.columns))}')
    for number, cells in table.rows:
        fits = len(cells) == len(table.columns) or (table.may_be_longer and len(cells) > len(table.columns))
        yield _read_row(f'{path}: line {number}', dict(zip(table.columns, cells)), fits, stamp_column)


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file():
            raise FileNotFoundError('no such file')
        if path.stat().st_size > most_json_bytes():
            raise GroundTruthError(f'{path}: expected at most {most_json_bytes() / 1e6:g} MB, got '
                                   f'{path.stat().st_size / 1e6:g}; the environment variable {JSON_MEGABYTES} '
                                   'sets the limit')
        return path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GroundTruthError(f'{path}: expected a CSV file with ground truth: {error}') from error


def _table(path: Path, lines: list[str]) -> _Table:
    """The file's rows, and what their columns are; says so where its first line does not."""
    rows = [(number, _cells(path, number, line)) for number, line in enumerate(lines, start=1)
            if line.strip() and not line.startswith('#')]
    if not rows:
        raise GroundTruthError(f'{path}: expected {EXPECTED}, got no line')
    first = rows[0][1]
    has_euroc_head = any(EUROC_HEAD.match(line) for line in lines[:rows[0][0]])
    if not has_euroc_head and _number(first[0]) is None:
        return _Table(tuple(first), rows[1:])
    if has_euroc_head or _is_nanoseconds(first[0]):
        LOGGER.warning('%s: read as a trajectory of EuRoC: nanoseconds, x y z, qw qx qy qz', path)
        return _Table(EUROC_COLUMNS, rows, may_be_longer=True)
    LOGGER.warning('%s: read as a trajectory of TUM: seconds, x y z, qx qy qz qw', path)
    return _Table(TUM_COLUMNS, rows)


def _read_row(place: str, row: dict[str, str], is_full: bool, stamp_column: str) -> tuple[int, str, np.ndarray]:
    try:
        if not is_full:
            raise ValueError('as many cells as columns')
        # Not by float: 1.7e9 seconds have no nanoseconds there.
        stamp_ns = Decimal(row[stamp_column]) * STAMP_COLUMNS[stamp_column]
        if not 0 <= stamp_ns <= MOST_NANOSECONDS:
            raise ValueError(f'a stamp of 0 to {MOST_NANOSECONDS} ns')
        values = [float(row[name]) for name in POSE_COLUMNS]
        if not np.isfinite(values).all():
            raise ValueError('finite numbers')
        return int(stamp_ns), row.get(FRAME_COLUMN, ''), transform_from_pose(values[:3], values[3:])
    except (ValueError, ArithmeticError) as error:  # decimal's errors are of the second kind
        found = _shown(', '.join(row.values()))
        raise GroundTruthError(f'{place}: expected a stamp, a position and a quaternion, got {found}: '
                               f'{" ".join(str(error).split())[:200]}') from error


def _cells(path: Path, number: int, line: str) -> list[str]:
    """By commas where there are any, else by blanks."""
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
    """Whether a stamp is a whole number that no clock shows in seconds."""
    return text.isdigit() and _number(text) >= LEAST_NANOSECONDS


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f'{text[:77]!r}...'
