# SPDX-License-Identifier: Apache-2.0
"""The last page of a board's PDF: steps, and pictures of the object on its outline."""

from __future__ import annotations

import numpy as np
from PIL import Image
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from posegrasp_ros.board.board_drawing import FONT, latin
from posegrasp_ros.board.board_layout import MARGIN_MM, PAPERS_MM, BoardLayout
from posegrasp_ros.board.object_views import FROM_ABOVE, SIDES, picture
from posegrasp_ros.geometry.mesh import Mesh

LINE_MM = 5.0
ABOVE_MM = 60.0
SIDE_MM = 38.0


def draw_instructions(canvas: Canvas, layout: BoardLayout, mesh: Mesh, name: str) -> None:
    """Add the page to the board's."""
    width, height = PAPERS_MM[layout.paper]
    y = height - 2 * MARGIN_MM
    canvas.setFont(f'{FONT}-Bold', 14)
    canvas.drawString(2 * MARGIN_MM * mm, y * mm, latin(f'How to use the board for {name}'))
    canvas.setFont(FONT, 10)
    for line in _steps(layout):
        y -= LINE_MM
        canvas.drawString(2 * MARGIN_MM * mm, y * mm, line)
    _draw_from_above(canvas, layout, mesh, width / 2, y - 2 * MARGIN_MM - ABOVE_MM / 2)
    _draw_sides(canvas, layout, mesh, width, y - 4 * MARGIN_MM - ABOVE_MM - SIDE_MM)
    canvas.showPage()


def _steps(layout: BoardLayout) -> list[str]:
    joined = ['Cut each sheet along its dashed lines, lay it on its neighbours edge on edge, tape them.'] \
        if layout.sheets != (1, 1) else []
    steps = [
        'Print all sheets at 100 % ("actual size"), not fitted to the page. Keep this page out of the images.',
        *joined,
        'Measure the ruler with a steel rule and write its length into board.yaml: measured_ruler_mm.',
        'Tape the board to something flat. Where it is not flat, the ground truth is less accurate.',
        'Put the object on its outline, sides as in the pictures. The dashed line is what touches the paper.',
        'Record: camera or board may move, the object stays on its outline, most of the pattern in view.',
        'posegrasp truth BAG --board board.yaml --out truth.csv']
    return [f'{number}. {step}' for number, step in enumerate(steps, start=1)]


def _draw_from_above(canvas: Canvas, layout: BoardLayout, mesh: Mesh, x: float, y: float) -> None:
    """The object from above, its sides named; the page's up is the board's."""
    wide, high = _place(canvas, layout, mesh, FROM_ABOVE, x, y, ABOVE_MM)
    canvas.setFont(FONT, 9)
    for text, direction in (('FRONT', (0, -1)), ('RIGHT', (1, 0)), ('BACK', (0, 1)), ('LEFT', (-1, 0))):
        axis = layout.footprint.axis_along(np.array([*direction, 0.0]))
        canvas.drawCentredString((x + direction[0] * (wide / 2 + 13)) * mm,
                                 (y - 1 + direction[1] * (high / 2 + 4)) * mm, f'{text} {axis}')
    canvas.drawCentredString(x * mm, (y + high / 2 + 10) * mm, f'From above (up: '
                             f'{layout.footprint.axis_along(np.array([0, 0, 1.0]))} of the mesh)')


def _draw_sides(canvas: Canvas, layout: BoardLayout, mesh: Mesh, width: float, y: float) -> None:
    """What is seen from each side of the board."""
    for place, (side, axes) in enumerate(SIDES.items()):
        x = MARGIN_MM + (place + 0.5) * (width - 2 * MARGIN_MM) / len(SIDES)
        _place(canvas, layout, mesh, axes, x, y + SIDE_MM / 2, SIDE_MM)
        canvas.setFont(FONT, 9)
        canvas.drawCentredString(x * mm, (y - 5) * mm, f'Seen from the {side.upper()}')


def _place(canvas: Canvas, layout: BoardLayout, mesh: Mesh, axes: tuple[np.ndarray, np.ndarray], x: float,
           y: float, longest_mm: float) -> tuple[float, float]:
    """Put a picture around a point of the page; its width and height, mm."""
    pixels, (width_m, height_m) = picture(mesh, layout.footprint.paper_from_object, *axes)
    factor = longest_mm / max(width_m, height_m)
    wide, high = width_m * factor, height_m * factor
    canvas.drawImage(ImageReader(Image.fromarray(pixels)), (x - wide / 2) * mm, (y - high / 2) * mm, wide * mm,
                     high * mm)
    canvas.setLineWidth(0.3)
    return wide, high
