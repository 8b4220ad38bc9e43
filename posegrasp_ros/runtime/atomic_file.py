"""Files that are there whole or not at all, whenever the process that writes them is killed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, text: str, check: Callable[[Path], object] | None = None) -> None:
    """Write beside the file, put that on the disk, then rename: a reader sees the old text or the new.

    :param path: a link stays one, and what it leads to is written
    :param check: reads what was written, and raises where that is none; the old text stays then
    :raises OSError: when the disk is full, the folder cannot be written, or the path is no regular file
    """
    try:
        path = path.resolve()
    except RuntimeError as error:  # links in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if path.exists() and not path.is_file():
        # Renaming would put a file in the place of a device such as /dev/null.
        raise OSError(errno.EINVAL, f'it is a {"folder" if path.is_dir() else "pipe or device"}', str(path))
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        # Names of files may hold what UTF-8 has no way to write.
        with open(partial, 'w', encoding='utf-8', errors='backslashreplace') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if check:
            check(partial)
        partial.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            error.filename = str(path)  # writing says ``no space left`` and not where, opening names our file
        # On a full disk the half of it would only be in the way.
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
