# SPDX-License-Identifier: Apache-2.0
"""Scenes with objects of several kinds, each with its own ground truth."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.instances import sample_scene_of_kinds
from posegrasp_ros.simulation.record import record_together
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA
from posegrasp_ros.simulation.world import World

MESHES = {name: load_mesh(resource_path(f'models/{name}/mesh.obj')) for name in ('box', 'can')}


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('together') / 'bag'
    record_together(path, MESHES, scenes=2, seed=5, image_size=(320, 240), progress=False)
    return path


@pytest.mark.parametrize('name', MESHES)
def test_each_object_of_a_recording_has_its_truth_and_is_in_the_image(bag, name):
    frames = list(read_frames(bag, BagTopics(ground_truth=f'/{name}/ground_truth')))
    assert len(frames) == 2
    for frame in frames:
        assert len(frame.truths) == 1
        pixel = frame.camera.project(transform_points(frame.camera_from_object, MESHES[name].centre[None]))[0]
        assert (pixel > 0).all() and (pixel < (320, 240)).all()


def test_the_objects_lie_apart_on_the_table(bag):
    box, can = ([frame.base_from_camera @ frame.camera_from_object for frame in read_frames(
        bag, BagTopics(ground_truth=f'/{name}/ground_truth'))] for name in MESHES)
    for first, second in zip(box, can):
        centres = [transform_points(pose, mesh.centre[None])[0]
                   for pose, mesh in zip((first, second), MESHES.values())]
        assert np.linalg.norm((centres[0] - centres[1])[:2]) > 0.05
        assert all(0 < centre[2] < 0.15 for centre in centres)


def test_a_bystander_is_seen_where_it_is_said_to_be_and_stops_the_gripper():
    rng = np.random.default_rng(1)
    spec = sample_scene_of_kinds(rng, MESHES['box'], [MESHES['can']], DEFAULT_BASE_FROM_CAMERA)
    with World(MESHES['box'], load_gripper(), spec) as world:
        frame = world.frame(depth=True)
        camera_from_can, = frame.bystanders
        centre = transform_points(camera_from_can, MESHES['can'].centre[None])[0]
        u, v = np.rint(frame.camera.project(centre[None])[0]).astype(int)
        assert 0 < np.linalg.norm(centre) - frame.depth_m[v, u] < 2 * MESHES['can'].radius
        base_from_can = frame.base_from_camera @ camera_from_can
        down = np.diag([1.0, -1.0, -1.0, 1.0])
        down[:3, 3] = transform_points(base_from_can, MESHES['can'].centre[None])[0]
        outcome = world.pick([down, down, down], 0.0, 20.0)
    assert outcome.reason == 'collided', 'the closed hand cannot be where the can is'


def test_record_takes_the_objects_in_the_place_of_one_model(tmp_path, capsys):
    both = ['--objects', 'box', 'can', '--scenes', '1', '--size', '160x120']
    assert main(['record', str(tmp_path / 'both'), *both]) == 0
    truth, = read_frames(tmp_path / 'both', BagTopics(ground_truth='/can/ground_truth'))
    assert len(truth.truths) == 1
    assert main(['record', str(tmp_path / 'one'), '--objects', 'box', 'box', '--scenes', '1']) == 2
    assert 'objects of different names, got 2 that are box' in capsys.readouterr().err
