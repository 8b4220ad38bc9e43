# SPDX-License-Identifier: Apache-2.0
"""Printing of products: pages at true scale, texture atlas of the mesh, and output files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from posegrasp_ros.board.board_layout import PAPERS_MM

PRINT_PX_PER_MM = 12  # 305 dpi on paper
TEXTURE_REDUCTION = 3  # the texture keeps 4 px/mm, more than a camera resolves from half a metre
GUTTER_PX = 8  # border of each picture, filled by edge replication so that mipmaps do not bleed across pictures
MARGIN_MM = 7.0  # margin that common printers cannot print
TAB_MM = 8.0
TEXT_MM = 3.6
RULER_MM = 10.0
"""Height of what is below the ruler's line."""
LABELS = {'a4': 'label.pdf', 'letter': 'label_letter.pdf'}
"""Name of the file for each paper."""

Edges = tuple[int, int, int, int]
Pair = tuple[float, float] | np.ndarray
Label = tuple[Image.Image, Image.Image]
"""The page to cut out, and that with the steps."""


class Page:
    """A page at printing resolution; all positions are millimetres from its upper left corner.

    :param mode: of the image: RGB, or 1 for black on white, which makes a small file
    """

    def __init__(self, paper_mm: tuple[float, float], mode: str = 'RGB') -> None:
        self.image = Image.new(mode, _pixels(*paper_mm), 'white')
        self._draw = ImageDraw.Draw(self.image)

    def picture(self, picture: Image.Image, place_mm: Pair, size_mm: Pair) -> None:
        """Print a picture with its upper left corner at a position."""
        self.image.paste(picture.resize(_pixels(*size_mm)), _pixels(*place_mm))

    def disc(self, picture: Image.Image, place_mm: Pair, diameter_mm: float) -> None:
        """Print the inscribed disc of a square picture, with a cutting line."""
        size = _pixels(diameter_mm, diameter_mm)
        mask = Image.new('L', size)
        ImageDraw.Draw(mask).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=255)
        left, top = _pixels(*place_mm)
        self.image.paste(picture.resize(size), (left, top), mask)
        self._draw.ellipse((left, top, left + size[0] - 1, top + size[1] - 1), outline='black', width=2)

    def tab(self, first: np.ndarray, last: np.ndarray, outwards: np.ndarray) -> None:
        """Draw a grey glue tab, a trapezium beyond the edge from ``first`` to ``last``."""
        slope = (last - first) / np.linalg.norm(last - first) * 0.7
        corners = [first, first + TAB_MM * (outwards + slope), last + TAB_MM * (outwards - slope), last]
        self._draw.polygon([_pixels(*corner) for corner in corners], (238, 238, 238), outline='black', width=2)

    def polygon(self, corners: Sequence[Pair], fill: str) -> None:
        """Draw a closed outline, filled with a colour."""
        self._draw.polygon([_pixels(*corner) for corner in corners], fill, outline='black', width=2)

    def text(self, place_mm: Pair, text: str, height_mm: float = TEXT_MM, anchor: str = 'ls') -> None:
        """Write a line.

        :param anchor: what of it is at the place, as Pillow names it
        """
        font = ImageFont.load_default(height_mm * PRINT_PX_PER_MM)
        self._draw.text(_pixels(*place_mm), text, fill='black', font=font, anchor=anchor)

    def line(self, first: np.ndarray, last: np.ndarray, dashed: bool = False) -> None:
        """Draw a dashed line for a fold or a solid line for a cut."""
        length = np.linalg.norm(last - first)
        step = (last - first) / length
        for start in np.arange(0, length, 4.0) if dashed else [0.0]:
            stop = min(start + 2, length) if dashed else length
            ends = [_pixels(*(first + start * step)), _pixels(*(first + stop * step))]
            self._draw.line(ends, 'black', 2)

    def ruler(self, y_mm: float, command: str) -> None:
        """Draw a ruler of 100 mm for checking the print scale, and what to do next."""
        left = MARGIN_MM + 3.0
        self._draw.line([_pixels(left, y_mm), _pixels(left + 100, y_mm)], fill='black', width=3)
        for tick in range(0, 101):
            length = 5.0 if tick % 50 == 0 else 3.5 if tick % 10 == 0 else 1.8
            self._draw.line([_pixels(left + tick, y_mm), _pixels(left + tick, y_mm - length)], 'black', 2)
        self.text((left + 103, y_mm), '100 mm')
        self.text((left, y_mm + 6), 'Print at 100 % and measure the ruler. Next page: the steps. At the end: '
                  f'{command}')


