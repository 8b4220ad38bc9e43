# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: one line and the shell's exit code at any instant, and what was measured is kept."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from posegrasp_ros.ros.graph import NODES
from posegrasp_ros.ros.node_processes import NodeProcesses, free_domain, node_environment
from posegrasp_ros.runtime.interrupt import exit_code, interrupt_noted, interrupts_raised, raise_interrupts

needs_ros = pytest.mark.skipif(importlib.util.find_spec('rclpy') is None, reason='rclpy is not installed')
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
MANY = 60  # recordings of five frames


@pytest.fixture
def model(scripted_model, tmp_path) -> Path:
    """A model without grasps: fitting their tolerance takes longer than measuring all poses."""
    folder = Path(shutil.copytree(scripted_model, tmp_path / 'model'))
    (folder / 'grasps.yaml').unlink()
    return folder


def ignore_ctrl_c():
    """What a shell script does to what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def command(*arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, '-m', 'posegrasp_ros.cli.main', *arguments], stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, text=True, preexec_fn=ignore_ctrl_c, **options)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Exit code and last line."""
    said = process.communicate(timeout=120)[1]
    assert 'Traceback' not in said, said
    return process.returncode, said.splitlines()[-1]


@pytest.mark.parametrize('number', CODES)
def test_both_are_raised_and_remembered(number):
    raise_interrupts()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert exit_code() == CODES[number]


@pytest.mark.parametrize('number', CODES)
def test_the_first_is_noted_and_the_second_is_heeded(number):
    raise_interrupts()
    with pytest.raises(KeyboardInterrupt), interrupt_noted() as was_interrupted:
        signal.raise_signal(number)
        assert was_interrupted() and exit_code() == CODES[number]
        signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'code'), CODES.items())
def test_a_command_that_is_still_being_imported_ends_in_one_line(tmp_path, number, code):
    process = command('record', str(tmp_path / 'bag'), '--scenes', '100000')
    wait_until_imports(process.pid)
    process.send_signal(number)
    assert ended(process) == (code, 'posegrasp: interrupted')


