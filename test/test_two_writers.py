# SPDX-License-Identifier: Apache-2.0
"""Several processes at one file or folder, and processes that are killed: nothing is mixed, lost or
taken for whole.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.baselines.baselines_file import add_run
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.runs.finished_run import FinishedRun, FinishedRunError
from posegrasp_ros.runs.folder import FolderInUseError, RunFolder, RunFolderError, read_reports, read_summary
from posegrasp_ros.runs.state import FINISHED, PARTIAL, RUNNING, partial_because, read_state
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.file_lock import FileLock, is_locked, locked


def summary_of(frames: int, **provenance) -> dict:
    run = RunMetrics(TARGET)
    for index in range(frames):
        run.add_truth(index * SECOND, TRUTH)
        run.add_report(StageReport(index * SECOND, 'perception', True))
        run.add_estimate(index * SECOND, off_by(0.002))
    return run.summary(provenance)


def write_run(folder: Path, frames: int = 30, **provenance) -> Path:
    with RunFolder(folder, fresh=True) as run:
        for index in range(frames):
            run.append(StageReport(index, 'perception', True))
        run.write_summary(summary_of(frames, **provenance))
    return folder


# Processes that have imported what takes its time already: to start one costs next to nothing.
PROCESSES = get_context('forkserver')
PROCESSES.set_forkserver_preload(['pytest', 'posegrasp_ros.cli.main',
                                  'posegrasp_ros.metrics.baselines.baselines_file', 'posegrasp_ros.metrics.run',
                                  'posegrasp_ros.runs.finished_run', 'posegrasp_ros.monitoring.run_keeper'])


def add(run: Path, baselines: Path, name: str) -> None:
    sys.exit(main(['baseline', 'add', '--from', str(run), '--baselines', str(baselines), '--name', name]))


def test_ten_at_once_add_ten_entries_to_a_baselines_file(tmp_path):
    run, baselines = write_run(tmp_path / 'run'), tmp_path / 'baselines.yaml'
    adding = [PROCESSES.Process(target=add, args=(run, baselines, f'run {index}')) for index in range(10)]
    for process in adding:
        process.start()
    for process in adding:
        process.join()
    assert [process.exitcode for process in adding] == [0] * 10
    entries = load_baselines(baselines).metrics['recall_1cm_5deg'].entries
    assert {entry.name for entry in entries if entry.kind == 'previous'} == {f'run {index}' for index in range(10)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ['baselines.yaml', 'run']


def keep_adding(told: Connection, summary: dict, baselines: Path, attempt: int) -> None:
    count = 0
    while True:
        add_run(baselines, summary, 'run', f'{attempt}-{count}', ['recall_1cm_5deg'])
        told.send(count)
        count += 1


def keep_running(told: Connection, folder: Path) -> None:
    summary = summary_of(400)
    told.send('begun')
    while True:
        with RunFolder(folder, fresh=True) as run:
            for index in range(400):
                run.append(StageReport(index, 'perception', True))
            run.write_summary(summary)


def killed_after(seconds: float, work: Callable, *arguments) -> list:
    """What a process had told when it was killed, so long after the first word."""
    ours, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=work, args=(its, *arguments), daemon=True)
    process.start()
    its.close()
    told = [ours.recv()]
    time.sleep(seconds)
    process.kill()
    process.join()
    with contextlib.suppress(EOFError):
        while True:
            told.append(ours.recv())
    return told


def test_what_a_baselines_file_took_before_a_kill_is_in_it_and_nobody_waits_for_the_dead(tmp_path):
    run, baselines, rng = write_run(tmp_path / 'run'), tmp_path / 'baselines.yaml', np.random.default_rng(0)
    for attempt in range(4):
        told = killed_after(rng.uniform(0.0, 0.3), keep_adding, read_summary(run), baselines, attempt)
        names = {entry.name for entry in load_baselines(baselines).metrics['recall_1cm_5deg'].entries}
        assert {f'{attempt}-{count}' for count in told} <= names
    assert main(['baseline', 'add', '--from', str(run), '--baselines', str(baselines)]) == 0


def test_a_second_run_in_a_folder_is_refused_with_who_is_there(tmp_path):
    with RunFolder(tmp_path, fresh=True) as folder:
        folder.append(StageReport(1, 'perception', True))
        with pytest.raises(FolderInUseError, match=r'process \d+ on .*, since 20.*choose another'):
            RunFolder(tmp_path, fresh=True)
        folder.append(StageReport(2, 'perception', True))
    assert [report.stamp_ns for report in read_reports(tmp_path)[0]] == [1, 2]
    RunFolder(tmp_path).close()


def test_a_second_monitor_takes_a_folder_with_a_number_and_says_so(tmp_path):
    said: list[str] = []
    first, second = (RunKeeper(tmp_path / 'run', None, said.append) for _ in range(2))
    assert (first.path.name, second.path.name) == ('run', 'run-2')
    assert said == [f'{tmp_path}/run: holds another run already; this one is written to {tmp_path}/run-2']
    for number, keeper in enumerate((first, second)):
        keeper.append(StageReport(number, 'perception', True).to_dict())
        keeper.close()
    third = RunKeeper(tmp_path / 'run', None, said.append)
    third.close()
    assert third.path.name == 'run-3', 'what was measured before is not mixed with what comes'
    assert [report.stamp_ns for report in read_reports(tmp_path / 'run')[0]] == [0]


def test_a_run_says_what_it_is_until_it_is_finished(tmp_path):
    write_run(tmp_path)
    assert read_state(tmp_path).word == FINISHED and partial_because(tmp_path, summary_of(5)) == ''
    with RunFolder(tmp_path, fresh=True) as folder:
        assert read_state(tmp_path).word == RUNNING
        assert not (tmp_path / 'summary.json').exists() and not (tmp_path / 'report.html').exists()
        folder.append(StageReport(1, 'perception', True))
        folder.write_summary(summary_of(5), is_last=False)
        assert 'still running' in partial_because(tmp_path, summary_of(5))
        folder.write_summary(summary_of(5, complete=False))
    assert read_state(tmp_path).word == PARTIAL
    assert partial_because(tmp_path, read_summary(tmp_path, may_be_partial=True)) == 'it was interrupted'


def test_a_run_that_was_killed_is_never_taken_for_a_whole_one(tmp_path, capsys):
    folder, rng, seen = write_run(tmp_path / 'run'), np.random.default_rng(1), set()
    for _ in range(6):
        killed_after(rng.uniform(0.0, 0.3), keep_running, folder)
        state, lines = read_state(folder).word, len(read_reports(folder)[0])
        seen.add(state)
        if state == FINISHED:
            assert lines == read_summary(folder)['frames']['seen'] == 400
            continue
        with pytest.raises(RunFolderError, match='partial: it was never finished'):
            read_summary(folder)
        assert main(['baseline', 'add', '--from', str(folder), '--baselines', str(tmp_path / 'kept.yaml')]) == 2
        assert 'partial: it was never finished' in capsys.readouterr().err
        try:
            assert FinishedRun.load(folder, 'run').partial
        except FinishedRunError as error:
            assert 'partial' in str(error)
    assert RUNNING in seen
    assert not (tmp_path / 'kept.yaml').exists()


def test_a_partial_run_is_named_so_wherever_it_is_used(tmp_path, capsys):
    whole, partial = write_run(tmp_path / 'whole'), write_run(tmp_path / 'partial', complete=False)
    assert main(['compare', str(whole), str(partial), '--out', str(tmp_path / 'compared')]) == 0
    assert 'partial is a partial run: it was interrupted' in capsys.readouterr().out
    assert 'partial: it was interrupted' in (tmp_path / 'compared' / 'report.html').read_text()
    baselines = tmp_path / 'baselines.yaml'
    arguments = ['baseline', 'add', '--from', str(partial), '--baselines', str(baselines)]
    assert main(arguments) == 2 and 'expected a finished run' in capsys.readouterr().err
    assert main([*arguments, '--partial']) == 0
    entries = load_baselines(baselines).metrics['recall_1cm_5deg'].entries
    entry, = (each for each in entries if each.kind == 'previous')
    assert 'run partial (partial: it was interrupted)' in entry.source


def test_runs_of_versions_that_said_nothing_of_themselves_are_taken_as_they_are(tmp_path):
    write_run(tmp_path)
    (tmp_path / 'run.json').unlink()
    assert read_summary(tmp_path)['frames']['seen'] == 30
    (tmp_path / 'run.json').write_text('{"word": ')
    assert read_summary(tmp_path)['frames']['seen'] == 30


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    path, order = tmp_path / 'lock', []
    first, second = FileLock(path), FileLock(path)
    assert first.acquire() and is_locked(path) and not second.acquire()

    def let_go() -> None:
        order.append('first')
        first.release()

    timer = threading.Timer(0.2, let_go)
    timer.start()
    assert second.acquire(10.0)
    order.append('second')
    second.release()
    assert order == ['first', 'second'] and not path.exists() and not is_locked(path)


def test_many_threads_take_their_turns(tmp_path):
    path, counts = tmp_path / 'count', []
    path.write_text('0')

    def count() -> None:
        for _ in range(5):
            with locked(path, 30.0) as held:
                number = int(path.read_text())
                time.sleep(0.001)
                path.write_text(str(number + 1))
            counts.append(held)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == '40' and all(counts)


def test_what_cannot_be_read_back_does_not_replace_what_is_there(tmp_path):
    path = tmp_path / 'kept.json'
    write_whole(path, '{}')
    with pytest.raises(ValueError):
        write_whole(path, '{', lambda partial: json.loads(partial.read_text()))
    assert path.read_text() == '{}' and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'real').mkdir()
    link = tmp_path / 'link.yaml'
    link.symlink_to(tmp_path / 'real' / 'file.yaml')
    write_whole(link, 'text')
    assert link.is_symlink() and (tmp_path / 'real' / 'file.yaml').read_text() == 'text'
