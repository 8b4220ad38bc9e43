# SPDX-License-Identifier: Apache-2.0
"""The second page of a label: how the object is made from the first, step by step, each with a drawing."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from posegrasp_ros.training.product_print import MARGIN_MM, Page, Pair

PANEL_MM = (88.0, 46.0)
"""Width and height of a drawing; its text is below it."""
COLUMNS, TEXT_MM, LINE_MM, LETTERS = 2, 3.3, 4.4, 50
HEAD_MM, ROW_MM, FOOT_MM = 18.0, 74.0, 11.0
MEASURE_FIRST = ('Print at 100 % ("actual size"), best on card of 160 to 200 g. Measure the ruler: if it is not '
                 '100 mm long, distances are wrong by as much.')


class Pen:
    """Draws around the middle of a panel, millimetres, y down."""

    def __init__(self, page: Page, middle: Pair):
        self._page, self._middle = page, np.asarray(middle, dtype=float)

    def line(self, *points: Pair, dashed: bool = False) -> None:
        """A line from point to point."""
        for first, last in pairwise(points):
            self._page.line(self._at(first), self._at(last), dashed)

    def shape(self, *points: Pair, is_black: bool = False) -> None:
        """A closed outline; it hides what is below."""
        self._page.polygon([self._at(point) for point in points], 'black' if is_black else 'white')

    def ellipse(self, middle: Pair, radii: Pair, is_black: bool = False) -> None:
        """An ellipse along the axes."""
        turn = np.linspace(0, 2 * np.pi, 61)[:-1]
        points = np.asarray(middle) + np.column_stack([np.cos(turn), np.sin(turn)]) * np.asarray(radii)
        self.shape(*points, is_black=is_black)

    def arrow(self, first: Pair, last: Pair) -> None:
        """A line with a head at its end."""
        start, tip = np.asarray(first, dtype=float), np.asarray(last, dtype=float)
        along = (tip - start) / np.linalg.norm(tip - start)
        across = np.array([-along[1], along[0]])
        self.line(start, tip)
        self.shape(tip, tip - 2.4 * along + 1.2 * across, tip - 2.4 * along - 1.2 * across, is_black=True)

    def text(self, middle: Pair, text: str) -> None:
        """A line of text around a point."""
        self._page.text(self._at(middle), text, TEXT_MM, 'mm')

    def _at(self, point: Pair) -> np.ndarray:
        return self._middle + np.asarray(point, dtype=float)


class Step(NamedTuple):
    """A step.

    :param draw: its drawing, in a panel of :data:`PANEL_MM`
    """

    text: str
    draw: Callable[[Pen], None]


def draw_steps(paper_mm: tuple[float, float], title: str, steps: Sequence[Step], command: str) -> Image.Image:
    """The page, at printing resolution.

    :param command: its last line, to be typed when all is done
    """
    page = Page(paper_mm, mode='1')
    left = (paper_mm[0] - COLUMNS * PANEL_MM[0]) / 2
    page.text((left, MARGIN_MM + 8.0), title, 5.0)
    for place, step in enumerate(steps):
        corner = np.array([left + place % COLUMNS * PANEL_MM[0], HEAD_MM + place // COLUMNS * ROW_MM])
        step.draw(Pen(page, corner + np.array(PANEL_MM) / 2))
        lines = textwrap.wrap(f'{place + 1}. {step.text}', LETTERS)
        for row, line in enumerate(lines):
            page.text(corner + (0.0, PANEL_MM[1] + (row + 1) * LINE_MM), line, TEXT_MM)
    bottom = HEAD_MM + -(-len(steps) // COLUMNS) * ROW_MM + FOOT_MM
    page.text((left, bottom), command, 5.0)
    return page.image


def measure(pen: Pen) -> None:
    """A rule at the line of the first page."""
    pen.shape((-30, -20), (30, -20), (30, 16), (-30, 16))
    pen.line((-25, 2), (25, 2))
    for tick in range(11):
        pen.line((-25 + 5 * tick, 2), (-25 + 5 * tick, 0 if tick % 5 else -2))
    pen.text((0, -6), '100 mm')
    pen.shape((-27, 4), (32, 4), (32, 11), (-27, 11))
    for tick in range(12):
        pen.line((-25 + 5 * tick, 4), (-25 + 5 * tick, 6 if tick % 5 else 7.5))
    for number in (0, 50, 100):
        pen.text((-25 + number / 2, 9), str(number))


def scissors(pen: Pen, tip: Pair) -> None:
    """Scissors that cut to the left."""
    u, v = tip
    for side in (-1, 1):
        pen.line((u, v - 0.8 * side), (u + 12, v + 2.4 * side))
        pen.ellipse((u + 14.4, v + 3.2 * side), (2.6, 1.8))


def grains(pen: Pen, corners: Sequence[Pair], count: int = 60) -> None:
    """Dots within a parallelogram, given by an end and both its neighbours."""
    origin, first, second = (np.asarray(corner, dtype=float) for corner in corners)
    for a, b in np.random.default_rng(0).uniform(0.08, 0.92, (count, 2)):
        pen.ellipse(origin + a * (first - origin) + b * (second - origin), (0.35, 0.25), is_black=True)


def camera(pen: Pen, middle: Pair) -> None:
    """A camera that looks to the right."""
    u, v = middle
    pen.shape((u - 7, v - 5), (u + 5, v - 5), (u + 5, v + 5), (u - 7, v + 5))
    pen.shape((u + 5, v - 3), (u + 9, v - 4), (u + 9, v + 4), (u + 5, v + 3))
    for side in (-1, 1):
        pen.line((u + 11, v + 3 * side), (u + 34, v + 14 * side), dashed=True)
    pen.arrow((u + 14, 18), (u + 38, 18))
    pen.text((u + 25, 21), '0.4 to 0.8 m')