def watch_command(model: str) -> str:
    """What shows that it works.

    :param model: the shipped one of this object; empty where it has to be trained first
    """
    return f'posegrasp watch 0 --model {model or "MODEL_DIR"}'


def papers_for(height_mm: float) -> dict[str, tuple[float, float]]:
    """Width and height of the papers that hold a page of this height, by name; all are as wide as A4."""
    return {name: PAPERS_MM[name] for name in LABELS if height_mm <= PAPERS_MM[name][1] - MARGIN_MM}


def print_size(width_mm: float, height_mm: float) -> tuple[int, int]:
    """Size of a printed picture in pixels: a multiple of the reduction, so that the texture has an exact size."""
    width, height = np.rint(np.array([width_mm, height_mm]) * PRINT_PX_PER_MM / TEXTURE_REDUCTION).astype(int)
    return int(width) * TEXTURE_REDUCTION, int(height) * TEXTURE_REDUCTION


def pack_texture(prints: dict[str, Image.Image], cells: dict[str, tuple[int, int]]
                 ) -> tuple[Image.Image, dict[str, Edges]]:
    """Reduce the pictures and pack them into one texture.

    :param cells: column and row of each picture
    :return: the texture, and the left, top, right and bottom edge of each picture in it, pixels
    """
    tiles = {name: np.asarray(picture.reduce(TEXTURE_REDUCTION)) for name, picture in prints.items()}
    columns, rows = (np.zeros(max(cell[axis] for cell in cells.values()) + 2, dtype=int) for axis in (0, 1))
    for name, tile in tiles.items():
        column, row = cells[name]
        columns[column + 1] = max(columns[column + 1], tile.shape[1] + 2 * GUTTER_PX)
        rows[row + 1] = max(rows[row + 1], tile.shape[0] + 2 * GUTTER_PX)
    lefts, tops = columns.cumsum(), rows.cumsum()
    atlas, places = np.full((tops[-1], lefts[-1], 3), 255, dtype=np.uint8), {}
    for name, tile in tiles.items():
        column, row = cells[name]
        padded = np.pad(tile, ((GUTTER_PX, GUTTER_PX), (GUTTER_PX, GUTTER_PX), (0, 0)), mode='edge')
        atlas[tops[row]:tops[row] + len(padded), lefts[column]:lefts[column] + padded.shape[1]] = padded
        left, top = int(lefts[column]) + GUTTER_PX, int(tops[row]) + GUTTER_PX
        places[name] = (left, top, left + tile.shape[1], top + tile.shape[0])
    return Image.fromarray(atlas), places


def save_product(folder: Path, mesh_obj: str, texture: Image.Image, labels: Mapping[str, Label],
                 title: str) -> None:
    """Write mesh.obj, mesh.mtl, texture.png and the labels; the folder is created when missing.

    :param labels: by paper
    """
    folder.mkdir(parents=True, exist_ok=True)
    texture.save(folder / 'texture.png', optimize=True)
    (folder / 'mesh.mtl').write_text('newmtl print\nKd 1 1 1\nKs 0.1 0.1 0.1\nmap_Kd texture.png\n')
    (folder / 'mesh.obj').write_text(mesh_obj)
    # A fixed date makes the files reproducible byte for byte.
    date = time.gmtime(0)
    same: dict[str, Any] = {'resolution': PRINT_PX_PER_MM * 25.4, 'creationDate': date, 'modDate': date}
    for paper, (print_page, steps_page) in labels.items():
        print_page.save(folder / LABELS[paper], quality=92, title=title, **same)
        steps_page.save(folder / LABELS[paper], append=True, **same)


def _pixels(x_mm: float, y_mm: float) -> tuple[int, int]:
    return round(float(x_mm) * PRINT_PX_PER_MM), round(float(y_mm) * PRINT_PX_PER_MM)
