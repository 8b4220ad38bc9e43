# SPDX-License-Identifier: Apache-2.0
"""Training images look as the frames that they are to be like; without such frames they are what they were."""

import numpy as np
import pytest

from posegrasp_ros.training import like_camera
from posegrasp_ros.training.camera_figures import CameraFigures, blur_px, colour_cast, noise_level
from posegrasp_ros.training.like_camera import LikeCamera, picture_scale
from posegrasp_ros.training.photograph import photograph
from posegrasp_ros.training.samples import CROP_SIZE, SCENE_SIZE

NEUTRAL = np.ones(3)


def figures(width=320, height=256, noise=2.0, blur=0.0, quality=None, level=100.0, cast=NEUTRAL) -> CameraFigures:
    return CameraFigures(width, height, noise, blur, quality, level, cast)


def canvas(shape=SCENE_SIZE[::-1]) -> np.ndarray:
    """(H, W, 3) float32 of grey steps."""
    steps = np.kron(np.random.default_rng(0).uniform(40, 200, (8, 8, 1)), np.ones((32, 40, 3)))
    return steps[:shape[0], :shape[1]].astype(np.float32)


@pytest.fixture
def only_like(monkeypatch):
    monkeypatch.setattr(like_camera, 'GENERIC', 0.0)


def taken(count=30, shape=SCENE_SIZE[::-1], **stated) -> list[np.ndarray]:
    """(H, W, 3) uint8 blue green red pictures."""
    camera, rng = LikeCamera([figures(**stated)]), np.random.default_rng(1)
    return [np.ascontiguousarray(camera.photograph(rng, canvas(shape))[:, :, ::-1]) for _ in range(count)]


def median(measure, pictures) -> float:
    return float(np.nanmedian([measure(picture) for picture in pictures]))


def test_without_frames_the_same_seed_draws_as_many_numbers_as_ever():
    """The number that comes next: cameras to be like must not change other trainings."""
    before = [0.299712, 0.750365, 0.47091, 0.313986, 0.968933, 0.844231, 0.432495, 0.622179, 0.616728, 0.705334]
    for seed, expected in enumerate(before):
        rng = np.random.default_rng(seed)
        photograph(rng, np.full((64, 80, 3), 100, np.float32))
        assert rng.random() == pytest.approx(expected, abs=1e-6)


def test_noise_and_blur_are_those_of_the_frames(only_like):
    pictures = taken(noise=5.0, blur=1.5)
    assert median(noise_level, pictures) == pytest.approx(5.0, rel=0.2)
    assert median(blur_px, pictures) == pytest.approx(1.5, rel=0.25)


def test_noise_shrinks_with_the_frame(only_like):
    assert median(noise_level, taken(width=640, height=512, noise=6.0)) == pytest.approx(3.0, rel=0.2)


def test_level_and_cast_are_those_of_the_frames(only_like):
    cast = np.array([0.85, 1.0, 1 / 0.85])
    pictures = taken(count=60, level=60.0, cast=cast)
    assert median(np.mean, pictures) == pytest.approx(60, rel=0.15)
    found = np.median([colour_cast(picture) for picture in pictures], axis=0)
    np.testing.assert_allclose(found, cast, rtol=0.06)


def test_compression_is_that_of_the_frames(only_like, monkeypatch):
    qualities = []
    monkeypatch.setattr(like_camera, 'as_jpeg', lambda picture, quality: qualities.append(quality) or picture)
    taken(quality=80)
    assert len(qualities) == 30 and min(qualities) >= 74 and max(qualities) <= 86 and len(set(qualities)) > 5
    taken(quality=None)
    taken(quality=80, width=1280, height=1024)  # nothing is left of it after shrinking
    assert len(qualities) == 30


def test_a_part_of_the_pictures_is_of_a_generic_camera(monkeypatch):
    generic = []
    monkeypatch.setattr(like_camera, 'photograph', lambda rng, canvas: generic.append(1) or canvas[:, :, ::-1])
    taken(count=200, shape=(64, 80))
    assert 0.2 < len(generic) / 200 < 0.4


def test_crops_of_small_objects_are_enlarged_and_of_large_ones_shrunk():
    rng = np.random.default_rng(0)
    frame = figures(width=640, height=480)
    assert picture_scale(rng, frame, (*SCENE_SIZE[::-1], 3)) == pytest.approx(0.5)
    scales = [picture_scale(rng, frame, (CROP_SIZE, CROP_SIZE, 3)) for _ in range(200)]
    assert 0.25 < min(scales) < 0.5 and 2 < max(scales) < 3  # of a radius from 22 to 180 pixels


@pytest.mark.parametrize('width', [80, 640, 4000])
def test_crops_keep_their_size(width, only_like):
    crop = (CROP_SIZE, CROP_SIZE)
    for picture in taken(count=8, shape=crop, width=width, height=width, blur=np.nan, quality=60):
        assert picture.shape == (*crop, 3) and picture.dtype == np.uint8
