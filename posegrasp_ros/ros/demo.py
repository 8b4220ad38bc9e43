# SPDX-License-Identifier: Apache-2.0
"""The demo: the four nodes over real ROS topics, picks in simulation, a table and a report."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from posegrasp_ros.estimation.model_set import load_model_set
from posegrasp_ros.report.clips import read_clips
from posegrasp_ros.report.run_report import format_brief, format_table
from posegrasp_ros.ros.graph import NODES
from posegrasp_ros.ros.node_processes import NodeProcesses, free_domain
from posegrasp_ros.runs.folder import REPORT_NAME, REPORTS_NAME, SUMMARY_NAME, RunFolder
from posegrasp_ros.runs.rebuild import rebuild
from posegrasp_ros.runs.run_log import CLIPS
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.errors import InvalidInputError, PipelineFailed, one_line
from posegrasp_ros.runtime.exit_codes import BAD_INPUT
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.runtime.resources import DEFAULT_MODEL

POLL_S = 0.1
CLIPS_NAME = 'clips.json'
# On a machine under load the nodes take minutes to import, compile and discover each other, and the monitor may be
# busy for the duration of all picks. While all nodes are running, a pause is therefore not a failure.
GIVE_UP_AFTER_S = 600.0
SAY_EVERY_S = 20.0


class DemoError(InvalidInputError):
    """Invalid input of the demo."""


def run_demo(picks: int = 20, seed: int = 1, out: str | Path | None = None, estimator: str = 'onnx',
             models: Sequence[str | Path] = (DEFAULT_MODEL,), progress: bool = True,
             verbose: bool = False) -> dict:
    """Run the four nodes for a number of picks, then print the result and the report's path.

    :param picks: number of picks
    :param seed: of the scenes
    :param out: run folder; None for runs/demo-<time>
    :param estimator: of the perception node
    :param models: model folders or names of shipped models; of several, all objects are on the table, and take
        turns in being picked
    :param verbose: print all tables
    :return: the run's summary
    :raises InvalidInputError: when ROS 2 is not installed, or the model folder or the run folder cannot be used
    :raises PipelineFailed: when a node ends or no pick is reported for :data:`GIVE_UP_AFTER_S`
    """
    if importlib.util.find_spec('rclpy') is None:
        raise DemoError('demo: expected ROS 2, found no rclpy; source a ROS 2 installation, or run '
                        "pip install -e '.[ros]' in the checkout")
    if picks < 1:
        raise DemoError(f'demo: picks: expected at least 1, got {picks}')
    cards = load_model_set(models)
    folder = Path(out or f'runs/demo-{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}').absolute()
    # os.path.exists, unlike pathlib, returns False for a folder without read permission.
    if os.path.exists(folder / REPORTS_NAME):
        raise DemoError(f'{folder}: expected an empty run folder, found a {REPORTS_NAME}; choose another')
    with free_domain() as domain, NodeProcesses(folder / 'nodes', domain) as nodes:
        _start(nodes, folder, [str(card.folder.absolute()) for card in cards.values()], estimator, picks, seed)
        watch(nodes, folder / REPORTS_NAME, picks, progress)
        nodes.stop('monitor', 'perception', 'grasp_planner')
    summary_path = folder / SUMMARY_NAME
    if not summary_path.is_file():
        raise PipelineFailed(f'{summary_path}: the monitor did not write a summary; see '
                             f'{nodes.log_path("monitor")}')
    add_clips(folder, folder / 'nodes' / CLIPS_NAME)
    summary = json.loads(summary_path.read_text(encoding='utf-8'))
    show(f'{(format_table if verbose else format_brief)(summary)}\n\nReport: {folder / REPORT_NAME}')
    return summary


def _start(nodes: NodeProcesses, folder: Path, models: list[str], estimator: str, picks: int, seed: int) -> None:
    """Start all nodes; the simulator waits until the others are subscribed."""
    # Simulator and planner need the same camera pose. Imported here because importing MuJoCo takes a second.
    from posegrasp_ros.geometry.transforms import quaternion_from_matrix
    from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA as base_from_camera
    camera = [*base_from_camera[:3, 3].tolist(), *quaternion_from_matrix(base_from_camera[:3, :3]).tolist()]
    shared = {**({'model': models[0]} if len(models) == 1 else {'models': models}), 'exit_on_failure': True}
    nodes.start('monitor', {**shared, 'out': str(folder), 'estimator': estimator, 'seed': seed})
    nodes.start('perception', {**shared, 'estimator': estimator})
    nodes.start('grasp_planner', {**shared, 'base_from_camera': camera})
    nodes.start('simulator', {**shared, 'base_from_camera': camera, 'picks': picks, 'seed': seed,
                              'wait_for_monitor': True, 'clips': str(folder / 'nodes' / CLIPS_NAME)})


def add_clips(folder: Path, path: Path) -> None:
    """Put the simulator's clips of picks into the report that the monitor wrote.

    :param folder: run folder, finished
    :param path: file of the clips, removed afterwards; nothing is done where there is none
    """
    clips = read_clips(path)
    if not clips:
        return
    with RunFolder(folder) as run:
        run.append_line({CLIPS: [asdict(clip) for clip in clips]})
    path.unlink()
    rebuild(folder).write(folder)


def watch(nodes: NodeProcesses, reports: Path, picks: int, progress: bool = True,
          wait: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:
    """Show the progress of the picks recorded by the monitor, until the last one.

    :param reports: the monitor's file
    :param wait: sleeps for a number of seconds
    :param clock: steady, seconds
    :raises DemoError: when a node reports invalid input
    :raises PipelineFailed: when a node ends too early, or no pick is reported for :data:`GIVE_UP_AFTER_S`
    """
    heard_s, said_s, done, lifted = clock(), clock(), 0, 0
    with Progress(total=picks, desc='picks', unit='pick', disable=not progress) as bar:
        for ok in _outcomes(reports):
            if ok is not None:
                done, lifted, heard_s, said_s = done + 1, lifted + ok, clock(), clock()
                bar.set_postfix_str(f'{lifted} lifted', refresh=False)
                bar.update()
                if done == picks:
                    return
                continue
            _check(nodes, done, picks, clock() - heard_s)
            if progress and clock() - said_s >= SAY_EVERY_S:
                said_s = clock()
                bar.write(f'no report for {said_s - heard_s:.0f} s after {done} of {picks} picks; still waiting. '
                          f'{_last_words(nodes)}', file=sys.stderr)
            wait(POLL_S)


def _check(nodes: NodeProcesses, done: int, picks: int, silent_s: float) -> None:
    """Raise if a node has ended or no pick was reported for too long.

    :param silent_s: time since the last reported pick
    """
    for name in nodes.ended():
        code = nodes.exit_code(name)
        # The simulator ends with the last pick; the monitor may not have received its reports yet.
        if name != 'simulator' or code:
            failure = DemoError if code == BAD_INPUT else PipelineFailed
            raise failure(f'{name} ended with exit code {code} after {done} of {picks} picks; its last output: '
                          f'{nodes.last_words(name)}')
    if silent_s > GIVE_UP_AFTER_S:
        raise PipelineFailed(f'demo: no report for {silent_s:.0f} s after {done} of {picks} picks. '
                             f'{_last_words(nodes)}')


def _last_words(nodes: NodeProcesses) -> str:
    said = '; '.join(f'{name}: {nodes.last_words(name) or "nothing yet"}' for name in NODES)
    return one_line(f'Last output of the nodes: {said}')


def _outcomes(reports: Path) -> Iterator[bool | None]:
    """Success of each pick, as recorded by the monitor; yields None while there is no new one."""
    while not reports.is_file():
        yield None
    with reports.open(encoding='utf-8') as file:
        line = ''
        while True:
            line += file.readline()
            if not line.endswith('\n'):
                yield None
                continue
            report = json.loads(line)
            line = ''
            if report.get('stage') == 'execution':
                yield report['ok']
