# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.estimation.overlay import AXIS_COLOURS, draw_overlay
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.runtime.resources import resource_path

CAMERA = Camera.from_field_of_view(640, 480, 1.0)
GREY = np.full((480, 640, 3), 128, np.uint8)


@pytest.fixture(scope='module')
def mesh():
    return load_mesh(resource_path('models/box/mesh.obj'))


def estimate(translation, rotation=(0.0, 0.0, 0.0), score=0.87) -> PoseEstimate:
    return PoseEstimate(make_transform(rotation_from_vector(rotation), translation), score, np.eye(6))


def test_the_image_that_came_in_stays_as_it_is(mesh):
    image = GREY.copy()
    draw_overlay(image, CAMERA, mesh, [estimate((0, 0, 0.5))])
    np.testing.assert_array_equal(image, GREY)


def test_everything_is_drawn_around_the_object(mesh):
    pose = estimate((0.05, -0.03, 0.5), (0.4, 0.3, -0.5))
    drawn = draw_overlay(GREY, CAMERA, mesh, [pose])
    rows, columns = np.nonzero((drawn != GREY).any(axis=2))
    centre = CAMERA.project(pose.camera_from_object[:3, 3][None])[0]
    reach = CAMERA.fx * mesh.radius / 0.45
    assert np.abs(columns - centre[0]).max() < 1.8 * reach and np.abs(rows - centre[1]).max() < 1.8 * reach
    assert columns.min() < centre[0] < columns.max() and rows.min() < centre[1] < rows.max()


@pytest.mark.parametrize('axis', range(3))
def test_each_axis_has_the_colour_that_rviz_gives_it(mesh, axis):
    rotation = (0.5, 0.5, 0.3)
    pose = estimate((0, 0, 0.5), rotation)
    drawn = draw_overlay(GREY, CAMERA, mesh, [pose])
    tip = np.zeros(3)
    tip[axis] = 0.05
    u, v = CAMERA.project((pose.camera_from_object @ np.append(tip, 1.0))[None, :3])[0].round().astype(int)
    near = drawn[v - 2:v + 3, u - 2:u + 3].reshape(-1, 3).astype(int)
    assert np.abs(near - AXIS_COLOURS[axis]).sum(axis=1).min() < 30


@pytest.mark.parametrize('translation', [(0, 0, -0.5), (0, 0, 0.01), (5.0, 0, 0.4), (0, 0, 1e-12)])
def test_a_pose_out_of_sight_does_no_harm(mesh, translation):
    assert draw_overlay(GREY, CAMERA, mesh, [estimate(translation)]).shape == GREY.shape


def test_the_reason_for_no_pose_is_written(mesh):
    assert (draw_overlay(GREY, CAMERA, mesh, [], 'no_detection') != GREY).any()
    np.testing.assert_array_equal(draw_overlay(GREY, CAMERA, mesh, []), GREY)
