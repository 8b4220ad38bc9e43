# SPDX-License-Identifier: Apache-2.0
"""The demo waits as long as its nodes live, says so, and tells bad input from a pipeline that failed."""

from __future__ import annotations

import json

import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.ros import demo
from posegrasp_ros.ros.demo import GIVE_UP_AFTER_S, DemoError, watch
from posegrasp_ros.runtime.errors import PipelineFailed


class Nodes:
    """Four processes of which some have ended."""

    def __init__(self, **exit_codes: int):
        self._exit_codes = exit_codes

    def ended(self) -> list[str]:
        return list(self._exit_codes)

    def exit_code(self, name: str) -> int:
        return self._exit_codes[name]

    def last_words(self, name: str) -> str:
        return 'pick 2 of 2: lifted' if name == 'simulator' else ''


class Time:
    """A clock that goes on while somebody waits, and what happens at some second of it."""

    def __init__(self, **events):
        self.now_s = 0.0
        self._events = {float(name.removeprefix('at_')): event for name, event in events.items()}

    def wait(self, seconds: float) -> None:
        self.now_s += 100 * seconds
        for due_s in [due_s for due_s in self._events if due_s <= self.now_s]:
            self._events.pop(due_s)()


@pytest.fixture
def reports(tmp_path):
    return tmp_path / 'metrics.jsonl'


def written(path, *stages):
    def write():
        with path.open('a') as file:
            file.writelines(json.dumps({'stage': stage, 'ok': True}) + '\n' for stage in stages)
    return write


def test_a_monitor_that_is_busy_while_all_picks_are_made_is_waited_for_and_that_is_said(reports, capsys):
    time = Time(at_20=written(reports, 'perception'), at_110=written(reports, 'execution', 'execution'))
    watch(Nodes(simulator=0), reports, 2, wait=time.wait, clock=lambda: time.now_s)
    assert 110 <= time.now_s < 130
    said = capsys.readouterr().err
    assert 'no report for 20 s after 0 of 2 picks; still waiting' in said and 'monitor: nothing yet' in said


def test_silence_without_end_is_a_failure_that_quotes_the_nodes(reports):
    time = Time()
    with pytest.raises(PipelineFailed, match=r'after 0 of 2 picks.* simulator: pick 2 of 2: lifted'):
        watch(Nodes(), reports, 2, progress=False, wait=time.wait, clock=lambda: time.now_s)
    assert time.now_s >= GIVE_UP_AFTER_S


@pytest.mark.parametrize(('ended', 'failure'), [
    ({'perception': 2}, DemoError), ({'perception': -11}, PipelineFailed), ({'monitor': 0}, PipelineFailed),
    ({'simulator': 1}, PipelineFailed)])
def test_a_node_that_ends_too_early_is_named_at_once(reports, ended, failure):
    [(name, code)] = ended.items()
    with pytest.raises(failure, match=f'{name} ended with exit code {code} after 0 of 2 picks'):
        watch(Nodes(**ended), reports, 2, progress=False, wait=pytest.fail)


def test_a_pipeline_that_failed_has_an_exit_code_of_its_own(monkeypatch, capsys):
    def fail(*_, **__):
        raise PipelineFailed('perception ended with exit code -11')

    monkeypatch.setattr(demo, 'run_demo', fail)
    assert main(['demo']) == 4
    assert capsys.readouterr().err == 'posegrasp: error: perception ended with exit code -11\n'
