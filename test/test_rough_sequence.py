# SPDX-License-Identifier: Apache-2.0
"""Sequences of rough scenes: only the camera moves, what was drawn once stays, the blur is that of its motion."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import invert, make_transform, transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation import rough_sequence
from posegrasp_ros.simulation.placement import Distractor
from posegrasp_ros.simulation.rough_camera import RoughSensor
from posegrasp_ros.simulation.rough_sequence import MovingSensor, rough_sequence_frames
from posegrasp_ros.simulation.rough_world import RoughWorld
from posegrasp_ros.simulation.sensor import Sensor
from posegrasp_ros.simulation.sequence import SequencePlan, Swing
from posegrasp_ros.simulation.textures import UNPAINTED

BOX = load_mesh(resource_path('models/box/mesh.obj'))
SMALL = (160, 120)
PLAN = SequencePlan(2.4, 5.0, covered_s=(0.8,), cover_s=0.4, jumps_s=(2.0,))
STILL = Swing(0.0, np.zeros(2), np.ones(2), np.zeros(2))


@pytest.fixture(scope='module')
def drawn():
    """The frames of a sequence, and the scenes that the world had in them."""
    scenes = []
    move = RoughWorld.move

    def noted(world, *args):
        move(world, *args)
        scenes.append(world.rough)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RoughWorld, 'move', noted)
        frames = list(rough_sequence_frames(BOX, PLAN, seed=3, image_size=SMALL))
    return frames, scenes[-len(frames):]


def test_the_object_stays_and_the_camera_moves_smoothly_but_where_it_jumps(drawn):
    frames, scenes = drawn
    objects = [scene.scene.base_from_object for scene in scenes]
    assert all((each == objects[0]).all() for each in objects)
    for frame in frames:
        if frame.camera_from_object is not None:
            np.testing.assert_allclose(frame.base_from_camera @ frame.camera_from_object, objects[0], atol=1e-9)
    lenses = [frame.base_from_camera[:3, 3] for frame in frames]
    metres = [float(np.linalg.norm(after - before)) for before, after in pairwise(lenses)]
    assert min(metres) > 0.001 and max(metres[:9]) < 0.12 < metres[9]


def test_what_was_drawn_once_stays(drawn):
    frames, scenes = drawn
    assert len({id(scene.wear) for scene in scenes}) == len({id(scene.mismatch) for scene in scenes}) == 1
    assert len({(id(scene.scene.lights), id(scene.scene.room)) for scene in scenes}) == 1
    assert all((frame.camera.matrix == frames[0].camera.matrix).all() for frame in frames)
    kept = {replace(scene.sensor, motion_px=(0.0, 0.0), sensor=replace(scene.sensor.sensor, exposure=1.0))
            for scene in scenes}
    assert len(kept) == 1, 'noise, sharpening, compression, level'


def test_exposure_drifts_and_blur_changes_from_frame_to_frame(drawn):
    _, scenes = drawn
    exposures = np.log([scene.sensor.sensor.exposure for scene in scenes])
    assert 0.001 < np.ptp(exposures) <= 0.5
    assert np.abs(np.diff(exposures)).max() < 0.2, 'smoothly'
    assert len({scene.sensor.motion_px for scene in scenes}) == len(scenes)


def test_the_cover_hides_the_object_and_leaves_no_ground_truth(drawn):
    frames, _ = drawn
    shares = [frame.visible_share for frame in frames]
    assert shares[4:7] == [0.0, 0.0, 0.0] and min(shares[:3]) > 0.5
    assert all((frame.visible_share >= 0.1) == (frame.camera_from_object is not None) for frame in frames)


def test_the_same_seed_gives_the_same_sequence():
    plan = SequencePlan(0.2, 10.0)
    first, again, other = (list(rough_sequence_frames(BOX, plan, seed, SMALL)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[1].image, again[1].image)
    assert not np.allclose(first[1].base_from_camera, other[1].base_from_camera)


class Sliding:
    """A camera that looks along z and moves along x at 0.2 m/s."""

    def at(self, path_s: float) -> np.ndarray:
        return make_transform(translation=(0.2 * path_s, 0.0, 0.0))


def test_blur_is_the_motion_of_the_point_in_the_image_while_the_shutter_is_open():
    base = RoughSensor(Sensor(1.1, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 0), motion_px=(5.0, 5.0))
    moving = MovingSensor(base, Sliding(), 0.02, replace(STILL, mean=0.1))
    camera = Camera(640, 480, np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]]))
    sensor = moving.at(3.0, 3.0, camera, np.array([0.6, 0.0, 0.5]))
    assert sensor.motion_px == pytest.approx((-500 * 0.2 * 0.02 / 0.5, 0.0))
    assert sensor.sensor.exposure == pytest.approx(1.1 * np.exp(0.1))


def test_the_lens_stays_off_things():
    half = np.array([0.1, 0.1, 0.05])
    thing = Distractor('box', half, half, make_transform(translation=(0.0, 0.0, 0.05)), UNPAINTED)
    points = np.array([[0.0, 0.0, 0.3], [0.4, 0.0, 0.05], [0.13, 0.14, 0.05], [0.0, 0.0, 0.05]])
    np.testing.assert_allclose(rough_sequence._distances_m(thing, points), [0.2, 0.3, 0.05, 0.0], atol=1e-12)


def test_the_camera_stays_above_the_table_and_near_its_view():
    scene = SimpleNamespace(base_from_camera=make_transform(translation=(0.5, 0.0, 0.05)))
    views = rough_sequence._views(scene, np.array([0.0, 0.0, 0.02]))
    mean, reach = views.elevation_rad
    assert mean - reach == pytest.approx(np.radians(4)) and views.azimuth_rad[0] == 0.0
    assert views.distance_m[0] == pytest.approx(np.hypot(0.5, 0.03))


def test_a_scene_without_a_way_is_drawn_anew_and_no_scene_is_an_error(monkeypatch):
    monkeypatch.setattr(rough_sequence, 'MOST_SCENES', 2)
    monkeypatch.setattr(rough_sequence, '_is_clear', lambda *_: False)
    with pytest.raises(InvalidInputError, match='found none in 2 scenes: use another seed'):
        next(rough_sequence_frames(BOX, PLAN, 1, SMALL))


def test_a_rough_sequence_is_recorded_from_the_command_line(tmp_path):
    out = tmp_path / 'moving'
    assert main(['record', str(out), '--rough', '--sequence', '0.4', '--rate', '10', '--size', '160x120']) == 0
    frames = list(read_frames(out))
    assert len(frames) == 4
    shown = frames[0].camera.project(transform_points(frames[0].camera_from_object, BOX.centre[None]))
    assert ((shown > 0) & (shown < SMALL)).all() and invert(frames[0].base_from_camera).shape == (4, 4)


@pytest.mark.parametrize('options', [['--depth'], ['--occlusion', '0.3:0.5']])
def test_what_a_rough_sequence_does_not_have_is_refused(tmp_path, capsys, options):
    assert main(['record', str(tmp_path / 'out'), '--rough', '--sequence', '1', *options]) == 2
    assert 'leave out' in capsys.readouterr().err
