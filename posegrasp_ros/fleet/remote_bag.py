# SPDX-License-Identifier: Apache-2.0
"""Recordings of a store on the local disk, for as long as they are read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posegrasp_ros.fleet.locations import StoredFile, store_of
from posegrasp_ros.fleet.retries import Truncated, tried


@contextmanager
def local_bag(bag: StoredFile, folder: Path | None = None) -> Iterator[Path]:
    """A local path of a recording: its own, or a copy that is removed afterwards.

    :param folder: for the copy; None for that of the system's temporary files
    :raises OSError: when it cannot be fetched
    """
    if bag.local_path is not None:
        yield bag.local_path
        return
    place = Path(tempfile.mkdtemp(prefix='posegrasp-', dir=folder))
    try:
        tried(lambda: _fetch(bag, place / bag.name))
        yield place / bag.name
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _fetch(bag: StoredFile, path: Path) -> None:
    store, source = store_of(bag.url)
    store.get_file(source, str(path))
    if path.stat().st_size != bag.size:
        raise Truncated(f'{bag.url}: expected {bag.size} bytes as listed, got {path.stat().st_size}')
