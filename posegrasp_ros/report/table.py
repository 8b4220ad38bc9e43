# SPDX-License-Identifier: Apache-2.0
"""Plain-text tables for the terminal."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

from posegrasp_ros.runtime.errors import escaped
from posegrasp_ros.runtime.text_layout import terminal_width

GAP = '  '
# Cells with more characters than this are prose, which is broken into lines where the table is too wide.
PROSE, NARROWEST_PROSE = 24, 16


def aligned(rows: list[list[str]], left: tuple[int, ...] = (0,), width: int | None = None) -> list[str]:
    """Lines of a table with aligned columns and a rule below the header.

    A table that is too wide first breaks its prose between words, then goes on below, with its first column
    repeated.

    :param left: indices of left-aligned columns; others are right-aligned
    :param width: characters of a line; None for the terminal's
    """
    room = terminal_width() if width is None else width
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = _narrowed([max(len(row[column]) for row in rows) for column in range(len(rows[0]))], room)
    lines: list[str] = []
    for columns in _parts(widths, room):
        lines += [''] if lines else []
        lines += _lines(rows, columns, widths, left)
    return lines


def _narrowed(widths: list[int], room: int) -> list[int]:
    """Widths of the columns, those of prose so narrow that all fit where that is possible."""
    widths = list(widths)
    while _total(widths) > room and max(widths[1:], default=0) > PROSE:
        widest = max(range(1, len(widths)), key=lambda column: widths[column])
        widths[widest] = max(NARROWEST_PROSE, widths[widest] - (_total(widths) - room))
    return widths


def _parts(widths: list[int], room: int) -> list[list[int]]:
    """Indices of the columns that stand beside each other, the first column in each part."""
    parts = [[0]]
    for column in range(1, len(widths)):
        if len(parts[-1]) > 1 and _total([widths[each] for each in (*parts[-1], column)]) > room:
            parts.append([0])
        parts[-1].append(column)
    return parts


def _total(widths: list[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _lines(rows: list[list[str]], columns: list[int], widths: list[int], left: tuple[int, ...]) -> list[str]:
    lines = []
    for row in rows:
        cells = [textwrap.wrap(row[column], widths[column], break_long_words=False, break_on_hyphens=False)
                 if len(row[column]) > widths[column] else [row[column]] for column in columns]
        lines += [GAP.join(cell.ljust(widths[column]) if column in left else cell.rjust(widths[column])
                           for column, cell in zip(columns, line)).rstrip()
                  for line in zip_longest(*cells, fillvalue='')]
        if len(lines) and row is rows[0]:
            lines.append(GAP.join('-' * widths[column] for column in columns))
    return lines
