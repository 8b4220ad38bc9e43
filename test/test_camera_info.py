# SPDX-License-Identifier: Apache-2.0
"""What a CameraInfo says of raw, rectified, cut and binned images is what the camera does, or it is refused."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import ImageSizeError, StatedCamera, is_rectified

K = np.array([[600.0, 0, 310], [0, 590, 250], [0, 0, 1]])
D = [-0.28, 0.09, 0.001, -0.002, 0.01]
P = np.array([[520.0, 0, 305, 0], [0, 540, 248, 0], [0, 0, 1, 0]])
POINTS = np.array([[0.05, -0.08, 0.6], [-0.1, 0.06, 0.5], [0.0, 0.0, 0.4]])


def region(x=0, y=0, width=0, height=0):
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=False)


def info(**changes) -> SimpleNamespace:
    fields = {'width': 640, 'height': 480, 'k': K.ravel(), 'd': D, 'p': P.ravel(), 'r': np.eye(3).ravel(),
              'distortion_model': 'plumb_bob', 'binning_x': 0, 'binning_y': 0, 'roi': region(),
              'header': SimpleNamespace(frame_id='cam')}
    return SimpleNamespace(**(fields | changes))


@pytest.mark.parametrize(('topic', 'frame_id', 'expected'), [
    ('/cam/image_raw', 'cam', False), ('/cam/image_raw/compressed', '', False),
    ('/cam/image_rect', 'cam', True), ('/cam/image_rect_color/compressed', '', True),
    ('/cam/infra1/image_rect_raw', '', True), ('/left/undistorted/image', '', True),
    ('/cam/image', 'left_rectified_frame', True), ('/cam/image', 'cam', None), ('/direct/rectangle', '', None),
])
def test_the_names_tell_whether_images_are_rectified(topic, frame_id, expected):
    assert is_rectified('auto', topic, frame_id) is expected
    assert is_rectified('yes', topic, frame_id) and not is_rectified('no', topic, frame_id)


def test_a_raw_image_has_k_and_d_and_a_rectified_one_p():
    stated = StatedCamera.from_info(info())
    raw, rectified = stated.of_image(640, 480, False), stated.of_image(640, 480, True)
    assert raw.project(POINTS) == pytest.approx(Camera(640, 480, K, D).project(POINTS))
    assert rectified.project(POINTS) == pytest.approx(Camera(640, 480, P[:, :3]).project(POINTS))


def test_a_rectified_image_without_p_is_refused_unless_there_is_nothing_to_rectify():
    with pytest.raises(CameraError, match='P: expected the projection matrix'):
        StatedCamera.from_info(info(p=np.zeros(12))).of_image(640, 480, True)
    plain = StatedCamera.from_info(info(p=np.zeros(12), d=[])).of_image(640, 480, True)
    assert plain.matrix.tolist() == K.tolist()


def test_where_the_names_do_not_tell_it_is_said_as_far_as_it_matters():
    assert 'set rectified to yes or no' in StatedCamera.from_info(info()).remark(None, '/cam/image')
    same = info(d=[], p=np.column_stack([K, np.zeros(3)]).ravel())
    assert StatedCamera.from_info(same).remark(None, '/cam/image') == ''
    assert StatedCamera.from_info(info()).remark(False, '/cam/image_raw') == ''


@pytest.mark.parametrize('rectified', [False, True])
@pytest.mark.parametrize('binning', [(0, 0), (1, 1), (2, 2), (4, 2)])
@pytest.mark.parametrize('roi', [region(), region(0, 0, 640, 480), region(200, 100, 240, 160)])
def test_region_and_binning_show_what_was_cut_and_combined(rectified, binning, roi):
    stated = StatedCamera.from_info(info(binning_x=binning[0], binning_y=binning[1], roi=roi))
    whole = Camera(640, 480, P[:, :3]) if rectified else Camera(640, 480, K, D)
    bx, by = (each or 1 for each in binning)
    camera = stated.of_image((roi.width or 640) // bx, (roi.height or 480) // by, rectified)
    # Of combined pixels the first one's middle is that of the group.
    expected = (whole.project(POINTS) - (roi.x_offset, roi.y_offset) + 0.5) / (bx, by) - 0.5
    assert camera.project(POINTS) == pytest.approx(expected)


def test_binning_agrees_with_what_it_does_to_the_picture():
    y, x = np.mgrid[:480, :640]
    centre = Camera(640, 480, K).project(POINTS[:1])[0]
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 12**2))
    small = cv2.resize(blob, (320, 240), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:240, :320]
    found = np.array([(small * x).sum(), (small * y).sum()]) / small.sum()
    camera = StatedCamera.from_info(info(d=[], binning_x=2, binning_y=2)).of_image(320, 240, False)
    assert camera.project(POINTS[:1])[0] == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize(('changes', 'size', 'numbers'), [
    ({'binning_x': 2, 'binning_y': 2}, (640, 480), 'binned by 2x2'),
    ({'binning_x': 2, 'binning_y': 2, 'width': 320, 'height': 240}, (320, 240), '320x240, binned by 2x2'),
    ({'roi': region(100, 50, 200, 200)}, (640, 480), r'region of 200x200 at \(100, 50\)'),
    ({}, (320, 240), 'expected 640x480 pixels .* got 320x240'),
])
def test_an_image_of_another_size_is_refused_with_the_numbers(changes, size, numbers):
    with pytest.raises(ImageSizeError, match=numbers):
        StatedCamera.from_info(info(**changes)).of_image(*size, False)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'width': 200, 'height': 200, 'roi': region(220, 140, 200, 200)}, r'200x200 at \(220, 140\).* whole sensor'),
    ({'roi': region(10, 0, 0, 0)}, 'roi: expected a region within'),
    ({'width': 320, 'height': 240}, r'K: its principal point \(310\.0, 250\.0\) is the centre of 640x480'),
    ({'width': 200, 'height': 200}, 'is the centre of 640x480, while width and height are 200 and 200'),
    ({'binning_x': 1000}, 'binning: expected at most'),
    ({'width': 0, 'height': 0}, 'width, height: expected the size of the sensor, got 0x0'),
    ({'k': np.zeros(9)}, 'K: expected focal lengths above 0'),
    ({'p': -P.ravel()}, 'P: expected focal lengths above 0'),
    ({'distortion_model': 'pincushion'}, "distortion_model: expected one of .*, got 'pincushion'"),
    ({'distortion_model': '', 'd': [0.1, 0, 0, 0.1]}, 'which is ambiguous'),
    ({'distortion_model': 'none'}, 'which is ambiguous'),
])
def test_a_camera_info_that_contradicts_itself_is_refused_in_one_line(changes, message):
    with pytest.raises(CameraError, match=message) as refusal:
        StatedCamera.from_info(info(**changes))
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize(('name', 'coefficients', 'model'), [
    ('', D, 'plumb_bob'), ('none', [], 'plumb_bob'), ('none', [0.0] * 5, 'plumb_bob'), ('pinhole', D, 'plumb_bob'),
    ('Plumb Bob', D, 'plumb_bob'), ('radtan', D[:4], 'plumb_bob'), ('fisheye', D[:4], 'equidistant'),
    ('kannala_brandt', D[:4], 'equidistant'), ('rational_polynomial', [0.1] * 8, 'rational_polynomial'),
])
def test_the_names_that_drivers_give_to_lens_models_are_known(name, coefficients, model):
    assert StatedCamera.from_info(info(distortion_model=name, d=coefficients)).raw.model == model


OUTSIDE = [600, 0, 250, 0, 590, -40, 0, 0, 1]


@pytest.mark.parametrize(('changes', 'rectified', 'remark'), [
    ({'k': OUTSIDE, 'width': 200, 'height': 200}, False, 'far from the image centre of 200x200'),
    ({'p': [520, 0, 305, -52, 0, 540, 248, 0, 0, 0, 1, 0]}, True, 'second camera of a stereo pair'),
    ({'r': cv2.Rodrigues(np.array([0, 0.02, 0]))[0].ravel()}, True, 'rotates the images by 1.15 degrees'),
])
def test_what_is_allowed_and_yet_often_a_mistake_is_said(changes, rectified, remark):
    assert remark in StatedCamera.from_info(info(**changes)).remark(rectified, '/cam/image')
    assert StatedCamera.from_info(info()).remark(rectified, '/cam/image') == ''
