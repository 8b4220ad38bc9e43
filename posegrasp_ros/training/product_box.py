# SPDX-License-Identifier: Apache-2.0
"""A printable product box: mesh, texture and the net that folds to the same box.

``python -m posegrasp_ros.training.product_box --out models/box`` writes the object files of a model folder:
``mesh.obj`` with ``mesh.mtl`` and ``texture.png``, and ``label.pdf`` for A4 and ``label_letter.pdf`` for Letter: a
page at true scale, and one with the steps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from posegrasp_ros.board.board_layout import PAPERS_MM
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.object_physics import DENSITY_KG_M3
from posegrasp_ros.training.product_artwork import ARTWORK
from posegrasp_ros.training.product_box_steps import box_steps
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

SIZE_M, SEED = (0.12, 0.06, 0.045), 7
"""Of the shipped box."""

# Folded sides of each face on the page, and those of them with a glue tab.
FOLDS = {
    'top': ['left', 'bottom'],
    'front': ['top', 'bottom'],
    'bottom': ['top', 'bottom'],
    'back': ['top', 'bottom'],
    'left': ['top', 'left', 'bottom', 'right'],
    'right': ['top', 'left', 'bottom', 'right'],
}
TABS = {'back': ['bottom'], 'left': ['top', 'left', 'bottom'], 'right': ['top', 'left', 'bottom', 'right']}


class ProductBoxError(InvalidInputError):
    """Invalid size of a box."""


@dataclass(frozen=True)
class Face:
    """Orientation of a face's artwork on the box, seen from outside.

    :param right: object axis that points to the artwork's right
    :param up: object axis that points to the artwork's top
    :param cell: column and row in the texture atlas
    """

    right: tuple[int, int, int]
    up: tuple[int, int, int]
    cell: tuple[int, int]

    def size(self, box: np.ndarray) -> np.ndarray:
        """(2,) width and height of the artwork on a box (3,), in the box's unit."""
        return np.abs([np.dot(self.right, box), np.dot(self.up, box)])

    def corners(self, box: np.ndarray) -> np.ndarray:
        """(4, 3) corners on a centred box (3,): lower left, lower right, upper right, upper left."""
        right, up = np.array(self.right), np.array(self.up)
        across = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        return (across @ np.stack([right, up]) + np.cross(right, up)) * box / 2


FACES = {
    'top': Face((1, 0, 0), (0, 1, 0), (0, 0)),
    'bottom': Face((1, 0, 0), (0, -1, 0), (1, 0)),
    'front': Face((1, 0, 0), (0, 0, 1), (0, 1)),
    'back': Face((-1, 0, 0), (0, 0, 1), (1, 1)),
    'right': Face((0, 1, 0), (0, 0, 1), (0, 2)),
    'left': Face((0, -1, 0), (0, 0, 1), (1, 2)),
}


def make_product_box(folder: str | Path, size_m: Sequence[float] = SIZE_M, seed: int = SEED) -> None:
    """Write mesh.obj, mesh.mtl, texture.png and the labels of a box.

    The object frame has its origin at the box's centre and x, y, z along the three sizes.

    :param folder: created when missing
    :param size_m: (3,) side lengths, metres
    :param seed: varies the barcode and the confetti
    :raises ProductBoxError: when a side is not between 0.02 and 0.2 m or the net does not fit on A4
    """
    box_mm = np.asarray(size_m, dtype=float) * 1000
    if box_mm.shape != (3,) or not ((box_mm >= 20) & (box_mm <= 200)).all():
        raise ProductBoxError(f'box size: expected three lengths between 0.02 and 0.2 m, got {tuple(size_m)}')
    net = Net(box_mm)
    prints = draw_faces(box_mm, seed)
    texture, places = pack_texture(prints, {name: face.cell for name, face in FACES.items()})
    is_shipped = tuple(size_m) == SIZE_M and seed == SEED
    command = watch_command('box' if is_shipped else '')
    steps = box_steps(box_mm, [place[:4] for place in net.places.values()],
                      DENSITY_KG_M3 * float(np.prod(box_mm)) * 1e-6)
    labels = {name: (net.draw(prints, paper, command), draw_steps(paper, 'How to make the box', steps, command))
              for name, paper in papers_for(net.height_mm).items()}
    save_product(Path(folder), mesh_text(box_mm / 1000, places, texture.size), texture, labels,
                 title='Product box, print at 100 %')


def draw_faces(box_mm: np.ndarray, seed: int) -> dict[str, Image.Image]:
    """The six faces at printing resolution, each by its name."""
    return {name: ARTWORK[name](print_size(*face.size(box_mm)), np.random.default_rng([seed, number]))
            for number, (name, face) in enumerate(FACES.items())}


