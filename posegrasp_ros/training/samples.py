# SPDX-License-Identifier: Apache-2.0
"""Training samples: views rotated, scaled, lit, occluded, placed on a background and degraded as by a camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from posegrasp_ros.training.backgrounds import Backgrounds
from posegrasp_ros.training.outline_clutter import add_clutter
from posegrasp_ros.training.photograph import photograph
from posegrasp_ros.training.rendered_views import FILL, VIEW_SIZE, RenderedView
from posegrasp_ros.training.worn_print import wear

CROP_SIZE = 128
COORDINATES_STRIDE = 4
CROP_MARGIN = 1.15
"""Half the side of a crop, in radii of the object's bounding sphere."""
CROP_SPREADS = ((0.15, 0.12), (0.25, 0.20), (0.40, 0.30))
"""Standard deviations of a crop's log scale, and of its centre in object radii, for three kinds of crops."""
MOST_OFF = np.log(2.0)
SCENE_SIZE = (320, 256)
DETECTOR_STRIDE = 8
COVERED = 0.6
"""Probability of an occluder in front of the object."""
HIDDEN, HIDDEN_WELL, MOST_COVERS = (0.05, 0.6), (0.3, 0.6), 4
"""Fraction of the object hidden by an occluder, and by a large one; and the maximum number of tries."""
LARGE_COVERS, SOLID_COVERS = 0.4, 0.4
"""Probabilities of an occluder that hides much, and of one that is a solid and not a flat shape."""
CLUTTERED = 0.5
"""Probability of things behind the outline of an object."""
LAMP_TINT = 0.15
"""Standard deviation of the logarithm of each channel of a lamp's colour."""
SKIN_BGR = ((60, 90, 140), (170, 200, 240))
"""From dark to light."""
MOST_DISTRACTORS, SOLID = 3, 0.6
"""Things beside the object; probability that one is a solid and not the object's shape."""
OBJECTS = (0.12, 0.40, 0.24, 0.16, 0.08)
"""Probabilities of 0, 1, 2, ... objects in a picture for the detector: each more is one to learn from."""
RADIUS_RANGE_PX = (11.0, 90.0)
"""Range of the bounding sphere's radius in the detector's input during training."""


