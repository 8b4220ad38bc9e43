# SPDX-License-Identifier: Apache-2.0
"""Conversion of vertex and face colours to a texture, so that only textures need to be handled elsewhere.

Each triangle gets its own patch. Its colours are extrapolated linearly beyond its edges, so bilinear lookups are
exact up to the edge and no seams appear. Neighbours on the surface are neighbours on the texture because a smaller
copy of it (a mipmap) mixes neighbouring patches.
"""

from __future__ import annotations

import numpy as np

MOST_PX = 1024
# Side of the square cell that two patches share; the largest that fits is used. Colours that vary linearly over a
# patch need no more.
CELLS_PX = (16, 8)
# Cell side minus leg of a patch: its own margin and that of the patch across the diagonal.
MARGINS_PX = 5


def bake(corners: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay the triangles out on a texture; if there are too many for patches, as one pixel of mean colour each.

    :param corners: (F, 3, 3) of the triangles, metres
    :param colours: (F, 3, 3) of their corners, blue green red in 0 to 255
    :return: (F, 3, 2) texture coordinates of the corners, v up, and the (H, W, 3) uint8 texture
    """
    order = np.empty(len(corners), dtype=int)
    order[np.argsort(_interleaved(_grid(corners.mean(axis=1))), kind='stable')] = np.arange(len(corners))
    for cell_px in CELLS_PX:
        cells = _cells_per_side((len(corners) + 1) // 2)
        if cells * cell_px <= MOST_PX:
            return _patches(colours, order, cells, cell_px)
    return _pixels(colours.mean(axis=1), order, _cells_per_side(len(corners)))


def _cells_per_side(count: int) -> int:
    """The power of two whose square is not below ``count``."""
    return 2 ** int(np.ceil(np.log2(max(count, 1)) / 2))


def _patches(colours: np.ndarray, order: np.ndarray, cells: int, cell_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Place two right triangles in each cell, the second rotated by 180 degrees."""
    leg = cell_px - MARGINS_PX
    # Pixel centres have integer coordinates.
    patch_px = np.array([[1, 1], [1 + leg, 1], [1, 1 + leg]])
    row, column = np.mgrid[:cell_px, :cell_px]
    first = row + column < cell_px  # of the two patches, by pixel
    places = np.stack([patch_px, cell_px - 1 - patch_px])
    weights = np.stack([1 - (column - 1) / leg - (row - 1) / leg, (column - 1) / leg, (row - 1) / leg], axis=-1)
    texture = np.empty((cells, cells, cell_px, cell_px, 3), dtype=np.uint8)
    texture[:] = colours.mean(axis=(0, 1)).round().clip(0, 255)
    cell_row, cell_column = _deinterleaved(order // 2)
    for side, (mine, weight) in enumerate([(first, weights), (~first, weights[::-1, ::-1])]):
        faces = np.flatnonzero(order % 2 == side)
        painted = np.einsum('pk,fkc->fpc', weight[mine], colours[faces]).round().clip(0, 255)
        rows, columns = np.nonzero(mine)
        texture[cell_row[faces, None], cell_column[faces, None], rows, columns] = painted
    size = cells * cell_px
    pixels = np.stack([cell_column, cell_row], axis=-1)[:, None] * cell_px + places[order % 2]
    return _coordinates(pixels, size), texture.transpose(0, 2, 1, 3, 4).reshape(size, size, 3)


def _pixels(colours: np.ndarray, order: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Use one pixel per triangle."""
    texture = np.empty((size, size, 3), dtype=np.uint8)
    texture[:] = colours.mean(axis=0).round().clip(0, 255)
    row, column = _deinterleaved(order)
    texture[row, column] = colours.round().clip(0, 255)
    pixels = np.stack([column, row], axis=-1)
    return _coordinates(np.repeat(pixels[:, None], 3, axis=1), size), texture


def _coordinates(pixels: np.ndarray, size: int) -> np.ndarray:
    """Texture coordinates, v up, of pixels (..., 2) x, y."""
    place = (pixels + 0.5) / size
    return np.stack([place[..., 0], 1 - place[..., 1]], axis=-1)


def _grid(points: np.ndarray) -> np.ndarray:
    """(N, 3) integers below 1024: the points' positions in their bounding box, quantised."""
    low = points.min(axis=0)
    return ((points - low) / max(float(np.ptp(points, axis=0).max()), 1e-12) * 1023).astype(int)


def _interleaved(numbers: np.ndarray) -> np.ndarray:
    """(N,) Morton codes of (N, D) integers: points close in space are mostly close in this order."""
    axes = numbers.shape[1]
    bits = [((numbers[:, axis] >> bit) & 1) << (axes * bit + axis) for bit in range(10) for axis in range(axes)]
    return np.sum(bits, axis=0)


def _deinterleaved(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (N,) of the cells with Morton codes (N,)."""
    row, column = np.zeros_like(codes), np.zeros_like(codes)
    for bit in range(16):
        column |= ((codes >> (2 * bit)) & 1) << bit
        row |= ((codes >> (2 * bit + 1)) & 1) << bit
    return row, column
