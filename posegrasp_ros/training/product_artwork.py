# SPDX-License-Identifier: Apache-2.0
"""Artwork of the products, for a fictional tea brand.

Every face of the box is drawn on its own grid, in millimetres at its nominal size, and scaled to the true size. No
face looks like another, or like itself after a half-turn: large colour regions are off-centre, so that face and
orientation can be recognised at low resolution; text, confetti and bars provide fine corners. The can has rings
only: its appearance does not depend on the angle about the axis, but every height and both ends are distinct.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Colour = tuple[int, int, int]

NAVY, PLUM, CREAM = (22, 38, 84), (104, 34, 96), (250, 240, 218)
CORAL, SUN, MINT, SKY = (236, 82, 58), (250, 190, 44), (52, 170, 138), (84, 166, 226)
WHITE, INK = (255, 255, 255), (28, 26, 34)


class Panel:
    """Canvas of one face: x to the right and y down, in grid units.

    :param size_px: width and height of the picture, pixels
    :param grid: width and height in grid units
    :param ground: background colour
    """

    def __init__(self, size_px: tuple[int, int], grid: Point, ground: Colour):
        self.image = Image.new('RGB', size_px, ground)
        self.grid = grid
        self._draw = ImageDraw.Draw(self.image)
        self._scale = np.array(size_px) / grid
        self._unit = float(np.min(self._scale))

    def _pixels(self, *points: Point) -> list[Point]:
        return [tuple(np.multiply(point, self._scale)) for point in points]

    def rectangle(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self._draw.rectangle(self._pixels((left, top), (right, bottom)), fill=colour)

    def polygon(self, points: list[Point], colour: Colour) -> None:
        self._draw.polygon(self._pixels(*points), fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour, start: float = 0.0, stop: float = 360.0) -> None:
        """Draw a disc, or the sector between two angles in degrees, clockwise from the right."""
        (x, y), r = self._pixels(centre)[0], radius * self._unit
        self._draw.pieslice((x - r, y - r, x + r, y + r), start, stop, fill=colour)

    def text(self, place: Point, words: str, height: float, colour: Colour, anchor: str = 'lm',
             bold: float = 0.0) -> None:
        """Draw text; ``height`` of the font and ``bold`` (extra stroke) are in grid units."""
        font = ImageFont.load_default(height * self._unit)
        self._draw.text(self._pixels(place)[0], words, fill=colour, font=font, anchor=anchor,
                        stroke_width=round(bold * self._unit), stroke_fill=colour)

    def stripes(self, start: Point, step: Point, size: Point, colours: list[Colour], slant: float = 0.0) -> None:
        """Draw equal parallelograms, one per colour, at distances ``step``, with tops ``slant`` to the right."""
        for number, colour in enumerate(colours):
            x, y = np.add(start, np.multiply(number, step))
            self.polygon([(x + slant, y), (x + slant + size[0], y), (x + size[0], y + size[1]),
                          (x, y + size[1])], colour)

    def confetti(self, box: tuple[float, float, float, float], count: int, colours: list[Colour],
                 rng: np.random.Generator, size: Point = (1.2, 2.8)) -> None:
        """Draw small triangles and squares at random positions in a box (left, top, right, bottom)."""
        for number in range(count):
            centre = rng.uniform(box[:2], box[2:])
            corners = 3 + number % 2
            angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners
            shape = centre + rng.uniform(*size) * np.column_stack([np.cos(angles), np.sin(angles)])
            self.polygon(shape.tolist(), colours[number % len(colours)])

    def barcode(self, box: tuple[float, float, float, float], rng: np.random.Generator,
                module: float = 0.5) -> None:
        """Draw black bars of one to three modules on white, with a number below."""
        left, top, right, bottom = box
        self.rectangle(left, top, right, bottom, WHITE)
        x = left + 3 * module
        while x < right - 6 * module:
            bar, gap = rng.integers(1, 4, size=2) * module
            self.rectangle(x, top + 1.5, x + bar, bottom - 4.5, INK)
            x += bar + gap
        digits = ''.join(str(digit) for digit in rng.integers(0, 10, size=13))
        self.text(((left + right) / 2, bottom - 2.2), digits, 3.2, INK, anchor='mm')


def citrus(panel: Panel, centre: Point, radius: float, rind: Colour, flesh: Colour, segments: int) -> None:
    """Draw a slice of citrus fruit."""
    panel.disc(centre, radius, rind)
    panel.disc(centre, radius * 0.88, CREAM)
    for number in range(segments):
        first = 360 / segments * number
        panel.disc(centre, radius * 0.80, flesh, first + 4, first + 360 / segments - 4)


def mountains(panel: Panel, base: float, peaks: list[tuple[float, float, float]], colour: Colour) -> None:
    """Draw snow-capped triangles (x, height, half width) on the line y = base."""
    for x, height, half in peaks:
        panel.polygon([(x - half, base), (x, base - height), (x + half, base)], colour)
        cap = 0.3
        panel.polygon([(x - half * cap, base - height * (1 - cap)), (x, base - height),
                       (x + half * cap, base - height * (1 - cap)), (x + half * 0.1, base - height * 0.8)], WHITE)


def draw_top(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The lid: night sky with a large sun on the left and a mint hill on the right."""
    panel = Panel(size_px, (120, 60), NAVY)
    panel.confetti((46, 3, 117, 17), 26, [SUN, CREAM, SKY], rng, size=(0.6, 1.5))
    panel.polygon([(58, 60), (120, 32), (120, 60)], MINT)
    panel.disc((24, 30), 26, CORAL)
    panel.disc((24, 30), 19, SUN)
    mountains(panel, 60, [(12, 26, 16), (33, 34, 20)], PLUM)
    panel.text((48, 29), 'KIVORA', 20, WHITE, bold=0.55)
    panel.text((49, 44), 'MOUNTAIN CITRUS TEA', 5.6, SUN, bold=0.15)
    panel.text((117, 55), '20 bags  e 40 g', 4.4, NAVY, anchor='rm', bold=0.15)
    panel.stripes((104, 0), (5, 0), (3, 10), [CORAL, SUN, MINT], slant=-4)
    return panel.image


