# SPDX-License-Identifier: Apache-2.0
"""Intrinsics stay right through resizing and distortion, and impossible ones are refused."""


import cv2
import numpy as np
import pytest

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.runtime.errors import InvalidInputError

K = [[600.0, 0, 310], [0, 590, 250], [0, 0, 1]]
LENSES = {
    'none': Camera(640, 480, K),
    'plumb_bob': Camera(640, 480, K, [-0.28, 0.09, 0.001, -0.002, 0.01]),
    'rational': Camera(640, 480, K, [0.2, -0.1, 0.001, 0.001, 0.02, 0.4, -0.1, 0.02], 'rational_polynomial'),
    'fisheye': Camera(640, 480, K, [-0.02, 0.01, -0.003, 0.0], 'equidistant'),
    'fisheye without D': Camera(640, 480, K, [], 'equidistant'),
}


@pytest.mark.parametrize('camera', LENSES.values(), ids=LENSES)
def test_rays_undo_projection(camera):
    points = np.random.default_rng(0).uniform((-0.2, -0.15, 0.5), (0.2, 0.15, 0.9), (50, 3))
    assert camera.rays(camera.project(points)) == pytest.approx(points[:, :2] / points[:, 2:], abs=1e-4)


@pytest.mark.parametrize('camera', LENSES.values(), ids=LENSES)
def test_points_behind_the_camera_project_to_nan(camera):
    pixels = camera.project([[0.1, 0.1, -0.5], [0.1, 0.1, 0.0], [0.1, 0.1, 0.5]])
    assert np.isnan(pixels[:2]).all()
    assert np.isfinite(pixels[2]).all()


def test_distortion_is_known_to_be_there():
    assert [camera.is_distorted for camera in LENSES.values()] == [False, True, True, True, True]
    assert not Camera(640, 480, K, np.zeros(5)).is_distorted


@pytest.mark.parametrize('camera', LENSES.values(), ids=LENSES)
@pytest.mark.parametrize('size', [(320, 240), (1280, 960), (200, 480)])
def test_resizing_keeps_every_ray(camera, size):
    """A point moves with the image's edges, which lie half a pixel outside the outer pixel centres."""
    points = np.array([[0.1, -0.1, 0.7], [-0.15, 0.05, 0.6]])
    resized = camera.resized(*size)
    scale = np.divide(size, (camera.width, camera.height))
    assert resized.project(points) == pytest.approx((camera.project(points) + 0.5) * scale - 0.5)
    assert (resized.width, resized.height) == size
    assert resized.model == camera.model


def test_resizing_agrees_with_what_opencv_does_to_the_picture():
    camera = Camera(640, 480, K)
    y, x = np.mgrid[:480, :640]
    centre = camera.project([[0.05, 0.03, 0.6]])[0]
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 12**2))
    small = cv2.resize(blob, (320, 240), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:240, :320]
    found = np.array([(small * x).sum(), (small * y).sum()]) / small.sum()
    assert camera.resized(320, 240).project([[0.05, 0.03, 0.6]])[0] == pytest.approx(found, abs=1e-3)


def test_field_of_view_reaches_the_image_edges():
    camera = Camera.from_field_of_view(640, 480, np.radians(60))
    edge = camera.project([[-np.tan(np.radians(30)), 0, 1], [np.tan(np.radians(30)), 0, 1]])
    assert edge[:, 0] == pytest.approx((-0.5, 639.5))
    assert edge[:, 1] == pytest.approx((239.5, 239.5))


@pytest.mark.parametrize('length', [4, 5, 8, 12, 14])
@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial'])
def test_every_number_of_coefficients_that_opencv_takes_is_taken(model, length):
    camera = Camera(640, 480, K, [0.1] + [0.0] * (length - 1), model)
    assert camera.rays(camera.project([[0.1, 0.05, 0.6]])) == pytest.approx(np.array([[1 / 6, 1 / 12]]), abs=1e-4)


@pytest.mark.parametrize('length', [0, 1, 3, 5, 9])
@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant'])
def test_zeros_of_any_number_are_no_coefficients(model, length):
    camera = Camera(640, 480, K, np.zeros(length), model)
    assert camera.distortion.size == 0
    point = [[0.1, 0.05, 0.6]]
    assert camera.project(point) == pytest.approx(Camera(640, 480, K, [], model).project(point))


