# SPDX-License-Identifier: Apache-2.0
"""Simulated sequences: smooth, covered and jumping when the plan says so, the same for the same seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import rotation_angle
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.sequence import SequencePlan, sequence_frames

BOX, CAN = (load_mesh(resource_path(f'models/{name}/mesh.obj')) for name in ('box', 'can'))
SMALL = (160, 120)


@pytest.fixture(scope='module')
def frames():
    plan = SequencePlan(4.0, 10.0, covered_s=(1.0,), jumps_s=(3.0,))
    return list(sequence_frames(CAN, plan, seed=4, image_size=SMALL))


def steps(frames) -> list[tuple[float, float]]:
    """Metres and radians that the camera moves in the base frame, from frame to frame."""
    poses = [frame.base_from_camera for frame in frames]
    return [(float(np.linalg.norm(b[:3, 3] - a[:3, 3])), float(rotation_angle(a[:3, :3].T @ b[:3, :3])))
            for a, b in pairwise(poses)]


def test_the_camera_moves_smoothly_but_where_it_jumps(frames):
    metres, radians = zip(*steps(frames))
    assert [index for index, step in enumerate(metres) if step > 0.12] == [29]
    assert max(radians[:29]) < 0.25 and min(metres) > 0


def test_stamps_are_those_of_the_rate(frames):
    assert {frame.stamp_ns for frame in frames} == {1_000_000_000 + 100_000_000 * index for index in range(40)}


def test_a_covered_object_has_no_ground_truth(frames):
    hidden = [index for index, frame in enumerate(frames) if frame.camera_from_object is None]
    assert set(range(10, 21)) <= set(hidden) <= set(range(9, 22))


def test_the_object_stays_in_the_image(frames):
    for frame in frames:
        if frame.camera_from_object is not None:
            (u, v), = frame.camera.project(frame.camera_from_object[:3, 3][None])
            assert 0 < u < SMALL[0] and 0 < v < SMALL[1]


def test_the_cover_hides_the_object_entirely_from_all_sides():
    plan = SequencePlan(9.0, 1.0, covered_s=(0.0,), cover_s=9.0)
    frames = sequence_frames(BOX, plan, seed=1, image_size=SMALL)
    assert [frame.camera_from_object for frame in frames] == [None] * 9


def test_the_same_seed_gives_the_same_sequence():
    plan = SequencePlan(0.2, 10.0)
    first, again, other = (list(sequence_frames(BOX, plan, seed, image_size=SMALL)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[1].image, again[1].image)
    assert not np.allclose(first[1].camera_from_object, other[1].camera_from_object)


@pytest.mark.parametrize(('plan', 'words'), [
    ({'seconds': 0.01}, 'at least one frame, got 0.01 s at 30 Hz'),
    ({'seconds': float('nan')}, 'at least one frame'),
    ({'seconds': 5.0, 'covered_s': (5.5,)}, 'times within its 5 s, got 5.5'),
    ({'seconds': 5.0, 'jumps_s': (-1.0,)}, 'times within its 5 s, got -1'),
])
def test_a_plan_of_nothing_is_refused(plan, words):
    with pytest.raises(InvalidInputError, match=words):
        SequencePlan(**plan)


def test_a_sequence_is_recorded_from_the_command_line(tmp_path, capsys):
    out = tmp_path / 'moving'
    sequence = ['--sequence', '0.5', '--rate', '10', '--cover-at', '0.1']
    assert main(['record', str(out), *sequence, '--size', '160x120']) == 0
    assert '5 frames in' in capsys.readouterr().out
    assert [frame.camera_from_object is None for frame in read_frames(out)] == [False] + [True] * 4


@pytest.mark.parametrize(('options', 'words'), [
    (['--cover-at', '1'], 'expected with --sequence'),
    (['--sequence', '1', '--instances', '2'], 'leave out'),
    (['--sequence', '1', '--cover-at', '3'], 'times within its 1 s'),
])
def test_options_that_do_not_go_together_are_refused(tmp_path, capsys, options, words):
    assert main(['record', str(tmp_path / 'out'), *options]) == 2
    assert words in capsys.readouterr().err
