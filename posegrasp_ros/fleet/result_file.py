# SPDX-License-Identifier: Apache-2.0
"""Result files: written whole or not at all, found again by their names."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posegrasp_ros.fleet.frame_schema import DOCUMENT, FRAMES_SCHEMA, frames_schema
from posegrasp_ros.fleet.locations import below, store_of, url_of
from posegrasp_ros.fleet.retries import Truncated, tried
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX, FAILED, UNFINISHED = '.parquet', 'failed', '_unfinished'
COMPRESSION = 'zstd'
AGAIN = 'remove the file and evaluate again'
NEEDED = ('bag', 'bags', 'circumstances', 'columns', 'described', 'diagnosed', 'estimator', 'facts', 'first_ns',
          'last_ns', 'method', 'model', 'problems', 'rows', 'usual', 'warnings')
"""Fields of the JSON document."""


class ResultError(InvalidInputError):
    """A result that cannot be read."""


def write_frames(path: Path, tables: Iterable[pa.Table], document: Mapping[str, Any]) -> None:
    """Write a local Parquet file: a row group for each table."""
    import pyarrow.parquet as pq

    text = json.dumps({'schema': FRAMES_SCHEMA, **document}, allow_nan=True)
    writer = None
    try:
        for table in tables:
            if writer is None:
                schema = table.schema.with_metadata({DOCUMENT: text.encode()})
                writer = pq.ParquetWriter(path, schema, compression=COMPRESSION)
            writer.write_table(table.replace_schema_metadata(schema.metadata),
                               row_group_size=max(1, table.num_rows))
    finally:
        if writer is not None:
            writer.close()


def read_document(file: Any, url: str) -> dict[str, Any]:
    """The JSON document of a Parquet file.

    :param file: open ``pyarrow.parquet.ParquetFile``
    :raises ResultError: when there is none, or it is of another version
    """
    text = (file.schema_arrow.metadata or {}).get(DOCUMENT)
    if text is None:
        raise ResultError(f'{url}: expected frames of posegrasp evaluate --shard, found another Parquet file')
    document = _read_object(text, url)
    if document.get('schema') != FRAMES_SCHEMA:
        raise ResultError(f'{url}: schema: expected {FRAMES_SCHEMA}, got {quoted(document.get("schema"))}')
    if missing := [name for name in frames_schema().names if name not in file.schema_arrow.names]:
        raise ResultError(f'{url}: expected a column {missing[0]}, found none: {AGAIN}')
    for field in frames_schema():
        if not _is_alike(found := file.schema_arrow.field(field.name).type, field.type):
            raise ResultError(f'{url}: {field.name}: expected a column of {field.type}, found {found}: {AGAIN}')
    return document


def check_complete(document: Mapping[str, Any], file: Any, url: str) -> None:
    """Check that a document is that of a result, and not of a packed run, and belongs to its file.

    :raises ResultError: when it does not
    """
    if missing := [name for name in NEEDED if name not in document]:
        raise ResultError(f'{url}: expected {missing[0]}, found none: {AGAIN}')
    rows = document['rows']
    counted = sum(rows.values()) if isinstance(rows, dict) and all(
        isinstance(count, int) for count in rows.values()) else None
    if counted != file.metadata.num_rows:
        raise ResultError(f'{url}: rows: expected {file.metadata.num_rows}, as the file has, got {quoted(rows)}: '
                          f'{AGAIN}')


def _is_alike(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether a column is of a type; texts may be coded."""
    plain_found, plain = (getattr(each, 'value_type', each) for each in (found, expected))
    return bool(found == expected or plain_found == plain)


def _read_object(text: bytes, url: str) -> dict[str, Any]:
    """A JSON object.

    :raises ResultError: when it is none
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ResultError(f'{url}: expected JSON: {type(error).__name__}: {AGAIN}') from error
    if not isinstance(found, dict):
        raise ResultError(f'{url}: expected a JSON object, got {quoted(found)}: {AGAIN}')
    return found


class ResultFolder:
    """A folder of results, on a disk or in a store.

    :param run: name of the run that writes, by which what it leaves unfinished is found
    """

    def __init__(self, url: str, run: str = ''):
        self.url, self.run = url, run or uuid.uuid4().hex[:12]
        self._store, self._root = store_of(url)

    def found(self) -> dict[str, str]:
        """The finished results: {name without suffix: URL}."""
        return {name.rpartition('/')[2].removesuffix(SUFFIX): url_of(self._store, name) for name in self._files()
                if name.endswith(SUFFIX)}

    def failures(self) -> dict[str, dict[str, Any]]:
        """What failed so far: {name: document}."""
        failed = [name for name in self._files() if f'/{FAILED}/' in name and name.endswith('.json')]
        return {name.rpartition('/')[2].removesuffix('.json'): document for name in failed
                if 'bag' in (document := _read_object(self._store.cat_file(name), url_of(self._store, name)))}

    def put(self, local: Path, place: str) -> str:
        """Upload a file: under another name first, then, once its size is right, under its own.

        :param place: below the folder
        :return: its URL
        """
        target = below(self._root, place)
        partial = below(target.rpartition('/')[0], f'{UNFINISHED}-{self.run}-{local.name}.partial')
        size = local.stat().st_size

        def upload() -> None:
            self._store.makedirs(partial.rpartition('/')[0], exist_ok=True)
            self._store.put_file(str(local), partial)
            self._check(partial, size)
            self._move(partial, target, size)

        try:
            tried(upload)
        except BaseException:
            self._remove(partial)
            raise
        return url_of(self._store, target)

    def tell_failure(self, name: str, document: Mapping[str, Any]) -> None:
        """Write down why a recording has no result."""
        place = below(self._root, FAILED, f'{name}.json')

        def write() -> None:
            self._store.makedirs(place.rpartition('/')[0], exist_ok=True)
            self._store.pipe_file(place, json.dumps(document, indent=2).encode())

        tried(write)

    def forget_failure(self, name: str) -> None:
        """Of a recording that has a result now."""
        self._remove(below(self._root, FAILED, f'{name}.json'))

    def clean(self) -> None:
        """Remove what this run left unfinished."""
        for name in self._files():
            if name.rpartition('/')[2].startswith(f'{UNFINISHED}-{self.run}-'):
                self._remove(name)

    @property
    def _is_local(self) -> bool:
        return '://' not in url_of(self._store, self._root)

    def _files(self) -> list[str]:
        self._store.invalidate_cache()
        try:
            return tried(lambda: self._store.find(self._root))
        except FileNotFoundError:
            return []

    def _move(self, partial: str, target: str, size: int) -> None:
        if self._is_local:
            os.replace(partial, target)
            return
        self._store.mv(partial, target)
        try:
            self._check(target, size)
        except Truncated:
            self._remove(target)
            raise

    def _check(self, path: str, size: int) -> None:
        self._store.invalidate_cache(path)
        found = int(self._store.info(path)['size'])
        if found != size:
            raise Truncated(f'{url_of(self._store, path)}: expected {size} bytes, found {found}')

    def _remove(self, path: str) -> None:
        try:
            self._store.invalidate_cache(path)
            if self._store.exists(path):
                self._store.rm_file(path)
        except Exception:  # nothing depends on it
            return
