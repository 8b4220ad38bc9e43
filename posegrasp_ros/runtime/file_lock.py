"""FileLock: one process at a time, by the operating system's advisory locks: whoever is killed holds none.

The locks are those of fcntl, for neither portalocker nor filelock has a rosdep key.
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
# What file systems say that know no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class FileLock:
    """A lock by a file of its own, which is gone when nobody holds it.

    :param path: of that file
    """

    def __init__(self, path: Path):
        self._path = path
        self._file: int | None = None

    def acquire(self, wait_s: float = 0.0) -> bool:
        """Whether the lock could be had within so long; where the file system knows none, a warning has to do.

        :raises OSError: when its file cannot be made
        """
        until_s = time.monotonic() + wait_s
        while not self._try():
            if time.monotonic() >= until_s:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def release(self) -> None:
        """Let the next one have it."""
        if self._file is None:
            return
        # As long as it is held nobody else takes the file for theirs.
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
            LOGGER.warning('%s: cannot be locked (%s): nothing else may write there', self._path, error.strerror)
        if not _is_at(self._path, file):
            os.close(file)  # it was given back in between, and is another file by now
            return False
        self._file = file
        return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of this file."""
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
    """Within this one process alone works on a file; gives whether the lock could be had within so long.

    :param path: of the file to be worked on, which need not exist; its folder is made
    """
    path = Path(os.path.realpath(path))  # of links in a circle it makes no error
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f'.{path.name}.lock'))
    held = lock.acquire(wait_s)
    try:
        yield held
    finally:
        lock.release()


def _is_at(path: Path, file: int) -> bool:
    """Whether a path leads to an open file."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
