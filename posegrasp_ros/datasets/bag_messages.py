# SPDX-License-Identifier: Apache-2.0
"""Messages of a recording, without ROS: rosbag2 folders and files (mcap, sqlite3) and ROS 1 bags, also damaged."""

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

    :param path: rosbag2 folder, or one of its .mcap or .db3 files, also zstd-compressed; or a ROS 1 .bag file
    :ivar topics: {topic: message type}
    :ivar foreign: {topic: kind of its messages} of topics without ROS messages, which are skipped
    :ivar counts: {topic: number of messages}, empty when the recording is truncated
    :ivar warnings: problems found so far in a readable file, one line each
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
            self.warn(f'{self.path}: topics without ROS messages are skipped: {", ".join(named)}'
                      + (f' and {len(self.foreign) - MOST_NAMED} more' if len(self.foreign) > MOST_NAMED else ''))

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of the recording; damaged messages are skipped."""
        for file in self._files:
            for message in file.messages(topics):
                if message.type == self.topics[message.topic]:
                    yield message

    def decode(self, message: BagMessage) -> Any:
        """Deserialise a message.

        :raises BagError: when its bytes do not match its type
        """
        try:
            if message.encoding == ROS1:
                # The layouts are equal except for the sequence number in a header, which ROS 2 has dropped.
                plain = STANDARD_TYPES.ros1_to_cdr(message.data, message.type)
                return STANDARD_TYPES.deserialize_cdr(plain, message.type)
            return self.store(message).deserialize_cdr(message.data, message.type)
        except Exception as error:  # generated code raises any type on bytes of another type
            raise BagError(f'{self.path}: {message.topic}: expected a {message.type}, got {len(message.data)} '
                           f'bytes that cannot be decoded as one: {_one_line(error)}') from error

    def warn_once(self, line: str) -> None:
        """Log a line and add it to :attr:`warnings`, unless it is there already."""
        if one_line(line) not in self.warnings:
            self.warn(line)

    def warn(self, line: str) -> None:
        """Log a line and add it to :attr:`warnings`."""
        # Names of topics, types and files are foreign input.
        LOGGER.warning('%s', one_line(line))
        self.warnings.append(one_line(line))

    def _counted(self) -> dict[str, int]:
        """Number of messages by topic; empty where a file does not state it."""
        counts: dict[str, int] = {}
        for file in self._files:
            if file.contents.counts is None:
                return {}
            for topic, count in file.contents.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        return counts

    def store(self, message: BagMessage) -> Any:
        """Type store for a message of ROS 2, from the definition in the bag, else the standard one."""
        if message.type not in self._stores:
            self._stores[message.type] = self._made_store(message.topic, self._channels[message.topic])
        return self._stores[message.type]

    def _made_store(self, topic: str, channel: Channel) -> Any:
        text = channel.definition
        if not text or (channel.is_idl and text.startswith('=')):
            return STANDARD_TYPES
        try:
            store = _types_of(text, channel.type, channel.is_idl)
        except Exception as error:  # the parser raises several types
            self.warn(f'{self.path}: {topic}: definition of {channel.type} in the bag cannot be read, the '
                      f'standard one is used: {_one_line(error)[:200]}')
            return STANDARD_TYPES
        if lacking := _lacking_field(store):
            self.warn(f'{self.path}: {topic}: definition of {channel.type} in the bag has no {lacking}, the '
                      'standard one is used')
            return STANDARD_TYPES
        return store


@lru_cache(maxsize=32)
def _types_of(definition: str, name: str, is_idl: bool) -> Any:
    """Type store of a message definition.

    Cached because a robot's recordings share definitions, and parsing one can take longer than processing some
    images.

    :raises Exception: of several types, from the parser
    """
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_idl(definition) if is_idl else get_types_from_msg(definition, name))
    return store


def _lacking_field(store: Any) -> str:
    """A field of a standard type that is missing or of another type in the given definitions; empty for none."""
    for kind, (_, fields) in store.fielddefs.items():
        for field in STANDARD_TYPES.fielddefs.get(kind, ((), ()))[1]:
            if field not in fields:
                return f'{kind}.{field[0]}'
    return ''


def _one_line(error: Exception) -> str:
    """An error's message on one line; its type if the message is empty."""
    return ' '.join(str(error).split()) or type(error).__name__