def mesh_text(box_m: np.ndarray, places: dict[str, Edges], texture_px: tuple[int, int]) -> str:
    """Wavefront OBJ of the box: two triangles per face, normals outwards, v up."""
    lines = ['# Product box, metres, origin in the centre', 'mtllib mesh.mtl', 'usemtl print']
    width, height = texture_px
    for number, (name, face) in enumerate(FACES.items()):
        left, top, right, bottom = places[name]
        lines += [f'v {x:.6f} {y:.6f} {z:.6f}' for x, y, z in face.corners(box_m)]
        lines += [f'vt {x / width:.8f} {1 - y / height:.8f}'
                  for x, y in [(left, bottom), (right, bottom), (right, top), (left, top)]]
        normal = np.cross(face.right, face.up)
        lines.append(f'vn {normal[0]} {normal[1]} {normal[2]}')
        corner = [f'{4 * number + k}/{4 * number + k}/{number + 1}' for k in (1, 2, 3, 4)]
        lines += [f'f {corner[0]} {corner[1]} {corner[2]}', f'f {corner[0]} {corner[2]} {corner[3]}']
    return '\n'.join(lines) + '\n'


class Net:
    """The unfolded box on an A4 page, printed side up.

    Top, front, bottom and back form a strip along the page; the left end is attached to the lid. The right end is
    a separate piece, because the strip with both ends is as wide as the page.

    :param box_mm: (3,) side lengths, millimetres
    :ivar height_mm: of the page down to its last line
    :raises ProductBoxError: when it does not fit
    """

    def __init__(self, box_mm: np.ndarray):
        x, y, z = box_mm
        self._x = PAPERS_MM['a4'][0] - MARGIN_MM - x
        lid = MARGIN_MM + TAB_MM + 3.0
        self._ruler_y = lid + 2 * (y + z) + TAB_MM + 12.0
        loose = (MARGIN_MM + TAB_MM, lid + y + 3 * TAB_MM)
        # Face -> left and top edge, size on the page, and the object axis that points up the page.
        self.places = {
            'top': (self._x, lid, x, y, (0, 1, 0)),
            'front': (self._x, lid + y, x, z, (0, 0, 1)),
            'bottom': (self._x, lid + y + z, x, y, (0, -1, 0)),
            'back': (self._x, lid + 2 * y + z, x, z, (0, 0, -1)),
            'left': (self._x - z, lid, z, y, (0, 1, 0)),
            'right': (*loose, z, y, (0, 1, 0)),
        }
        too_wide = loose[0] + z + TAB_MM > self._x - 1 or self._x - z - TAB_MM < MARGIN_MM
        self.height_mm = max(self._ruler_y + RULER_MM, loose[1] + y + TAB_MM)
        if too_wide or not papers_for(self.height_mm):
            raise ProductBoxError(f'box size: the net of {x:g} x {y:g} x {z:g} mm does not fit on A4; '
                                  'make the box smaller, with x its longest side')

    def draw(self, prints: dict[str, Image.Image], paper_mm: tuple[float, float], command: str) -> Image.Image:
        """The page at printing resolution."""
        page = Page(paper_mm)
        for name, sides in TABS.items():
            for side in sides:
                page.tab(*self._side(name, side))
        for name, (left, top, width, height, up) in self.places.items():
            turned = prints[name].rotate(_turn_deg(FACES[name], up), expand=True)
            page.picture(turned, (left, top), (width, height))
        for name in self.places:
            for side in ('top', 'bottom', 'left', 'right'):
                first, last, _ = self._side(name, side)
                page.line(first, last, dashed=side in FOLDS[name])
        page.ruler(self._ruler_y, command)
        return page.image

    def _side(self, name: str, side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both ends of a face's side on the page and the unit vector away from the face, millimetres."""
        left, top, width, height, _ = self.places[name]
        right, bottom = left + width, top + height
        first, last, outwards = {
            'top': ((left, top), (right, top), (0, -1)),
            'bottom': ((right, bottom), (left, bottom), (0, 1)),
            'left': ((left, bottom), (left, top), (-1, 0)),
            'right': ((right, top), (right, bottom), (1, 0)),
        }[side]
        return np.array(first), np.array(last), np.array(outwards)


def _turn_deg(face: Face, up: tuple[int, int, int]) -> int:
    """Counter-clockwise rotation of the artwork that brings the object axis ``up`` to the page's top."""
    # In the artwork's axes the desired direction is at atan2(up, right); at 90 degrees it is already at the top.
    angle = np.degrees(np.arctan2(np.dot(up, face.up), np.dot(up, face.right)))
    return round(90 - angle)


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 2 on bad input."""
    parser = argparse.ArgumentParser(
        prog='python -m posegrasp_ros.training.product_box',
        description='Make a printable product box: mesh.obj, mesh.mtl, texture.png, label.pdf (its net on '
                    'A4) and label_letter.pdf.')
    parser.add_argument('--out', required=True, type=Path, help='folder to write, created when missing')
    parser.add_argument('--size', nargs=3, type=float, default=SIZE_M, metavar=('X', 'Y', 'Z'),
                        help='side lengths in metres, the longest first (default: 0.12 0.06 0.045)')
    parser.add_argument('--seed', type=int, default=SEED, help='varies barcode and confetti (default: 7)')
    options = parser.parse_args(arguments)
    try:
        make_product_box(options.out, options.size, options.seed)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{options.out}: {", ".join(sorted(path.name for path in options.out.iterdir()))}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
