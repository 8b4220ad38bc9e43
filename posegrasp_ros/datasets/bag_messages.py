"""Messages of a recording, without ROS: rosbag2 folders and bare files, mcap, sqlite3 and ROS 1; whole or not."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from posegrasp_ros.datasets.storage.recorded_file import ROS1, BagError, BagMessage, Channel
from posegrasp_ros.datasets.storage.recording_files import open_files
from posegrasp_ros.runtime.errors import one_line

__all__ = ['STANDARD_TYPES', 'BagError', 'BagMessage', 'BagMessages']

LOGGER = logging.getLogger(__name__)
STANDARD_TYPES = get_typestore(Stores.ROS2_JAZZY)
MOST_NAMED = 5


class BagMessages:
    """One recording.

    :param path: rosbag2 folder, or one of its .mcap or .db3 files, packed by zstd or not; or a ROS 1 .bag file
    :ivar topics: {topic: message type}
    :ivar foreign: {topic: what its messages are}, of those that are none of ROS and are left out
    :ivar counts: {topic: number of messages}, empty when the recording was cut off
    :ivar warnings: what was wrong with the file although it could be read, one line each
    :raises BagError: when there is no such file, it is not a recording, or nothing in it can be read
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.warnings: list[str] = []
        self._files = open_files(self.path, self.warn_once)
        self._channels: dict[str, Channel] = {}
        self._stores: dict[str, Any] = {}
        self.foreign: dict[str, str] = {}
        for file in self._files:
            for topic, channel in file.contents.channels.items():
                self._channels.setdefault(topic, channel)
            self.foreign.update(file.contents.foreign)
        self.topics = {topic: channel.type for topic, channel in self._channels.items()}
        self.counts = self._counted()
        if self.foreign:
            named = [f'{topic} ({what})' for topic, what in list(self.foreign.items())[:MOST_NAMED]]
            self.warn(f'{self.path}: topics that are no messages of ROS are left out: {", ".join(named)}'
                      + (f' and {len(self.foreign) - MOST_NAMED} more' if len(self.foreign) > MOST_NAMED else ''))

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of the recording; damage costs what it hit."""
        for file in self._files:
            for message in file.messages(topics):
                if message.type == self.topics[message.topic]:
                    yield message

    def decode(self, message: BagMessage) -> Any:
        """The fields of a message.

        :raises BagError: when its bytes are not of its type
        """
        try:
            if message.encoding == ROS1:
                # Their layouts are the same but for the number in a header, which ROS 2 no longer has.
                plain = STANDARD_TYPES.ros1_to_cdr(message.data, message.type)
                return STANDARD_TYPES.deserialize_cdr(plain, message.type)
            return self._store(message).deserialize_cdr(message.data, message.type)
        except Exception as error:  # generated code fails in its own ways on bytes that are not of the type
            raise BagError(f'{self.path}: {message.topic}: expected a {message.type}, got {len(message.data)} '
                           f'bytes that are none: {_one_line(error)}') from error

    def warn_once(self, line: str) -> None:
        """Log a line and keep it with the recording, unless it was said before."""
        if one_line(line) not in self.warnings:
            self.warn(line)

    def warn(self, line: str) -> None:
        """Log a line and keep it with the recording."""
        # Names of topics, types and files are chosen by others.
        LOGGER.warning('%s', one_line(line))
        self.warnings.append(one_line(line))

    def _counted(self) -> dict[str, int]:
        """Messages by topic; empty where a file does not tell."""
        counts: dict[str, int] = {}
        for file in self._files:
            if file.contents.counts is None:
                return {}
            for topic, count in file.contents.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        return counts

    def _store(self, message: BagMessage) -> Any:
        """The types that a message is made of, by the definition in the bag, else by the standard one."""
        if message.type not in self._stores:
            self._stores[message.type] = self._made_store(message.topic, self._channels[message.topic])
        return self._stores[message.type]

    def _made_store(self, topic: str, channel: Channel) -> Any:
        text = channel.definition
        if not text or (channel.is_idl and text.startswith('=')):
            return STANDARD_TYPES
        try:
            store = _types_of(text, channel.type, channel.is_idl)
        except Exception as error:  # the parser has errors of several kinds
            self.warn(f'{self.path}: {topic}: definition of {channel.type} in the bag cannot be read, the '
                      f'standard one is used: {_one_line(error)[:200]}')
            return STANDARD_TYPES
        if lacking := _lacking_field(store):
            self.warn(f'{self.path}: {topic}: definition of {channel.type} in the bag lacks {lacking}, the '
                      'standard one is used')
            return STANDARD_TYPES
        return store


@lru_cache(maxsize=32)
def _types_of(definition: str, name: str, is_idl: bool) -> Any:
    """The types of a definition: the same in all recordings of a robot, and made for longer than some images take.

    :raises Exception: of several kinds, the parser's own
    """
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_idl(definition) if is_idl else get_types_from_msg(definition, name))
    return store


def _lacking_field(store: Any) -> str:
    """A field of a standard type that another definition of it lacks or has of another kind; empty for none."""
    for kind, (_, fields) in store.fielddefs.items():
        for field in STANDARD_TYPES.fielddefs.get(kind, ((), ()))[1]:
            if field not in fields:
                return f'{kind}.{field[0]}'
    return ''


def _one_line(error: Exception) -> str:
    """An error's own words on one line; its kind where it has none."""
    return ' '.join(str(error).split()) or type(error).__name__
