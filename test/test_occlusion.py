# SPDX-License-Identifier: Apache-2.0
"""Recorded scenes in which the object is hidden, or there several times, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation import instances, occlusion
from posegrasp_ros.simulation.occlusion import occluded_world
from posegrasp_ros.simulation.record import record

MESH = load_mesh(resource_path('models/box/mesh.obj'))
SIZE = (320, 240)


@pytest.fixture(scope='module')
def worlds():
    rng = np.random.default_rng(3)
    made = [occluded_world(rng, MESH, (0.3, 0.6), SIZE) for _ in range(8)]
    yield made
    for world in made:
        world.close()


@pytest.mark.slow
def test_so_much_of_the_object_is_hidden_as_is_asked_for(worlds):
    shares = [world.hidden_share() for world in worlds]
    assert all(0.3 <= share <= 0.6 for share in shares)
    assert max(shares) - min(shares) > 0.1, 'over the whole range'


@pytest.mark.slow
def test_what_hides_it_stands_on_the_table_or_is_held_and_touches_nothing(worlds):
    for world in worlds:
        occluder, = world._scene.occluders
        object_points = transform_points(world.object_pose(), MESH.vertices)
        low = occluder.corners[:, 2].min()
        assert low == pytest.approx(0.0, abs=1e-9) or low > object_points[:, 2].max()
        inside = transform_points(np.linalg.inv(occluder.base_from_body), object_points)
        assert (np.abs(inside) > occluder.half_extents).any(axis=1).all()
    standing = sum(world._scene.occluders[0].corners[:, 2].min() < 1e-9 for world in worlds)
    assert 0 < standing < len(worlds), 'some of each'


def test_a_share_that_cannot_be_met_is_refused(monkeypatch):
    monkeypatch.setattr(occlusion, 'MOST_SCENES', 2)
    with pytest.raises(InvalidInputError, match='of the object hidden: use a wider range'):
        occluded_world(np.random.default_rng(0), MESH, (0.5, 0.5001), SIZE)


def frames(path, **options):
    record(path, MESH, scenes=3, seed=11, image_size=SIZE, progress=False, **options)
    return list(read_frames(path))


def test_the_same_seed_gives_the_same_hidden_scenes(tmp_path):
    first, again = (frames(tmp_path / name, occlusion=(0.2, 0.5)) for name in ('first', 'again'))
    for one, other in zip(first, again):
        assert (one.image == other.image).all() and (one.camera_from_object == other.camera_from_object).all()


def test_several_objects_lie_apart_in_the_image_and_come_back_from_the_bag(tmp_path):
    for frame in frames(tmp_path / 'several', instances=3):
        assert len(frame.truths) == 3
        for index, pose in enumerate(frame.truths):
            pixels = frame.camera.project(transform_points(pose, MESH.vertices))
            others = [np.linalg.norm(pose[:3, 3] - other[:3, 3])
                      for other in frame.truths[:index] + frame.truths[index + 1:]]
            assert min(others) > 0.06, 'the box is at least 60 mm wide'
            if index:
                assert (pixels > -1).all() and (pixels < SIZE).all()


def test_every_truth_has_its_object(tmp_path):
    with_objects = frames(tmp_path / 'with', instances=3)
    for one, bare in zip(with_objects, frames(tmp_path / 'without', instances=3, without_object=True)):
        differs = (np.abs(one.image.astype(int) - bare.image) > 40).any(axis=2)
        for pose in one.truths[1:]:
            column, row = np.round(one.camera.project(transform_points(pose, MESH.centre[None]))[0]).astype(int)
            assert differs[row - 3:row + 3, column - 3:column + 3].mean() > 0.3


def test_more_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr(instances, 'MOST_SCENES', 2)
    with pytest.raises(InvalidInputError, match='room for 40'):
        instances.sample_scene_of_several(np.random.default_rng(0), MESH, 40)


def test_scenes_without_the_object_are_those_with_it_but_for_the_object(tmp_path):
    with_object, without = frames(tmp_path / 'with'), frames(tmp_path / 'without', without_object=True)
    for one, other in zip(with_object, without):
        assert other.camera_from_object is None
        assert (one.base_from_camera == other.base_from_camera).all()
        differs = (np.abs(one.image.astype(int) - other.image) > 40).any(axis=2)
        assert 0.002 < differs.mean() < 0.4
        pixels = one.camera.project(transform_points(one.camera_from_object, MESH.centre[None]))[0]
        column, row = np.round(pixels).astype(int)
        if 5 <= column < SIZE[0] - 5 and 5 <= row < SIZE[1] - 5:
            assert differs[row - 5:row + 5, column - 5:column + 5].mean() > 0.5
