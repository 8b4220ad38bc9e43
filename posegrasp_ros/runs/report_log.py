# SPDX-License-Identifier: Apache-2.0
"""ReportLog: the lines of metrics.jsonl, split into parts if its size is limited."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from posegrasp_ros.runtime.data_files import check_is_file
from posegrasp_ros.runtime.errors import InvalidInputError

LOGGER = logging.getLogger(__name__)
NAME = 'metrics.jsonl'
PART_NAME = 'metrics.{:06d}.jsonl'
# Number of parts of a size-limited log; the oldest part is deleted to make room.
PARTS = 8


class ReportLog:
    """Appends lines to a folder's metrics.jsonl.

    A line is passed to the operating system when :meth:`append` returns, so killing the process loses none. A line
    that cannot be written completely is removed again, so the file holds complete lines only.

    With ``most_bytes``, a full metrics.jsonl is flushed to disk and renamed to metrics.000001.jsonl and so on, and
    the oldest part is deleted when the total size would exceed the limit.

    :ivar lost: number of lines that could not be written
    :param folder: an existing folder
    :param fresh: delete existing lines instead of appending
    :raises OSError: when the file cannot be opened
    """

    def __init__(self, folder: Path, fresh: bool = False, most_bytes: int | None = None):
        self.path = folder / NAME
        self.lost = 0
        self._most_part_bytes = most_bytes // PARTS if most_bytes else None
        if fresh:
            for path in log_paths(folder):
                if path.stat().st_size:
                    path.unlink()
        self._open()

    def append(self, line: bytes) -> None:
        """Write one line, given without a line break.

        A file that was removed while open is created again; otherwise the line would be lost without an error.

        :raises OSError: when the disk is full, or the folder was removed and cannot be created again
        """
        try:
            if not self._is_in_place():
                self._make_anew()
            self._write(line + b'\n')
        except OSError as error:
            self.lost += 1
            error.filename = error.filename or str(self.path)
            raise
        if self._most_part_bytes and self._bytes >= self._most_part_bytes:
            self._begin_part()

    def close(self) -> None:
        """Flush all lines to disk and close the file.

        :raises OSError: when flushing fails
        """
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        about = os.fstat(self._file)
        self._identity, self._bytes = (about.st_dev, about.st_ino), about.st_size
        # A power failure may have left half a line.
        if self._bytes and os.pread(self._file, 1, self._bytes - 1) != b'\n':
            self._write(b'\n')

    def _write(self, data: bytes) -> None:
        """Write all or nothing."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            if written:
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise
        self._bytes += written

    def _is_in_place(self) -> bool:
        """Whether metrics.jsonl in the folder is still the open file."""
        try:
            about = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (about.st_dev, about.st_ino) == self._identity

    def _make_anew(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        elsewhere = self._file
        self._open()
        if os.fstat(elsewhere).st_nlink == 0:
            LOGGER.warning('%s: was removed during the run and is created again; its content is lost', self.path)
        os.close(elsewhere)

    def _begin_part(self) -> None:
        """Rename the full file to a part, and delete the oldest parts."""
        folder = self.path.parent
        parts = log_paths(folder)[:-1]
        number = 1 + (int(parts[-1].suffixes[0][1:]) if parts else 0)
        os.fsync(self._file)
        part = self.path.rename(folder / PART_NAME.format(number))
        full = self._file
        self._open()
        os.close(full)
        # Keep PARTS - 1 parts besides the new file.
        for oldest in [*parts, part][:1 - PARTS]:
            oldest.unlink()
            LOGGER.info('%s: deleted, as the reports of this run have reached their size limit', oldest)


def log_paths(folder: Path) -> list[Path]:
    """Files with the reports of a run, oldest first."""
    last = folder / NAME
    return sorted(folder.glob('metrics.[0-9]*.jsonl')) + ([last] if last.exists() else [])


def read_lines(paths: Iterable[Path], warnings: list[str],
               error_class: type[InvalidInputError]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a run's files, each with its place for messages.

    :param warnings: gets a text for each line that is no JSON, such as half a line after a power cut
    :raises InvalidInputError: of the given class, when one is no regular file
    """
    for path in paths:
        check_is_file(path, error_class)
        with path.open(encoding='utf-8', errors='replace') as file:
            for number, line in enumerate(file, start=1):
                place = f'{path}: line {number}'
                try:
                    fields = json.loads(line)
                    if not isinstance(fields, dict):
                        raise ValueError(f'expected an object of JSON, got {type(fields).__name__}')
                except (ValueError, RecursionError) as error:
                    warnings.append(f'{place}: not a report, left out: {error}')
                    continue
                yield place, fields
