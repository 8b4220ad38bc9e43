# SPDX-License-Identifier: Apache-2.0
"""Four processes over real DDS: images become picks, and a process that dies is noticed."""

from __future__ import annotations

import importlib.util
import json
import os
import time

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor

from posegrasp_ros.estimation.model_card import CARD_NAME
from posegrasp_ros.ros.demo import DemoError, run_demo
from posegrasp_ros.ros.node_processes import NodeProcesses, free_domain
from posegrasp_ros.ros.parameters import pose_values
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(importlib.util.find_spec('mujoco') is None, reason='MuJoCo is not installed')]
SHIPPED = resource_path('models/box')
# Of the processes that these tests start, to tell them from those of other tests that run at the same time.
os.environ['POSEGRASP_TESTS'] = str(os.getpid())


def running_nodes() -> list[str]:
    """Command lines of the nodes that this test has started and that still run."""
    found = []
    for process in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{process}/cmdline', encoding='utf-8') as file:
                line = file.read()
            with open(f'/proc/{process}/environ', encoding='utf-8', errors='replace') as file:
                mine = f'POSEGRASP_TESTS={os.getpid()}\0' in file.read()
        except OSError:
            continue
        if 'posegrasp_ros.nodes' in line and mine:
            found.append(line)
    return found


def test_images_become_picks(scripted_model, tmp_path, capsys):
    summary = run_demo(picks=3, seed=5, out=tmp_path / 'run', estimator='oracle', models=[scripted_model],
                       progress=False)
    assert summary['stages']['execution']['inputs'] == 3
    assert (summary['estimator'], summary['provenance']['seed']) == ('oracle', 5)
    assert summary['metrics']['grasp_success_rate']['value'] >= 2 / 3
    assert summary['metrics']['recall_1cm_5deg']['value'] == 1.0
    assert 0 < summary['metrics']['image_to_grasp_p50']['value'] < 1000
    by_stamp = {}
    for report in read_reports(tmp_path / 'run')[0]:
        by_stamp.setdefault(report.stamp_ns, set()).add(report.stage)
    assert sum(stages == {'perception', 'planning', 'execution'} for stages in by_stamp.values()) == 3
    assert str(tmp_path / 'run' / 'report.html') in capsys.readouterr().out
    assert running_nodes() == []


@pytest.mark.skipif(not (SHIPPED / CARD_NAME).is_file(), reason='the shipped model is not trained yet')
def test_the_shipped_network_makes_picks(tmp_path):
    summary = run_demo(picks=4, seed=5, out=tmp_path / 'run', models=['box', 'can'], progress=False)
    assert summary['metrics']['grasp_success_rate']['value'] >= 0.5
    assert {name: part['metrics']['grasp_success_rate']['n'] for name, part in summary['objects'].items()} == {
        'box': 2, 'can': 2}


def test_a_demo_that_cannot_run_says_why_and_leaves_nothing_behind(scripted_model, tmp_path):
    # The card is right, the network is none: perception finds out when it configures.
    with pytest.raises(DemoError, match=r'none\.onnx'):
        run_demo(picks=2, out=tmp_path / 'run', estimator='onnx', models=[scripted_model], progress=False)
    assert running_nodes() == []


def test_a_run_folder_that_cannot_be_made_is_one_line(scripted_model, tmp_path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(InvalidInputError,
                       match=r'file/run/nodes: expected a folder that can be created: .*Not a directory'):
        run_demo(picks=1, out=tmp_path / 'file' / 'run', estimator='oracle', models=[scripted_model],
                 progress=False)


def test_nodes_whose_folder_cannot_be_written_are_refused_in_one_line(tmp_path):
    (tmp_path / 'monitor.yaml').mkdir()
    with NodeProcesses(tmp_path, 0) as nodes, pytest.raises(InvalidInputError, match='folder that can be written'):
        nodes.start('monitor', {})


def test_an_error_while_a_domain_is_reserved_comes_out_as_it_is():
    with pytest.raises(FileNotFoundError, match='mine'), free_domain():
        raise FileNotFoundError('mine')


def test_the_monitor_reports_the_silence_of_a_killed_perception(scripted_model, tmp_path):
    from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA
    shared = {'model': str(scripted_model)}
    with free_domain() as domain, NodeProcesses(tmp_path / 'nodes', domain) as nodes:
        diagnostics = Diagnostics(domain)
        nodes.start('monitor', {**shared, 'out': str(tmp_path / 'run')})
        nodes.start('perception', {**shared, 'estimator': 'oracle'})
        nodes.start('grasp_planner', {**shared, 'base_from_camera': list(pose_values(DEFAULT_BASE_FROM_CAMERA))})
        nodes.start('simulator', {**shared, 'wait_for_monitor': True, 'timeout_s': 5.0})
        reports = tmp_path / 'run' / 'metrics.jsonl'
        picked = '"stage": "execution"'
        diagnostics.wait_for(lambda: reports.is_file() and reports.read_text().count(picked) >= 2, 180.0)
        assert len(running_nodes()) == 4
        assert diagnostics.errors == [], 'a pick takes seconds without images, and that is no error'
        nodes.kill('perception')
        diagnostics.wait_for(lambda: diagnostics.level('monitor: perception') == DiagnosticStatus.ERROR, 60.0)
        assert 'silent' in diagnostics.text('monitor: perception')
        before = reports.read_text()
        nodes.stop('simulator', 'grasp_planner', 'monitor')
        diagnostics.close()
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert reports.read_text().startswith(before), 'nothing that was logged is lost'
    assert summary['stages']['perception']['coverage'] < 1.0
    assert 'perception_silent' in summary['failures']
    assert running_nodes() == []


class Diagnostics:
    """Listens to /diagnostics."""

    def __init__(self, domain: int):
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node('listener', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._statuses: dict[str, DiagnosticStatus] = {}
        self.errors: list[DiagnosticStatus] = []
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._take, 10)

    def _take(self, message: DiagnosticArray) -> None:
        self._statuses |= {status.name: status for status in message.status}
        self.errors += [status for status in message.status if status.level == DiagnosticStatus.ERROR]

    def level(self, name: str) -> bytes | None:
        return self._statuses[name].level if name in self._statuses else None

    def text(self, name: str) -> str:
        return self._statuses[name].message

    def wait_for(self, done, limit_s: float) -> None:
        until_s = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < until_s, f'waited {limit_s} s in vain; diagnostics: {self._statuses}'
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)
