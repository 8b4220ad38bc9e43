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
from posegrasp_ros.report.worst_frames import (
    ESTIMATE_COLOUR,
    HEIGHT,
    TRUTH_COLOUR,
    WIDTH,
    WorstFrames,
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


def captions(worst: WorstFrames) -> list[str]:
    return [picture['caption'] for picture in worst.pictures()]


def near(drawn: np.ndarray, colour) -> np.ndarray:
    """(N, 2) pixels (u, v) of about a colour."""
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - colour).max(axis=2) < 40)
    return np.column_stack([columns, rows])


def test_the_worst_are_kept_worst_first(card):
    worst = WorstFrames(most=3)
    errors = [0.01, 0.5, math.inf, 0.2, 0.03, 0.4]
    for index, error in enumerate(errors):
        worst.consider(frame(index * SECOND), estimation(), card.mesh, error, f'{error} m')
    assert captions(worst) == ['inf m', '0.5 m', '0.4 m']


def test_of_frames_of_one_second_only_the_worst_is_kept(card):
    worst = WorstFrames(most=3)
    for index, error in enumerate([0.5, 0.6, 0.7, 0.65, 0.1]):
        worst.consider(frame(index * SECOND // 4), estimation(), card.mesh, error, f'{error}')
    assert captions(worst) == ['0.7', '0.1']
    worst.consider(frame(0), estimation(), card.mesh, 0.3, 'another bag', bag='other')
    assert captions(worst) == ['0.7', 'another bag', '0.1']


def test_a_frame_that_is_not_among_the_worst_is_not_drawn(card, monkeypatch):
    worst = WorstFrames(most=2)
    for index in range(2):
        worst.consider(frame(index * SECOND), estimation(), card.mesh, 1.0)
    monkeypatch.setattr('posegrasp_ros.report.worst_frames.draw_comparison', lambda *_: pytest.fail('drew it'))
    assert not worst.wants(5 * SECOND, 0.5) and worst.wants(5 * SECOND, 1.5)
    worst.consider(frame(5 * SECOND), estimation(), card.mesh, 0.5)
    worst.consider(frame(6 * SECOND), estimation(), card.mesh, math.nan)
    worst.consider(frame(7 * SECOND, image=None), estimation(), card.mesh, 2.0)


def test_the_order_of_the_frames_does_not_matter(card):
    rng = random.Random(0)
    frames = [(index * SECOND // 2, rng.choice([0.1, 0.2, 0.3, math.inf])) for index in range(60)]

    def kept() -> list[dict]:
        worst = WorstFrames(most=4)
        for stamp_ns, error in frames:
            worst.consider(frame(stamp_ns), estimation(), card.mesh, error, f'{stamp_ns}')
        return worst.pictures()
    in_order = kept()
    rng.shuffle(frames)
    assert kept() == in_order


def test_pictures_are_small_jpegs_inside_their_address(card):
    worst = WorstFrames()
    worst.consider(frame(), estimation(0.02), card.mesh, 0.02, '20 mm')
    address = worst.pictures()[0]['data_uri']
    prefix, _, data = address.partition(',')
    assert prefix == 'data:image/jpeg;base64'
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (HEIGHT, WIDTH, 3) and len(address) < 60_000


def test_both_poses_are_drawn_where_they_are_and_large_enough_to_see(card):
    drawn = draw_comparison(frame(), estimation(0.03), card.mesh)
    truth, estimate = near(drawn, TRUTH_COLOUR), near(drawn, ESTIMATE_COLOUR)
    shift_px = (estimate.mean(axis=0) - truth.mean(axis=0))[0]
    # what the picture magnifies: its height over that of the part of the image that it shows
    assert shift_px > 1.5 * CAMERA.fx * 0.03 / 0.6
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
