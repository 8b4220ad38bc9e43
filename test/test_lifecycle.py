# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter
from ros_harness import running
from std_msgs.msg import Float64

from posegrasp_ros.metrics.report_message import reports_sent
from posegrasp_ros.ros.lifecycle import MOST_SAID_ONCE, AutostartLifecycleNode
from posegrasp_ros.ros.node_processes import free_domain, node_environment
from posegrasp_ros.ros.parameter_checks import is_file, is_gripper
from posegrasp_ros.ros.parameters import parameter
from posegrasp_ros.ros.reporting import StageReporter
from posegrasp_ros.runtime.errors import InvalidInputError


class Recorder(AutostartLifecycleNode):
    """Notes its transitions."""

    def __init__(self, **options):
        self.steps: list[str] = []
        super().__init__('recorder', **options)

    def configure(self) -> None:
        self.steps.append('configure')

    def activate(self) -> None:
        self.steps.append('activate')

    def deactivate(self) -> None:
        self.steps.append('deactivate')

    def cleanup(self) -> None:
        self.steps.append('cleanup')


def test_a_node_brings_itself_up_and_ends_in_order():
    with running(Recorder, autostart=True) as harness:
        harness.spin_until(lambda: harness.state == 'active')
        node = harness.node
    assert node.steps == ['configure', 'activate', 'deactivate', 'cleanup']


def test_a_node_without_autostart_waits_to_be_told():
    with running(Recorder) as harness:
        harness.spin_for(0.2)
        assert (harness.state, harness.node.steps) == ('unconfigured', [])


@pytest.mark.parametrize(('error', 'said'), [
    (InvalidInputError('mesh.obj: expected triangles, found none'),
     'cannot configure: mesh.obj: expected triangles'),
    (KeyError('surprise'), "KeyError: 'surprise'"),
])
def test_what_goes_wrong_in_configure_is_said_and_the_node_stays_unconfigured(capfd, error, said):
    def fail():
        raise error
    with running(Recorder, autostart=True) as harness:
        harness.node.configure = fail
        harness.spin_for(0.3)
        assert harness.state == 'unconfigured'
    assert said in capfd.readouterr().err


def test_a_callback_that_raises_is_logged_and_the_node_goes_on(capfd):
    with running(Recorder) as harness:
        harness.start()
        calls = []

        def tick():
            calls.append(1)
            raise RuntimeError('boom')

        harness.node.every(0.01, tick)
        harness.spin_until(lambda: len(calls) > 2)
    assert capfd.readouterr().err.count('RuntimeError: boom') >= 1


@pytest.mark.parametrize(('error', 'level', 'said'), [
    (RuntimeError('boom'), DiagnosticStatus.ERROR, 'tick: RuntimeError: boom'),
    (InvalidInputError('pose: expected metres'), DiagnosticStatus.WARN, 'tick: pose: expected metres'),
])
def test_what_a_callback_raises_is_on_diagnostics_with_its_count(error, level, said):
    with running(Recorder) as harness:
        harness.start()
        arrays = harness.collect(DiagnosticArray, '/diagnostics')

        def tick() -> None:
            raise error

        harness.spin_until(lambda: arrays and arrays[-1].status[0].level == DiagnosticStatus.OK)
        harness.node.every(0.1, tick)
        harness.spin_until(lambda: arrays[-1].status[0].level == level)
        status, = arrays[-1].status
        assert (status.name, status.message) == ('recorder: callbacks', said)
        assert int({item.key: item.value for item in status.values}['tick']) >= 1


def test_what_is_said_once_is_remembered_in_little_room():
    with running(Recorder) as harness:
        for number in range(2 * MOST_SAID_ONCE):
            harness.node.say_once(f'line {number}')
        assert len(harness.node._said_once) == MOST_SAID_ONCE


class Reporting(Recorder):
    """Has a stage's reporter."""

    def configure(self) -> None:
        self.reporter = StageReporter(self, 'planning')


