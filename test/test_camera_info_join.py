# SPDX-License-Identifier: Apache-2.0
"""One rule tells node and recording which CameraInfo belongs to an image."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made_bags import CAMERA

from posegrasp_ros.datasets.bag_writer import make_camera_info, make_header
from posegrasp_ros.geometry.camera import CameraError
from posegrasp_ros.sensing.camera_info_join import KEPT, WAIT_NS, CameraInfoJoin

MS = 1_000_000


def info(scale: float = 1.0, **changes):
    message = make_camera_info(make_header(0, 'cam'), CAMERA)
    message.k = message.k * np.array([scale, 1, 1, 1, scale, 1, 1, 1, 1])
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.fixture
def join():
    return CameraInfoJoin()


def scale_of(stated) -> float:
    return stated.raw.fx / CAMERA.fx


def test_that_of_the_same_stamp_counts_whenever_it_came(join):
    join.add(5, info(1.5), 100 * MS)
    join.add(6, info(2.0), 0)
    assert scale_of(join.of(5, 0)) == 1.5 and scale_of(join.of(6, 500 * MS)) == 2.0


@pytest.mark.parametrize('stamps', [(0, 0), (10**18, 10**18 + 1), (1, 2)], ids=['none', 'other clock', 'old'])
def test_without_it_the_last_one_that_came_in_time_counts(join, stamps):
    join.add(stamps[0], info(1.0), 0)
    join.add(stamps[1], info(2.0), 200 * MS)
    assert scale_of(join.of(77, 100 * MS)) == 1.0
    assert scale_of(join.of(77, 200 * MS - WAIT_NS)) == 2.0
    assert scale_of(join.of(77, 900 * MS)) == 2.0


def test_before_the_first_one_there_is_none(join):
    assert join.is_empty and join.of(1, 0) is None
    join.add(9, info(), WAIT_NS + 1)
    assert join.of(1, 0) is None and not join.is_empty


def test_a_wrong_one_is_news_once_and_answers_every_time(join):
    wrong = info(distortion_model='pincushion')
    assert isinstance(join.add(1, wrong, 0), CameraError) and join.add(2, wrong, 0) is None
    assert isinstance(join.of(1, 0), CameraError) and isinstance(join.of(2, 0), CameraError)


def test_after_the_clock_was_set_back_the_last_one_stands_and_stamps_count_anew(join):
    join.add(5, info(1.0), 0)
    join.add(9, info(2.0), 10 * MS)
    join.forget_stamps()
    assert not join.has(5) and scale_of(join.of(5, 20 * MS)) == 2.0


def test_memory_does_not_grow_with_the_run(join):
    for stamp in range(5 * KEPT):
        join.add(stamp, info(), stamp * MS)
    assert sum(join.has(stamp) for stamp in range(5 * KEPT)) == KEPT
