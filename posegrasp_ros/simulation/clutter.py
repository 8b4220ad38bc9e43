# SPDX-License-Identifier: Apache-2.0
"""Things with strong edges close behind and beside the object: books, mugs, bottles, screens, pens, sheets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from posegrasp_ros.geometry.transforms import make_transform, transform_points
from posegrasp_ros.simulation.human_hand import capsule
from posegrasp_ros.simulation.placement import Distractor, yaw_transform
from posegrasp_ros.simulation.textures import Texture, sample_texture

# Clearance between the object and what stands behind it.
GAPS_M = (0.002, 0.06)
COUNTS = (3, 8)
# Directions from the object, from straight away from the camera: behind, and beside.
SPREAD_RAD = 1.9
SHEET_M = 0.0005
STRONG_KINDS = ('stripes', 'checker', 'print', 'tiles', 'plain')


def sample_clutter(rng: np.random.Generator, points: np.ndarray, lens: np.ndarray) -> tuple[Distractor, ...]:
    """Draw things that stand on the table right behind the object as the camera sees it.

    :param points: (N, 3) hull vertices of the object in the base frame
    :param lens: (3,) the camera's position
    """
    middle = points[:, :2].mean(axis=0)
    away = float(np.arctan2(*(middle - lens[:2])[::-1]))
    taken = [cv2.convexHull(points[:, :2].astype(np.float32))]
    bodies: list[Distractor] = []
    for _ in range(rng.integers(*COUNTS)):
        thing = _KINDS[rng.integers(len(_KINDS))](rng)
        around = away + float(np.clip(rng.normal(0.0, 0.9), -SPREAD_RAD, SPREAD_RAD))
        direction = np.array([np.cos(around), np.sin(around)])
        footprint = np.concatenate([body.corners[:, :2] for body in thing])
        # A line across the direction separates the two footprints.
        reach_m = (points[:, :2] @ direction).max() - (footprint @ direction).min() + rng.uniform(*GAPS_M)
        sideways = np.array([-direction[1], direction[0]])
        middle_m = middle @ sideways + rng.normal(0.0, 0.03)
        shift = np.append(reach_m * direction + middle_m * sideways, 0.0)
        outline = cv2.convexHull((footprint + shift[:2]).astype(np.float32))
        if any(cv2.intersectConvexConvex(outline, other)[0] > 0 for other in taken):
            continue
        taken.append(outline)
        bodies += moved(thing, make_transform(translation=shift))
    return tuple(bodies)


def moved(bodies: tuple[Distractor, ...], transform: np.ndarray) -> tuple[Distractor, ...]:
    """The bodies, each moved by the (4, 4) transform of the base frame."""
    return tuple(replace(body, base_from_body=transform @ body.base_from_body) for body in bodies)


def as_mug(rng: np.random.Generator, cylinder: Distractor) -> tuple[Distractor, ...]:
    """A cylinder with rims of another colour and a handle."""
    radius_m, half_m = cylinder.size[:2]
    plain = sample_strong_texture(rng, 'plain')
    rim_m = rng.uniform(0.003, 0.008)
    parts = [cylinder]
    for end in (-1, 1):
        pose = cylinder.base_from_body @ make_transform(translation=(0, 0, end * (half_m - rim_m)))
        size = np.array([1.01 * radius_m, 1.05 * rim_m, 0.0])
        parts.append(Distractor('cylinder', size, np.array([size[0], size[0], size[1]]), pose, plain))
    angles = np.linspace(-np.pi / 2, np.pi / 2, 6)
    arc = np.column_stack([radius_m + 0.6 * radius_m * np.cos(angles), np.zeros(6), 0.6 * half_m * np.sin(angles)])
    arc = transform_points(cylinder.base_from_body, arc)
    parts += [capsule(start, end, 0.13 * radius_m, plain) for start, end in pairwise(arc)]
    return tuple(parts)


def sample_strong_texture(rng: np.random.Generator, kind: str | None = None) -> Texture:
    """A texture of high contrast: a dark and a light or a vivid colour."""
    texture = sample_texture(rng)
    kind = kind or str(rng.choice(STRONG_KINDS))
    dark = tuple((0.2 * rng.random(3)).tolist())
    light = tuple((1.0 - 0.15 * rng.random(3)).tolist())
    pair = [dark, light if rng.random() < 0.6 else texture.colours[0]]
    first, second = pair if rng.random() < 0.4 else pair[::-1]
    return Texture(kind, (first, second), texture.seed)


def _book(rng: np.random.Generator) -> tuple[Distractor, ...]:
    """Standing on its edge, or a carton."""
    return (_standing_box(rng, rng.uniform((0.05, 0.008, 0.05), (0.11, 0.03, 0.14))),)


def _screen(rng: np.random.Generator) -> tuple[Distractor, ...]:
    return (_standing_box(rng, rng.uniform((0.12, 0.008, 0.10), (0.22, 0.02, 0.18))),)


def _stack(rng: np.random.Generator) -> tuple[Distractor, ...]:
    """Lying books, one upon another."""
    bodies, height_m = [], 0.0
    for _ in range(rng.integers(2, 5)):
        half_extents = rng.uniform((0.05, 0.04, 0.006), (0.10, 0.07, 0.02))
        pose = yaw_transform(rng.normal(0.0, 0.2))
        pose[2, 3] = height_m + half_extents[2]
        height_m += 2 * half_extents[2]
        bodies.append(Distractor('box', half_extents, half_extents, pose, sample_strong_texture(rng)))
    return moved(tuple(bodies), yaw_transform(rng.uniform(-np.pi, np.pi)))


def _bottle(rng: np.random.Generator) -> tuple[Distractor, ...]:
    """A bottle with a cap."""
    radius_m, half_m = rng.uniform(0.02, 0.04), rng.uniform(0.05, 0.1)
    return (_upright('cylinder', radius_m, half_m, half_m, sample_strong_texture(rng)),
            _upright('cylinder', 0.45 * radius_m, 0.02, 2 * half_m + 0.02, sample_strong_texture(rng, 'plain')))


def _mug(rng: np.random.Generator) -> tuple[Distractor, ...]:
    radius_m, half_m = rng.uniform(0.035, 0.045), rng.uniform(0.04, 0.06)
    mug = as_mug(rng, _upright('cylinder', radius_m, half_m, half_m, sample_strong_texture(rng)))
    return moved(mug, yaw_transform(rng.uniform(-np.pi, np.pi)))


def _pen(rng: np.random.Generator) -> tuple[Distractor, ...]:
    radius_m, half_m = rng.uniform(0.003, 0.006), rng.uniform(0.06, 0.08)
    start, end = np.array([[0.0, -half_m, radius_m], [0.0, half_m, radius_m]])
    pen = capsule(start, end, radius_m, sample_strong_texture(rng))
    return moved((pen,), yaw_transform(rng.uniform(-np.pi, np.pi)))


_KINDS: tuple[Callable[[np.random.Generator], tuple[Distractor, ...]], ...] = (
    _book, _book, _screen, _stack, _bottle, _mug, _mug, _pen)


def sample_sheets(rng: np.random.Generator, middle: np.ndarray) -> tuple[Distractor, ...]:
    """None to two sheets of card, one upon another, with edges near a point (3,) of the table."""
    sheets = []
    for index in range(rng.integers(0, 3)):
        half_extents = np.array([*rng.uniform(0.06, 0.15, 2), SHEET_M / 2])
        pose = yaw_transform(rng.uniform(-np.pi, np.pi))
        pose[:2, 3] = middle[:2] + rng.normal(0.0, 0.07, 2)
        pose[2, 3] = (index + 0.5) * SHEET_M
        sheets.append(Distractor('box', half_extents, half_extents, pose, sample_strong_texture(rng)))
    return tuple(sheets)


def _standing_box(rng: np.random.Generator, half_extents: np.ndarray) -> Distractor:
    pose = yaw_transform(rng.uniform(-np.pi, np.pi))
    pose[2, 3] = half_extents[2]
    return Distractor('box', half_extents, half_extents, pose, sample_strong_texture(rng))


def _upright(shape: str, radius_m: float, half_m: float, height_m: float, texture: Texture) -> Distractor:
    """A solid of revolution with its middle at a height above the table's origin."""
    return Distractor(shape, np.array([radius_m, half_m, 0.0]), np.array([radius_m, radius_m, half_m]),
                      make_transform(translation=(0.0, 0.0, height_m)), texture)
