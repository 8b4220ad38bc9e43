# SPDX-License-Identifier: Apache-2.0
"""Attainable accuracy: views, bounds, their weak directions, calibration errors, efficiency."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.feasibility.attainable.attainable_accuracy import attainable_accuracy
from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
from posegrasp_ros.feasibility.attainable.efficiency import MEASURED_NOISE, compare, efficiency_at
from posegrasp_ros.feasibility.attainable.fisher import PixelNoise, bound, pixel_jacobian
from posegrasp_ros.feasibility.attainable.image_information import Imaging
from posegrasp_ros.feasibility.attainable.view_sampling import CameraView, SightError, sample_views
from posegrasp_ros.feasibility.attainable.weak_direction import weakest_direction, words_of
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import perturb, transform_points
from posegrasp_ros.runtime.resources import resource_path

CAMERA = Camera.from_field_of_view(640, 480, np.radians(60))


@pytest.fixture(scope='module')
def box() -> Mesh:
    return load_mesh(resource_path('models/box') / 'mesh.obj')


def test_views_are_within_what_was_asked_for(box):
    views = sample_views(box, CAMERA, distances_m=(0.9, 1.1), elevations_deg=(40, 50), count=20, seed=1)
    distances = [view.distance_m for view in views]
    assert min(distances) >= 0.9 and max(distances) <= 1.1
    for view in views:
        middle = transform_points(view.base_from_object, box.centre[None])[0]
        up = (view.base_from_camera[:3, 3] - middle)[2] / view.distance_m
        assert 40 <= np.degrees(np.arcsin(up)) <= 50
        assert transform_points(view.base_from_object, box.vertices)[:, 2].min() == pytest.approx(0, abs=1e-6)
        pixel = CAMERA.project(transform_points(view.camera_from_object, box.centre[None]))[0]
        assert (pixel > 0).all() and (pixel < (640, 480)).all()


def test_every_view_shows_the_whole_object_or_the_camera_is_refused(box):
    near = Camera.from_field_of_view(640, 480, np.radians(130))
    assert all(view.shows_whole(box, near) for view in sample_views(box, near, (0.15, 0.3), count=20, seed=3))
    far = Camera.from_field_of_view(640, 480, np.radians(8))
    with pytest.raises(SightError, match=r'whole object from 0\.4'):
        sample_views(box, far, (0.4, 0.5), count=3, seed=3)


def test_a_textured_box_is_known_least_along_the_line_of_sight(box):
    found = attainable_accuracy(box, CAMERA, sample_views(box, CAMERA, count=6, seed=3), free_axes=())
    assert {each.weakest_text for each in found.views} == {'along the line of sight'}
    assert all(each.sources['texture'] > 0.5 for each in found.views)
    assert sum(found.worst.sources.values()) == pytest.approx(1)


@pytest.mark.parametrize(('change', 'better'), [
    ({'noise': PixelNoise(4.0)}, False), ({'blur_px': 1.5}, False), ({'depth': True}, True)])
def test_noise_and_blur_raise_the_bound_and_depth_lowers_it(box, change, better):
    views = sample_views(box, CAMERA, count=2, seed=3)
    plain_bound, changed = (attainable_accuracy(box, CAMERA, views, imaging, free_axes=()).marginal
                            for imaging in (Imaging(), Imaging(**change)))
    assert (np.diag(changed) < np.diag(plain_bound)).all() == better
    assert (np.diag(changed) != np.diag(plain_bound)).all()


def test_more_pixels_say_more_also_where_the_window_bins_them(box):
    views = sample_views(box, CAMERA, distances_m=(0.45, 0.46), count=2, seed=3)
    cameras = [CAMERA.resized(640 * k, 480 * k) for k in (1, 2, 4)]
    sizes = [attainable_accuracy(box, camera, views, free_axes=()).marginal[2, 2] for camera in cameras]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * sizes[2]


def test_efficiency_scales_what_the_picture_says_and_not_what_depth_says(box):
    views = sample_views(box, CAMERA, count=1, seed=3)
    picture = attainable_accuracy(box, CAMERA, views, free_axes=()).views[0]
    both = attainable_accuracy(box, CAMERA, views, Imaging(depth=True), free_axes=()).views[0]
    assert picture.achieved(50.0) == pytest.approx(2500 * picture.covariance, rel=1e-3)
    alone = bound(both.depth_information)
    assert both.achieved(1e9) == pytest.approx(alone, rel=1e-3)
    assert (np.diag(both.achieved(50.0)) < np.diag(picture.achieved(50.0))).all()


def test_calibration_moves_what_is_far_away_more():
    near, far = (_level_view(distance_m) for distance_m in (0.5, 1.5))
    errors = CalibrationErrors()
    along = [np.sqrt(errors.focal(view)[0, 0]) for view in (near, far)]
    assert along == pytest.approx([0.002 * 0.5, 0.002 * 1.5])
    across = [np.sqrt(errors.mounting(view)[1, 1]) for view in (near, far)]
    assert across == pytest.approx([np.hypot(0.001, np.radians(0.2) * d) for d in (0.5, 1.5)])
    assert np.diag(errors.mounting(near))[3:] == pytest.approx(np.full(3, np.radians(0.2)**2))


def test_a_wrong_focal_length_moves_the_pose_as_reprojection_says():
    """The pose that a camera with the wrong focal length sees best is the one that the covariance tells of."""
    view = _level_view(0.8, aside_m=0.25)
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (60, 3))
    pose = view.camera_from_object
    true_pixels = CAMERA.project(transform_points(pose, points))
    wrong = Camera(640, 480, np.diag([1.002, 1.002, 1]) @ (CAMERA.matrix - np.diag([0, 0, 1])) * [1, 1, 0]
                   + np.array([[0, 0, CAMERA.cx], [0, 0, CAMERA.cy], [0, 0, 1]]))
    found = np.zeros(6)
    for _ in range(5):
        moved = transform_points(perturb(pose, found), points)
        jacobian = pixel_jacobian(moved, wrong, perturb(pose, found)[:3, 3]).reshape(-1, 6)
        found += np.linalg.lstsq(jacobian, (true_pixels - wrong.project(moved)).ravel(), rcond=None)[0]
    told = view.base_from_camera[:3, :3].T @ np.linalg.svd(CalibrationErrors().focal(view)[:3, :3])[0][:, 0]
    size_m = np.sqrt(np.trace(CalibrationErrors().focal(view)[:3, :3]))
    assert abs(told @ found[:3]) == pytest.approx(size_m, rel=0.1)


def _level_view(distance_m: float, aside_m: float = 0.0) -> CameraView:
    """Looking along the base frame's x axis, the object's axes those of the base."""
    base_from_camera = np.eye(4)
    base_from_camera[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    base_from_object = np.eye(4)
    base_from_object[:3, 3] = (distance_m, -aside_m, 0)
    return CameraView(base_from_object, base_from_camera, distance_m)


@pytest.mark.parametrize(('axis', 'text'), [
    (2, 'along the line of sight'), (0, 'across the line of sight'), (5, 'about the line of sight'),
    (4, "about the table's vertical")])
def test_weak_directions_have_names(axis, text):
    covariance = np.diag(np.full(6, 1e-8))
    covariance[axis, axis] = 1e-2
    assert words_of(weakest_direction(covariance, 0.05), _level_view(0.6), 0.05) == text


def test_times_above_the_bound_come_with_an_interval_that_holds_them():
    rng = np.random.default_rng(0)
    bounds = rng.uniform(0.5, 1.5, (100, 6))
    axes = compare(20 * bounds * rng.normal(size=(100, 6)), bounds)
    assert sum(axis.interval.low < 20 < axis.interval.high for axis in axes) >= 5
    assert all(axis.interval.low < axis.times < axis.interval.high for axis in axes)
    assert all(15 < axis.times < 25 for axis in axes)


def test_more_noise_adds_to_an_estimators_errors_no_more_than_to_the_bound():
    measured, bound = 50.0, 1.0
    quiet, noisy = (efficiency_at(factor * MEASURED_NOISE, measured) * factor * bound for factor in (1, 10))
    assert quiet == pytest.approx(measured)
    assert noisy**2 - quiet**2 == pytest.approx(10**2 - 1)