@pytest.mark.parametrize('changes, message', [
    ({'width': 0}, 'expected at least 1x1 pixels, got 0x480'),
    ({'matrix': np.zeros(9)}, 'expected focal lengths above 0, got fx=0.0'),
    ({'matrix': [600, 0, 310, 0, -590, 250, 0, 0, 1]}, 'expected focal lengths above 0, got fx=600.0, fy=-590.0'),
    ({'matrix': [0.9, 0, 0.5, 0, 1.2, 0.5, 0, 0, 1]}, 'expected focal lengths in pixels of .*, got fx=0.9'),
    ({'matrix': [np.nan, 0, 310, 0, 590, 250, 0, 0, 1]}, 'expected focal lengths above 0, got fx=nan'),
    ({'matrix': [600, 0, 1e9, 0, 590, 250, 0, 0, 1]}, 'expected a principal point within 65535 pixels'),
    ({'matrix': np.transpose(K)}, 'expected fx 0 cx, 0 fy cy, 0 0 1 row by row'),
    ({'model': 'pincushion'}, "expected one of plumb_bob, .*, got 'pincushion'"),
    ({'distortion': [np.inf, 0, 0, 0, 0]}, 'D: expected finite coefficients, got'),
    ({'distortion': [0.1] * 5, 'model': 'equidistant'}, 'D: equidistant has 4 coefficients, got 5'),
    ({'distortion': [0.1, 0, 0]}, 'D: plumb_bob has 4, 5, 8, 12, 14 coefficients, got 3'),
    ({'distortion': [0.1] * 7, 'model': 'rational_polynomial'}, 'D: rational_polynomial has 4, .* got 7'),
])
def test_impossible_cameras_are_refused_in_one_line(changes, message):
    with pytest.raises(CameraError, match=message) as refusal:
        Camera(**{'width': 640, 'height': 480, 'matrix': K, **changes})
    assert isinstance(refusal.value, InvalidInputError)
    assert '\n' not in str(refusal.value)


def test_a_region_that_leaves_out_the_principal_point_sees_the_same_rays():
    camera = LENSES['plumb_bob']
    region = camera.cropped(400, 20, 200, 200)
    points = [[0.12, -0.1, 0.5], [0.2, -0.12, 0.6]]
    assert region.cx < 0
    assert region.project(points) == pytest.approx(camera.project(points) - (400, 20))


WIDE = {
    'barrel': Camera(640, 480, [[300, 0, 320], [0, 300, 240], [0, 0, 1]], [-0.35, 0.15, 0, 0, -0.03]),
    'rational': Camera(1280, 720, [[500, 0, 640], [0, 500, 360], [0, 0, 1]],
                       [8.5, 6.2, 1e-4, -5e-5, 0.3, 8.9, 8.7, 1.6], 'rational_polynomial'),
    'fisheye': Camera(640, 480, [[210, 0, 320], [0, 210, 240], [0, 0, 1]], [-0.02, 0.01, -0.003, 5e-4],
                      'equidistant'),
}


@pytest.mark.parametrize('camera', WIDE.values(), ids=WIDE)
def test_rays_of_wide_lenses_are_exact_up_to_where_the_lens_model_ends(camera):
    """OpenCV's own five iterations leave up to 39 pixels."""
    rng = np.random.default_rng(0)
    tangents = np.tan(rng.uniform(0, np.arctan(min(0.98 * camera.fold_tangent, 8.0)), 500))
    angles = rng.uniform(0, 2 * np.pi, 500)
    points = np.column_stack([tangents * np.cos(angles), tangents * np.sin(angles), np.ones(500)])
    pixels = camera.project(points)
    back = camera.project(np.column_stack([camera.rays(pixels), np.ones(500)]))
    assert np.abs(back - pixels).max() < 0.01


def test_what_lies_beyond_the_lens_model_is_not_seen_and_has_no_ray():
    camera = WIDE['barrel']
    at_fold = camera.project([[camera.fold_tangent, 0, 1]])[0, 0]
    assert np.isfinite(at_fold)
    assert np.isnan(camera.project([[1.1 * camera.fold_tangent, 0, 1]])).all(), 'it would be folded into the image'
    assert np.isnan(camera.rays([[at_fold + 5, 240]])).all()
    assert np.isfinite(camera.rays([[at_fold - 5, 240]])).all()
