"""Ground truth of a recording from a CSV file, or a trajectory as TUM's RGB-D benchmark and evo write it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from posegrasp_ros.errors import BadInput
from posegrasp_ros.geometry import transform_from_pose

POSE_COLUMNS = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
# What makes a stamp of each into nanoseconds.
STAMP_COLUMNS = {'stamp_ns': 1, 'stamp_s': 1_000_000_000}
FRAME_COLUMN = 'frame_id'
EXPECTED = (
    f'a first line that names the columns {" or ".join(STAMP_COLUMNS)}, {", ".join(POSE_COLUMNS)} and, if it is '
    f'not the camera\'s, {FRAME_COLUMN}; or lines "stamp_s x y z qx qy qz qw" without one'
)


class GroundTruthError(BadInput):
    """A file of ground truth that cannot be used."""


def read_ground_truth(path: str | Path) -> Iterator[tuple[int, str, np.ndarray]]:
    """Stamp in nanoseconds, frame (empty: the camera's) and pose (4, 4) of each line.

    Metres, quaternions x y z w. Lines that begin with # are left out, several of one stamp are several objects.

    :raises GroundTruthError: naming the line, what was found and what was expected
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GroundTruthError(f'{path}: expected a CSV file with ground truth: {error}') from error
    rows = [(number, _cells(line)) for number, line in enumerate(lines, start=1)
            if line.strip() and not line.startswith('#')]
    if not rows:
        raise GroundTruthError(f'{path}: expected {EXPECTED}, got no line')
    columns = rows[0][1]
    if _is_number(columns[0]):
        columns = ['stamp_s', *POSE_COLUMNS]
    else:
        rows = rows[1:]
    stamp_column = next((name for name in STAMP_COLUMNS if name in columns), None)
    if stamp_column is None or not set(POSE_COLUMNS) <= set(columns):
        raise GroundTruthError(f'{path}: expected {EXPECTED}, got the columns {", ".join(columns)}')
    for number, cells in rows:
        yield _read_row(
            f'{path}: line {number}', dict(zip(columns, cells)), len(cells) == len(columns), stamp_column
        )


def _read_row(place: str, row: dict[str, str], is_full: bool, stamp_column: str) -> tuple[int, str, np.ndarray]:
    try:
        if not is_full:
            raise ValueError('as many cells as columns')
        # Not by float: 1.7e9 seconds have no nanoseconds there.
        stamp_ns = int(Decimal(row[stamp_column]) * STAMP_COLUMNS[stamp_column])
        values = [float(row[name]) for name in POSE_COLUMNS]
        if not np.isfinite(values).all():
            raise ValueError('finite numbers')
        return stamp_ns, row.get(FRAME_COLUMN, ''), transform_from_pose(values[:3], values[3:])
    except (ValueError, InvalidOperation, OverflowError) as error:
        found = ', '.join(row.values())
        raise GroundTruthError(f'{place}: expected a stamp, a position and a quaternion, got {found!r}: '
                               f'{" ".join(str(error).split())}') from error


def _cells(line: str) -> list[str]:
    """By commas where there are any, else by blanks."""
    cells = next(csv.reader([line])) if ',' in line else line.split()
    return [cell.strip() for cell in cells]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
