# SPDX-License-Identifier: Apache-2.0
"""RecordedFile: what the files of recordings have in common; BagMessage, Channel and Contents, what is in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import zstandard

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.limits import MESSAGE_MEGABYTES, most_message_bytes

CDR, ROS1 = 'cdr', 'ros1'
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
# Told of what is wrong with a file, one line.
Warn = Callable[[str], None]


class BagError(InvalidInputError):
    """A recording that cannot be read."""


class BagMessage(NamedTuple):
    """One recorded message, its bytes not yet turned into fields.

    :param encoding: :data:`CDR` or :data:`ROS1`
    """

    topic: str
    type: str
    time_ns: int
    data: bytes
    encoding: str = CDR


class Channel(NamedTuple):
    """What a topic's messages are.

    :param definition: text of the type's definition, may be empty
    """

    type: str
    encoding: str = CDR
    definition: str = ''
    is_idl: bool = False


@dataclass
class Contents:
    """What a file says is in it.

    :param channels: by topic
    :param foreign: by topic, what its messages are when they are none of ROS
    :param counts: messages by topic; None where that is not known
    """

    channels: dict[str, Channel] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] | None = field(default_factory=dict)

    def learn(self, topic: str, kind: str, encoding: str, definition: str = '', is_idl: bool = False) -> bool:
        """Note a channel; whether its messages can be read."""
        if encoding not in (CDR, ROS1) or not kind:
            self.foreign.setdefault(topic, f'{encoding or "no encoding"}{f" ({kind})" if kind else ", no type"}')
            return False
        known = self.channels.setdefault(topic, Channel(kind, encoding, definition, is_idl))
        if known.type != kind:
            self.foreign.setdefault(topic, f'{kind} beside {known.type}')
        return known.type == kind


class RecordedFile(Protocol):
    """One file of a recording.

    :ivar contents: what is in it
    """

    contents: Contents

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in time order; damaged parts are skipped with a warning."""


def unpacked_message(data: bytes) -> bytes:
    """A message's bytes, unpacked where messages were compressed one by one; CDR never begins as zstd does.

    :raises BagError: when they are too many
    """
    if data[:4] != ZSTD_MAGIC:
        return data
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        plain = stream.read(most_message_bytes() + 1)
    if len(plain) > most_message_bytes():
        raise BagError(f'expected messages of at most {most_message_bytes() / 1e6:g} MB, got a larger one; the '
                       f'environment variable {MESSAGE_MEGABYTES} sets the limit')
    return plain
