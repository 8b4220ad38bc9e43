# SPDX-License-Identifier: Apache-2.0
"""A printable can: mesh, texture and the paper to glue around a can of the same size.

``python -m posegrasp_ros.training.product_can --out models/can`` writes the object files of a model folder:
``mesh.obj`` with ``mesh.mtl`` and ``texture.png``, and ``label.pdf`` for A4 and ``label_letter.pdf`` for Letter: a
page at true scale, and one with the steps. The print consists of rings only, so the can has an exact rotational
symmetry.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from posegrasp_ros.board.board_layout import PAPERS_MM
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.object_physics import DENSITY_KG_M3
from posegrasp_ros.training.product_artwork import draw_can_bottom, draw_can_lid, draw_can_side
from posegrasp_ros.training.product_can_steps import can_steps
from posegrasp_ros.training.product_print import (
    MARGIN_MM,
    RULER_MM,
    TAB_MM,
    Edges,
    Page,
    pack_texture,
    papers_for,
    print_size,
    save_product,
    watch_command,
)
from posegrasp_ros.training.product_steps import draw_steps

SIDES = 96  # the flat sides deviate from the round can by 0.02 mm
CELLS = {'side': (0, 0), 'top': (0, 1), 'bottom': (1, 1)}
DIAMETER_M, HEIGHT_M = 0.06, 0.11
"""Of the shipped can."""


class ProductCanError(InvalidInputError):
    """Invalid size of a can."""


def make_product_can(folder: str | Path, diameter_m: float = DIAMETER_M, height_m: float = HEIGHT_M) -> None:
    """Write mesh.obj, mesh.mtl, texture.png and the labels of a closed can.

    The object frame has its origin at the can's centre and z along its axis, towards the lid.

    :param folder: created when missing
    :raises ProductCanError: when a length is not between 0.02 and 0.2 m or the paper does not fit on A4
    """
    for name, length in (('diameter', diameter_m), ('height', height_m)):
        if not 0.02 <= length <= 0.2:
            raise ProductCanError(f'can {name}: expected a length between 0.02 and 0.2 m, got {length}')
    wrap = Wrap(1000 * diameter_m, 1000 * height_m)
    prints = draw_can(1000 * diameter_m, 1000 * height_m)
    texture, places = pack_texture(prints, CELLS)
    mesh_obj = mesh_text(diameter_m / 2, height_m, places, texture.size)
    command = watch_command('can' if (diameter_m, height_m) == (DIAMETER_M, HEIGHT_M) else '')
    mass_g = DENSITY_KG_M3 * np.pi * (diameter_m / 2)**2 * height_m * 1000
    steps = can_steps(1000 * diameter_m, 1000 * height_m, mass_g)
    labels = {name: (wrap.draw(prints, paper, command), draw_steps(paper, 'How to make the can', steps, command))
              for name, paper in papers_for(wrap.page_mm).items()}
    save_product(Path(folder), mesh_obj, texture, labels, title='Product can, print at 100 %')


def draw_can(diameter_mm: float, height_mm: float) -> dict[str, Image.Image]:
    """The unrolled side and the square pictures around both lids, at printing resolution."""
    lid = print_size(diameter_mm, diameter_mm)
    return {'side': draw_can_side(print_size(np.pi * diameter_mm, height_mm)),
            'top': draw_can_lid(lid), 'bottom': draw_can_bottom(lid)}


def mesh_text(radius_m: float, height_m: float, places: dict[str, Edges], texture_px: tuple[int, int]) -> str:
    """Wavefront OBJ of the can: side, lid and bottom with separate vertices, normals outwards, v up."""
    turn = np.arange(SIDES + 1) / SIDES
    circle = np.column_stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])
    size = np.array(texture_px)
    lines = ['# Product can, metres, origin in the centre, z along the axis', 'mtllib mesh.mtl', 'usemtl print']

    def add_vertices(xy: np.ndarray, z: float, pixels: np.ndarray) -> None:
        lines.extend(f'v {x:.7f} {y:.7f} {z:.7f}' for x, y in radius_m * xy)
        lines.extend(f'vt {u:.8f} {1 - v:.8f}' for u, v in pixels / size)

    left, top, right, bottom = places['side']
    for z, row in ((-height_m / 2, bottom), (height_m / 2, top)):
        add_vertices(circle, z, np.column_stack([left + turn * (right - left), np.full(SIDES + 1, row)]))
    upper = SIDES + 1
    for k in range(1, SIDES + 1):
        lines += [_triangle(k, k + 1, upper + k + 1), _triangle(k, upper + k + 1, upper + k)]
    for first, name, side in ((2 * upper, 'top', 1), (2 * upper + SIDES + 1, 'bottom', -1)):
        left, top, right, bottom = places[name]
        # Seen from outside with the object's x to the right, y points up on the lid and down on the bottom.
        disc = np.vstack([np.zeros(2), circle[:SIDES]])
        pixels = (np.array([left + right, top + bottom]) + disc * (right - left, side * (top - bottom))) / 2
        add_vertices(disc, side * height_m / 2, pixels)
        ring = first + 2 + np.arange(SIDES + 1) % SIDES
        lines += [_triangle(first + 1, *ring[k:k + 2][::side]) for k in range(SIDES)]
    return '\n'.join(lines) + '\n'


def _triangle(*vertices: int) -> str:
    return 'f ' + ' '.join(f'{index}/{index}' for index in vertices)


class Wrap:
    """The unrolled can on an A4 page: its side along the page, with both lids next to it.

    :param diameter_mm: of the can
    :raises ProductCanError: when it does not fit
    """

    def __init__(self, diameter_mm: float, height_mm: float):
        self.diameter_mm, self.height_mm = diameter_mm, height_mm
        self.length_mm = np.pi * diameter_mm
        self.strip = (MARGIN_MM + 3.0, MARGIN_MM + 3.0)
        beside = self.strip[0] + height_mm + 8.0
        self.discs = {'top': (beside, self.strip[1]), 'bottom': (beside, self.strip[1] + diameter_mm + 8.0)}
        self.ruler_y = max(self.strip[1] + self.length_mm + TAB_MM, self.discs['bottom'][1] + diameter_mm) + 12.0
        self.page_mm = self.ruler_y + RULER_MM
        if not papers_for(self.page_mm) or beside + diameter_mm > PAPERS_MM['a4'][0] - MARGIN_MM:
            raise ProductCanError(f'can size: the paper of {diameter_mm:g} x {height_mm:g} mm does not fit on A4: '
                                  'make the can smaller')

    def draw(self, prints: dict[str, Image.Image], paper_mm: tuple[float, float], command: str) -> Image.Image:
        """The page at printing resolution."""
        page, size = Page(paper_mm), np.array([self.height_mm, self.length_mm])
        first = np.array(self.strip)
        corners = [first, first + (size[0], 0), first + size, first + (0, size[1])]
        page.tab(corners[2], corners[3], np.array([0, 1]))
        # The top of the side is at the left of the page.
        page.picture(prints['side'].rotate(90, expand=True), self.strip, size)
        for start, stop in zip(corners, corners[1:] + corners[:1]):
            page.line(start, stop)
        for name, place in self.discs.items():
            page.disc(prints[name], place, self.diameter_mm)
        page.ruler(self.ruler_y, command)
        return page.image


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 2 on bad input."""
    parser = argparse.ArgumentParser(
        prog='python -m posegrasp_ros.training.product_can',
        description='Make a printable can: mesh.obj, mesh.mtl, texture.png, label.pdf (its paper on A4) and '
                    'label_letter.pdf.')
    parser.add_argument('--out', required=True, type=Path, help='folder to write, created when missing')
    parser.add_argument('--size', nargs=2, type=float, default=(DIAMETER_M, HEIGHT_M),
                        metavar=('DIAMETER', 'HEIGHT'), help='in metres (default: 0.06 0.11)')
    options = parser.parse_args(arguments)
    try:
        make_product_can(options.out, *options.size)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{options.out}: {", ".join(sorted(path.name for path in options.out.iterdir()))}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
