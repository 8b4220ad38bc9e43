# SPDX-License-Identifier: Apache-2.0
"""SqliteFile: messages of a .db3 file, whole, damaged, or with a write-ahead log beside it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

from posegrasp_ros.datasets.storage.recorded_file import BagError, BagMessage, Contents, Warn, unpacked_message
from posegrasp_ros.runtime.limits import MESSAGE_MEGABYTES, most_message_bytes

MAGIC = b'SQLite format 3\0'
LOG_SUFFIX = '-wal'
VIEWS = ("SELECT name FROM sqlite_master WHERE type = 'view' "
         "AND lower(name) IN ('topics', 'messages', 'message_definitions')")


class SqliteFile:
    """Messages of a .db3 file; the file itself is never written to.

    What a crashed recorder left in the write-ahead log counts: sqlite wants to write beside the file for that, so
    both are copied to a temporary folder first.

    :param warn: called with one line for each problem found
    :ivar contents: what is in it
    :raises BagError: when it is no recording, or nothing in it can be read
    """

    def __init__(self, path: Path, warn: Warn):
        self._path, self._warn = path, warn
        self.contents = Contents()
        self._copies: tempfile.TemporaryDirectory | None = None
        self._topics: dict[int, tuple[str, str, str]] = {}
        self._is_damaged = False
        with path.open('rb') as file:
            start = file.read(len(MAGIC))
        if start != MAGIC:
            raise BagError(f'{path}: not a bag: expected a .db3 file, got '
                           + (f'one that begins with {start[:8].hex(" ")}' if start else 'an empty one'))
        self._opened = self._with_log()
        try:
            self._learn()
        except sqlite3.DatabaseError as error:
            self._learn_damaged(error)

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of time; of a damaged file as they were written."""
        wanted = [number for number, (topic, *_) in self._topics.items() if topic in topics]
        if not wanted:
            return
        done: set[int] = set()
        try:
            if not self._is_damaged:
                for row, message in self._rows(wanted, 'ORDER BY timestamp, id'):
                    done.add(row)
                    if message:
                        yield message
        except sqlite3.DatabaseError as error:
            self._warn(f'{self._path}: damaged; what can be read is read: {error}')
            self._is_damaged = True
        if self._is_damaged:
            yield from self._damaged_rows(wanted, done)

    def _with_log(self) -> str:
        """URI of the database, with its write-ahead log where there is one."""
        log = self._path.with_name(self._path.name + LOG_SUFFIX)
        if not log.is_file() or not log.stat().st_size:
            return f'{self._path.absolute().as_uri()}?mode=ro&immutable=1'
        self._copies = tempfile.TemporaryDirectory(prefix='posegrasp-')
        needed, free = self._path.stat().st_size + log.stat().st_size, shutil.disk_usage(self._copies.name).free
        if needed > free:
            raise BagError(f'{self._path}: has a write-ahead log, which needs {needed / 1e6:.0f} MB of '
                           f'{self._copies.name} to be read, {free / 1e6:.0f} MB are free; set TMPDIR')
        for file in (self._path, log):
            shutil.copy(file, Path(self._copies.name) / file.name)
        return f'{(Path(self._copies.name) / self._path.name).as_uri()}?mode=rw'

    def _connect(self) -> sqlite3.Connection:
        """A connection; sqlite refuses a damaged file unless ``writable_schema`` is on, its own shell's way to
        recover what is left."""
        database = sqlite3.connect(self._opened, uri=True)
        if self._is_damaged:
            database.execute('PRAGMA writable_schema = ON')
        return database

    def _learn(self) -> None:
        with closing(self._connect()) as database:
            if view := database.execute(VIEWS).fetchone():
                # a query that may never end, in the place of rows that were written
                raise BagError(f'{self._path}: not a bag: expected a table {view[0]}, found a view')
            definitions = _definitions(database)
            topics = database.execute('SELECT id, name, type, serialization_format FROM topics').fetchall()
            for number, topic, kind, encoding in topics:
                text, is_idl = definitions.get(kind, ('', False))
                if self.contents.learn(str(topic), str(kind), str(encoding), text, is_idl):
                    self._topics[number] = str(topic), str(kind), str(encoding)
            self.contents.counts = None
            if not self._is_damaged:
                counts = database.execute('SELECT topic_id, count(*) FROM messages GROUP BY topic_id').fetchall()
                by_number = dict(counts)
                self.contents.counts = {}
                for number, (topic, *_) in self._topics.items():
                    self.contents.counts[topic] = self.contents.counts.get(topic, 0) + by_number.get(number, 0)

    def _learn_damaged(self, error: sqlite3.DatabaseError) -> None:
        self._is_damaged = True
        self._topics, self.contents = {}, Contents(counts=None)
        try:
            self._learn()
        except sqlite3.DatabaseError as second:
            raise BagError(f'{self._path}: cut off or damaged, or not a bag: expected a .db3 file of rosbag2: '
                           f'{second}') from error
        self._warn(f'{self._path}: cut off or damaged; what can be read is read: {error}')

    def _rows(self, wanted: list[int], clause: str) -> Iterator[tuple[int, BagMessage | None]]:
        """Number and message of each row; None for one that is too large or none."""
        marks = ', '.join('?' * len(wanted))
        with closing(self._connect()) as database:
            rows = database.execute(
                'SELECT id, topic_id, timestamp, CASE WHEN length(data) <= ? THEN data END FROM messages '
                f'{"NOT INDEXED" if self._is_damaged else ""} WHERE topic_id IN ({marks}) {clause}',
                (most_message_bytes(), *wanted))
            for row, number, time_ns, data in rows:
                yield row, self._message(number, time_ns, data)

    def _message(self, number: int, time_ns: int, data: bytes | None) -> BagMessage | None:
        topic, kind, encoding = self._topics[number]
        if not isinstance(data, bytes) or not isinstance(time_ns, int):
            self._warn(f'{self._path}: {topic}: a message is left out: expected bytes of at most '
                       f'{most_message_bytes() / 1e6:g} MB with a time; {MESSAGE_MEGABYTES} sets the limit')
            return None
        try:
            return BagMessage(topic, kind, time_ns, unpacked_message(data), encoding)
        except Exception as error:  # zstd's own, or our limit
            self._warn(f'{self._path}: {topic}: a message is left out: {" ".join(str(error).split())}')
            return None

    def _damaged_rows(self, wanted: list[int], done: set[int]) -> Iterator[BagMessage]:
        """Row by row in the order of their numbers, without the index; pages that are missing are stepped over."""
        last, step, lost_from_ns, time_ns = -1, 1, None, None
        most = self._last_row()
        while last <= most:
            try:
                # NOT INDEXED: the index may be the part that is missing.
                for row, message in self._rows(wanted, f'AND id > {last} ORDER BY id'):
                    if lost_from_ns is not None and message:
                        self._say_lost(lost_from_ns, message.time_ns)
                        lost_from_ns = None
                    last, step = row, 1
                    if message and row not in done:
                        time_ns = message.time_ns
                        yield message
                break
            except sqlite3.DatabaseError:
                lost_from_ns = time_ns or 0
                last, step = last + step, 2 * step
        if lost_from_ns is not None:
            self._say_lost(lost_from_ns, None)

    def _last_row(self) -> int:
        """Number of the last row; of a table whose end is missing a number beyond it."""
        try:
            with closing(self._connect()) as database:
                return database.execute('SELECT max(id) FROM messages NOT INDEXED').fetchone()[0] or 0
        except sqlite3.DatabaseError:
            return 1 << 31

    def _say_lost(self, from_ns: int, to_ns: int | None) -> None:
        until = f'{to_ns} ns' if to_ns else 'the end'
        self._warn(f'{self._path}: damaged: messages from {from_ns} ns to {until} are lost')


def _definitions(database: sqlite3.Connection) -> dict[str, tuple[str, bool]]:
    """{type: (definition, whether it is IDL)}; empty for recordings of before 2023, which have no such table."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'message_definitions'").fetchone():
        return {}
    return {kind: (str(text), 'idl' in str(encoding)) for kind, encoding, text in database.execute(
        'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions')}