def wait_until_imports(process: int) -> None:
    """Until it handles SIGTERM, which it does first of all."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        lines = Path(f'/proc/{process}/status').read_text().splitlines()
        [caught] = [int(line.split()[1], 16) for line in lines if line.startswith('SigCgt')]
        if caught & (1 << signal.SIGTERM - 1):
            return
        time.sleep(0.002)


@needs_ros
@pytest.mark.parametrize(('number', 'delays_s'), [
    (signal.SIGINT, (0.0, 0.4, 3.0)), (signal.SIGTERM, (0.1, 1.0, 5.0))])
def test_a_node_that_starts_ends_at_once_and_quietly(number, delays_s, tmp_path):
    """While it is imported, joins the graph, and compiles: nothing is kept of what others compiled."""
    with free_domain() as domain:
        environment = {**node_environment(domain), 'NUMBA_CACHE_DIR': str(tmp_path)}
        for delay_s in delays_s:
            processes = {name: subprocess.Popen(
                [sys.executable, '-m', 'posegrasp_ros.nodes.scripts', executable], cwd=tmp_path, env=environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                for name, (executable, _) in NODES.items()}
            for process in processes.values():
                wait_until_imports(process.pid)
            time.sleep(delay_s)
            for process in processes.values():
                process.send_signal(number)
            for name, process in processes.items():
                said = process.communicate(timeout=60)[1]
                assert process.returncode == 0, (name, delay_s, said)
                assert 'Traceback' not in said and 'KeyboardInterrupt' not in said, (name, delay_s, said)


@needs_ros
def test_nodes_of_the_demo_hear_what_comes_before_python_has_booted(tmp_path):
    with free_domain() as domain, NodeProcesses(tmp_path, domain) as nodes:
        for name in NODES:
            nodes.start(name, {})
        nodes.stop(*NODES)
        assert {nodes.exit_code(name) for name in NODES} == {0}
        assert [nodes.log_path(name).read_text() for name in NODES] == [''] * len(NODES)


@pytest.mark.slow
def test_evaluate_in_the_background_of_a_script_keeps_what_it_measured(bag, model, tmp_path):
    """SIGTERM, then both again and again while it writes its report."""
    process = command('evaluate', *[str(bag)] * MANY, '--model', str(model), '--estimator', 'mean_pose',
                      '--compare-with', '--out', str(tmp_path / 'run'))
    reports = tmp_path / 'run' / 'metrics.jsonl'
    wait_for_reports(reports, process)
    process.send_signal(signal.SIGTERM)
    code, last = ended(process)
    assert code == 143 and 'report' not in last
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert summary['provenance']['complete'] is False and 0 < summary['frames']['seen'] < 5 * MANY


@pytest.mark.slow
def test_impatience_shows_no_traceback(bag, model, tmp_path):
    process = command('evaluate', *[str(bag)] * MANY, '--model', str(model), '--estimator', 'mean_pose',
                      '--compare-with', '--out', str(tmp_path / 'run'))
    wait_for_reports(tmp_path / 'run' / 'metrics.jsonl', process)
    while process.poll() is None:
        for number in CODES:
            process.send_signal(number)
        time.sleep(0.01)
    code, _ = ended(process)
    assert code in CODES.values()


def wait_for_reports(path: Path, process: subprocess.Popen) -> None:
    until_s = time.monotonic() + 120
    while not (path.is_file() and path.read_bytes().count(b'\n') >= 3):
        assert process.poll() is None and time.monotonic() < until_s
        time.sleep(0.05)


def test_a_signal_within_an_import_is_kept_for_later(tmp_path):
    """Compiled modules swallow what is raised while they begin."""
    (tmp_path / 'slow.py').write_text(
        'import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGTERM)\n    sum(range(10**5))\n'
        'except KeyboardInterrupt:\n    pass\n')
    program = ('import time\nfrom posegrasp_ros.runtime.interrupt import raise_interrupts\nraise_interrupts()\n'
               'try:\n    import slow\n    time.sleep(20)\nexcept KeyboardInterrupt:\n    print("heard")\n')
    done = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == 'heard\n', done.stderr


@pytest.mark.parametrize('swallowed', [
    'ctypes.CFUNCTYPE(None)(tell)()',
    'type("Thing", (), {"__del__": lambda self: tell()})()'])
def test_a_signal_where_python_drops_exceptions_is_raised_later(swallowed):
    """Numba's compiler calls back from C, which is where most signals arrive while it works."""
    program = ('import ctypes, os, signal, time\n'
               'from posegrasp_ros.runtime.interrupt import raise_interrupts\nraise_interrupts()\n'
               'def tell():\n    os.kill(os.getpid(), signal.SIGTERM)\n    sum(range(10**5))\n'
               f'try:\n    {swallowed}\n    time.sleep(20)\nexcept KeyboardInterrupt:\n    print("heard")\n')
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ('heard\n', '')


@pytest.mark.parametrize('instead', [None, TypeError('arrays without a common dtype')])
def test_what_compiled_code_swallowed_or_changed_is_raised_all_the_same(instead):
    """NumPy raises a TypeError of its own for what was raised while it compared."""
    raise_interrupts()
    with pytest.raises(KeyboardInterrupt), interrupts_raised(True):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        if instead:
            raise instead


def test_what_is_left_to_ros_is_only_remembered():
    raise_interrupts()
    with interrupts_raised(False):
        signal.raise_signal(signal.SIGTERM)
        assert exit_code() == 143
        with pytest.raises(KeyboardInterrupt), interrupts_raised(True):
            pytest.fail('a configuration began after the process was told to end')


def test_the_same_request_twice_is_one():
    """As systemd and launch together make it."""
    program = ('import signal\nfrom posegrasp_ros.runtime.interrupt import raise_interrupts\nraise_interrupts()\n'
               'try:\n    signal.raise_signal(signal.SIGTERM)\nexcept KeyboardInterrupt:\n'
               '    signal.raise_signal(signal.SIGINT)\n    print("cleaned up")\n')
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ('cleaned up\n', '', 0)
