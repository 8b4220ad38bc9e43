# SPDX-License-Identifier: Apache-2.0
"""What a camera did to images is measured in them: known noise, blur, compression and colour casts are found."""

import cv2
import numpy as np
import pytest

from posegrasp_ros.training.camera_figures import (
    CameraFigures,
    blur_px,
    colour_cast,
    jpeg_quality,
    noise_level,
)

SIZE = (480, 360)


def scene(seed: int) -> np.ndarray:
    """(H, W, 3) float32 polygons of many colours, without noise and blur but that of their pixels."""
    rng, (width, height) = np.random.default_rng(seed), SIZE
    canvas = np.full((2 * height, 2 * width, 3), rng.uniform(60, 200, 3), np.float32)
    for _ in range(40):
        corners = rng.uniform((0, 0), (2 * width, 2 * height)) + rng.uniform(-160, 160, (4, 2))
        cv2.fillConvexPoly(canvas, cv2.convexHull(corners.astype(np.int32)), rng.uniform(20, 235, 3).tolist())
    return cv2.resize(canvas, SIZE, interpolation=cv2.INTER_AREA)


def taken(seed: int, sigma_px: float = 0.0, noise: float = 0.0) -> np.ndarray:
    """(H, W, 3) uint8 of a camera with known blur and noise."""
    canvas = scene(seed)
    if sigma_px:
        canvas = cv2.GaussianBlur(canvas, (0, 0), sigma_px)
    canvas = canvas + noise * np.random.default_rng(seed).standard_normal(canvas.shape)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


@pytest.mark.parametrize('noise', [1.0, 3.0, 8.0])
@pytest.mark.parametrize('sigma_px', [0.0, 1.5])
def test_noise_is_found_whatever_the_blur(noise, sigma_px):
    assert noise_level(taken(0, sigma_px, noise)) == pytest.approx(noise, rel=0.05)


def test_a_clean_image_has_no_noise_and_neither_has_a_clipped_one():
    assert noise_level(taken(1)) < 0.1
    assert noise_level(np.full((64, 64, 3), 255, np.uint8)) == 0


@pytest.mark.parametrize('noise', [0.0, 3.0])
@pytest.mark.parametrize('sigma_px', [0.7, 1.0, 2.0, 3.0])
def test_blur_is_found_to_a_fifth(sigma_px, noise):
    assert blur_px(taken(2, sigma_px, noise)) == pytest.approx(sigma_px, rel=0.2)


def test_sharp_edges_have_no_blur_and_no_edges_have_none_that_is_known():
    assert blur_px(taken(3)) < 0.3
    assert np.isnan(blur_px(np.full((64, 64, 3), 90, np.uint8)))
    noise = np.random.default_rng(0).normal(90, 5, (200, 200, 3))
    assert np.isnan(blur_px(np.clip(noise, 0, 255).astype(np.uint8)))


@pytest.mark.parametrize('quality', [20, 50, 80, 95, 100])
def test_jpeg_quality_is_read_from_the_file(quality):
    coded = cv2.imencode('.jpg', taken(4), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert jpeg_quality(coded.ravel()) == jpeg_quality(coded.tobytes()) == quality


def test_what_is_no_jpeg_has_no_quality():
    assert jpeg_quality(b'') is None
    assert jpeg_quality(cv2.imencode('.png', taken(4))[1].ravel()) is None


def test_a_colour_cast_is_found_also_on_a_table_of_a_colour():
    cast = np.array([0.8, 1.0, 1.25])
    of_scene = colour_cast(taken(5))
    found = colour_cast(np.clip(taken(5) * cast, 0, 255).astype(np.uint8))
    np.testing.assert_allclose(found / of_scene, cast, rtol=0.05)
    table = np.full((200, 200, 3), (60, 110, 170), np.uint8)
    table[80:120, 80:120] += 50  # a grey step
    np.testing.assert_allclose(colour_cast(table), 1, rtol=0.01)


def test_the_figures_of_a_frame():
    image = taken(6, 1.0, 2.0)
    figures = CameraFigures.of(image)
    assert (figures.width, figures.height, figures.jpeg_quality) == (*SIZE, None)
    assert figures.level == pytest.approx(image.mean())
    assert CameraFigures.of(image, cv2.imencode('.jpg', image)[1].ravel()).jpeg_quality == 95
