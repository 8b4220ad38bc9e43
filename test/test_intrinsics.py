# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from sensor_msgs.msg import CameraInfo

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.intrinsics import MOST_IN_VAIN, Intrinsics
from posegrasp_ros.sensing.joined_camera import UnusableCameraError

WIDE, NARROW = Camera.from_field_of_view(64, 48, 1.2), Camera.from_field_of_view(64, 48, 0.3)
MS = 1_000_000


@pytest.fixture
def intrinsics() -> Intrinsics:
    return Intrinsics('/camera_info')


def info(stamp: int, camera: Camera = WIDE) -> CameraInfo:
    return messages.to_camera_info(messages.to_header(stamp), camera)


def of(intrinsics: Intrinsics, stamp: int, received_ns: int = 0) -> Camera:
    return intrinsics.of(stamp, received_ns).of_image(64, 48)


def focal_px(camera: Camera) -> float:
    return camera.matrix[0, 0]


def test_each_image_gets_the_camera_of_its_own_stamp_in_any_order(intrinsics):
    intrinsics.add(info(1, WIDE), 0)
    intrinsics.add(info(2, NARROW), 0)
    assert focal_px(of(intrinsics, 1)) == pytest.approx(focal_px(WIDE))
    assert focal_px(of(intrinsics, 2)) == pytest.approx(focal_px(NARROW))


def test_without_one_of_its_stamp_the_last_that_came_serves(intrinsics):
    intrinsics.add(info(1, WIDE), 0)
    intrinsics.add(info(2, NARROW), 0)
    assert focal_px(of(intrinsics, 3)) == pytest.approx(focal_px(NARROW))


def test_a_camera_that_stamps_its_info_otherwise_is_waited_for_a_few_times_only(intrinsics):
    intrinsics.add(info(0), 0)
    for stamp in range(1, 1 + MOST_IN_VAIN):
        assert intrinsics.may_come(stamp)
        of(intrinsics, stamp)
    assert not intrinsics.may_come(10)


@pytest.mark.parametrize(('late_ms', 'waits_again'), [(20, True), (80, False)])
def test_waiting_begins_again_when_it_would_have_helped(intrinsics, late_ms, waits_again):
    intrinsics.add(info(0), 0)
    for stamp in range(1, 1 + MOST_IN_VAIN):
        of(intrinsics, stamp, stamp * 1000 * MS)
    intrinsics.add(info(MOST_IN_VAIN), MOST_IN_VAIN * 1000 * MS + late_ms * MS)
    assert intrinsics.may_come(10) is waits_again


def test_before_the_first_info_every_image_waits(intrinsics):
    for stamp in range(1, 10):
        with pytest.raises(UnusableCameraError, match='/camera_info'):
            of(intrinsics, stamp)
    assert intrinsics.may_come(10)


def test_a_wrong_info_is_told_once_and_refused_every_time(intrinsics):
    wrong = CameraInfo(width=64, height=48)
    assert isinstance(intrinsics.add(wrong, 0), CameraError)
    assert intrinsics.add(wrong, 0) is None
    for _ in range(2):
        with pytest.raises(UnusableCameraError) as refusal:
            of(intrinsics, 0)
        assert refusal.value.reason == 'bad_camera_info'


def test_an_image_of_another_size_is_refused_and_another_frame_is_said(intrinsics):
    intrinsics.add(info(1), 0)
    with pytest.raises(UnusableCameraError, match='expected 64x48 pixels') as refusal:
        intrinsics.of(1, 0).of_image(32, 24)
    assert refusal.value.reason == 'size_mismatch'
    message = info(2)
    message.header.frame_id = 'left'
    intrinsics.add(message, 0)
    assert "frame 'left', the images have 'right'" in intrinsics.of(2, 0, 'right').warning
