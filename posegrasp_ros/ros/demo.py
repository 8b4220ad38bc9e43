"""The demo: the four nodes over real ROS topics, picks in simulation, a table and a report."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.report.run_report import format_table
from posegrasp_ros.ros.graph import NODES
from posegrasp_ros.ros.node_processes import NodeProcesses, free_domain
from posegrasp_ros.runs.folder import REPORT_NAME, REPORTS_NAME, SUMMARY_NAME
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.errors import InvalidInputError, PipelineFailed, one_line
from posegrasp_ros.runtime.resources import model_folder

POLL_S = 0.1
# On a machine under load the nodes take minutes to import, compile and find one another, and the monitor may be
# busy for as long as all picks take: as long as all of them run, silence is no failure yet.
GIVE_UP_AFTER_S = 600.0
SAY_EVERY_S = 20.0
BAD_INPUT = 2


class DemoError(InvalidInputError):
    """The demo cannot run with what it was given."""


def run_demo(picks: int = 20, seed: int = 1, out: str | Path | None = None, estimator: str = 'onnx',
             model: str | Path | None = None, progress: bool = True) -> dict:
    """Start the four nodes, let them pick, end them, print the table and the report's path.

    :param picks: how many picks to try
    :param seed: of the scenes
    :param out: run folder; None for runs/demo-<time>
    :param estimator: what perception uses
    :param model: model folder; None for the shipped box
    :return: the run's summary
    :raises InvalidInputError: when ROS 2 is not there, or the model folder or the run folder cannot be used
    :raises PipelineFailed: when a node ends or all keep silent
    """
    if importlib.util.find_spec('rclpy') is None:
        raise DemoError('demo: expected ROS 2, found no rclpy; source a ROS 2 install or in the checkout '
                        "pip install -e '.[ros]'")
    if picks < 1:
        raise DemoError(f'demo: picks: expected at least 1, got {picks}')
    card = load_model_card(model_folder(model))
    folder = Path(out or f'runs/demo-{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}').absolute()
    # os.path.exists, unlike pathlib, takes a folder that may not be read for one without the file.
    if os.path.exists(folder / REPORTS_NAME):
        raise DemoError(f'{folder}: expected an empty run folder, found a {REPORTS_NAME}; choose another')
    with free_domain() as domain, NodeProcesses(folder / 'nodes', domain) as nodes:
        _start(nodes, folder, card.folder.absolute(), estimator, picks, seed)
        watch(nodes, folder / REPORTS_NAME, picks, progress)
        nodes.stop('monitor', 'perception', 'grasp_planner')
    summary_path = folder / SUMMARY_NAME
    if not summary_path.is_file():
        raise PipelineFailed(f'{summary_path}: the monitor has written no summary; see '
                             f'{nodes.log_path("monitor")}')
    summary = json.loads(summary_path.read_text(encoding='utf-8'))
    show(f'{format_table(summary)}\n\nReport: {folder / REPORT_NAME}')
    return summary


def _start(nodes: NodeProcesses, folder: Path, model: Path, estimator: str, picks: int, seed: int) -> None:
    """Start all nodes; the simulator waits until the others listen."""
    # The default of the simulator; both have to know the same one. Imported here for MuJoCo takes a second.
    from posegrasp_ros.geometry.transforms import quaternion_from_matrix
    from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA as base_from_camera
    camera = [*base_from_camera[:3, 3].tolist(), *quaternion_from_matrix(base_from_camera[:3, :3]).tolist()]
    shared = {'model': str(model), 'exit_on_failure': True}
    nodes.start('monitor', {**shared, 'out': str(folder), 'estimator': estimator, 'seed': seed})
    nodes.start('perception', {**shared, 'estimator': estimator})
    nodes.start('grasp_planner', {**shared, 'base_from_camera': camera})
    nodes.start('simulator', {**shared, 'base_from_camera': camera, 'picks': picks, 'seed': seed,
                              'wait_for_monitor': True})


def watch(nodes: NodeProcesses, reports: Path, picks: int, progress: bool = True,
          wait: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:
    """Show the picks as the monitor writes them down, until it has the last one.

    :param reports: the monitor's file
    :param wait: for so many seconds
    :param clock: steady, seconds
    :raises DemoError: when a node finds what it was given unusable
    :raises PipelineFailed: when a node ends too early, or nothing comes for :data:`GIVE_UP_AFTER_S`
    """
    heard_s, said_s, done, lifted = clock(), clock(), 0, 0
    with tqdm(total=picks, desc='picks', unit='pick', disable=None if progress else True) as bar:
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
                bar.write(f'no news for {said_s - heard_s:.0f} s after {done} of {picks} picks; still waiting. '
                          f'{_last_words(nodes)}', file=sys.stderr)
            wait(POLL_S)


def _check(nodes: NodeProcesses, done: int, picks: int, silent_s: float) -> None:
    """Whether it is worth waiting on.

    :param silent_s: how long there has been no news
    """
    for name in nodes.ended():
        code = nodes.exit_code(name)
        # The simulator ends with the last pick; its reports may still be on their way to the monitor.
        if name != 'simulator' or code:
            failure = DemoError if code == BAD_INPUT else PipelineFailed
            raise failure(f'{name} ended with exit code {code} after {done} of {picks} picks; it said: '
                          f'{nodes.last_words(name)}')
    if silent_s > GIVE_UP_AFTER_S:
        raise PipelineFailed(f'demo: no news for {silent_s:.0f} s after {done} of {picks} picks. '
                             f'{_last_words(nodes)}')


def _last_words(nodes: NodeProcesses) -> str:
    said = '; '.join(f'{name}: {nodes.last_words(name) or "nothing yet"}' for name in NODES)
    return one_line(f'The nodes said last: {said}')


def _outcomes(reports: Path) -> Iterator[bool | None]:
    """Whether each pick lifted, as the monitor writes it down; None again and again while there is no news."""
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
            if report['stage'] == 'execution':
                yield report['ok']