def draw_bottom(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The underside: cream, with a plum column on the left and a barcode at lower right."""
    panel = Panel(size_px, (120, 60), CREAM)
    panel.rectangle(0, 0, 30, 60, PLUM)
    panel.disc((30, 0), 20, SKY, 90, 180)
    panel.text((15, 33), 'K', 24, CREAM, anchor='mm', bold=1.0)
    panel.confetti((2, 46, 28, 58), 16, [SUN, CORAL, MINT], rng, size=(0.8, 2.0))
    panel.text((35, 7), 'BREW 4 MIN AT 95°C', 6.2, PLUM, bold=0.15)
    lines = ['Ingredients: black tea, orange peel,', 'lemon grass, rose hip, hibiscus,',
             'apple, natural flavouring.', 'Keep cool, dry and out of the sun.']
    for number, line in enumerate(lines):
        panel.text((35, 15 + 5 * number), line, 4.0, INK)
    panel.rectangle(35, 36, 68, 57, INK)
    for number, (name, value) in enumerate([('energy', '4 kJ'), ('fat', '0 g'), ('sugar', '0.1 g')]):
        panel.rectangle(35.7, 36.7 + 6.7 * number, 67.3, 42.6 + 6.7 * number, WHITE)
        panel.text((37, 39.7 + 6.7 * number), name, 4.4, INK)
        panel.text((66, 39.7 + 6.7 * number), value, 4.4, INK, anchor='rm')
    panel.barcode((74, 35, 117, 57), rng)
    panel.polygon([(104, 0), (120, 0), (120, 30)], CORAL)
    return panel.image


def draw_front(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A long side: coral on the left, sunflower on the right, a slice of orange between."""
    panel = Panel(size_px, (120, 45), CORAL)
    panel.polygon([(84, 0), (120, 0), (120, 45), (66, 45)], SUN)
    panel.stripes((0, 39), (8, 0), (4, 6), [NAVY] * 9, slant=3)
    citrus(panel, (91, 24), 17, NAVY, CORAL, 9)
    panel.text((6, 13), 'KIVORA', 15, WHITE, bold=0.45)
    panel.text((6, 26), 'Sun Peel', 9, NAVY, bold=0.2)
    panel.text((6, 35), 'hand picked, slowly dried', 4.2, CREAM)
    panel.confetti((111, 3, 118, 42), 12, [CORAL, NAVY, PLUM], rng, size=(0.8, 1.8))
    return panel.image


def draw_back(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The other long side: mint, with a navy block on the right and a row of cream tea bags."""
    panel = Panel(size_px, (120, 45), MINT)
    panel.rectangle(78, 0, 120, 45, NAVY)
    panel.disc((78, 45), 22, SKY, 180, 270)
    panel.text((99, 12), 'BREATHE', 8, SUN, anchor='mm', bold=0.25)
    panel.text((99, 22), 'steep, sip, climb', 4.6, CREAM, anchor='mm')
    mountains(panel, 45, [(90, 14, 11), (107, 18, 13)], PLUM)
    for number, colour in enumerate([CREAM, WHITE, CREAM]):
        x = 6 + 17 * number
        panel.polygon([(x, 14), (x + 3, 10), (x + 9, 10), (x + 12, 14), (x + 12, 29), (x, 29)], colour)
        panel.rectangle(x + 5.6, 3, x + 6.4, 12, INK)
        panel.rectangle(x + 3, 1, x + 9, 5, [CORAL, SUN, PLUM][number])
        panel.text((x + 6, 21), str(number + 1), 9, NAVY, anchor='mm', bold=0.4)
    panel.confetti((3, 33, 52, 43), 22, [NAVY, SUN, CREAM], rng, size=(0.8, 2.0))
    return panel.image


def draw_right(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """One end: sunflower, a plum quarter disc at lower left and sky at upper right."""
    panel = Panel(size_px, (60, 45), SUN)
    panel.disc((0, 45), 30, PLUM)
    panel.disc((0, 45), 21, CORAL)
    panel.polygon([(34, 0), (60, 0), (60, 22)], SKY)
    panel.text((4, 8), 'No.12', 10, NAVY, bold=0.35)
    panel.text((57, 31), 'TEA', 13, PLUM, anchor='rm', bold=0.45)
    panel.confetti((2, 31, 14, 43), 10, [CREAM, NAVY], rng, size=(0.9, 2.0))
    panel.stripes((34, 40), (6, 0), (4, 5), [NAVY, CORAL, NAVY, MINT], slant=2)
    return panel.image


def draw_left(size_px: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The other end: sky above cream, a lemon at upper right and navy bars."""
    panel = Panel(size_px, (60, 45), SKY)
    panel.rectangle(0, 29, 60, 45, CREAM)
    panel.stripes((0, 0), (0, 7), (20, 4), [NAVY, PLUM, NAVY, PLUM], slant=0)
    citrus(panel, (42, 17), 14, MINT, SUN, 7)
    panel.text((3, 34), 'BEST BEFORE', 4.6, NAVY, bold=0.15)
    panel.text((3, 40), '09 / 2031  L7', 4.6, CORAL, bold=0.15)
    panel.confetti((42, 32, 58, 43), 12, [NAVY, CORAL, MINT], rng, size=(0.8, 1.8))
    return panel.image


ARTWORK: dict[str, Callable[[tuple[int, int], np.random.Generator], Image.Image]] = {
    'top': draw_top,
    'bottom': draw_bottom,
    'front': draw_front,
    'back': draw_back,
    'right': draw_right,
    'left': draw_left,
}

# Height in millimetres of each ring of the can, from the top, 110 in total; no two sections look alike.
CAN_RINGS = [
    (9, NAVY), (2, SUN), (3, NAVY), (1.5, CREAM), (17, CORAL), (1.5, CREAM), (1.5, CORAL), (3, CREAM), (6, NAVY),
    (1.5, SKY), (1.5, NAVY), (14, CREAM), (2, INK), (1.5, CREAM), (8, SUN), (4, PLUM), (2, SUN), (15, MINT),
    (2, WHITE), (5, MINT), (2, INK), (7, PLUM),
]
# Radius of each disc of an end, in hundredths of the can's radius, the largest first.
LID_DISCS = [(100, NAVY), (92, WHITE), (80, SKY), (55, WHITE), (50, SKY), (32, CORAL), (14, CREAM)]
BOTTOM_DISCS = [(100, PLUM), (88, SUN), (66, INK), (60, SUN), (40, PLUM), (20, MINT)]


def draw_can_side(size_px: tuple[int, int]) -> Image.Image:
    """The can's side, unrolled: rings of different widths."""
    panel, top = Panel(size_px, (1, 110), WHITE), 0.0
    for height, colour in CAN_RINGS:
        panel.rectangle(0, top, 1, top + height, colour)
        top += height
    return panel.image


def draw_can_lid(size_px: tuple[int, int]) -> Image.Image:
    """The can's top, in light blue and white; the picture's corners repeat the rim."""
    return _concentric(size_px, LID_DISCS)


def draw_can_bottom(size_px: tuple[int, int]) -> Image.Image:
    """The can's underside, in plum and yellow."""
    return _concentric(size_px, BOTTOM_DISCS)


def _concentric(size_px: tuple[int, int], discs: Sequence[tuple[float, Colour]]) -> Image.Image:
    panel = Panel(size_px, (200, 200), discs[0][1])
    for radius, colour in discs[1:]:
        panel.disc((100, 100), radius, colour)
    return panel.image
