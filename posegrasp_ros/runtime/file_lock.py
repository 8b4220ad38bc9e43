# SPDX-License-Identifier: Apache-2.0
"""FileLock: mutual exclusion of processes by advisory locks, which the system releases when a process is killed.

It uses fcntl because neither portalocker nor filelock has a rosdep key.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOGGER = logging.getLogger(__name__)
LOOK_EVERY_S = 0.02
# Errors of file systems that do not support locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class FileLock:
    """A lock based on a dedicated lock file, which is deleted on release.

    :param path: of the lock file
    """

    def __init__(self, path: Path):
        self._path = path
        self._file: int | None = None

    def acquire(self, wait_s: float = 0.0) -> bool:
        """Try to acquire the lock; on a file system without locks, log a warning and succeed.

        :param wait_s: how long to keep trying
        :return: whether the lock was acquired
        :raises OSError: when the lock file cannot be created
        """
        until_s = time.monotonic() + wait_s
        while not self._try():
            if time.monotonic() >= until_s:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def release(self) -> None:
        """Release the lock and delete its file; does nothing when it is not held."""
        if self._file is None:
            return
        # Unlink before closing: while the lock is held no other process can acquire it on this file.
        if _is_at(self._path, self._file):
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None

    def _try(self) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(file)
                raise
            LOGGER.warning('%s: the file system does not support locks (%s): make sure that no other process '
                           'writes there', self._path, error.strerror)
        if not _is_at(self._path, file):
            os.close(file)  # released in between: the path is another file by now
            return False
        self._file = file
        return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock with this lock file."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


@contextmanager
def locked(path: Path, wait_s: float) -> Iterator[bool]:
    """Hold the lock of a file within a ``with`` block; yields whether it was acquired within ``wait_s``.

    :param path: of the file to protect, which need not exist; its folder is created
    """
    path = Path(os.path.realpath(path))  # unlike resolve(), does not raise on circular links
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f'.{path.name}.lock'))
    held = lock.acquire(wait_s)
    try:
        yield held
    finally:
        lock.release()


def _is_at(path: Path, file: int) -> bool:
    """Whether a path refers to the file of a descriptor."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
