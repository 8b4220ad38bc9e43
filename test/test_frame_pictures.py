# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import math
import random

import cv2
import numpy as np
import pytest

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.report.frame_pictures import (
    ESTIMATE_COLOUR,
    HEIGHT,
    TRUTH_COLOUR,
    WIDTH,
    FramePictures,
    Shown,
    UnknownShape,
    draw_comparison,
)

CAMERA = Camera.from_field_of_view(640, 480, 1.0)
GREY = np.full((480, 640, 3), 128, np.uint8)
SECOND = 1_000_000_000
TRUTH = make_transform(rotation_from_vector((0.4, 0.3, -0.5)), (0.05, -0.03, 0.6))


@pytest.fixture(scope='module')
def card(scripted_model):
    return load_model_card(scripted_model)


def frame(stamp_ns=0, truth=TRUTH, image=GREY, camera=CAMERA) -> BagFrame:
    return BagFrame(stamp_ns, image, camera, truth)


def estimation(shift_m=0.0) -> Estimation:
    return Estimation([PoseEstimate(make_transform(None, (shift_m, 0, 0)) @ TRUTH, 0.5, np.eye(6))])


def near(drawn: np.ndarray, colour) -> np.ndarray:
    """(N, 2) pixels (u, v) of about a colour."""
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - colour).max(axis=2) < 40)
    return np.column_stack([columns, rows])


def stamps(pictures: FramePictures) -> list[float]:
    """Seconds of the frames that are kept."""
    return [each['stamp_ns'] / SECOND for each in pictures.pictures()]


def few() -> FramePictures:
    """Keeps three of the worst, and one of each other kind."""
    return FramePictures(share=3 / 64)


def test_the_worst_are_kept_and_a_sample_of_the_others(card):
    pictures = few()
    for index, error in enumerate([0.01, 0.5, 0.02, 0.2, 0.03, 0.4, 0.01, 0.02]):
        pictures.consider(Shown(index * SECOND, error=error), frame(index * SECOND), estimation(), card.mesh)
    assert {1, 3, 5} <= set(stamps(pictures)) and 4 <= len(stamps(pictures)) <= 6


