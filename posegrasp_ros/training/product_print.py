# SPDX-License-Identifier: Apache-2.0
"""Printing of products: A4 page at true scale, texture atlas of the mesh, and output files."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PRINT_PX_PER_MM = 12  # 305 dpi on paper
TEXTURE_REDUCTION = 3  # the texture keeps 4 px/mm, more than a camera resolves from half a metre
GUTTER_PX = 8  # border of each picture, filled by edge replication so that mipmaps do not bleed across pictures
A4_MM = (210.0, 297.0)
MARGIN_MM = 7.0  # margin that common printers cannot print
TAB_MM = 8.0

Edges = tuple[int, int, int, int]
Pair = tuple[float, float] | np.ndarray


class Page:
    """An A4 page at printing resolution; all positions are millimetres from its upper left corner."""

    def __init__(self) -> None:
        self.image = Image.new('RGB', _pixels(*A4_MM), 'white')
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

    def line(self, first: np.ndarray, last: np.ndarray, dashed: bool = False) -> None:
        """Draw a dashed line for a fold or a solid line for a cut."""
        length = np.linalg.norm(last - first)
        step = (last - first) / length
        for start in np.arange(0, length, 4.0) if dashed else [0.0]:
            stop = min(start + 2, length) if dashed else length
            self._draw.line([_pixels(*(first + start * step)), _pixels(*(first + stop * step))], 'black', 2)

    def ruler(self, y_mm: float, instructions: str) -> None:
        """Draw a ruler of 100 mm for checking the print scale, and the instructions."""
        left = MARGIN_MM + 3.0
        self._draw.line([_pixels(left, y_mm), _pixels(left + 100, y_mm)], fill='black', width=3)
        for tick in range(0, 101):
            length = 5.0 if tick % 50 == 0 else 3.5 if tick % 10 == 0 else 1.8
            self._draw.line([_pixels(left + tick, y_mm), _pixels(left + tick, y_mm - length)], 'black', 2)
        font = ImageFont.load_default(3.6 * PRINT_PX_PER_MM)
        self._draw.text(_pixels(left + 103, y_mm), '100 mm', fill='black', font=font, anchor='ls')
        self._draw.text(_pixels(left, y_mm + 6), instructions, fill='black', font=font, anchor='ls')


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


def save_product(folder: Path, mesh_obj: str, texture: Image.Image, page: Image.Image, title: str) -> None:
    """Write mesh.obj, mesh.mtl, texture.png and label.pdf; the folder is created when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    texture.save(folder / 'texture.png', optimize=True)
    (folder / 'mesh.mtl').write_text('newmtl print\nKd 1 1 1\nKs 0.1 0.1 0.1\nmap_Kd texture.png\n')
    (folder / 'mesh.obj').write_text(mesh_obj)
    # A fixed date makes the files reproducible byte for byte.
    page.save(folder / 'label.pdf', resolution=PRINT_PX_PER_MM * 25.4, quality=92, title=title,
              creationDate=time.gmtime(0), modDate=time.gmtime(0))


def _pixels(x_mm: float, y_mm: float) -> tuple[int, int]:
    return round(float(x_mm) * PRINT_PX_PER_MM), round(float(y_mm) * PRINT_PX_PER_MM)
