# SPDX-License-Identifier: Apache-2.0
"""Progress: a bar on a terminal, one line per minute elsewhere, nothing for short work."""

from __future__ import annotations

import io
import sys

import pytest

from posegrasp_ros.runtime.progress import Phases, Progress, clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    """Seconds that can be set."""
    seconds = [0.0]
    monkeypatch.setattr('posegrasp_ros.runtime.progress.time.monotonic', lambda: seconds[0])
    return seconds


def test_short_work_prints_nothing_without_a_terminal(capsys):
    assert list(Progress(range(100), 'frames', unit='frame')) == list(range(100))
    assert capsys.readouterr() == ('', '')


def test_without_a_terminal_there_is_a_line_a_minute_with_the_time_left(capsys, now):
    with Progress(total=100, desc='picks', unit='pick') as bar:
        for _ in range(100):
            now[0] += 20
            bar.set_postfix_str('8 lifted', refresh=False)
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == 'posegrasp: picks: 3 % of 100 picks, 8 lifted, 32 min left' and len(lines) == 33


def test_without_a_total_it_counts(capsys, now):
    for _ in Progress(iter(range(4)), unit='message'):
        now[0] += 50
    assert capsys.readouterr().err.splitlines() == ['posegrasp: 2 messages after 2 min',
                                                     'posegrasp: 4 messages after 3 min']


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', Terminal())
    list(Progress(range(3), 'frames'))
    assert '100%' in sys.stderr.getvalue() and '3/3' in sys.stderr.getvalue()


def test_disabled_it_is_silent(capsys, now):
    for _ in Progress(range(4), disable=True):
        now[0] += 100
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(('seconds', 'text'), [(5, '1 min'), (600, '10 min'), (3900, '1 h 05 min')])
def test_times_are_short(seconds, text):
    assert clock(seconds) == text


def test_phases_are_numbered_with_the_time_left_for_all(capsys, now):
    """Rendering takes twice as long as expected, so measuring will too; the time budget of training stays."""
    phases = Phases({'rendering': 300, 'training': 1200, 'measuring': 600}, budgeted=('training',))
    for name, spent_s in (('rendering', 600), ('training', 1200), ('measuring', 0)):
        phases.begin(name)
        now[0] += spent_s
    assert capsys.readouterr().err.splitlines() == [
        'posegrasp: 1 of 3: rendering; about 35 min left in all',
        'posegrasp: 2 of 3: training; about 40 min left in all',
        'posegrasp: 3 of 3: measuring; about 20 min left in all']
    Phases({'rendering': 300}, is_shown=False).begin('rendering')
    assert capsys.readouterr().err == ''