Taking = Callable[[np.random.Generator, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Placement:
    """Placement of a view in a picture.

    :param centre: (2,) pixels of the object's centre
    :param radius_px: radius of its bounding sphere
    :param turn_rad: rotation about the optical axis
    """

    centre: np.ndarray
    radius_px: float
    turn_rad: float

    def picture_from_view(self, size: int) -> np.ndarray:
        """(2, 3) affine map from pixels of a view of ``size`` pixels to the picture's."""
        scale = self.radius_px / (FILL * size / 2)
        cosine, sine = scale * np.cos(self.turn_rad), scale * np.sin(self.turn_rad)
        middle = (size - 1) / 2
        linear = np.array([[cosine, -sine], [sine, cosine]])
        return np.column_stack([linear, self.centre - linear @ (middle, middle)])


class SampleMaker:
    """Draws samples for both networks from a bank of views and backgrounds.

    :param solids: see :func:`posegrasp_ros.training.distractor_views.render_distractors`
    :param take: the camera, as :func:`posegrasp_ros.training.photograph.photograph` is one
    """

    def __init__(self, views: list[RenderedView], backgrounds: Backgrounds, solids: Sequence[RenderedView] = (),
                 take: Taking = photograph):
        self._views, self._solids = views, solids
        self._backgrounds = backgrounds
        self._take = take

    def crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A sample for the coordinate network.

        :return: crop (S, S, 3) uint8 red green blue; visible (S/4, S/4) bool; coordinates (S/4, S/4, 3) float32;
            (3,) float32 unit vector from the object's centre to the camera, object frame
        """
        view = self._views[rng.integers(len(self._views))]
        # mostly a good crop, sometimes an inaccurate detection, sometimes that of a half hidden object; never so
        # good that the network could read the pose off the crop
        scale_spread, centre_spread = CROP_SPREADS[rng.choice(len(CROP_SPREADS), p=(0.6, 0.25, 0.15))]
        radius = CROP_SIZE / 2 / CROP_MARGIN * np.exp(np.clip(rng.normal(0, scale_spread), -MOST_OFF, MOST_OFF))
        centre = (CROP_SIZE - 1) / 2 + rng.normal(0, centre_spread * radius, 2)
        placement = Placement(centre, radius, _turn(rng))
        size = (CROP_SIZE, CROP_SIZE)
        picture, hidden = self._picture(rng, size, [(view, placement)])
        if rng.random() < 0.15:
            _cut_off(rng, picture, hidden, radius)
        steps = np.arange(0, CROP_SIZE, COORDINATES_STRIDE) + (COORDINATES_STRIDE - 1) / 2
        coordinates = _look_up(view, placement, steps)
        rows = np.rint(steps).astype(int)
        visible = np.isfinite(coordinates[:, :, 0]) & ~hidden[np.ix_(rows, rows)]
        to_camera = -view.centred_from_object[2].astype(np.float32)
        return picture, visible, np.nan_to_num(coordinates), to_camera

    def scene(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A sample for the detector.

        :return: picture (H, W, 3) uint8 red green blue; objects (K, 3) float32 centre u, v and radius, pixels
        """
        width, height = SCENE_SIZE
        placed: list[tuple[RenderedView, Placement]] = []
        for _ in range(rng.choice(len(OBJECTS), p=OBJECTS)):
            radius = np.exp(rng.uniform(*np.log(RADIUS_RANGE_PX)))
            centre = rng.uniform((0.0, 0.0), (width, height))
            inside = np.clip(centre, 0.6 * radius, np.subtract((width, height), 0.6 * radius))
            if all(np.linalg.norm(inside - other.centre) > 0.8 * (radius + other.radius_px)
                   for _, other in placed):
                placed.append((self._views[rng.integers(len(self._views))], Placement(inside, radius, _turn(rng))))
        picture, _ = self._picture(rng, SCENE_SIZE, placed)
        objects = [(*placement.centre, placement.radius_px) for _, placement in placed]
        return picture, np.array(objects, np.float32).reshape(-1, 3)

    def _picture(self, rng: np.random.Generator, size: tuple[int, int],
                 placed: list[tuple[RenderedView, Placement]]) -> tuple[np.ndarray, np.ndarray]:
        """Compose a picture: background, distractors, objects, occluders, then camera effects.

        :return: picture (H, W, 3) uint8 red green blue, hidden (H, W) bool where there is an occluder
        """
        canvas = self._backgrounds.patch(rng, *size).astype(np.float32)
        canvas *= np.float32(rng.uniform(0.4, 1.2))
        for _ in range(rng.integers(0, MOST_DISTRACTORS + 1)):
            self._add_distractor(rng, canvas, placed)
        for view, placement in placed:
            if rng.random() < CLUTTERED:
                add_clutter(rng, canvas, self._backgrounds, placement.centre, placement.radius_px)
            if rng.random() < 0.5:
                _cast_shadow(rng, canvas, view, placement)
            _paste(rng, canvas, view, placement)
        hidden = np.zeros(canvas.shape[:2], bool)
        if rng.random() < COVERED:
            for view, placement in placed:
                hidden |= self._cover(rng, canvas, view, placement)
        return self._take(rng, canvas), hidden

    def _add_distractor(self, rng: np.random.Generator, canvas: np.ndarray,
                        placed: list[tuple[RenderedView, Placement]]) -> None:
        """Add a solid, or the object's shape with another surface: the networks must not rely on shape alone."""
        height, width = canvas.shape[:2]
        bank: Sequence[RenderedView] = self._solids if self._solids and rng.random() < SOLID else self._views
        view = bank[int(rng.integers(len(bank)))]
        radius = placed[0][1].radius_px * rng.uniform(0.5, 1.4) if placed else rng.uniform(*RADIUS_RANGE_PX)
        placement = Placement(rng.uniform((0, 0), (width, height)), radius, rng.uniform(0, 2 * np.pi))
        if rng.random() < 0.5:
            _cast_shadow(rng, canvas, view, placement)
        surface = self._backgrounds.patch(rng, 64, 64).astype(np.float32)
        if rng.random() < 0.4:
            surface = surface * np.float32(0.15) + rng.uniform(0, 255, 3).astype(np.float32) * np.float32(0.85)
        _paste(rng, canvas, view, placement, surface)

    def _cover(self, rng: np.random.Generator, canvas: np.ndarray, view: RenderedView,
               placement: Placement) -> np.ndarray:
        """Add an occluder in front of a part of the object; returns its (H, W) bool mask."""
        height, width = canvas.shape[:2]
        window, colour = _warp(view.colours, placement, (width, height))
        seen = colour[:, :, 3] > 127
        low, high = np.count_nonzero(seen) * np.array(HIDDEN_WELL if rng.random() < LARGE_COVERS else HIDDEN)
        solid = self._solids[int(rng.integers(len(self._solids)))] if (
            self._solids and rng.random() < SOLID_COVERS) else None
        before = placement
        for _ in range(MOST_COVERS):
            shape = np.zeros((height, width), np.uint8)
            if solid:
                before = _draw_solid(rng, shape, solid, placement)
            else:
                _draw_blob(rng, shape, placement)
            hidden = np.count_nonzero(seen & (shape[window] > 0))
            if low < hidden < high:
                break
        else:
            return np.zeros((height, width), bool)
        surface = self._backgrounds.patch(rng, width, height).astype(np.float32)
        if rng.random() < 0.5:
            plain = rng.uniform(*SKIN_BGR) if rng.random() < 0.3 else rng.uniform(0, 255, 3)
            surface = surface * np.float32(0.2) + plain.astype(np.float32) * np.float32(0.8)
        if solid:
            _paste(rng, canvas, solid, before, surface)
        else:
            soft = cv2.blur(shape, (3, 3))[:, :, None] / np.float32(255)
            canvas += (surface - canvas) * soft
        return shape > 0


def _cut_off(rng: np.random.Generator, picture: np.ndarray, hidden: np.ndarray, radius: float) -> None:
    """Black out one side of a crop, in place, as where a crop extends beyond the camera's image."""
    depth = int(picture.shape[0] / 2 - radius * rng.uniform(0.2, 1.0))
    side, nothing = rng.integers(4), slice(None)
    part = [(slice(0, depth), nothing), (slice(-depth, None), nothing),
            (nothing, slice(0, depth)), (nothing, slice(-depth, None))][side]
    if depth > 0:
        picture[part] = 0
        hidden[part] = True


def _turn(rng: np.random.Generator) -> float:
    """Additional roll of a view: mostly small, as views above a table have their own roll; else uniform."""
    return rng.normal(0, np.radians(15)) if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)


def _warp(levels: list[np.ndarray], placement: Placement, size: tuple[int, int],
          interpolation: int = cv2.INTER_LINEAR) -> tuple[tuple[slice, slice], np.ndarray]:
    """Warp a view's layer into a picture of ``size``.

    :return: the window (rows, columns) of the picture that contains it, and the layer there
    """
    scale = placement.radius_px / (FILL * VIEW_SIZE / 2)
    level = int(np.clip(np.floor(-np.log2(scale) + 0.4), 0, len(levels) - 1))
    matrix = placement.picture_from_view(levels[level].shape[0])
    low = np.maximum(np.floor(placement.centre - placement.radius_px).astype(int), 0)
    high = np.minimum(np.ceil(placement.centre + placement.radius_px).astype(int) + 1, size)
    high = np.maximum(high, low + 1)
    matrix[:, 2] -= low
    layer = cv2.warpAffine(levels[level], matrix, tuple(int(v) for v in high - low), flags=interpolation)
    return (slice(low[1], high[1]), slice(low[0], high[0])), layer


def _look_up(view: RenderedView, placement: Placement, steps: np.ndarray) -> np.ndarray:
    """(N, N, 3) object coordinates at the picture's pixels steps x steps; NaN outside the object."""
    inverse = cv2.invertAffineTransform(placement.picture_from_view(VIEW_SIZE))
    u, v = np.meshgrid(steps, steps)
    source = np.rint(np.stack([u, v], axis=-1) @ inverse[:, :2].T + inverse[:, 2]).astype(int)
    inside = ((source >= 0) & (source < VIEW_SIZE)).all(axis=-1)
    source = source.clip(0, VIEW_SIZE - 1)
    found = view.coordinates[source[..., 1], source[..., 0]].astype(np.float32)
    return np.where(inside[..., None], found, np.nan)


def _paste(rng: np.random.Generator, canvas: np.ndarray, view: RenderedView, placement: Placement,
           surface: np.ndarray | None = None) -> None:
    """Draw a lit view onto the canvas, in place.

    :param surface: (h, w, 3) float32, used instead of the view's colour
    """
    window, layer = _warp(view.colours, placement, canvas.shape[1::-1])
    part = canvas[window]
    if part.size == 0 or layer.shape[:2] != part.shape[:2]:
        return
    # shading varies slowly, so half the resolution is sufficient
    _, normals = _warp(view.normals[1:], placement, canvas.shape[1::-1])
    shade, highlight = _light(rng, normals[::2, ::2].astype(np.float32) / np.float32(127.5) - 1)
    shade = cv2.resize(shade, layer.shape[1::-1])
    coverage = layer[:, :, 3:].astype(np.float32) / np.float32(255)
    if surface is None:
        colour = wear(rng, layer)
    else:
        colour = cv2.resize(surface, layer.shape[1::-1]) * coverage
    colour *= shade
    if highlight is not None:
        colour += cv2.resize(highlight, layer.shape[1::-1])[:, :, None] * coverage
    part *= 1 - coverage
    part += colour


def _light(rng: np.random.Generator, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Shading of (H, W, 3) normals by ambient light and one to three lamps, and sometimes a highlight.

    :return: (H, W, 3) factors on the colour; (H, W) what is added to it, or None
    """
    lamps = rng.normal(size=(rng.integers(1, 4), 3)).astype(np.float32)
    lamps[:, 2] = -np.abs(lamps[:, 2])  # from the camera's side: visible normals have z below 0
    lamps /= np.linalg.norm(lamps, axis=1, keepdims=True)
    strengths = rng.uniform(0.1, 1.2, len(lamps)) / len(lamps) ** 0.5
    tints = np.exp(rng.normal(0, LAMP_TINT, (len(lamps), 3)))
    facing = np.maximum(normals @ lamps.T, 0)
    # from nearly black unlit sides (one hard lamp) to uniform light (a cloudy day)
    ambient = np.exp(rng.uniform(np.log(0.06), np.log(0.9)))
    shade = facing @ (strengths[:, None] * tints).astype(np.float32) + np.float32(ambient)
    if rng.random() < 0.6:
        return shade, None
    return shade, cv2.pow(np.ascontiguousarray(facing[:, :, 0]), rng.uniform(5, 40)) * rng.uniform(20, 160)


def _cast_shadow(rng: np.random.Generator, canvas: np.ndarray, view: RenderedView, placement: Placement) -> None:
    """Darken the background next to the object, in place."""
    shift = rng.normal(0, 0.3 * placement.radius_px, 2)
    moved = Placement(placement.centre + shift, placement.radius_px * rng.uniform(0.9, 1.2), placement.turn_rad)
    window, layer = _warp(view.colours[-1:], moved, canvas.shape[1::-1])
    part = canvas[window]
    if part.size == 0 or layer.shape[:2] != part.shape[:2]:
        return
    coverage = cv2.blur(layer[:, :, 3], (int(placement.radius_px * rng.uniform(0.1, 0.5)) + 1,) * 2)
    part *= 1 - coverage[:, :, None] * np.float32(rng.uniform(0.2, 0.7) / 255)


def _draw_solid(rng: np.random.Generator, shape: np.ndarray, solid: RenderedView,
                placement: Placement) -> Placement:
    """Draw the coverage of a solid nearer than the object over a part of it, in place; returns where it is."""
    radius = placement.radius_px * rng.uniform(0.5, 2.0)
    angle = rng.uniform(0, 2 * np.pi)
    away = (radius * rng.uniform(0.4, 1.0) + placement.radius_px * rng.uniform(0.0, 0.8)) * np.array(
        [np.cos(angle), np.sin(angle)])
    before = Placement(placement.centre + away, radius, _turn(rng))
    window, layer = _warp(solid.colours, before, shape.shape[::-1])
    part = shape[window]
    if part.shape == layer.shape[:2]:
        part[:] = np.where(layer[:, :, 3] > 127, 255, 0)
    return before


def _draw_blob(rng: np.random.Generator, shape: np.ndarray, placement: Placement) -> None:
    """Draw an ellipse, a polygon or the side of a larger object over a part of the object, in place."""
    reach = placement.radius_px * rng.uniform(0.3, 1.2)
    angle = rng.uniform(0, 2 * np.pi)
    middle = placement.centre + placement.radius_px * rng.uniform(0.2, 1.1) * np.array(
        [np.cos(angle), np.sin(angle)])
    kind = rng.random()
    if kind < 0.3:
        length, width = placement.radius_px * rng.uniform((2.0, 0.5), (5.0, 3.0))
        middle += (middle - placement.centre) * (length / np.linalg.norm(middle - placement.centre))
        box = (tuple(middle), (2 * length, 2 * width), np.degrees(angle))
        cv2.fillPoly(shape, [np.rint(cv2.boxPoints(box)).astype(np.int32)], 255)
        return
    if kind < 0.6:
        axes = reach * rng.uniform(0.4, 1.2, 2)
        cv2.ellipse(shape, (tuple(middle), tuple(2 * axes), rng.uniform(0, 180)), 255, -1)
        return
    turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
    corners = middle + reach * rng.uniform(0.5, 1.3, (len(turns), 1)) * np.column_stack(
        [np.cos(turns), np.sin(turns)])
    cv2.fillPoly(shape, [np.rint(corners).astype(np.int32)], 255)


def detector_targets(objects: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training targets of the detector.

    :param objects: (K, 3) centre u, v and radius, pixels
    :return: confidence (H/8, W/8) in [0, 1], a Gaussian at each centre; boxes (H/8, W/8, 3) offset u, v in cells
        and log radius; near (H/8, W/8) bool, the cells with a valid box
    """
    middle = (DETECTOR_STRIDE - 1) / 2  # centre of a cell; pixel centres are at integers
    width, height = SCENE_SIZE[0] // DETECTOR_STRIDE, SCENE_SIZE[1] // DETECTOR_STRIDE
    confidence, near = np.zeros((height, width), np.float32), np.zeros((height, width), bool)
    boxes = np.zeros((height, width, 3), np.float32)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    for centre_u, centre_v, radius in objects:
        du, dv = (centre_u - middle) / DETECTOR_STRIDE - u, (centre_v - middle) / DETECTOR_STRIDE - v
        sigma = max(0.6, 0.15 * radius / DETECTOR_STRIDE)
        confidence = np.maximum(confidence, np.exp(-(du ** 2 + dv ** 2) / (2 * sigma ** 2)).astype(np.float32))
        close = (du ** 2 + dv ** 2) <= (1.5 * max(1.0, sigma)) ** 2
        boxes[close] = np.stack([du, dv, np.full_like(du, np.log(radius))], axis=-1)[close]
        near |= close
        peak = (int(np.clip(np.rint((centre_v - middle) / DETECTOR_STRIDE), 0, height - 1)),
                int(np.clip(np.rint((centre_u - middle) / DETECTOR_STRIDE), 0, width - 1)))
        confidence[peak] = 1.0
    return confidence, boxes, near
