"""Ctrl-C and SIGTERM: one line and the shell's exit code at any instant, and what was measured is kept."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from posegrasp_ros.runtime.interrupt import exit_code, interrupt_noted, raise_interrupts

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
MANY = 60  # recordings of five frames


@pytest.fixture(autouse=True)
def handlers_as_before():
    before = [(number, signal.getsignal(number)) for number in CODES]
    yield
    for number, handler in before:
        signal.signal(number, handler)


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
