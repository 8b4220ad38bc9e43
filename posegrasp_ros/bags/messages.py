"""Messages of a rosbag2 recording, without ROS: folders and bare files, mcap and sqlite3, whole and cut off."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore

from posegrasp_ros.bags.salvage import BagMessage, is_sqlite, is_unchunked, recording_files, salvage
from posegrasp_ros.errors import BadInput

LOGGER = logging.getLogger(__name__)
# What a damaged file makes the readers raise: mcap, rosbags, apsw, sqlite3, zstd, lz4 and struct, each its own.
DAMAGE = Exception
STANDARD_TYPES = get_typestore(Stores.ROS2_JAZZY)


class BagError(BadInput):
    """A recording that cannot be read."""


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
        self._is_streamed = False
        if not self.path.exists():
            raise BagError(f'{self.path}: no such bag; expected a rosbag2 folder, an .mcap or a .db3 file')
        try:
            with Reader(self.path) as reader:
                for connection in reader.connections:
                    self._learn(connection.topic, connection.msgtype, connection.msgdef.data,
                                connection.msgdef.format == MessageDefinitionFormat.IDL)
                    self.counts[connection.topic] = self.counts.get(connection.topic, 0) + connection.msgcount
            self._is_streamed = any(is_unchunked(file) for file in self._mcap_files())
        except DAMAGE as error:
            self._open_damaged(error)

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of the recording, up to the damage where there is one."""
        if self._is_streamed:
            yield from self._streamed(topics)
            return
        try:
            yield from self._indexed(topics)
        except DAMAGE as error:
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
        """Learn the topics from the files themselves, when an index or the metadata is missing."""
        files = recording_files(self.path)
        if not files:
            if self.path.is_dir() and not (self.path / 'metadata.yaml').exists():
                raise BagError(f'{self.path}: not a bag; expected a rosbag2 folder, found one without a '
                               'metadata.yaml') from error
            raise BagError(f'{self.path}: not a bag; expected a rosbag2 folder, an .mcap or a .db3 file: '
                           f'{_one_line(error)}') from error
        self._is_streamed = True
        for _ in self._streamed((), is_first=True):
            pass
        if not self.topics:
            found = 'cut off or damaged' if any(map(is_sqlite, files)) else 'not a bag'
            raise BagError(
                f'{self.path}: {found}, or cut off before its first message; expected a rosbag2 folder, '
                f'an .mcap or a .db3 file: {_one_line(error)}'
            ) from error
        self.warn(f'{self.path}: cut off or damaged, what comes before is read: {_one_line(error)}')

    def _mcap_files(self) -> list[Path]:
        return [file for file in recording_files(self.path) if file.suffix == '.mcap']

    def _streamed(self, topics: Collection[str], is_first: bool = False) -> Iterator[BagMessage]:
        """File by file from the front, without the index; each up to its damage.

        :param is_first: to learn the topics; what is damaged is said when the messages are read
        """
        files = recording_files(self.path)
        for file in files:
            try:
                yield from salvage(file, topics, self._learn)
            except DAMAGE as error:
                if not is_first and (len(files) > 1 or not self.warnings):
                    self.warn_once(f'{file}: damaged, read up to the damage: {_one_line(error)}')

def _one_line(error: Exception) -> str:
    """An error's own words on one line; its kind where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
