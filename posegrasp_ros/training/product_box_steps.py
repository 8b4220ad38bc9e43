# SPDX-License-Identifier: Apache-2.0
"""How the printed box is made: the steps of its label."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from posegrasp_ros.training.product_print import Pair
from posegrasp_ros.training.product_steps import MEASURE_FIRST, Pen, Step, camera, grains, measure, scissors

Rectangle = tuple[float, float, float, float]
LONGEST_MM = 52.0
# Where the box's x, y and z go on the paper, as in a technical drawing.
ACROSS, BACK, UP = np.array([0.9, 0.15]), np.array([0.5, -0.45]), np.array([0.0, -1.0])


def box_steps(box_mm: np.ndarray, net: Iterable[Rectangle], mass_g: float) -> list[Step]:
    """The steps.

    :param box_mm: (3,)
    :param net: left, top, width and height of the faces on the first page, mm
    :param mass_g: of the box in simulated picks
    """
    drawn = BoxDrawing(box_mm)
    return [
        Step(MEASURE_FIRST, measure),
        Step('Cut both pieces along the solid lines, with their grey tabs.',
             lambda pen: _cut(pen, np.array(list(net)))),
        Step('Run a blunt knife along the dashed lines, then fold them, the print outside.', _fold),
        Step('Glue the grey tabs inside; leave the end without a lid open.', drawn.glue),
        Step(f'Fill it so that it weighs {mass_g:.0f} g, as in simulation: rice in a bag, and paper around it '
             'so that the sides stay flat.', drawn.fill),
        Step('Glue the loose end on, its tabs inside. Hold the box before the camera, and run:', drawn.show)]


class BoxDrawing:
    """The box in an oblique view."""

    def __init__(self, box_mm: np.ndarray):
        self._box = np.asarray(box_mm) * LONGEST_MM / np.max(box_mm)

    def glue(self, pen: Pen) -> None:
        """A tab at the edge where the strip closes."""
        self._draw(pen, np.zeros(2))
        first, last = self._at((0, 0, 1)), self._at((1, 0, 1))
        pen.shape(first, last, last - 3 * ACROSS - 8 * UP, first + 3 * ACROSS - 8 * UP)
        pen.arrow((first + last) / 2 + 10 * UP, (first + last) / 2 - 3 * UP)

    def fill(self, pen: Pen) -> None:
        """Grains at the open end, and the loose end beside."""
        middle = -10 * ACROSS
        self._draw(pen, middle)
        grains(pen, [middle + self._at((1, y, z)) for y, z in ((0, 0), (1, 0), (0, 0.7))])
        corners = [10 * ACROSS + self._at((1, y, z)) for y, z in ((0, 0), (1, 0), (1, 1), (0, 1))]
        for first, last in zip(corners, corners[1:] + corners[:1]):
            slope = 0.15 * (last - first)
            pen.shape(first, last, last - slope - 5 * ACROSS, first + slope - 5 * ACROSS)
        pen.shape(*corners)

    def show(self, pen: Pen) -> None:
        """Before the camera."""
        camera(pen, (-32, -2))
        self._draw(pen, (24.0, -2.0), 0.5)

    def _at(self, share: tuple[float, float, float]) -> np.ndarray:
        """A point of the box, given as shares of its sides."""
        x, y, z = (np.asarray(share) - 0.5) * self._box
        return x * ACROSS + y * BACK + z * UP

    def _draw(self, pen: Pen, middle: Pair, scale: float = 1.0) -> None:
        for corners in (((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)), ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
                        ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1))):  # front, top, end
            points = [np.asarray(middle) + scale * self._at(corner) for corner in corners]
            pen.shape(*points)


def _cut(pen: Pen, net: np.ndarray) -> None:
    low, high = net[:, :2].min(axis=0), (net[:, :2] + net[:, 2:]).max(axis=0)
    scale = 42 / (high - low).max()
    for left, top, width, height in (net - [*(low + high) / 2, 0, 0]) * scale:
        pen.shape((left, top), (left + width, top), (left + width, top + height), (left, top + height))
    scissors(pen, (float((high - low)[0]) / 2 * scale + 2, -12))


def _fold(pen: Pen) -> None:
    pen.line((-38, -6), (-8, -6))
    pen.line((-23, -14), (-23, 2), dashed=True)
    pen.text((-23, 8), 'print on top')
    pen.arrow((-4, -2), (4, -2))
    pen.line((8, 8), (23, -10), (38, 8))
    pen.text((23, -14), 'print outside')
