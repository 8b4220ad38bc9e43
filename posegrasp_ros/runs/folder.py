# SPDX-License-Identifier: Apache-2.0
"""RunFolder: metrics.jsonl, summary.json, report.html and run.json of one run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.summary import SCHEMA
from posegrasp_ros.report.run_report import render_html
from posegrasp_ros.runs.report_log import NAME, ReportLog, log_paths, read_lines
from posegrasp_ros.runs.run_log import OTHER_THAN_REPORTS
from posegrasp_ros.runs.state import (
    FINISHED,
    LOCK_NAME,
    PARTIAL,
    RUNNING,
    STATE_NAME,
    RunState,
    is_complete,
    partial_because,
    read_state,
)
from posegrasp_ros.runs.summary_schemas import summary_problem
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_json
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.file_lock import FileLock

REPORTS_NAME = NAME
SUMMARY_NAME = 'summary.json'
REPORT_NAME = 'report.html'


def holds_run(path: Path) -> bool:
    """Whether a folder holds a run, or what one left."""
    return any((path / name).exists() for name in (REPORTS_NAME, SUMMARY_NAME, STATE_NAME))


class RunFolderError(InvalidInputError):
    """A run folder that cannot be written or read."""


class FolderInUseError(RunFolderError):
    """A run folder that another process is writing."""


class RunFolder:
    """Writer of a run folder, as a context manager; one process at a time.

    Every report is a line, passed to the operating system at once, so that a killed run loses none. From the first
    report to the last summary, run.json states that the run is not finished.

    :param path: the folder, created when it is missing
    :param fresh: delete existing reports and summary instead of appending
    :param most_bytes: limit for the reports, beyond which the oldest are deleted; None for no limit
    :raises FolderInUseError: when another process is writing it
    :raises RunFolderError: when it cannot be created or written
    """

    def __init__(self, path: str | Path, fresh: bool = False, most_bytes: int | None = None):
        self.path = Path(path)
        self._state: RunState | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / LOCK_NAME)
            if not self._lock.acquire():
                raise self._in_use()
            try:
                if fresh:
                    # Order matters: if killed at any point, no old file is mistaken for a result of this run.
                    self._become(RUNNING)
                    for name in (SUMMARY_NAME, REPORT_NAME):
                        (self.path / name).unlink(missing_ok=True)
                self._log = ReportLog(self.path, fresh, most_bytes)
            except OSError:
                self._lock.release()
                raise
        except OSError as error:
            raise RunFolderError(f'{self.path}: expected a folder that can be written: {error}') from error

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lost(self) -> int:
        """Number of reports that could not be written."""
        return self._log.lost

    def close(self) -> None:
        """Close metrics.jsonl and release the lock of the folder.

        :raises OSError: when flushing to disk fails
        """
        try:
            self._log.close()
        finally:
            self._lock.release()

    def append(self, report: StageReport, **context: str | int) -> None:
        """Write one report as a line.

        :param context: further fields of the line, such as the estimator's name and the time block
        :raises OSError: when the disk is full, or the folder was removed and cannot be created again
        """
        self.append_line({**context, **report.to_dict()})

    def append_line(self, fields: dict[str, Any]) -> None:
        """Write one line, a report or one of :mod:`posegrasp_ros.runs.run_log`.

        :raises OSError: when the disk is full, or the folder was removed and cannot be created again
        """
        if self._state is None or self._state.word != RUNNING:
            self.path.mkdir(parents=True, exist_ok=True)
            self._become(RUNNING)
        self._log.append(json.dumps(fields).encode())

    def write_summary(self, summary: dict, render: Callable[[dict], str] = render_html,
                      is_last: bool = True) -> None:
        """Write summary.json and report.html, each atomically.

        :param render: renders the page of the summary
        :param is_last: whether the run is over; else it is an intermediate summary
        :raises OSError: when the disk is full, or the folder was removed and cannot be created again
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / SUMMARY_NAME, json.dumps(summary, indent=2, allow_nan=False) + '\n')
        write_whole(self.path / REPORT_NAME, render(summary))
        word = RUNNING if not is_last else FINISHED if is_complete(summary) else PARTIAL
        if self._state is None or self._state.word != word:
            self._become(word)

    def write_text(self, name: str, text: str) -> None:
        """Write a file beside the summary, atomically; empty text removes it.

        :raises OSError: when that is not possible
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if text:
            write_whole(self.path / name, text)
        else:
            (self.path / name).unlink(missing_ok=True)

    def _become(self, word: str) -> None:
        """Change the state of the run."""
        state = replace(self._state, word=word) if self._state else RunState(word)
        state.write(self.path)
        self._state = state

    def _in_use(self) -> FolderInUseError:
        state = read_state(self.path)
        return FolderInUseError(f'{self.path}: expected an unused run folder, but another run writes it '
                                f'({state.owner if state else "unknown process"}): choose another folder')


def read_reports(path: str | Path) -> tuple[list[StageReport], list[str]]:
    """Read the reports of a run folder.

    Invalid lines, such as half a line after a power cut, are left out with a warning.

    :return: reports and warnings
    :raises RunFolderError: when there are none
    """
    paths = log_paths(Path(path))
    if not paths:
        raise RunFolderError(f'{Path(path) / REPORTS_NAME}: no such file; expected the reports of a run')
    reports: list[StageReport] = []
    warnings: list[str] = []
    for place, fields in read_lines(paths, warnings, RunFolderError):
        if OTHER_THAN_REPORTS & fields.keys():
            continue
        try:
            reports.append(StageReport.from_dict(fields))
        except ValueError as error:
            warnings.append(f'{place}: not a report, left out: {error}')
    return reports, warnings


def read_summary(path: str | Path, may_be_partial: bool = False) -> dict:
    """Read the summary of a run folder.

    :param may_be_partial: accept a run that is not finished
    :raises RunFolderError: when there is none, it has another schema, or the run is partial
    """
    folder = Path(path)
    path = folder / SUMMARY_NAME
    if not path.exists():
        raise RunFolderError(f'{path}: no such file; expected a run folder written by evaluate or the monitor'
                             f'{unfinished_note(folder)}')
    summary = read_json(path, RunFolderError)
    found = summary.get('schema') if isinstance(summary, dict) else type(summary).__name__
    if found != SCHEMA:
        raise RunFolderError(f'{path}: schema: expected {SCHEMA}, got {quoted(found)}')
    if problem := summary_problem(summary):
        raise RunFolderError(f'{path}: expected a summary in the format of this version: {problem}')
    if not may_be_partial and (why := partial_because(folder, summary)):
        raise RunFolderError(f'{folder}: expected a finished run, this one is partial: {why}')
    return summary


def unfinished_note(folder: Path) -> str:
    """Sentence for a message about a run without a summary: why it has none; empty where unknown."""
    why = partial_because(folder, {})
    return f'. The run there is partial: {why}' if why else ''
