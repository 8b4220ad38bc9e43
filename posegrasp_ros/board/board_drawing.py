# SPDX-License-Identifier: Apache-2.0
"""The board as PDF: one page a sheet at true scale, then a page that says how to use it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from posegrasp_ros.board.board_file import RULER_MM
from posegrasp_ros.board.board_layout import LABEL_MM, MARGIN_MM, PAPERS_MM, STRIP_MM, BoardLayout

HAIR_MM = 0.2
FONT = 'Helvetica'
MARK_MM = 5.0
SIDES = ('FRONT', 'RIGHT', 'BACK', 'LEFT')
"""Of the board, from the lower edge counter-clockwise; the outline's neighbours on the print."""


def draw_board(layout: BoardLayout, name: str) -> Canvas:
    """The sheets of a board, without compression, so that tools can measure them; one page each.

    :param name: of the object
    """
    paper_mm = PAPERS_MM[layout.paper]
    canvas = Canvas(io.BytesIO(), pagesize=(paper_mm[0] * mm, paper_mm[1] * mm), pageCompression=0, invariant=1)
    canvas.setTitle(latin(f'Board for {name}'))
    for row in range(layout.sheets[1]):
        for column in range(layout.sheets[0]):
            Sheet(canvas, layout, column, row).draw(name)
            canvas.showPage()
    return canvas


def save_pdf(canvas: Canvas, path: Path) -> None:
    """Write a PDF; the folder is there."""
    path.write_bytes(canvas.getpdfdata())


def latin(text: str) -> str:
    """Text in the letters of a PDF's standard fonts."""
    return text.encode('cp1252', 'replace').decode('cp1252')


