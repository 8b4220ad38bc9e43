# SPDX-License-Identifier: Apache-2.0
"""Camera augmentation with the figures of a real camera: noise, blur, compression, level and colour cast."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from posegrasp_ros.training.camera_figures import CameraFigures
from posegrasp_ros.training.photograph import add_noise, as_jpeg, photograph, saturate, tone_curve, uneven_light
from posegrasp_ros.training.samples import CROP_MARGIN, CROP_SIZE, RADIUS_RANGE_PX, SCENE_SIZE

GENERIC = 0.3
"""Probability of a generic camera, so that the networks work with another one too."""
SPREAD = 0.3
"""Each figure is drawn from its measured value -+ this fraction."""
CAST_SPREAD = 0.1
"""Standard deviation of the logarithm of each channel's factor, as in a generic camera."""
MOST_GAIN = 4.0
LEAST_BLUR_PX = 0.2
"""A Gaussian below this changes no pixel."""
LEAST_JPEG_SCALE = 0.5
"""In a picture that is smaller than its frame by more than this, no artefacts of compression are left."""


class LikeCamera:
    """Takes pictures as the camera did that took some frames.

    Used in place of :func:`posegrasp_ros.training.photograph.photograph`. Each picture has the figures of a
    random frame, at the scale at which the networks see such frames: the detector's input is the whole frame,
    shrunk; a crop is enlarged or shrunk to the object's size, which is not known and drawn as for the detector.

    :param figures: of the frames
    """

    def __init__(self, figures: Sequence[CameraFigures]):
        self._figures = figures
        blurs_px = [each.blur_px for each in figures if np.isfinite(each.blur_px)]
        self._usual_blur_px = float(np.median(blurs_px)) if blurs_px else 0.0

    def photograph(self, rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
        """Simulate the camera.

        :param canvas: (H, W, 3) float32 blue green red, changed in place
        :return: (H, W, 3) uint8 red green blue
        """
        if rng.random() < GENERIC:
            return photograph(rng, canvas)
        figures = self._figures[int(rng.integers(len(self._figures)))]
        scale = picture_scale(rng, figures, canvas.shape)
        canvas = saturate(rng, uneven_light(rng, canvas))
        canvas = cv2.LUT(cv2.convertScaleAbs(np.clip(canvas, 0, 255)), tone_curve(rng)).astype(np.float32)
        canvas *= _gain(rng, figures, canvas)
        return self._taken(rng, canvas, figures, scale)[:, :, ::-1]

    def _taken(self, rng: np.random.Generator, canvas: np.ndarray, figures: CameraFigures,
               scale: float) -> np.ndarray:
        """Blur, noise and compression (H, W, 3) uint8, where the frame is the coarser in the frame's pixels."""
        height, width = canvas.shape[:2]
        if scale > 1:
            canvas = cv2.resize(canvas, (max(8, round(width / scale)), max(8, round(height / scale))),
                                interpolation=cv2.INTER_AREA)
        shrunk = min(scale, 1.0)
        measured_px = self._usual_blur_px if np.isnan(figures.blur_px) else figures.blur_px
        blur_px = measured_px * _around(rng) * shrunk
        if blur_px > LEAST_BLUR_PX:
            canvas = cv2.GaussianBlur(canvas, (0, 0), blur_px)
        canvas = add_noise(rng, canvas, figures.noise * _around(rng) * shrunk)
        picture = cv2.convertScaleAbs(np.clip(canvas, 0, 255, out=canvas))
        if figures.jpeg_quality is not None and scale > LEAST_JPEG_SCALE:
            loss = (100 - figures.jpeg_quality) * _around(rng)
            picture = as_jpeg(picture, int(np.clip(round(100 - loss), 5, 100)))
        if scale > 1:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        return picture


def picture_scale(rng: np.random.Generator, figures: CameraFigures, shape: tuple[int, ...]) -> float:
    """Pixels of a training picture over pixels of the frame that it stands for.

    :param shape: of the picture, that of a scene or that of a crop
    """
    of_scene = min(SCENE_SIZE[0] / figures.width, SCENE_SIZE[1] / figures.height)
    if shape[:2] == SCENE_SIZE[::-1]:
        return of_scene
    radius_px = np.exp(rng.uniform(*np.log(RADIUS_RANGE_PX)))
    return float(CROP_SIZE / 2 / CROP_MARGIN / radius_px * of_scene)


def _around(rng: np.random.Generator) -> float:
    return float(rng.uniform(1 - SPREAD, 1 + SPREAD))


def _gain(rng: np.random.Generator, figures: CameraFigures, canvas: np.ndarray) -> np.ndarray:
    """(3,) float32 factors that give a picture the frame's level and cast."""
    exposure = np.clip(figures.level * _around(rng) / max(float(canvas.mean()), 1.0), 1 / MOST_GAIN, MOST_GAIN)
    return np.asarray(exposure * figures.cast * np.exp(rng.normal(0, CAST_SPREAD, 3)), np.float32)
