# SPDX-License-Identifier: Apache-2.0
"""The simulated depth camera sees what the camera sees, where geometry says it is."""

import numpy as np
import pytest

from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import DEPTH_TOPIC
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.record import record
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.sensor import DEPTH_RANGE_M, measure_depth, sample_sensor
from posegrasp_ros.simulation.world import World

MESH = load_mesh(resource_path('models/box/mesh.obj'))
SIZE = (320, 240)


@pytest.fixture(scope='module')
def world():
    with World(MESH, None, sample_scene(np.random.default_rng(3), MESH), image_size=SIZE) as world:
        yield world


def surface_depth(frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and distances along the optical axis of the object's front, by ray casting."""
    solid = MESH.solid.copy()
    solid.apply_transform(frame.camera_from_object)
    rows, columns = np.mgrid[:SIZE[1]:2, :SIZE[0]:2].reshape(2, -1)
    rays = np.column_stack([frame.camera.rays(np.column_stack([columns, rows]).astype(float)), np.ones(len(rows))])
    points, hit, _ = solid.ray.intersects_location(np.zeros_like(rays), rays, multiple_hits=False)
    assert len(hit) > 100
    return rows[hit], columns[hit], points[:, 2]


def test_depth_lies_on_the_objects_surface_within_the_cameras_noise(world):
    frame = world.frame(depth=True)
    rows, columns, expected_m = surface_depth(frame)
    error_m = frame.depth_m[rows, columns] - expected_m
    assert frame.depth_m.dtype == np.float32 and frame.depth_m.shape == (240, 320)
    # what stands on the outline may be seen beside the object
    assert np.abs(np.median(error_m)) < 3e-4 and 0.0008 < np.percentile(np.abs(error_m), 68) < 0.002


def test_without_noise_it_is_exact(world):
    frame = world.frame(depth=True)
    rows, columns, expected_m = surface_depth(frame)
    ideal_m = world._open_renderer().depth_m(world._data)
    assert np.percentile(np.abs(ideal_m[rows, columns] - expected_m), 95) < 1e-5


def test_a_hidden_object_has_no_depth_and_depth_is_taken_only_when_asked_for(world):
    shown, hidden = world.frame(depth=True), world.frame(depth=True, show_object=False)
    rows, columns, expected_m = surface_depth(shown)
    assert np.median(hidden.depth_m[rows, columns] - expected_m) > 0.01
    assert world.frame().depth_m is None


def test_noise_grows_with_the_distance_and_what_is_out_of_range_is_unknown():
    sensor = sample_sensor(np.random.default_rng(0))
    spread_m = [np.std(measure_depth(sensor, np.full((200, 200), z_m)) - z_m) for z_m in (0.4, 1.0, 2.0)]
    np.testing.assert_allclose(spread_m, [0.0012, 0.0012 + 0.0019 * 0.36, 0.0012 + 0.0019 * 2.56], rtol=0.03)
    nothing = measure_depth(sensor, np.array([[np.nan, DEPTH_RANGE_M[0] - 0.05, DEPTH_RANGE_M[1] + 0.2]]))
    assert np.isnan(nothing).all()


def test_record_writes_depth_where_it_is_asked_for(tmp_path):
    for name, depth in (('with', True), ('without', False)):
        record(tmp_path / name, MESH, scenes=2, seed=4, image_size=SIZE, progress=False, depth=depth)
    frames = list(read_frames(tmp_path / 'with', BagTopics(depth=DEPTH_TOPIC)))
    plain = list(read_frames(tmp_path / 'without'))
    for frame, other in zip(frames, plain):
        assert np.isfinite(frame.depth_m).mean() > 0.9
        np.testing.assert_array_equal(frame.image, other.image)
    assert DEPTH_TOPIC not in BagReader(tmp_path / 'without')._bag.topics
