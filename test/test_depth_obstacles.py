# SPDX-License-Identifier: Apache-2.0
"""What a depth image shows around the object: the other things on the table, and neither it nor the table."""

import numpy as np
import pytest

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import invert, look_at, make_transform, perturb, transform_points
from posegrasp_ros.grasping.planning.depth_obstacles import AROUND_M, CUBE_M, DepthObstacles
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.runtime.resources import resource_path

MESH = load_mesh(resource_path('models/box/mesh.obj'))
CAMERA = Camera.from_field_of_view(320, 240, 1.0)
BASE_FROM_CAMERA = look_at((0.5, 0.0, 0.5), (0.0, 0.0, 0.0))
BASE_FROM_OBJECT = make_transform(None, (0.0, 0.0, 0.0225))
BLOCK_LOW, BLOCK_HIGH = np.array([-0.05, 0.10, 0.0]), np.array([0.05, 0.16, 0.10])


def box_hits(low, high, eye, rays):
    """How far along each ray an axis-aligned box begins; infinity beside it."""
    with np.errstate(divide='ignore'):
        ends = (np.stack([low, high])[:, None] - eye) / rays
    near, far = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
    return np.where(near <= far, near, np.inf)


def seen(noise_m=0.0, smear=False):
    """(H, W) depth of the object, a block beside it and the table under both."""
    v, u = np.mgrid[:CAMERA.height, :CAMERA.width]
    rays = np.column_stack([CAMERA.rays(np.column_stack([u.ravel(), v.ravel()])), np.ones(u.size)])
    rays_in_base, eye = rays @ BASE_FROM_CAMERA[:3, :3].T, BASE_FROM_CAMERA[:3, 3]
    half, middle = MESH.extents / 2, BASE_FROM_OBJECT[:3, 3]
    depth_m = np.minimum(box_hits(BLOCK_LOW, BLOCK_HIGH, eye, rays_in_base),
                         box_hits(middle - half, middle + half, eye, rays_in_base))
    table_m = -eye[2] / rays_in_base[:, 2]
    depth_m = np.minimum(depth_m, np.where(table_m > 0, table_m, np.inf)).reshape(u.shape)
    rng = np.random.default_rng(0)
    depth_m += rng.normal(0, noise_m, depth_m.shape) if noise_m else 0.0
    if smear:
        lonely = rng.integers(0, 240, 40), rng.integers(0, 320, 40)
        depth_m[lonely] -= 0.1
    return np.where(np.isfinite(depth_m), depth_m, np.nan).astype(np.float32)


@pytest.mark.parametrize('depth', [{}, {'noise_m': 0.002}, {'noise_m': 0.002, 'smear': True}])
def test_what_is_left_is_the_block_beside_the_object(depth):
    wrong = perturb(BASE_FROM_OBJECT, np.array([0.003, -0.003, 0.002, 0.02, 0.02, 0.03]))
    points = DepthObstacles(MESH).points(seen(**depth), CAMERA, BASE_FROM_CAMERA, wrong, Scene())
    assert len(points) > 80
    beyond = np.maximum(np.maximum(BLOCK_LOW - points, points - BLOCK_HIGH), 0.0)
    assert np.linalg.norm(beyond, axis=1).max() < 0.008
    # the faces towards the camera are covered: from anywhere on the top there is a point near by
    top = np.stack([np.linspace(-0.03, 0.03, 7), np.full(7, 0.13), np.full(7, 0.1)], axis=1)
    assert np.linalg.norm(points[:, None] - top, axis=2).min(axis=0).max() < 1.8 * CUBE_M


def test_without_a_support_the_table_is_an_obstacle_too():
    obstacles = DepthObstacles(MESH)
    with_table = obstacles.points(seen(), CAMERA, BASE_FROM_CAMERA, BASE_FROM_OBJECT, Scene(None))
    assert (np.abs(with_table[:, 2]) < 0.001).sum() > 100
    nearest = transform_points(invert(BASE_FROM_OBJECT), with_table)
    assert np.linalg.norm(nearest, axis=1).max() < MESH.radius + AROUND_M + CUBE_M


def test_a_depth_image_that_shows_nothing_leaves_nothing():
    unknown = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)
    points = DepthObstacles(MESH).points(unknown, CAMERA, BASE_FROM_CAMERA, BASE_FROM_OBJECT, Scene())
    assert points.shape == (0, 3)
