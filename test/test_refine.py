"""Refinement pulls a coarse pose onto the image, also where a part is hidden, and says when it cannot."""

import numpy as np
import pytest
from conftest import simulated_frames

from posegrasp_ros.estimation.align import Picture
from posegrasp_ros.estimation.refine import Refiner
from posegrasp_ros.estimation.surface import Edges, Surface
from posegrasp_ros.geometry import make_transform, perturb, rotation_angle, rotation_from_vector
from posegrasp_ros.mesh import load_mesh
from posegrasp_ros.resources import resource_path


@pytest.fixture(scope='module')
def mesh():
    return load_mesh(resource_path('models/box/mesh.obj'))


@pytest.fixture(scope='module')
def refiner(mesh):
    return Refiner(mesh)


@pytest.fixture(scope='module')
def frames(mesh):
    return simulated_frames(mesh, 10, seed=99)


def coarse(frame, rng):
    """What a network gives: some millimetres aside, more in depth, a few degrees off."""
    spread = np.array([0.002, 0.002, 0.008, *np.radians((1.5, 1.5, 1.5))])
    return perturb(frame.camera_from_object, rng.normal(0, spread))


def is_close(pose, truth, position_m, turn_deg):
    return (np.linalg.norm(pose[:3, 3] - truth[:3, 3]) < position_m
            and np.degrees(rotation_angle(pose[:3, :3].T @ truth[:3, :3])) < turn_deg)


def test_coarse_poses_are_pulled_onto_the_image(refiner, frames):
    rng = np.random.default_rng(0)
    found = [refiner.refine(frame.image, frame.camera, coarse(frame, rng)) for frame in frames]
    close = [aligned is not None and is_close(aligned.pose, frame.camera_from_object, 0.006, 2)
             for aligned, frame in zip(found, frames)]
    assert sum(close) >= 8
    assert np.median([aligned.correlation for aligned in found if aligned]) > 0.9


def test_a_hidden_corner_does_little_harm(refiner, frames):
    rng = np.random.default_rng(1)
    close = []
    for frame in frames:
        image = frame.image.copy()
        u, v = frame.camera.project(frame.camera_from_object[:3, 3][None])[0].astype(int)
        image[max(v, 0):v + 60, max(u, 0):u + 60] = (40, 90, 200)  # the quarter to the lower right
        aligned = refiner.refine(image, frame.camera, coarse(frame, rng))
        close.append(aligned is not None and is_close(aligned.pose, frame.camera_from_object, 0.01, 4))
    assert sum(close) >= 7


def test_where_the_object_is_not_nothing_correlates(refiner, frames):
    rng = np.random.default_rng(2)
    for frame in frames[:4]:
        noise = rng.integers(0, 256, frame.image.shape, dtype=np.uint8)
        aligned = refiner.refine(noise, frame.camera, frame.camera_from_object)
        assert aligned is None or aligned.correlation < 0.6


def test_visible_points_are_those_of_the_sides_in_front(mesh):
    surface = Surface(mesh, (0.001,))
    lid_to_camera = make_transform(rotation_from_vector((np.pi, 0, 0)), (0, 0, 0.5))
    seen = surface.visible(lid_to_camera, level=0)
    np.testing.assert_allclose(surface.normals[seen], np.tile((0, 0, 1.0), (len(seen), 1)), atol=1e-9)


def test_outline_of_a_box_seen_straight_is_the_rim_of_its_lid(mesh):
    edges = Edges(mesh)
    lid_to_camera = make_transform(rotation_from_vector((np.pi, 0, 0)), (0, 0, 0.5))
    seen = edges.points[edges.visible(lid_to_camera)]
    assert len(seen) > 20
    np.testing.assert_allclose(seen[:, 2], mesh.extents[2] / 2, atol=1e-9)


def test_steepness_is_that_along_the_direction():
    ramp = np.repeat(np.tile(np.arange(40, dtype=np.float32) * 3, (40, 1))[:, :, None], 3, axis=2)
    picture = Picture(ramp, blur_px=1.0)
    where = np.full((2, 1, 2), 20.0)
    steepness = picture.slopes(where, np.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(steepness[:, 0], (3 * np.sqrt(3), 0), atol=1e-3)
