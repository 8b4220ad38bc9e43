# SPDX-License-Identifier: Apache-2.0
"""Plain-text tables for the terminal."""

from __future__ import annotations

from posegrasp_ros.runtime.errors import escaped


def aligned(rows: list[list[str]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Lines of a table with aligned columns and a rule below the header.

    :param left: indices of left-aligned columns; others are right-aligned
    """
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ['  '.join(cell.ljust(width) if column in left else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return [lines[0], '  '.join('-' * width for width in widths), *lines[1:]]
