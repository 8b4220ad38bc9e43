# SPDX-License-Identifier: Apache-2.0
"""Each launch file comes up, does its work, ends with Ctrl-C, and says which node died or argument is wrong."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from launched import why_not

pytestmark = [pytest.mark.launch_file, pytest.mark.skipif(bool(why_not()), reason=why_not())]
NODES = ('perception_node', 'grasp_planner_node', 'monitor_node')
LIMIT_S = 90.0
DEATH_S = 5.0
"""From the death of a node to the end of the launch."""


@pytest.mark.parametrize('namespace', ['', 'cell'])
def test_the_simulation_picks_and_ends(ros2_launch, scripted_model, tmp_path, namespace):
    running = ros2_launch('simulation.launch.py', f'model:={scripted_model}', 'estimator:=oracle', 'picks:=2',
                     f'out:={tmp_path / "run"}', *([f'namespace:={namespace}'] if namespace else []))
    assert running.end(LIMIT_S) == 0, running.said
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert summary['stages']['execution']['inputs'] == 2


def test_two_simulations_in_one_domain_do_not_share_clock_or_frames(ros2_launch, scripted_model, tmp_path):
    both = [ros2_launch('simulation.launch.py', f'model:={scripted_model}', 'estimator:=oracle', 'picks:=2',
                   f'out:={tmp_path / name}', f'namespace:={name}') for name in ('left', 'right')]
    for running, name in zip(both, ('left', 'right')):
        assert running.end(LIMIT_S) == 0, running.said
        summary = json.loads((tmp_path / name / 'summary.json').read_text())
        assert summary['stages']['execution']['inputs'] == 2 and not summary.get('anomalies')


@pytest.mark.parametrize('name', ['pipeline', 'board', 'handeye'])
def test_it_comes_up_and_ends_with_ctrl_c(ros2_launch, beside, name):
    running = ros2_launch(f'{name}.launch.py', *beside[name])
    for node in NODES if name == 'pipeline' else (f'{name}_node',):
        running.wait_for(f'[INFO] [{node}-')
    time.sleep(4.0)
    running.interrupt()
    assert running.end(30.0) == 0, running.said
    assert 'Traceback' not in running.said and 'died' not in running.said


@pytest.mark.parametrize('victim', NODES)
def test_a_node_that_dies_ends_the_launch_and_is_named(ros2_launch, beside, victim):
    running = ros2_launch('pipeline.launch.py', *beside['pipeline'])
    for node in NODES:
        running.wait_for(f'[INFO] [{node}-')
    time.sleep(4.0)
    os.kill(running.pids(victim)[0], signal.SIGKILL)
    started_s = time.monotonic()
    assert running.end(LIMIT_S) != 0, running.said
    assert time.monotonic() - started_s < DEATH_S
    assert f'{victim.removesuffix("_node")} died with exit code -9' in running.said


def test_a_node_that_dies_is_restarted_where_that_is_asked_for(ros2_launch, beside):
    running = ros2_launch('pipeline.launch.py', *beside['pipeline'], 'respawn:=true')
    running.wait_for('[INFO] [perception_node-')
    time.sleep(2.0)
    os.kill(running.pids('perception_node')[0], signal.SIGKILL)
    until_s = time.monotonic() + LIMIT_S
    while len(running.pids('perception_node')) < 2 and time.monotonic() < until_s:
        time.sleep(0.2)
    assert len(running.pids('perception_node')) == 2, running.said
    running.interrupt()
    running.end(30.0)


def test_a_replay_fails_with_its_player(ros2_launch, beside, scripted_model, tmp_path):
    """A rate below 0, or no `ros2 bag` at all."""
    running = ros2_launch('replay.launch.py', f'bag:={tmp_path / "bag"}', 'rate:=-1.0', *beside['pipeline'])
    assert running.end(LIMIT_S) != 0
    assert 'failed with exit code' in running.said


@pytest.mark.parametrize(('arguments', 'said'), [
    (('pipeline.launch.py', 'use_sim_time:=maybe'), "use_sim_time: expected true or false, got 'maybe'"),
    (('pipeline.launch.py', 'base_from_camera:=here'), "base_from_camera: expected a number or a list of numbers"),
    (('pipeline.launch.py', 'models:={}'), 'models: expected a list of names or paths'),
    (('replay.launch.py', 'bag:=/nowhere'), '/nowhere'),
])
def test_a_bad_argument_is_said_in_one_line(ros2_launch, arguments, said):
    running = ros2_launch(*arguments)
    assert running.end(LIMIT_S) != 0
    assert sum(said in line for line in running.said.splitlines()) == 1, running.said
    assert 'Traceback' not in running.said
