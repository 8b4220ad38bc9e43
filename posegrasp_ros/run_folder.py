"""RunFolder: metrics.jsonl, summary.json and report.html of one run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from posegrasp_ros.errors import BadInput
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report import render_html

LOGGER = logging.getLogger(__name__)
REPORTS_NAME = 'metrics.jsonl'
SUMMARY_NAME = 'summary.json'
REPORT_NAME = 'report.html'


class RunFolderError(BadInput):
    """A run folder that cannot be written or read."""


class RunFolder:
    """Where a run is kept, as a context manager.

    Every report is a line of its own, flushed at once, so a run that is killed loses at most its last line.

    :param path: the folder, made when it is missing
    :param fresh: begin anew instead of appending to the reports that are there
    :raises RunFolderError: when it cannot be made or written
    """

    def __init__(self, path: str | Path, fresh: bool = False):
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._reports = (self.path / REPORTS_NAME).open('wb' if fresh else 'ab')
            if not fresh and _lacks_line_end(self.path / REPORTS_NAME):
                self._reports.write(b'\n')
        except OSError as error:
            raise RunFolderError(f'{self.path}: expected a folder that can be written: {error}') from error

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close metrics.jsonl; the summary can still be written."""
        self._reports.close()

    def append(self, report: StageReport, **context: str) -> None:
        """Write one report as a line, and flush it.

        A file that was removed while it was open would take the line without a word; it is made anew.

        :param context: further fields of the line, such as the estimator's name
        :raises OSError: when the disk is full, or the folder is gone and cannot be made again
        """
        if not self._is_in_place():
            self._make_anew()
        self._reports.write(json.dumps({**context, **report.to_dict()}).encode() + b'\n')
        self._reports.flush()

    def write_summary(self, summary: dict, render: Callable[[dict], str] = render_html) -> None:
        """Write summary.json and report.html, each whole or not at all.

        :param render: makes the page of such a summary
        :raises OSError: when the disk is full, or the folder is gone and cannot be made again
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._replace(SUMMARY_NAME, json.dumps(summary, indent=2, allow_nan=False) + '\n')
        self._replace(REPORT_NAME, render(summary))

    def _is_in_place(self) -> bool:
        """Whether metrics.jsonl of the folder is the file that is open."""
        try:
            return os.path.samestat(os.fstat(self._reports.fileno()), (self.path / REPORTS_NAME).stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _make_anew(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        reports = (self.path / REPORTS_NAME).open('ab')
        # What the lost file could not take is lost with it.
        with contextlib.suppress(OSError):
            self._reports.close()
        self._reports = reports
        LOGGER.warning('%s: was removed during the run and is made anew; what was in it is lost',
                       self.path / REPORTS_NAME)

    def _replace(self, name: str, text: str) -> None:
        """Write beside the file, then rename: a reader never sees half of it."""
        partial = self.path / f'.{name}.partial'
        with open(partial, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path / name)


def _lacks_line_end(path: Path) -> bool:
    """Whether a killed run left half a line."""
    with path.open('rb') as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        return file.read(1) not in (b'', b'\n')


def read_reports(path: str | Path) -> tuple[list[StageReport], list[str]]:
    """The reports of a run folder's metrics.jsonl, and what was wrong with it, one line each.

    A line that was cut off, as the last of a killed run, is left out and said so.

    :raises RunFolderError: when there is no such file
    """
    path = Path(path) / REPORTS_NAME
    if not path.is_file():
        raise RunFolderError(f'{path}: no such file; expected the reports of a run')
    reports, warnings = [], []
    with path.open(encoding='utf-8', errors='replace') as file:
        for number, line in enumerate(file, start=1):
            try:
                reports.append(StageReport.from_dict(json.loads(line)))
            except ValueError as error:
                warnings.append(f'{path}: line {number}: not a report, left out: {error}')
    return reports, warnings