class Sheet:
    """One sheet of a board on a canvas.

    :param column: of the sheet, from the left, and
    :param row: from the top
    """

    def __init__(self, canvas: Canvas, layout: BoardLayout, column: int, row: int):
        self._canvas, self._layout, self._column, self._row = canvas, layout, column, row
        pattern = layout.pattern
        self._square = 1000 * pattern.square_m
        self._columns, self._rows = pattern.columns // layout.sheets[0], pattern.rows // layout.sheets[1]
        self._width, self._height = self._columns * self._square, self._rows * self._square
        paper_mm = PAPERS_MM[layout.paper]
        self._left = (paper_mm[0] - self._width) / 2
        self._low = MARGIN_MM + STRIP_MM
        # Where the board's origin would be on this page.
        self._origin = np.array([self._left - column * self._width,
                                 self._low - (layout.sheets[1] - 1 - row) * self._height])

    def draw(self, name: str) -> None:
        """Draw all of it."""
        self._draw_squares()
        self._draw_inside()
        self._draw_joints()
        self._draw_ruler()
        self._say(name)

    def _draw_squares(self) -> None:
        """Black squares and markers as filled rectangles."""
        pattern, canvas = self._layout.pattern, self._canvas
        canvas.setFillGray(0)
        for column, row in pattern.black_squares():
            if self._has(column, row):
                x, y = self._corner(column, row)
                self._fill(x, y, self._square, self._square)
        side = 1000 * pattern.marker_m
        for column, row, number in pattern.markers():
            if self._has(column, row):
                x, y = self._corner(column, row) + (self._square - side) / 2
                self._draw_marker(x, y, side, pattern.marker_bits(number))

    def _draw_marker(self, x: float, y: float, side: float, is_white: np.ndarray) -> None:
        """A black square with its white cells in it: neighbours that are both black show no seam."""
        cell = side / len(is_white)
        self._fill(x, y, side, side)
        self._canvas.setFillGray(1)
        for row, column in zip(*np.nonzero(is_white)):
            self._fill(x + column * cell, y + side - (row + 1) * cell, cell, cell)
        self._canvas.setFillGray(0)

    def _draw_inside(self) -> None:
        """The object's outline with what faces which side, cut at the edges of the sheet's pattern."""
        layout, canvas = self._layout, self._canvas
        canvas.saveState()
        around = canvas.beginPath()
        around.rect(self._left * mm, self._low * mm, self._width * mm, self._height * mm)
        canvas.clipPath(around, stroke=0, fill=0)
        centre = self._origin + 1000 * layout.outline_centre_m
        canvas.setLineWidth(HAIR_MM * mm)
        canvas.setStrokeGray(0.6)
        canvas.setDash(1 * mm, 1 * mm)
        self._polygon(centre + 1000 * layout.footprint.contact_m)
        canvas.setDash()
        canvas.setStrokeGray(0)
        canvas.setLineWidth(2 * HAIR_MM * mm)
        for outline in layout.footprint.outlines_m:
            self._polygon(centre + 1000 * outline)
        self._draw_sides(centre)
        canvas.restoreState()

    def _draw_sides(self, centre: np.ndarray) -> None:
        """Names of the sides and the mesh's axes, on all four sides of the outline, and a cross in its middle."""
        footprint, canvas = self._layout.footprint, self._canvas
        half = 500 * np.array(footprint.size_m)
        canvas.setFillGray(0)
        canvas.setFont(FONT, 8)
        canvas.setLineWidth(HAIR_MM * mm)
        for side, direction in zip(SIDES, ((0, -1), (1, 0), (0, 1), (-1, 0))):
            axis = footprint.axis_along(np.array([*direction, 0.0]))
            edge = centre + half * direction
            canvas.saveState()
            canvas.translate(edge[0] * mm, edge[1] * mm)
            # Written along the edge, to be read with this side towards the reader.
            canvas.rotate({'FRONT': 0, 'RIGHT': 90, 'BACK': 180, 'LEFT': 270}[side])
            canvas.drawCentredString(0, -0.65 * LABEL_MM * mm, f'{side}  {axis}')
            self._draw_arrow()
            canvas.restoreState()
            # Marks of the outline's middle, to line up what has no corners.
            inner = edge - 4.0 * np.array(direction)
            canvas.line(edge[0] * mm, edge[1] * mm, inner[0] * mm, inner[1] * mm)
        for x, y in ((3.0, 0.0), (0.0, 3.0)):
            canvas.line((centre[0] - x) * mm, (centre[1] - y) * mm, (centre[0] + x) * mm, (centre[1] + y) * mm)

    def _draw_arrow(self) -> None:
        """From the outline outwards, down from the origin."""
        canvas, length = self._canvas, 0.35 * LABEL_MM
        canvas.line(0, -0.5 * mm, 0, -length * mm)
        for x in (-0.8, 0.8):
            canvas.line(0, -length * mm, x * mm, -(length - 1.2) * mm)

    def _draw_joints(self) -> None:
        """Marks at the pattern's corners, and dashed lines where the sheet is cut."""
        canvas = self._canvas
        right, high = self._left + self._width, self._low + self._height
        canvas.setLineWidth(HAIR_MM * mm)
        canvas.setStrokeGray(0)
        for x in (self._left, right):
            for y, away in ((self._low, -1), (high, 1)):
                outwards = -1 if x == self._left else 1
                canvas.line((x + outwards) * mm, y * mm, (x + outwards * MARK_MM) * mm, y * mm)
                canvas.line(x * mm, (y + away) * mm, x * mm, (y + away * MARK_MM) * mm)
        canvas.setDash(2 * mm, 1.5 * mm)
        if self._cuts_right:
            canvas.line(right * mm, (self._low - MARK_MM) * mm, right * mm, (high + MARK_MM) * mm)
        if self._cuts_below:
            canvas.line((self._left - MARK_MM) * mm, self._low * mm, (right + MARK_MM) * mm, self._low * mm)
        canvas.setDash()

    @property
    def _cuts_right(self) -> bool:
        return self._column < self._layout.sheets[0] - 1

    @property
    def _cuts_below(self) -> bool:
        return self._row < self._layout.sheets[1] - 1

    def _draw_ruler(self) -> None:
        """A ruler of 100 mm in the strip below the pattern."""
        canvas, (x, y) = self._canvas, (self._left, MARGIN_MM + 8.0)
        canvas.setLineWidth(HAIR_MM * mm)
        canvas.line(x * mm, y * mm, (x + RULER_MM) * mm, y * mm)
        for tick in range(0, int(RULER_MM) + 1, 5):
            canvas.line((x + tick) * mm, y * mm, (x + tick) * mm, (y + (4 if tick % 50 == 0 else 2)) * mm)
        canvas.setFont(FONT, 8)
        for tick in (0, 50, 100):
            canvas.drawCentredString((x + tick) * mm, (y + 5) * mm, f'{tick} mm' if tick else '0')

    def _say(self, name: str) -> None:
        """What the sheet is, and what to do with it."""
        canvas, layout = self._canvas, self._layout
        canvas.setFont(FONT, 8)
        across, down = layout.sheets
        sheet = '' if across * down == 1 else f', sheet {self._row * across + self._column + 1} of {across * down}'
        pattern = layout.pattern
        canvas.drawString(self._left * mm, (MARGIN_MM + 3) * mm, latin(
            f'Board for {name}{sheet}: {pattern.dictionary}, {pattern.columns} x {pattern.rows} squares of '
            f'{self._square:g} mm'))
        canvas.drawString(self._left * mm, MARGIN_MM * mm * 0.9,
                          'Print at 100 %. Measure the ruler and write its length into board.yaml, '
                          'measured_ruler_mm.')
        cuts = [words for cut, words in ((self._cuts_right, 'right'), (self._cuts_below, 'below')) if cut]
        if cuts:
            x, y = self._left + RULER_MM + 8, MARGIN_MM + 9
            canvas.drawString(x * mm, y * mm, 'Cut along the dashed line and lay it')
            canvas.drawString(x * mm, (y - 3.2) * mm, f'on the sheet {" and ".join(cuts)}, edge on edge.')

    def _has(self, column: int, row: int) -> bool:
        """Whether a square of the board is on this sheet."""
        return column // self._columns == self._column and row // self._rows == self._row

    def _corner(self, column: int, row: int) -> np.ndarray:
        """(2,) lower left corner of a square on the page, mm."""
        return self._origin + np.array([column, self._layout.pattern.rows - 1 - row]) * self._square

    def _fill(self, x: float, y: float, width: float, height: float) -> None:
        self._canvas.rect(x * mm, y * mm, width * mm, height * mm, stroke=0, fill=1)

    def _polygon(self, points_mm: np.ndarray) -> None:
        path = self._canvas.beginPath()
        path.moveTo(*points_mm[0] * mm)
        for point in points_mm[1:]:
            path.lineTo(*point * mm)
        path.close()
        self._canvas.drawPath(path, stroke=1, fill=0)