def test_of_frames_of_one_second_only_the_worst_is_kept_as_such():
    pictures = few()
    for index, error in enumerate([0.5, 0.6, 0.7, 0.65, 0.1]):
        pictures.reserve(Shown(index * SECOND // 4, error=error))
    assert {stamp for stamp, _ in pictures.kept_keys()} >= {SECOND // 2, SECOND}
    assert len(pictures._worst.kept) == 2


def test_frames_without_a_pose_are_kept_for_each_reason_and_unsure_ones_where_no_truth_is_known():
    pictures = few()
    for index in range(40):
        pictures.reserve(Shown(index * SECOND, reason=('low_score', 'no_detection')[index % 2], error=math.inf))
        pictures.reserve(Shown((100 + index) * SECOND, score=index / 40))
    kept = {stamp // SECOND for stamp, _ in pictures.kept_keys()}
    assert any(stamp % 2 == 0 and stamp < 100 for stamp in kept), 'low score'
    assert any(stamp % 2 == 1 and stamp < 100 for stamp in kept), 'no detection'
    assert 100 in kept, 'the least sure'


def test_a_frame_that_is_not_kept_is_not_drawn(card, monkeypatch):
    pictures = few()
    for index in range(20):
        pictures.consider(Shown(index * SECOND, error=1.0), frame(index * SECOND), estimation(), card.mesh)
    monkeypatch.setattr('posegrasp_ros.report.frame_pictures.draw_comparison', lambda *_: pytest.fail('drew it'))
    left_out = next(Shown(index * SECOND, error=0.5) for index in range(30, 90)
                    if not pictures.wants(Shown(index * SECOND, error=0.5)))
    pictures.consider(left_out, frame(), estimation(), card.mesh)
    assert pictures.wants(Shown(99 * SECOND, error=1.5))
    pictures.consider(Shown(99 * SECOND, error=1.5), frame(image=None), estimation(), card.mesh)


def test_the_order_of_the_frames_does_not_matter():
    rng = random.Random(0)
    frames = [Shown(index * SECOND // 2, error=rng.choice([0.1, 0.2, 0.3]), reason=rng.choice(['', '', 'lost']))
              for index in range(60)]

    def kept() -> set:
        pictures = few()
        for each in frames:
            pictures.reserve(each)
        return pictures.kept_keys()
    in_order = kept()
    rng.shuffle(frames)
    assert kept() == in_order


def test_pictures_are_small_jpegs_inside_their_address(card):
    pictures = FramePictures()
    pictures.consider(Shown(7, 'box', error=0.02), frame(), estimation(0.02), card.mesh)
    picture, = pictures.pictures()
    assert (picture['stamp_ns'], picture['object']) == (7, 'box')
    prefix, _, data = picture['data_uri'].partition(',')
    assert prefix == 'data:image/jpeg;base64'
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (HEIGHT, WIDTH, 3) and len(data) < 40_000


def test_there_is_a_limit_to_what_all_pictures_take(card, monkeypatch):
    monkeypatch.setattr('posegrasp_ros.report.frame_pictures.MOST_BYTES', 60_000)
    pictures = FramePictures()
    for index in range(12):
        reason = f'reason {index}' if index % 2 else ''
        pictures.consider(Shown(index * SECOND, error=math.inf if reason else 0.1 * index, reason=reason), frame(),
                          estimation(), card.mesh)
    found = pictures.pictures()
    assert sum(len(each['data_uri']) for each in found) < 1.4 * 60_000 and 10 * SECOND in {
        each['stamp_ns'] for each in found}, 'the worst pose stays'


def test_of_an_object_of_unknown_shape_the_axes_are_drawn_and_no_box(card):
    with_box = near(draw_comparison(frame(), estimation(0.03), card.mesh), TRUTH_COLOUR)
    without = near(draw_comparison(frame(), estimation(0.03), UnknownShape(0.15)), TRUTH_COLOUR)
    assert len(without) < len(with_box) / 3


def test_both_poses_are_drawn_where_they_are_and_large_enough_to_see(card):
    drawn = draw_comparison(frame(), estimation(0.03), card.mesh)
    truth, estimate = near(drawn, TRUTH_COLOUR), near(drawn, ESTIMATE_COLOUR)
    shift_px = (estimate.mean(axis=0) - truth.mean(axis=0))[0]
    # what the picture magnifies: its height over that of the part of the image that it shows
    assert shift_px > 1.25 * CAMERA.fx * 0.03 / 0.6
    assert np.ptp(truth[:, 1]) > HEIGHT / 4
    np.testing.assert_array_equal(frame().image, GREY)


@pytest.mark.parametrize('truth', [TRUTH, make_transform(None, (0, 0, -0.5)), make_transform(None, (3.0, 0, 0.5)),
                                   make_transform(None, (0.28, 0.2, 0.55)), np.full((4, 4), np.nan), None])
@pytest.mark.parametrize('shift_m', [0.0, 5.0, np.nan, None])
def test_no_pose_is_too_strange_to_be_shown(card, truth, shift_m):
    answer = Estimation(reason='no_detection') if shift_m is None else estimation(shift_m)
    assert draw_comparison(frame(truth=truth), answer, card.mesh).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('size', [(64, 48), (480, 640), (1920, 1080), (300, 300)])
def test_images_of_any_shape_make_pictures_of_one(card, size):
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    drawn = draw_comparison(frame(image=image, camera=Camera.from_field_of_view(width, height, 1.0)),
                            estimation(0.01), card.mesh)
    assert drawn.shape == (HEIGHT, WIDTH, 3) and len(near(drawn, TRUTH_COLOUR)) > 50


def test_without_intrinsics_the_image_is_shown_as_it_is(card):
    drawn = draw_comparison(frame(camera=None), Estimation(reason='no_camera_info'), card.mesh)
    assert (drawn == 128).all()
