# SPDX-License-Identifier: Apache-2.0
"""How the printed can is made: the steps of its label."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.training.product_print import Pair
from posegrasp_ros.training.product_steps import MEASURE_FIRST, Pen, Step, camera, grains, measure, scissors

SOLD_MM = (66.0, 115.0)
"""Diameter and height of the usual drinks can of 330 ml."""
HIGH_MM, FLAT = 36.0, 0.3
STILL_ROUND_MM = 1.0


def can_steps(diameter_mm: float, height_mm: float, mass_g: float) -> list[Step]:
    """The steps.

    :param mass_g: of the can in simulated picks
    """
    drawn = CanDrawing(diameter_mm, height_mm)
    return [
        Step(MEASURE_FIRST, measure),
        Step('Cut out the strip with its grey tab, and both discs.', drawn.cut),
        Step(body_text(diameter_mm, height_mm), drawn.roll),
        Step('Tape the yellow disc inside the end of the strip that is purple.', drawn.close),
        Step(f'Fill it so that it weighs {mass_g:.0f} g, as in simulation: rice in a bag, and paper around it '
             'so that it stays round. Tape the blue disc on.', drawn.fill),
        Step('Hold the can before the camera, and run:', drawn.show)]


def body_text(diameter_mm: float, height_mm: float) -> str:
    """What the strip goes around: a can that shops sell, where there is one of this size."""
    wide, high = SOLD_MM
    if abs(diameter_mm - wide) < STILL_ROUND_MM and abs(height_mm - high) < STILL_ROUND_MM:
        return 'Glue the strip round an empty drinks can of 330 ml (66 x 115 mm), the tab below.'
    too_near = 1 - diameter_mm / wide
    return ('Roll the strip, the print outside, and glue it over its tab, without a can in it: shops rarely have '
            f'one of {diameter_mm:g} x {height_mm:g} mm. The usual one of 330 ml is {wide:g} x {high:g} mm: it '
            f'would seem {abs(too_near):.0%} too {"near" if too_near > 0 else "far"}: it needs its own model.')


class CanDrawing:
    """The can from the side, a little from above."""

    def __init__(self, diameter_mm: float, height_mm: float):
        self._height, self._radius = HIGH_MM, HIGH_MM * diameter_mm / height_mm / 2

    def cut(self, pen: Pen) -> None:
        """Strip and discs."""
        pen.shape((-26, -20), (-2, -20), (-2, 18), (-26, 18))
        pen.shape((-26, 18), (-2, 18), (-4, 22), (-24, 22))
        for v in (-12, 4):
            pen.ellipse((8, v), (7, 7))
        scissors(pen, (18, -4))

    def roll(self, pen: Pen) -> None:
        """The strip, nearly closed."""
        self._body(pen, np.zeros(2))
        r, half = self._radius, self._height / 2
        pen.shape((r, -half), (r + 7, -half + 4), (r + 7, half - 4), (r, half))
        pen.arrow((r + 16, 0), (r + 9, 0))

    def close(self, pen: Pen) -> None:
        """The bottom goes in."""
        self._body(pen, (0.0, -4.0))
        pen.ellipse((24, 14), (self._radius, FLAT * self._radius))
        pen.arrow((22, 8), (self._radius + 2, 2))

    def fill(self, pen: Pen) -> None:
        """Grains, and the lid beside."""
        self._body(pen, (0.0, 2.0))
        r, half = self._radius, self._height / 2
        grains(pen, [(-r + 1, half - 2), (r - 1, half - 2), (-r + 1, 2)])
        pen.ellipse((26, -14), (r, FLAT * r))
        pen.arrow((24, -18), (r + 1, -20))

    def show(self, pen: Pen) -> None:
        """Before the camera."""
        camera(pen, (-32, -2))
        self._body(pen, (24.0, -2.0), 0.6)

    def _body(self, pen: Pen, middle: Pair, scale: float = 1.0) -> None:
        u, v = middle
        r, half = scale * self._radius, scale * self._height / 2
        turn = np.linspace(0, np.pi, 31)
        lower = np.column_stack([u + r * np.cos(turn), v + half + FLAT * r * np.sin(turn)])
        pen.line((u + r, v - half), *lower, (u - r, v - half))
        pen.ellipse((u, v - half), (r, FLAT * r))
