# SPDX-License-Identifier: Apache-2.0
"""RunKeeper: fault-tolerant access to a run folder, so that a full disk does not stop the robot."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from posegrasp_ros.monitoring.liveness import ERROR, OK, Health
from posegrasp_ros.report.run_report import render_html
from posegrasp_ros.runs.folder import FolderInUseError, RunFolder, RunFolderError
from posegrasp_ros.runs.report_log import log_paths

# A summary processes all images again, so its cost grows with the run; limit of its share of the time.
MOST_TIME_SHARE = 0.02
MOST_NUMBERED = 10_000


class RunKeeper:
    """Writes reports and summaries to a run folder; write errors are logged and reported as health.

    :param path: of the run folder; if it holds another run or is in use, a number is appended
    :param most_bytes: limit for the reports, beyond which the oldest are deleted; None for no limit
    :param complain: logs a line, called from any thread
    """

    def __init__(self, path: Path, most_bytes: int | None, complain: Callable[[str], None]):
        self._complain = complain
        self._errors: dict[str, str] = {}
        self._writer: Thread | None = None
        self._rest_until_s = 0.0
        self._folder: RunFolder | None = None
        self._path = path
        try:
            self._folder = _free_folder(path, most_bytes, complain)
            self._path = self._folder.path
        except RunFolderError as error:
            self._errors['folder'] = str(error)
            complain(f'{error}; the run continues without it')

    @property
    def path(self) -> Path:
        """Path of the run folder."""
        return self._path

    def append(self, fields: dict) -> None:
        """Write one line of metrics.jsonl."""
        self._try('reports', lambda folder: folder.append_line(fields))

    def summarise(self, summary: Callable[[], dict], render: Callable[[dict], str] = render_html) -> None:
        """Compute and write a summary in a background thread.

        :param render: renders the page of the summary
        """
        self._join()
        self._writer = Thread(target=self._summarise, args=(summary, render), daemon=True)
        self._writer.start()

    def may_summarise(self) -> bool:
        """Whether the last summary is finished, and long enough ago given its cost."""
        return not (self._writer and self._writer.is_alive()) and time.monotonic() >= self._rest_until_s

    def write_summary(self, summary: dict, render: Callable[[dict], str] = render_html) -> None:
        """Write a summary in this thread.

        :param render: renders the page of the summary
        """
        self._join()
        self._try('summary', lambda folder: folder.write_summary(summary, render))

    def close(self) -> None:
        """Flush all reports to disk and close the folder."""
        self._join()
        self._try('reports', lambda folder: folder.close())
        self._folder = None

    def health(self) -> Health:
        """An error while writing fails."""
        errors = [error for error in self._errors.values() if error]
        values = {'lost_reports': str(self._folder.lost)} if self._folder else {}
        return Health('run folder', ERROR if errors else OK, '; '.join(errors) or str(self._path), values)

    def _summarise(self, summary: Callable[[], dict], render: Callable[[dict], str]) -> None:
        started_s = time.thread_time()
        try:
            made = summary()
        except Exception as error:
            self._errors['summary'] = f'summary: {type(error).__name__}: {error}'
            self._complain(self._errors['summary'])
        else:
            self._try('summary', lambda folder: folder.write_summary(made, render, is_last=False))
        self._rest_until_s = time.monotonic() + (time.thread_time() - started_s) / MOST_TIME_SHARE

    def _join(self) -> None:
        if self._writer:
            self._writer.join()

    def _try(self, what: str, step: Callable[[RunFolder], None]) -> None:
        if self._folder is None:
            return
        try:
            step(self._folder)
            self._errors[what] = ''
        except OSError as error:
            self._errors[what] = f'{self._path}: {what}: {error.strerror or error}'
            self._complain(f'{self._errors[what]}; the run continues')


def _free_folder(path: Path, most_bytes: int | None, complain: Callable[[str], None]) -> RunFolder:
    """Open the folder, or if it holds another run the first numbered one that does not.

    :raises RunFolderError: when it cannot be created or written
    """
    for number in range(1, MOST_NUMBERED + 1):
        numbered = path if number == 1 else path.with_name(f'{path.name}-{number}')
        if any(log.stat().st_size for log in log_paths(numbered)):
            continue
        try:
            folder = RunFolder(numbered, fresh=True, most_bytes=most_bytes)
        except FolderInUseError:
            continue
        if number > 1:
            complain(f'{path}: holds another run already; this one is written to {numbered}')
        return folder
    raise RunFolderError(f'{path}: expected a folder without a run, found {MOST_NUMBERED} that hold one')
