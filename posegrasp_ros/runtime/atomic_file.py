# SPDX-License-Identifier: Apache-2.0
"""Writing that leaves no half: a text file is complete or absent, a folder goes where what fills it fails."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path


def write_whole(path: Path, text: str, check: Callable[[Path], object] | None = None) -> None:
    """Write a temporary file in the same folder, sync it to disk, then rename it: readers see the old or new text.

    :param path: if it is a symbolic link, the target is written and the link is kept
    :param check: reads the temporary file and raises if it is invalid; the old text is kept then
    :raises OSError: when the disk is full, the folder cannot be written, or the path is not a regular file
    """
    try:
        path = path.resolve()
    except RuntimeError as error:  # circular symbolic links
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if path.exists() and not path.is_file():
        # Renaming would replace a device such as /dev/null with a file.
        raise OSError(errno.EINVAL, f'it is a {"folder" if path.is_dir() else "pipe or device"}', str(path))
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        # File names may contain characters that UTF-8 cannot encode.
        with open(partial, 'w', encoding='utf-8', errors='backslashreplace') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if check:
            check(partial)
        partial.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            error.filename = str(path)  # errors of write() name no file, those of open() the partial one
        # Free the space again, in particular when the disk is full.
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within a ``with`` block: errors of files that are already open, which name none, get this path."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def no_half_folder(path: Path) -> Iterator[None]:
    """Within a ``with`` block that makes a folder: it is removed again where the block fails.

    :raises OSError: from the block, with the folder's name where it names no file
    """
    try:
        with naming(path):
            yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # frees the space, in particular when the disk is full
        raise
