# SPDX-License-Identifier: Apache-2.0
"""Fisher information: against solved poses, and against images rendered beside the pose."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.feasibility.attainable.fisher import (
    PRIOR_STD,
    PixelNoise,
    bound,
    depth_information,
    pixel_jacobian,
    pose_information,
    without_directions,
)
from posegrasp_ros.feasibility.attainable.image_information import (
    LIGHT_BASE,
    ImagedSurface,
    Imaging,
    image_information,
    moving_gradient,
)
from posegrasp_ros.feasibility.attainable.view_sampling import sample_views
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import invert, perturb, rotation_from_vector, transform_points
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.object_renderer import ObjectRenderer

CAMERA = Camera.from_field_of_view(640, 480, np.radians(60))


@pytest.fixture(scope='module')
def box() -> Mesh:
    return load_mesh(resource_path('models/box') / 'mesh.obj')


@pytest.fixture(scope='module')
def can() -> Mesh:
    return load_mesh(resource_path('models/can') / 'mesh.obj')


def solved_poses(points: np.ndarray, start: np.ndarray, pixels: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """(K, 6) disturbances of ``start`` that fit (K, N, 2) pixels best, by Gauss-Newton, all draws at once."""
    found = np.zeros((len(pixels), 6))
    for _ in range(4):
        poses = [perturb(start, delta) for delta in found]
        moved = np.array([transform_points(pose, points) for pose in poses])
        jacobian = np.array([pixel_jacobian(each, CAMERA, pose[:3, 3]) for each, pose in zip(moved, poses)])
        residual = pixels - np.array([CAMERA.project(each) for each in moved])
        weighted = np.einsum('knai,nab->knbi', jacobian, precision)
        normal = np.einsum('knbi,knbj->kij', weighted, jacobian)
        step = np.linalg.solve(normal, np.einsum('knbi,knb->ki', weighted, residual)[..., None])[..., 0]
        # small turns add up
        found += step
    return found


def test_no_solved_pose_is_better_than_the_bound_and_the_best_reaches_it():
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (40, 3)) * (0.06, 0.03, 0.0225)
    camera_from_object = np.eye(4)
    camera_from_object[:3, :3] = rotation_from_vector([0.4, -0.7, 0.3])
    camera_from_object[:3, 3] = (0.08, -0.05, 0.6)
    roots = rng.normal(size=(40, 2, 2)) * 0.3 + 0.8 * np.eye(2)
    covariance = roots @ np.swapaxes(roots, 1, 2)
    precision = np.linalg.inv(covariance)
    moved = transform_points(camera_from_object, points)
    least = np.linalg.inv(pose_information(moved, precision, CAMERA, camera_from_object[:3, 3]))
    noise = np.einsum('nab,knb->kna', roots, rng.normal(size=(2000, 40, 2)))
    errors = solved_poses(points, camera_from_object, CAMERA.project(moved) + noise, precision)
    assert errors.std(axis=0) / np.sqrt(np.diag(least)) == pytest.approx(np.ones(6), rel=0.1)
    assert np.corrcoef(errors[:, 0], errors[:, 4])[0, 1] == pytest.approx(
        least[0, 4] / np.sqrt(least[0, 0] * least[4, 4]), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['box', 'can'])
def test_information_is_that_of_images_rendered_beside_the_pose(name, request):
    """Derivatives of whole rendered images, by differences, say the same of each axis as the gradients do."""
    mesh = request.getfixturevalue(name)
    with ObjectRenderer(mesh) as renderer:
        for view in sample_views(mesh, CAMERA, count=1, seed=3):
            pose, light = view.camera_from_object, view.base_from_camera[:3, :3].T @ LIGHT_BASE
            image = renderer.render(CAMERA, pose)
            found = sum(image_information(image, pose[:3, 3], light, Imaging(), np.random.default_rng(0)).values())

            def values(delta: np.ndarray, pose=pose, light=light) -> np.ndarray:
                moved = renderer.render(CAMERA, pose, drawn_pose=perturb(pose, delta))
                surface, rng = ImagedSurface.of(moved), np.random.default_rng(0)
                return moving_gradient(surface, moved, light, Imaging(), rng)[1][moved.inside()].ravel()

            pixel_m = 0.4 * pose[2, 3] / CAMERA.fx
            widest = max(mesh.radius, np.linalg.norm(pose[:2, 3]))
            steps = np.diag([pixel_m, pixel_m, pixel_m * pose[2, 3] / widest, *[pixel_m / mesh.radius] * 3])
            derivatives = [(values(step) - values(-step)) / (2 * step.sum()) for step in steps]
            variance = PixelNoise().variance(values(np.zeros(6)))
            expected = [np.sum(derivative**2 / variance) for derivative in derivatives]
            assert np.sqrt(np.diag(found) / expected) == pytest.approx(np.ones(6), abs=0.1)


def test_rendered_window_has_the_cameras_geometry(box):
    view = sample_views(box, CAMERA, count=1, seed=5)[0]
    with ObjectRenderer(box) as renderer:
        image = renderer.render(CAMERA, view.camera_from_object)
    seen = np.isfinite(image.depth_m)
    rays = image.rendered_rays()[seen]
    points = np.column_stack([rays, np.ones(len(rays))]) * image.depth_m[seen][:, None]
    on_object = transform_points(invert(view.camera_from_object), points)
    to_surface = np.abs(np.abs(on_object) / (box.extents / 2)).max(axis=1)
    assert to_surface == pytest.approx(np.ones(len(points)), abs=1e-4)


def test_what_nothing_says_is_as_uncertain_as_before():
    direction = np.array([0, 0, 0.3, 0, 0, 1.0])
    information = np.diag([1e8, 1e8, 1e6, 1e4, 1e4, 1e4])
    covariance = bound(without_directions(information, [direction]))
    assert direction @ without_directions(information, [direction]) @ direction == pytest.approx(0, abs=1e-3)
    assert np.sqrt(covariance[5, 5]) == pytest.approx(PRIOR_STD[5], rel=0.2)
    assert np.isfinite(bound(np.zeros((6, 6)))).all()


def test_depth_of_a_plane_says_its_distance_and_tilt_only():
    points = np.column_stack([np.random.default_rng(0).uniform(-0.05, 0.05, (500, 2)), np.full(500, 0.6)])
    information = depth_information(points, np.tile([0.0, 0.0, -1.0], (500, 1)), np.array([0, 0, 0.6]))
    assert np.flatnonzero(np.diag(information) > 1e-6).tolist() == [2, 3, 4]
    # 50 independent spots of 1.276 mm each at 0.6 m
    assert 1 / np.sqrt(information[2, 2]) == pytest.approx(0.001276 / np.sqrt(50), rel=1e-6)
