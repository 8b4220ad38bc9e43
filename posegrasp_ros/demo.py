"""The demo: the four nodes over real ROS topics, picks in simulation, a table and a report."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from posegrasp_ros.errors import BadInput
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.graph import NODES
from posegrasp_ros.node_processes import NodeProcesses, free_domain
from posegrasp_ros.report.run_report import format_table
from posegrasp_ros.resources import model_folder
from posegrasp_ros.runs.folder import REPORT_NAME, REPORTS_NAME, SUMMARY_NAME

POLL_S = 0.1
# A machine under load takes its time to import and to find one another; then a pick takes a second or two.
START_WITHIN_S, PICK_WITHIN_S = 120.0, 120.0
LAST_REPORT_WITHIN_S = 3.0


class DemoError(BadInput):
    """The demo cannot run, or a node did not do its part."""


def run_demo(picks: int = 20, seed: int = 1, out: str | Path | None = None, estimator: str = 'onnx',
             model: str | Path | None = None, progress: bool = True) -> dict:
    """Start the four nodes, let them pick, end them, print the table and the report's path.

    :param picks: how many picks to try
    :param seed: of the scenes
    :param out: run folder; None for runs/demo-<time>
    :param estimator: what perception uses
    :param model: model folder; None for the shipped box
    :return: the run's summary
    :raises DemoError: when ROS 2 is not there, or a node ends or keeps silent
    :raises BadInput: when the model folder or the run folder cannot be used
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
    with _terminated_like_interrupted(), free_domain() as domain, NodeProcesses(folder / 'nodes', domain) as nodes:
        _start(nodes, folder, card.folder.absolute(), estimator, picks, seed)
        _watch(nodes, folder / REPORTS_NAME, picks, progress)
        nodes.stop('monitor', 'perception', 'grasp_planner')
    summary_path = folder / SUMMARY_NAME
    if not summary_path.is_file():
        raise DemoError(f'{summary_path}: the monitor has written no summary; see {nodes.log_path("monitor")}')
    summary = json.loads(summary_path.read_text(encoding='utf-8'))
    print(f'{format_table(summary)}\n\nReport: {folder / REPORT_NAME}')
    return summary


def _start(nodes: NodeProcesses, folder: Path, model: Path, estimator: str, picks: int, seed: int) -> None:
    """Start all nodes; the simulator waits until the others listen."""
    # The default of the simulator; both have to know the same one. Imported here for MuJoCo takes a second.
    from posegrasp_ros.geometry import quaternion_from_matrix
    from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA as base_from_camera
    camera = [*base_from_camera[:3, 3].tolist(), *quaternion_from_matrix(base_from_camera[:3, :3]).tolist()]
    shared = {'model': str(model), 'exit_on_failure': True}
    nodes.start('monitor', {**shared, 'out': str(folder), 'estimator': estimator, 'seed': seed})
    nodes.start('perception', {**shared, 'estimator': estimator})
    nodes.start('grasp_planner', {**shared, 'base_from_camera': camera})
    nodes.start('simulator', {**shared, 'base_from_camera': camera, 'picks': picks, 'seed': seed,
                              'wait_for_monitor': True})


def _watch(nodes: NodeProcesses, reports: Path, picks: int, progress: bool) -> None:
    """Show the picks as they are reported, until the last one is."""
    deadline_s, done, lifted = time.monotonic() + START_WITHIN_S, 0, 0
    with tqdm(total=picks, desc='picks', unit='pick', disable=None if progress else True) as bar:
        for ok in _outcomes(reports):
            now_s = time.monotonic()
            if ok is not None:
                done, lifted, deadline_s = done + 1, lifted + ok, now_s + PICK_WITHIN_S
                bar.set_postfix_str(f'{lifted} lifted', refresh=False)
                bar.update()
            if done == picks:
                return
            if ok is None:
                deadline_s = _check(nodes, done, picks, now_s, deadline_s)


def _check(nodes: NodeProcesses, done: int, picks: int, now_s: float, deadline_s: float) -> float:
    """The deadline as it is now.

    :raises DemoError: when a node has ended too early or the deadline is over
    """
    for name in nodes.ended():
        if name != 'simulator' or nodes.exit_code(name):
            raise DemoError(f'{name} ended with exit code {nodes.exit_code(name)} after {done} of {picks} picks; '
                            f'it said: {nodes.last_words(name)}')
        # The last reports may still be on their way to the monitor.
        deadline_s = min(deadline_s, now_s + LAST_REPORT_WITHIN_S)
    if now_s > deadline_s:
        said = '; '.join(f'{name}: {nodes.last_words(name)}' for name in NODES)
        raise DemoError(f'demo: no news after {done} of {picks} picks; the nodes said last: {said}')
    return deadline_s


def _outcomes(reports: Path) -> Iterator[bool | None]:
    """Whether each pick lifted, as the monitor writes it down; None again and again while there is no news."""
    while not reports.is_file():
        yield None
        time.sleep(POLL_S)
    with reports.open(encoding='utf-8') as file:
        line = ''
        while True:
            line += file.readline()
            if not line.endswith('\n'):
                yield None
                time.sleep(POLL_S)
                continue
            report = json.loads(line)
            line = ''
            if report['stage'] == 'execution':
                yield report['ok']


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM unwind as Ctrl-C does, so that the nodes are ended."""
    def interrupt(*_):
        raise KeyboardInterrupt
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
