# SPDX-License-Identifier: Apache-2.0
"""Files on local disks and, by fsspec, in object stores: s3://, gs://, az:// where their packages are."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posegrasp_ros.runtime.errors import InvalidInputError, one_line

# What stores call the hash of a file's content; of others the size and the content itself tell files apart.
TAGS = ('ETag', 'etag', 'md5Hash', 'md5', 'content_md5')


class LocationError(InvalidInputError):
    """A place that cannot be listed, read or written."""


@dataclass(frozen=True)
class StoredFile:
    """A file, or a local folder that is one recording, as a store lists it.

    :param url: absolute path of a local file
    :param size: bytes; None of a folder
    :param tag: hash of the content as the store states it; empty where it states none
    """

    url: str
    size: int | None = None
    tag: str = ''

    @property
    def name(self) -> str:
        return self.url.rstrip('/').rpartition('/')[2]

    @property
    def local_path(self) -> Path | None:
        """None where it has to be fetched."""
        return None if '://' in self.url else Path(self.url)


def is_url(text: str) -> bool:
    """Whether a place is named by a URL."""
    return '://' in text


def is_pattern(text: str) -> bool:
    """Whether a text stands for several files: with ``*``, ``?`` or ``[`` and no such local file."""
    return glob.has_magic(text) and (is_url(text) or not Path(text).exists())


def store_of(url: str) -> tuple[Any, str]:
    """The fsspec file system of a place, and the place in it.

    :raises LocationError: when a package for this kind of URL is missing, or it is none that is known
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise LocationError(f'{url}: expected a path, or a URL whose package is installed: {error}') from error


def below(folder: str, *parts: str) -> str:
    """A place in a folder."""
    return '/'.join([folder.rstrip('/'), *parts])


def listed(pattern: str) -> list[StoredFile]:
    """The files that a path, URL or pattern names, in the order of their names.

    :raises LocationError: when there are none, or they cannot be listed
    """
    store, path = store_of(pattern)
    try:
        store.invalidate_cache()
        if is_pattern(pattern):
            found = store.glob(path, detail=True)
        else:
            found = {path: store.info(path)}
    except FileNotFoundError:
        found = {}
    except Exception as error:  # each store raises its own
        raise LocationError(f'{pattern}: expected files that can be listed: {told(error)}') from error
    if not found:
        raise LocationError(f'{pattern}: expected recordings, found no such file')
    files = [_stored(store, name, facts) for name, facts in found.items()]
    # What a folder in a store holds is not known by a tag: its files are recordings of their own.
    files = [each for each in files if each.size is not None or each.local_path is not None]
    if not files:
        raise LocationError(f'{pattern}: expected files, found folders: name what is in them, such as '
                            f'{below(pattern, "*.mcap")}')
    return sorted(files, key=lambda each: each.url)


def url_of(store: Any, path: str) -> str:
    """Of a place in a store; local ones are plain paths."""
    is_local = 'file' in ((store.protocol,) if isinstance(store.protocol, str) else store.protocol)
    return path if is_local else store.unstrip_protocol(path)


def told(error: BaseException) -> str:
    """One line about an error of a store."""
    if isinstance(error, InvalidInputError):
        return str(error)
    if isinstance(error, PermissionError) or 'Credentials' in type(error).__name__:
        return one_line(f'access refused, check the credentials: {error}')
    return one_line(f'{type(error).__name__}: {error}' if str(error) else type(error).__name__)


def _stored(store: Any, path: str, facts: dict[str, Any]) -> StoredFile:
    if facts.get('type') == 'directory':
        return StoredFile(url_of(store, path))
    tag = next((str(facts[name]).strip('"') for name in TAGS if facts.get(name)), '')
    return StoredFile(url_of(store, path), int(facts['size']), tag)
