# SPDX-License-Identifier: Apache-2.0
"""Procedural textures for tables, floors, walls and distractors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

KINDS = ('plain', 'clouds', 'grain', 'speckle', 'checker', 'stripes', 'tiles', 'print')


@dataclass(frozen=True)
class Texture:
    """Parameters of a texture; the same parameters always give the same picture.

    :param kind: one of :data:`KINDS`
    :param colours: two colours, red green blue in [0, 1]
    :param seed: of the random details
    """

    kind: str
    colours: tuple[tuple[float, float, float], tuple[float, float, float]]
    seed: int


UNPAINTED = Texture('unpainted', ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), 0)
"""Uniform grey, for scenes that are not rendered; painting takes time."""


def sample_texture(rng: np.random.Generator) -> Texture:
    """Draw a texture of any kind with two random colours, more often muted than vivid."""
    return Texture(str(rng.choice(KINDS)), (_sample_colour(rng), _sample_colour(rng)),
                   int(rng.integers(2**31)))


@lru_cache(maxsize=32)  # a scene is often built several times: for each condition, or without its object
def paint(texture: Texture, size: int = 256) -> np.ndarray:
    """The texture's picture, (size, size, 3) uint8, red green blue, read-only."""
    picture = _painted(texture, size)
    picture.flags.writeable = False
    return picture


def _painted(texture: Texture, size: int) -> np.ndarray:
    if texture == UNPAINTED:
        return np.full((8, 8, 3), 128, np.uint8)
    rng = np.random.default_rng(texture.seed)
    first, second = (np.array(colour, dtype=np.float32) for colour in texture.colours)
    if texture.kind == 'print':
        picture = _print(rng, size, first, second)
    else:
        weight = _PATTERNS[texture.kind](rng, size).astype(np.float32)[..., None]
        picture = first + weight * (second - first)
    # Real surfaces are not uniform: add dirt and wear of a few per cent.
    wear = 1.0 + 0.12 * (_clouds(rng, size)[..., None] - 0.5)
    return np.clip(255 * picture * wear, 0, 255).astype(np.uint8)


def _sample_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    hsv = np.array([[[rng.uniform(0, 360), rng.beta(1.0, 1.6), rng.uniform(0.1, 1.0)]]], dtype=np.float32)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]
    return float(red), float(green), float(blue)


def _clouds(rng: np.random.Generator, size: int, stretch: int = 1) -> np.ndarray:
    """Value noise of five octaves in [0, 1]; ``stretch`` > 1 stretches it along the rows."""
    noise = np.zeros((size, size), dtype=np.float32)
    for octave in range(1, 6):
        cells = 2**octave
        grid = rng.random((cells + 1, max(cells // stretch, 1) + 1), dtype=np.float32)
        noise += 0.6**octave * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(noise, np.empty_like(noise), 0.0, 1.0, cv2.NORM_MINMAX)


def _grain(rng: np.random.Generator, size: int) -> np.ndarray:
    """Wood: stretched noise folded into rings."""
    rings = rng.integers(2, 9)
    return 0.5 + 0.5 * np.sin(2 * np.pi * rings * _clouds(rng, size, stretch=8))


def _speckle(rng: np.random.Generator, size: int) -> np.ndarray:
    """Granite: grains of one random size."""
    cells = int(size // rng.integers(1, 6))
    return cv2.resize(rng.random((cells, cells), dtype=np.float32) ** 2, (size, size))


def _checker(rng: np.random.Generator, size: int) -> np.ndarray:
    step = size // rng.integers(3, 20)
    rows, columns = np.indices((size, size)) // step
    return ((rows + columns) % 2).astype(np.float32)


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    rows, columns = np.indices((size, size)) / size
    angle = rng.uniform(0, np.pi)
    wave = np.sin(2 * np.pi * rng.integers(3, 25) * (rows * np.cos(angle) + columns * np.sin(angle)))
    return np.clip(0.5 + rng.uniform(0.5, 5.0) * wave, 0, 1)


def _tiles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Tiles of slightly different shade with joints between them."""
    count = int(rng.integers(2, 9))
    shade = 0.4 * rng.random((count, count), dtype=np.float32)
    picture = cv2.resize(shade, (size, size), interpolation=cv2.INTER_NEAREST)
    joint = np.arange(size) % (size / count) < rng.uniform(1, 5)
    picture[joint] = 1.0
    picture[:, joint] = 1.0
    return picture


def _print(rng: np.random.Generator, size: int, paper: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Packaging: filled shapes and letters, so that printed artwork alone does not identify the object."""
    picture = np.empty((size, size, 3), dtype=np.uint8)
    picture[:] = 255 * paper
    for _ in range(rng.integers(3, 9)):
        colour = tuple(255 * float(part) for part in (ink if rng.random() < 0.4 else _sample_colour(rng)))
        x, y = (int(v) for v in rng.integers(0, size, 2))
        extent = int(rng.integers(size // 16, size // 3))
        shape = rng.integers(4)
        if shape == 0:
            cv2.circle(picture, (x, y), extent // 2, colour, -1)
        elif shape == 1:
            cv2.rectangle(picture, (x, y), (x + extent, y + extent // 2), colour, -1)
        elif shape == 2:
            corners = np.array([x, y]) + rng.integers(-extent, extent, (3, 2))
            cv2.fillPoly(picture, [corners.astype(np.int32)], colour)
        else:
            letters = ''.join(chr(c) for c in rng.integers(48, 91, 6))
            cv2.putText(picture, letters, (x - extent, y), cv2.FONT_HERSHEY_SIMPLEX, extent / 40, colour,
                        int(rng.integers(1, 6)))
    return picture.astype(np.float32) / 255


_PATTERNS = {
    'plain': lambda rng, size: np.zeros((size, size)),
    'clouds': _clouds,
    'grain': _grain,
    'speckle': _speckle,
    'checker': _checker,
    'stripes': _stripes,
    'tiles': _tiles,
}
