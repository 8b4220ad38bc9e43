"""RunFolder: metrics.jsonl, summary.json, report.html and run.json of one run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.summary import SCHEMA
from posegrasp_ros.report.run_report import render_html
from posegrasp_ros.runs.report_log import NAME, ReportLog, log_paths
from posegrasp_ros.runs.state import (
    FINISHED,
    LOCK_NAME,
    PARTIAL,
    RUNNING,
    RunState,
    is_complete,
    partial_because,
    read_state,
)
from posegrasp_ros.runs.summary_schemas import summary_problem
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import check_is_file, read_json
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.file_lock import FileLock

REPORTS_NAME = NAME
SUMMARY_NAME = 'summary.json'
REPORT_NAME = 'report.html'


class RunFolderError(InvalidInputError):
    """A run folder that cannot be written or read."""


class FolderInUseError(RunFolderError):
    """A run folder that another process writes."""


class RunFolder:
    """Where a run is kept, as a context manager; one process at a time.

    Every report is a line of its own, out of our hands at once: a run that is killed loses none. From the first
    report to the last summary run.json says that the run is not finished.

    :param path: the folder, made when it is missing
    :param fresh: begin anew instead of appending to the reports that are there; the summary of before is gone
    :param most_bytes: of reports; beyond it the oldest are deleted. None: all are kept
    :raises FolderInUseError: when another process writes it
    :raises RunFolderError: when it cannot be made or written
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
                    # In this order: whenever it is killed, nothing old is taken for the result of this run.
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

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def lost(self) -> int:
        """How many reports could not be written."""
        return self._log.lost

    def close(self) -> None:
        """Close metrics.jsonl, and let others have the folder.

        :raises OSError: when the disk does not take what was written
        """
        try:
            self._log.close()
        finally:
            self._lock.release()

    def append(self, report: StageReport, **context: str | int) -> None:
        """Write one report as a line.

        :param context: further fields of the line, such as the estimator's name and the block of time
        :raises OSError: when the disk is full, or the folder is gone and cannot be made again
        """
        if self._state is None or self._state.word != RUNNING:
            self.path.mkdir(parents=True, exist_ok=True)
            self._become(RUNNING)
        self._log.append(json.dumps({**context, **report.to_dict()}).encode())

    def write_summary(self, summary: dict, render: Callable[[dict], str] = render_html,
                      is_last: bool = True) -> None:
        """Write summary.json and report.html, each whole or not at all.

        :param render: makes the page of such a summary
        :param is_last: the run is over; else this is one on the way
        :raises OSError: when the disk is full, or the folder is gone and cannot be made again
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / SUMMARY_NAME, json.dumps(summary, indent=2, allow_nan=False) + '\n')
        write_whole(self.path / REPORT_NAME, render(summary))
        word = RUNNING if not is_last else FINISHED if is_complete(summary) else PARTIAL
        if self._state is None or self._state.word != word:
            self._become(word)

    def _become(self, word: str) -> None:
        """Say of the run what it is now."""
        state = replace(self._state, word=word) if self._state else RunState(word)
        state.write(self.path)
        self._state = state

    def _in_use(self) -> FolderInUseError:
        state = read_state(self.path)
        return FolderInUseError(f'{self.path}: expected a run folder of its own, but another run is written there '
                                f'({state.owner if state else "by an unknown process"}): choose another')


def read_reports(path: str | Path) -> tuple[list[StageReport], list[str]]:
    """The reports of a run folder, and what was wrong with them, one line each.

    A line that is none, as half a line that a power cut left, is left out and said so.

    :raises RunFolderError: when there are none
    """
    paths = log_paths(Path(path))
    if not paths:
        raise RunFolderError(f'{Path(path) / REPORTS_NAME}: no such file; expected the reports of a run')
    reports, warnings = [], []
    for part in paths:
        check_is_file(part, RunFolderError)
        with part.open(encoding='utf-8', errors='replace') as file:
            for number, line in enumerate(file, start=1):
                try:
                    reports.append(StageReport.from_dict(json.loads(line)))
                except (ValueError, RecursionError) as error:
                    warnings.append(f'{part}: line {number}: not a report, left out: {error}')
    return reports, warnings


def read_summary(path: str | Path, may_be_partial: bool = False) -> dict:
    """The summary of a run folder.

    :param may_be_partial: also of a run that is not finished
    :raises RunFolderError: when there is none, it is not of this package, or not of a whole run
    """
    folder = Path(path)
    path = folder / SUMMARY_NAME
    if not path.exists():
        raise RunFolderError(f'{path}: no such file; expected a run folder as evaluate and the monitor write '
                             f'it{unfinished_note(folder)}')
    summary = read_json(path, RunFolderError)
    found = summary.get('schema') if isinstance(summary, dict) else type(summary).__name__
    if found != SCHEMA:
        raise RunFolderError(f'{path}: schema: expected {SCHEMA}, got {quoted(found)}')
    if problem := summary_problem(summary):
        raise RunFolderError(f'{path}: expected a summary as this version writes it: {problem}')
    if not may_be_partial and (why := partial_because(folder, summary)):
        raise RunFolderError(f'{folder}: expected a finished run, this one is partial: {why}')
    return summary


def unfinished_note(folder: Path) -> str:
    """For a message about a run without a summary: that it never came to one; else empty."""
    why = partial_because(folder, {})
    return f'. The run there is partial: {why}' if why else ''
