from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from ros_harness import running

from posegrasp_ros.errors import BadInput
from posegrasp_ros.node_processes import free_domain, node_environment
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode


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
    (BadInput('mesh.obj: expected triangles, found none'), 'cannot configure: mesh.obj: expected triangles'),
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


@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('node', ['perception', 'monitor'])
def test_a_process_told_to_end_does_so_without_a_traceback(signal_number, node, scripted_model, tmp_path):
    parameters = {'perception': 'estimator:=mean_pose', 'monitor': f'out:={tmp_path}'}
    command = [sys.executable, '-m', f'posegrasp_ros.nodes.{node}_node', '--ros-args',
               '-p', f'model:={scripted_model}', '-p', parameters[node]]
    with free_domain() as domain:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=node_environment(domain))
        try:
            assert '[INFO]' in process.stderr.readline()
            time.sleep(0.3)
            process.send_signal(signal_number)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert 'Traceback' not in said
