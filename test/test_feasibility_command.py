# SPDX-License-Identifier: Apache-2.0
"""What the command line of ``feasibility`` takes, and what it refuses in one line."""

from __future__ import annotations

import pytest

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.main import main
from posegrasp_ros.feasibility.timing import Timing, measure_timing, stated_timing
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.pick_objects import load_object


@pytest.mark.parametrize(('text', 'range_m'), [('0.4:0.8', (0.4, 0.8)), ('1.2', (1.2, 1.2))])
def test_a_distance_is_a_range_or_one_number(text, range_m):
    assert option_types.distance_range(text) == range_m


@pytest.mark.parametrize(('kind', 'text'), [
    (option_types.distance_range, '0.8:0.4'), (option_types.distance_range, '400:800'),
    (option_types.value_range, '3:1'), (option_types.value_range, 'much'), (option_types.value_range, '-1:1'),
    (option_types.share_inside, '1'), (option_types.at_least_one, '0.5')])
def test_what_makes_no_sense_is_refused(kind, text):
    with pytest.raises(InvalidInputError, match='expected'):
        kind(text)


@pytest.mark.parametrize(('arguments', 'expected'), [
    (['box', '--picks-per-hour', '300', '--pick-value', '0.1'], '--failure-cost'),
    (['box', '--picks-per-hour', '300', '--pick-value', '0', '--failure-cost', '0'], 'expected above 0'),
    (['box', '--distance', '0.05'], 'the whole object in the image, so at least 0.2'),
    (['tiny_cube', '--distance', '20'], 'at least 4 pixels across'),
    (['nothing.obj'], 'expected a model folder, a mesh file'),
    (['box', '--symmetry-axis', 'z'], 'whose model card'),
    (['tiny_cube', '--measured'], 'expected an object with a model folder'),
    (['box', '--gripper', 'hand'], 'franka_hand'),
    (['box', '--camera', 'missing.yaml'], 'missing.yaml')])
def test_bad_input_ends_with_one_line(arguments, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('posegrasp_ros.simulation.pick_objects.with_grasps', lambda *_, **__: None)
    assert main(['feasibility', *arguments, '--out', str(tmp_path / 'run')]) == 2
    error = capsys.readouterr().err.strip()
    assert expected in error and '\n' not in error
    assert not (tmp_path / 'run').exists()


def test_late_poses_count():
    assert not Timing(80, 10, 'measured', 130).is_kept and Timing(80, 10, 'measured', 95).is_kept


def test_time_is_kept_when_a_pose_is_done_before_the_next_image():
    assert stated_timing(99, rate_hz=10).is_kept and not stated_timing(101, rate_hz=10).is_kept
    assert stated_timing(200, rate_hz=30).attainable_hz == pytest.approx(5)


def test_the_shipped_model_is_timed_on_this_machine():
    timing = measure_timing(load_object('box').card, (320, 240), rate_hz=10)
    assert 1 < timing.pose_ms <= timing.pose_p95_ms and 'model box' in timing.source
