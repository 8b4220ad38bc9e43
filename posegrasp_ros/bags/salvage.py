"""What can be read of recordings that are damaged or lack their index: file by file, from the front."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import zstandard
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader

SUFFIXES = ('.mcap', '.db3')
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


class BagMessage(NamedTuple):
    """One recorded message, its bytes not yet turned into fields."""

    topic: str
    type: str
    time_ns: int
    data: bytes


# topic, type, definition of the type (may be empty), whether that is IDL
Learn = Callable[[str, str, str, bool], None]


def recording_files(path: Path) -> list[Path]:
    """The files of a recording in the order in which they were written: ``_2`` comes before ``_10``."""
    if not path.is_dir():
        return [path] if path.suffix in SUFFIXES else []

    def natural(file: Path) -> list:
        return [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', file.name)]

    return sorted((file for file in path.iterdir() if file.suffix in SUFFIXES), key=natural)


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as sqlite3 files do."""
    with path.open('rb') as file:
        return file.read(15) == b'SQLite format 3'


def is_unchunked(path: Path) -> bool:
    """Whether a whole .mcap file has no chunks (rosbag2's preset ``fastwrite``), which only a stream reader takes
    in whatever order the messages stand."""
    with path.open('rb') as file:
        summary = make_reader(file).get_summary()
    return summary is not None and not summary.chunk_indexes


def salvage(path: Path, topics: Collection[str], learn: Learn) -> Iterator[BagMessage]:
    """The messages of these topics in one file, in the order in which they were written.

    :param learn: told of every topic on the way
    :raises Exception: of the reader's own kind where the damage begins
    """
    yield from (_salvage_mcap if path.suffix == '.mcap' else _salvage_sqlite)(path, topics, learn)


def _salvage_mcap(path: Path, topics: Collection[str], learn: Learn) -> Iterator[BagMessage]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, tuple[str, str]] = {}
    with path.open('rb') as file:
        for record in StreamReader(file, record_size_limit=None).records:
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                schema = schemas[record.schema_id]
                channels[record.id] = (record.topic, schema.name)
                learn(record.topic, schema.name, schema.data.decode(), 'idl' in schema.encoding)
            elif isinstance(record, Message) and channels[record.channel_id][0] in topics:
                yield BagMessage(*channels[record.channel_id], record.log_time, _plain(record.data))


def _salvage_sqlite(path: Path, topics: Collection[str], learn: Learn) -> Iterator[BagMessage]:
    """Rows come in the order of their numbers until a page is missing.

    A file shorter than its header says is refused by sqlite, unless ``writable_schema`` is on: its own shell's way
    to recover what is left.
    """
    with closing(sqlite3.connect(f'{path.absolute().as_uri()}?mode=ro&immutable=1', uri=True)) as database:
        database.execute('PRAGMA writable_schema = ON')
        names: dict[int, tuple[str, str]] = {}
        definitions = _sqlite_definitions(database)
        for number, topic, kind in database.execute('SELECT id, name, type FROM topics'):
            names[number] = topic, kind
            learn(topic, kind, *definitions.get(kind, ('', False)))
        wanted = [number for number, (topic, _) in names.items() if topic in topics]
        # NOT INDEXED: the index may be the part that is missing.
        rows = database.execute('SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY id')
        for number, time_ns, data in rows if wanted else ():
            if number in wanted:
                yield BagMessage(*names[number], time_ns, _plain(data))


def _sqlite_definitions(database: sqlite3.Connection) -> dict[str, tuple[str, bool]]:
    """{type: (definition, whether it is IDL)}; empty for recordings of before 2023, which have no such table."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'message_definitions'").fetchone():
        return {}
    return {kind: (text, 'idl' in encoding) for kind, encoding, text in database.execute(
        'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions')}


def _plain(data: bytes) -> bytes:
    """A message's bytes, unpacked where messages were compressed one by one; CDR never begins as zstd does."""
    if data[:4] != _ZSTD_MAGIC:
        return data
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)
