"""RunFolder: metrics.jsonl, summary.json and report.html of one run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from posegrasp_ros.errors import BadInput
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.summary import SCHEMA
from posegrasp_ros.report.run_report import render_html
from posegrasp_ros.runs.report_log import NAME, ReportLog, log_paths

REPORTS_NAME = NAME
SUMMARY_NAME = 'summary.json'
REPORT_NAME = 'report.html'


class RunFolderError(BadInput):
    """A run folder that cannot be written or read."""


class RunFolder:
    """Where a run is kept, as a context manager.

    Every report is a line of its own, out of our hands at once: a run that is killed loses none.

    :param path: the folder, made when it is missing
    :param fresh: begin anew instead of appending to the reports that are there
    :param most_bytes: of reports; beyond it the oldest are deleted. None: all are kept
    :raises RunFolderError: when it cannot be made or written
    """

    def __init__(self, path: str | Path, fresh: bool = False, most_bytes: int | None = None):
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._log = ReportLog(self.path, fresh, most_bytes)
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
        """Close metrics.jsonl; the summary can still be written.

        :raises OSError: when the disk does not take what was written
        """
        self._log.close()

    def append(self, report: StageReport, **context: str) -> None:
        """Write one report as a line.

        :param context: further fields of the line, such as the estimator's name
        :raises OSError: when the disk is full, or the folder is gone and cannot be made again
        """
        self._log.append(json.dumps({**context, **report.to_dict()}).encode())

    def write_summary(self, summary: dict, render: Callable[[dict], str] = render_html) -> None:
        """Write summary.json and report.html, each whole or not at all.

        :param render: makes the page of such a summary
        :raises OSError: when the disk is full, or the folder is gone and cannot be made again
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._replace(SUMMARY_NAME, json.dumps(summary, indent=2, allow_nan=False) + '\n')
        self._replace(REPORT_NAME, render(summary))

    def _replace(self, name: str, text: str) -> None:
        """Write beside the file, then rename: a reader never sees half of it."""
        partial = self.path / f'.{name}.partial'
        try:
            with open(partial, 'w', encoding='utf-8') as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path / name)
        except OSError:
            # On a full disk the half of it would only be in the way.
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


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
        with part.open(encoding='utf-8', errors='replace') as file:
            for number, line in enumerate(file, start=1):
                try:
                    reports.append(StageReport.from_dict(json.loads(line)))
                except ValueError as error:
                    warnings.append(f'{part}: line {number}: not a report, left out: {error}')
    return reports, warnings


def read_summary(path: str | Path) -> dict:
    """The summary of a run folder.

    :raises RunFolderError: when there is none, or it is not of this package
    """
    path = Path(path) / SUMMARY_NAME
    try:
        summary = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise RunFolderError(f'{path}: no such file; expected a run folder as evaluate and the monitor write '
                             'it') from error
    except ValueError as error:
        raise RunFolderError(f'{path}: expected JSON as evaluate and the monitor write it: {error}') from error
    found = summary.get('schema') if isinstance(summary, dict) else type(summary).__name__
    if found != SCHEMA:
        raise RunFolderError(f'{path}: schema: expected {SCHEMA}, got {found!r}')
    return summary
