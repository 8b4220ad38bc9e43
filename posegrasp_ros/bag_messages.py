"""Messages of a rosbag2 recording, without ROS: folders and bare files, mcap and sqlite3, whole and cut off."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore

from posegrasp_ros.errors import BadInput

LOGGER = logging.getLogger(__name__)
# What a damaged file makes the readers raise: mcap, rosbags, apsw, zstd, lz4 and struct, each its own errors.
DAMAGE = Exception
STANDARD_TYPES = get_typestore(Stores.ROS2_JAZZY)


class BagError(BadInput):
    """A recording that cannot be read."""


class BagMessage(NamedTuple):
    """One recorded message; :meth:`BagMessages.decode` turns its bytes into fields."""

    topic: str
    type: str
    time_ns: int
    data: bytes


class BagMessages:
    """One recording.

    :param path: rosbag2 folder, or one of its .mcap or .db3 files
    :ivar topics: {topic: message type}
    :ivar counts: {topic: number of messages}, empty when the recording was cut off
    :ivar warnings: what was wrong with the file although it could be read, one line each
    :raises BagError: when there is no such file, it is not a recording, or nothing in it can be read
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.topics: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.warnings: list[str] = []
        self._stores: dict[str, Any] = {}
        self._is_damaged = False
        if not self.path.exists():
            raise BagError(f'{self.path}: no such bag; expected a rosbag2 folder, an .mcap or a .db3 file')
        try:
            with Reader(self.path) as reader:
                for connection in reader.connections:
                    self._learn(connection.topic, connection.msgtype, connection.msgdef.data,
                                connection.msgdef.format == MessageDefinitionFormat.IDL)
                    self.counts[connection.topic] = self.counts.get(connection.topic, 0) + connection.msgcount
        except DAMAGE as error:
            self._open_damaged(error)

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of the recording, up to the damage where there is one."""
        read = self._streamed if self._is_damaged else self._indexed
        try:
            yield from read(topics)
        except DAMAGE as error:
            if not self._is_damaged:
                self.warn(f'{self.path}: damaged, read up to the damage: {_one_line(error)}')

    def decode(self, message: BagMessage) -> Any:
        """The fields of a message.

        :raises BagError: when its bytes are not of its type
        """
        try:
            return self._stores[message.type].deserialize_cdr(message.data, message.type)
        except DAMAGE as error:
            raise BagError(f'{self.path}: {message.topic}: expected a {message.type}, got {len(message.data)} '
                           f'bytes that are none: {_one_line(error)}') from error

    def warn_once(self, line: str) -> None:
        """Log a line and keep it with the recording, unless it was said before."""
        if line not in self.warnings:
            self.warn(line)

    def warn(self, line: str) -> None:
        """Log a line and keep it with the recording."""
        LOGGER.warning(line)
        self.warnings.append(line)

    def _learn(self, topic: str, msgtype: str, definition: str, is_idl: bool) -> None:
        """Note a topic, and its type by the definition in the bag, else by the standard one."""
        self.topics[topic] = msgtype
        if msgtype in self._stores:
            return
        self._stores[msgtype] = STANDARD_TYPES
        if definition and not (is_idl and definition.startswith('=')):
            store = get_typestore(Stores.EMPTY)
            try:
                store.register(get_types_from_idl(definition) if is_idl
                               else get_types_from_msg(definition, msgtype))
                self._stores[msgtype] = store
            except TypesysError as error:
                self.warn(f'{self.path}: {topic}: definition of {msgtype} in the bag cannot be read, the '
                           f'standard one is used: {_one_line(error)}')

    def _indexed(self, topics: Collection[str]) -> Iterator[BagMessage]:
        with Reader(self.path) as reader:
            wanted = [connection for connection in reader.connections if connection.topic in topics]
            for connection, time_ns, data in reader.messages(wanted) if wanted else ():
                yield BagMessage(connection.topic, connection.msgtype, time_ns, data)

    def _open_damaged(self, error: Exception) -> None:
        """Learn the topics from the start of the files, when the index at the end is missing."""
        if not self._mcap_files():
            if self.path.is_dir() and not (self.path / 'metadata.yaml').exists():
                raise BagError(f'{self.path}: not a bag; expected a rosbag2 folder, found one without a '
                               'metadata.yaml') from error
            found = 'cut off or damaged' if self._holds_sqlite() else 'not a bag'
            raise BagError(f'{self.path}: {found}; expected a rosbag2 folder, an .mcap or a .db3 file: '
                           f'{_one_line(error)}') from error
        self._is_damaged = True
        try:
            for _ in self._streamed(()):
                pass
        except DAMAGE:
            if not self.topics:
                raise BagError(f'{self.path}: not a bag, or cut off before its first message: '
                               f'{_one_line(error)}') from error
        self.warn(f'{self.path}: cut off or damaged, what comes before is read: {_one_line(error)}')

    def _mcap_files(self) -> list[Path]:
        if self.path.is_dir():
            return sorted(self.path.glob('*.mcap'))
        return [self.path] if self.path.suffix == '.mcap' else []

    def _holds_sqlite(self) -> bool:
        """Whether it is, or holds, a file that begins as sqlite3 files do; without its end none can be opened."""
        files = self.path.glob('*.db3') if self.path.is_dir() else [self.path]
        for path in files:
            with path.open('rb') as file:
                if file.read(15) == b'SQLite format 3':
                    return True
        return False

    def _streamed(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Read from the front, without the index; learns topics on the way."""
        for path in self._mcap_files():
            schemas: dict[int, Schema] = {}
            channels: dict[int, tuple[str, str]] = {}
            with path.open('rb') as file:
                for record in StreamReader(file, record_size_limit=None).records:
                    if isinstance(record, Schema):
                        schemas[record.id] = record
                    elif isinstance(record, Channel):
                        schema = schemas[record.schema_id]
                        channels[record.id] = (record.topic, schema.name)
                        self._learn(record.topic, schema.name, schema.data.decode(), 'idl' in schema.encoding)
                    elif isinstance(record, Message) and channels[record.channel_id][0] in topics:
                        yield BagMessage(*channels[record.channel_id], record.log_time, record.data)


def _one_line(error: Exception) -> str:
    """An error's own words on one line; its kind where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
