# SPDX-License-Identifier: Apache-2.0
"""A hand of capsules that holds or touches an object, for scenes to look at."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.simulation.placement import Distractor
from posegrasp_ros.simulation.scene import direction_of
from posegrasp_ros.simulation.textures import Texture

# Of an adult's hand.
FINGER_RADIUS_M, FINGER_SPACING_M, LONGEST_REACH_M = 0.0085, 0.0205, 0.10
PALM_HALF_EXTENTS_M = (0.044, 0.018, 0.048)
FOREARM_RADIUS_M, FOREARM_M = 0.03, 0.5
# From light to dark, red green blue.
SKINS = ((0.96, 0.80, 0.70), (0.87, 0.66, 0.53), (0.73, 0.50, 0.36), (0.50, 0.33, 0.23), (0.33, 0.21, 0.15))
LOWEST_M = 0.004


def sample_hand(rng: np.random.Generator, points: np.ndarray) -> tuple[Distractor, ...]:
    """Draw a hand with fingers on one side of the object and the thumb on the other; empty where there is no room.

    :param points: (N, 3) of the object, base frame, metres; its hull is what is touched
    """
    hull = ConvexHull(points)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    for _ in range(20):
        approach, closing = _directions(rng)
        segments = _segments(rng, hull.equations, middle, approach, closing, float(np.ptp(points @ closing)),
                             float((points @ approach).max() - middle @ approach))
        lowest_m = min(min(start[2], end[2]) - radius_m for start, end, radius_m in segments)
        if lowest_m > LOWEST_M:
            return _bodies(rng, segments, approach, closing)
    return ()


def _directions(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """From the object to the palm, mostly from above or level, and from the thumb to the fingers."""
    azimuth, elevation = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(0.0, 80.0))
    approach = direction_of(azimuth, elevation)
    closing = np.cross(approach, rng.normal(size=3))
    return approach, closing / np.linalg.norm(closing)


def _segments(rng: np.random.Generator, planes: np.ndarray, middle: np.ndarray, approach: np.ndarray,
              closing: np.ndarray, width_m: float, height_m: float) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Capsules (start, end, radius): fingers, thumb, and the forearm last.

    :param planes: (K, 4) of the object's hull, n x + d <= 0 inside
    :param width_m: of the object along ``closing``
    :param height_m: of the object's top above ``middle`` along ``approach``
    """
    aside = np.cross(approach, closing)
    depth_m = rng.uniform(0.0, min(height_m, 0.05))  # of the fingertips below the object's top
    palm = middle + (height_m + rng.uniform(0.03, 0.055)) * approach
    segments = []
    fingers = [(number, 1.0) for number in np.arange(4) - 1.5] + [(rng.uniform(-1.0, 0.5), -1.0)]
    for number, side in fingers:
        lateral = number * FINGER_SPACING_M * aside
        level = middle + (height_m - depth_m - rng.uniform(0.0, 0.008)) * approach + 0.8 * lateral
        tip_m = _surface_m(planes, level, side * closing)
        if tip_m is None:  # beside the object: the finger is bent
            tip_m = rng.uniform(0.0, 0.015)
        tip = level + side * (min(tip_m, LONGEST_REACH_M) + 0.7 * FINGER_RADIUS_M) * closing
        knuckle = palm + lateral + side * 0.03 * closing
        outwards_m = max(0.012, width_m / 2 - 0.025)
        joint = (knuckle + tip) / 2 + side * min(outwards_m, 0.02) * closing + 0.01 * approach
        radius_m = FINGER_RADIUS_M * (1.15 if side < 0 else rng.uniform(0.9, 1.05))
        segments += [(knuckle, joint, 1.08 * radius_m), (joint, tip, radius_m)]
    bend = approach + rng.normal(0.0, 0.35, 3)
    bend /= np.linalg.norm(bend)
    wrist = palm + 0.045 * approach
    return [*segments, (wrist, wrist + FOREARM_M * bend, FOREARM_RADIUS_M * rng.uniform(0.8, 1.15))]


def _surface_m(planes: np.ndarray, start: np.ndarray, direction: np.ndarray) -> float | None:
    """How far along a line through ``start`` it leaves the hull; None where it misses the hull."""
    slopes, gaps_m = planes[:, :3] @ direction, -(planes[:, :3] @ start + planes[:, 3])
    leaving, entering = slopes > 1e-9, slopes < -1e-9
    if (gaps_m[~leaving & ~entering] < 0).any():
        return None
    last_m = (gaps_m[leaving] / slopes[leaving]).min()
    first_m = (gaps_m[entering] / slopes[entering]).max()
    return float(last_m) if last_m > first_m else None


def _bodies(rng: np.random.Generator, segments: list[tuple[np.ndarray, np.ndarray, float]], approach: np.ndarray,
            closing: np.ndarray) -> tuple[Distractor, ...]:
    skin = np.array(SKINS[rng.integers(len(SKINS))])
    light, dark = (tuple(np.clip(skin * factor, 0, 1).tolist()) for factor in (1.0, 0.78))
    texture = Texture('clouds', (light, dark), int(rng.integers(2**31)))
    half_extents = np.array(PALM_HALF_EXTENTS_M)
    palm = make_transform(np.column_stack([np.cross(closing, approach), closing, approach]),
                          segments[-1][0] - 0.02 * approach)
    return (Distractor('ellipsoid', half_extents, half_extents, palm, texture),
            *(capsule(start, end, radius_m, texture) for start, end, radius_m in segments))


def capsule(start: np.ndarray, end: np.ndarray, radius_m: float, texture: Texture) -> Distractor:
    """A capsule between two points (3,), base frame."""
    half_m = float(np.linalg.norm(end - start)) / 2
    z = (end - start) / (2 * half_m)
    x = np.cross(z, (0.0, 0.0, 1.0) if abs(z[2]) < 0.9 else (1.0, 0.0, 0.0))
    x /= np.linalg.norm(x)
    pose = make_transform(np.column_stack([x, np.cross(z, x), z]), (start + end) / 2)
    return Distractor('capsule', np.array([radius_m, half_m, 0.0]),
                      np.array([radius_m, radius_m, half_m + radius_m]), pose, texture)