def test_reports_are_numbered_and_one_that_cannot_be_made_is_an_internal_error():
    with running(Reporting) as harness:
        harness.start()
        reports = harness.reports()
        for stamp, numbers in ((1, {}), (2, {'clearance_m': 'no number'}), (3, {})):
            with contextlib.suppress(ValueError), harness.node.reporter.answering(stamp) as answer:
                answer.numbers.update(numbers)
        harness.spin_until(lambda: len(reports) == 3)
        assert [(report.stamp_ns, report.reason) for report in reports] == [
            (1, ''), (2, 'internal_error'), (3, '')]
        assert [report.sequence for report in reports] == [0, 1, 2]
        assert len({report.publisher for report in reports}) == 1 and reports[0].publisher
        arrays = harness.collect(DiagnosticArray, '/diagnostics')
        harness.spin_until(lambda: arrays)
        assert reports_sent(arrays[-1]) == [('planning', reports[0].publisher, 3)]


@pytest.mark.slow
@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('node', ['perception', 'monitor'])
def test_a_process_told_to_end_does_so_without_a_traceback(signal_number, node, scripted_model, tmp_path):
    parameters = {'perception': 'estimator:=mean_pose', 'monitor': f'out:={tmp_path}'}
    command = [sys.executable, '-m', 'posegrasp_ros.nodes.scripts', f'{node}_node', '--ros-args',
               '-p', f'model:={scripted_model}', '-p', parameters[node]]
    with free_domain() as domain:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=node_environment(domain))
        try:
            assert '[INFO]' in process.stderr.readline()
            time.sleep(0.3)
            process.send_signal(signal_number)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0
    assert 'Traceback' not in said


@dataclass(frozen=True)
class ChosenParameters:
    """Parameters with all that can be refused."""

    mode: str = parameter('a', 'One of two.', choices=('a', 'b'))
    numbers: tuple[float, ...] = parameter((1.0,), 'Finite.')
    gripper: str = parameter('', 'A gripper.', check=is_gripper)
    urdf: str = parameter('', 'A file.', check=is_file)


class Chooser(Recorder):
    """A node with parameters that can be wrong."""

    PARAMETERS = ChosenParameters


@pytest.mark.parametrize(('name', 'wrong', 'said', 'right'), [
    ('mode', 'c', 'parameter mode: expected one of a, b', 'b'),
    ('numbers', [1.0, float('nan')], 'parameter numbers: expected finite numbers', [2.0]),
    ('gripper', '/nowhere/hand.yaml', '/nowhere/hand.yaml', 'robotiq_2f_85'),
    ('urdf', '/nowhere/arm.urdf', '/nowhere/arm.urdf: no such file', ''),
])
def test_a_value_that_configure_would_refuse_is_refused_when_it_is_set(capfd, name, wrong, said, right):
    with running(Chooser) as harness:
        harness.start()
        refused, = harness.node.set_parameters([Parameter(name, value=wrong)])
        assert not refused.successful and said in refused.reason
        before = harness.node.parameters
        taken, = harness.node.set_parameters([Parameter(name, value=right)])
        assert taken.successful and harness.node.parameters is before
    assert f'{name}: the new value takes effect at the next configure' in capfd.readouterr().err


def test_numbers_of_reports_are_on_topics_of_their_own():
    class Reporting(Recorder):
        def configure(self):
            self.reporter = StageReporter(self, 'planning', ('box', 'can'))

    with running(Reporting) as harness:
        harness.start()
        harness.node.reporter.report(1, '', {'plan_ms': 1.0}, object_name='box')
        values = harness.collect(Float64, '/recorder/report/values/box/plan_ms')
        harness.node.reporter.report(2, '', {'plan_ms': 3.5}, object_name='box')
        harness.node.reporter.report(3, '', {'plan_ms': 4.5}, object_name='can')
        harness.spin_until(lambda: values)
        harness.spin_for(0.2)
    assert [each.data for each in values] == [3.5]


def test_diagnostics_name_the_node_with_its_namespace_and_the_hardware():
    with running(Recorder, hardware_id='camera 7') as harness:
        harness.start()
        arrays = harness.collect(DiagnosticArray, '/diagnostics')
        harness.spin_until(lambda: arrays)
        status = arrays[0].status[0]
    assert status.name.startswith('recorder: ') and status.hardware_id == 'camera 7'
