# SPDX-License-Identifier: Apache-2.0
"""McapFile: messages of an .mcap file, chunk by chunk, whole or damaged.

The readers of the library ``mcap`` stop at the first thing that is wrong. Here a chunk whose checksum does not
hold, or that is cut off, costs its own messages alone: the next one is found by the index, or by its looks.
"""

from __future__ import annotations

import heapq
import io
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Schema
from mcap.records import Message as McapMessage

from posegrasp_ros.datasets.storage.mcap_records import (
    CHUNK,
    LONGEST_HEADER,
    MAGIC,
    MESSAGE_BYTES,
    MOST_DEFINITION_BYTES,
    RECORD,
    SCHEMA_ENCODINGS,
    Damage,
    decompress,
    has_whole_index,
    inner_records,
    is_chunk,
    next_chunk,
)
from posegrasp_ros.datasets.storage.recorded_file import (
    CDR,
    ROS1,
    BagError,
    BagMessage,
    Contents,
    Warn,
    unpacked_message,
)
from posegrasp_ros.runtime.limits import MESSAGE_MEGABYTES, most_message_bytes


class _Chunk(NamedTuple):
    """Where a chunk is, and the time that it says it spans.

    :param channels: numbers of those with messages in it; empty where it is not known
    """

    start_ns: int
    end_ns: int
    offset: int
    channels: frozenset[int] = frozenset()


class McapFile:
    """Messages of an .mcap file.

    :param warn: called with one line for each problem found
    :ivar contents: what is in it
    :raises BagError: when it is no .mcap file, or nothing in it can be read
    """

    def __init__(self, path: Path, warn: Warn):
        self._path, self._warn = path, warn
        self.contents = Contents()
        self._schemas: dict[int, Schema] = {}
        self._topics: dict[int, tuple[str, str, str]] = {}
        self._seen: set[int] = set()
        self._chunks: list[_Chunk] = []
        self._is_unchunked = False
        with path.open('rb') as file:
            start = file.read(len(MAGIC))
            if start != MAGIC:
                raise BagError(f'{path}: not a bag: expected an .mcap file, got '
                               + (f'one that begins with {start.hex(" ")}' if start else 'an empty one'))
            if not self._learn_from_summary(file):
                self._learn_by_scan(file)

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of time; of a file without chunks as they were written."""
        with self._path.open('rb') as file:
            yield from self._written(file, topics) if self._is_unchunked else self._ordered(file, topics)

    def _learn_from_summary(self, file: BinaryIO) -> bool:
        """Whether the file's own index tells what is in it."""
        try:
            summary = make_reader(file).get_summary() if has_whole_index(file) else None
        except Exception:  # of each library's own kind; the scan says what is wrong
            return False
        if summary is None or not summary.channels or not (summary.chunk_indexes or summary.statistics):
            return False
        self._schemas = dict(summary.schemas)
        for channel in summary.channels.values():
            self._learn(channel)
        self._chunks = [_Chunk(each.message_start_time, each.message_end_time, each.chunk_start_offset,
                               frozenset(each.message_index_offsets)) for each in summary.chunk_indexes]
        self._is_unchunked = not self._chunks
        self._count(summary.statistics.channel_message_counts if summary.statistics else None)
        return True

    def _learn_by_scan(self, file: BinaryIO) -> None:
        """Look at every record of a file without an index."""
        counts: Counter[int] = Counter()
        last_ns, is_whole, size = None, False, file.seek(0, io.SEEK_END)
        for opcode, offset, content in self._records(file, size):
            if opcode == Opcode.FOOTER:
                is_whole = True
            elif opcode == Opcode.MESSAGE:
                self._is_unchunked = True
                counts[int.from_bytes(content[:2], 'little')] += 1
            elif opcode == Opcode.CHUNK:
                start_ns, end_ns, *_ = CHUNK.unpack(content[:CHUNK.size])
                self._chunks.append(_Chunk(start_ns, end_ns, offset))
                last_ns = max(end_ns, last_ns or 0)
                counts.update(self._counted(file, offset))
        if not self.contents.channels and not self.contents.foreign:
            raise BagError(f'{self._path}: cut off before its first message, or damaged: expected an .mcap file '
                           'with channels, found none')
        self._count(counts if is_whole else None)
        if not is_whole:
            until = f' up to {_seconds(last_ns, self._first_ns)} s after its start' if self._chunks else ''
            self._warn(f'{self._path}: cut off or damaged, has no index: what is there is read{until}')

    def _records(self, file: BinaryIO, size: int) -> Iterator[tuple[int, int, bytes]]:
        """Opcode, place and beginning of the content of each record outside of chunks; learns of channels.

        Where something else stands, it goes on with the next that looks like a chunk, and says what is lost.
        """
        offset = len(MAGIC)
        while offset + RECORD.size <= size:
            file.seek(offset)
            opcode, length = RECORD.unpack(file.read(RECORD.size))
            end = offset + RECORD.size + length
            content = file.read(min(length, LONGEST_HEADER))
            if not self._is_plausible(opcode, length, content) or (end > size and opcode != Opcode.CHUNK):
                found = next_chunk(file, offset + 1)
                if found is None:
                    return
                self._warn(f'{self._path}: damaged: {found - offset} bytes are left out from byte {offset} on')
                offset = found
                continue
            if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                file.seek(offset + RECORD.size)
                self._learn_record(opcode, file.read(length))
            yield opcode, offset, content
            offset = end

    @staticmethod
    def _is_plausible(opcode: int, length: int, content: bytes) -> bool:
        """Whether a record is of a kind that there is, as long as it must be."""
        if opcode == Opcode.CHUNK:
            return is_chunk(length, content)
        if opcode == Opcode.MESSAGE:
            return MESSAGE_BYTES <= length <= most_message_bytes()
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            return length <= MOST_DEFINITION_BYTES
        if opcode == Opcode.MESSAGE_INDEX:
            return len(content) >= 6 and length == 6 + int.from_bytes(content[2:6], 'little')
        return opcode in tuple(Opcode) or opcode >= 0x80

    def _learn_record(self, opcode: int, content: bytes) -> None:
        """Note a schema or a channel; one that is damaged is left out."""
        stream = ReadDataStream(io.BytesIO(content))
        try:
            if opcode == Opcode.SCHEMA:
                schema = Schema.read(stream)
                self._schemas[schema.id] = schema
            else:
                self._learn(Channel.read(stream))
        except Exception as error:  # of the library's own kinds
            self._warn(f'{self._path}: damaged: a channel is left out: {" ".join(str(error).split())}')

    def _learn(self, channel: Channel) -> None:
        """Note what a channel carries."""
        if channel.id in self._seen:
            return
        self._seen.add(channel.id)
        schema = self._schemas.get(channel.schema_id)
        kind = schema.name if schema else ''
        encoding = channel.message_encoding
        if schema is not None and schema.encoding not in SCHEMA_ENCODINGS:
            encoding = f'{encoding} with {schema.encoding}'
        if encoding == ROS1:
            kind = kind.replace('/', '/msg/', 1) if kind.count('/') == 1 else kind
        text = schema.data.decode(errors='replace') if schema else ''
        if self.contents.learn(channel.topic, kind, encoding, text,
                               bool(schema and SCHEMA_ENCODINGS.get(schema.encoding))):
            self._topics[channel.id] = channel.topic, kind, encoding

    def _count(self, counts: dict[int, int] | None) -> None:
        """Note how many messages each topic has."""
        if counts is None:
            self.contents.counts = None
            return
        of_topics: dict[str, int] = {}
        for number, (topic, *_) in self._topics.items():
            of_topics[topic] = of_topics.get(topic, 0) + counts.get(number, 0)
        self.contents.counts = of_topics

    @property
    def _first_ns(self) -> int:
        return min((chunk.start_ns for chunk in self._chunks), default=0)

    def _ordered(self, file: BinaryIO, topics: Collection[str]) -> Iterator[BagMessage]:
        """Chunk by chunk; messages of chunks that overlap in time are merged."""
        wanted = {number for number, (topic, *_) in self._topics.items() if topic in topics}
        pending: list[tuple[int, int, BagMessage]] = []
        place = 0
        for chunk in sorted(self._chunks):
            if chunk.channels and not chunk.channels & wanted:
                continue
            while pending and pending[0][0] < chunk.start_ns:
                yield heapq.heappop(pending)[2]
            for message in self._chunk_messages(file, chunk, wanted):
                heapq.heappush(pending, (message.time_ns, place, message))
                place += 1
        while pending:
            yield heapq.heappop(pending)[2]

    def _written(self, file: BinaryIO, topics: Collection[str]) -> Iterator[BagMessage]:
        """In the order of the file, messages outside of chunks as well."""
        wanted = {number for number, (topic, *_) in self._topics.items() if topic in topics}
        for opcode, offset, content in self._records(file, file.seek(0, io.SEEK_END)):
            if opcode == Opcode.CHUNK:
                start_ns, end_ns, *_ = CHUNK.unpack(content[:CHUNK.size])
                yield from self._chunk_messages(file, _Chunk(start_ns, end_ns, offset), wanted)
            elif opcode == Opcode.MESSAGE and int.from_bytes(content[:2], 'little') in wanted:
                file.seek(offset)
                _, length = RECORD.unpack(file.read(RECORD.size))
                yield self._message(file.read(length))

    def _chunk_messages(self, file: BinaryIO, chunk: _Chunk, wanted: Collection[int]) -> Iterator[BagMessage]:
        """The messages of a chunk, as many of them as are there; says what of it is lost."""
        try:
            content, problem = self._unpacked(file, chunk.offset)
        except Damage as error:
            content, problem = b'', str(error)
        for opcode, record in inner_records(content):
            if opcode == Opcode.MESSAGE and int.from_bytes(record[:2], 'little') in wanted:
                try:
                    yield self._message(record)
                except (BagError, zstandard.ZstdError) as error:
                    problem = f'a message is left out: {error}'
        if problem:
            start, end = (_seconds(time_ns, self._first_ns) for time_ns in (chunk.start_ns, chunk.end_ns))
            self._warn(f'{self._path}: damaged: of {start} to {end} s after its begin, messages are lost: '
                       f'{problem}')

    def _counted(self, file: BinaryIO, offset: int) -> Counter[int]:
        """Messages of a chunk by channel; learns of its channels, also from one whose checksum does not hold."""
        counts: Counter[int] = Counter()
        try:
            content, _ = self._unpacked(file, offset, is_checked=False)
        except Damage:
            return counts
        for opcode, record in inner_records(content):
            if opcode == Opcode.MESSAGE:
                counts[int.from_bytes(record[:2], 'little')] += 1
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._learn_record(opcode, bytes(record))
        return counts

    def _unpacked(self, file: BinaryIO, offset: int, is_checked: bool = True) -> tuple[bytes, str]:
        """What a chunk holds, and what is wrong with it although some can be read.

        :raises Damage: when nothing of it can be trusted
        """
        file.seek(offset)
        opcode, length = RECORD.unpack(file.read(RECORD.size).ljust(RECORD.size, b'\0'))
        head = file.read(LONGEST_HEADER)
        if opcode != Opcode.CHUNK or not is_chunk(length, head):
            raise Damage('no chunk stands where the index says')
        _, _, size, checksum, name_length = CHUNK.unpack(head[:CHUNK.size])
        name_end = CHUNK.size + name_length
        most = most_message_bytes()
        packed_bytes = length - name_end - 8
        if max(size, packed_bytes) > most:
            raise Damage(f'expected a chunk of at most {most / 1e6:g} MB, got {max(size, packed_bytes) / 1e6:g} '
                          f'MB; the environment variable {MESSAGE_MEGABYTES} sets the limit')
        file.seek(offset + RECORD.size + name_end + 8)
        packed = file.read(packed_bytes)
        is_cut = len(packed) < packed_bytes
        try:
            content = decompress(head[CHUNK.size:name_end].decode(errors='replace'), packed, size)
        except (zstandard.ZstdError, RuntimeError, EOFError) as error:  # lz4 has RuntimeErrors
            raise Damage(' '.join(str(error).split())) from error
        if is_cut:
            return content, 'the file ends within it'
        if is_checked and (len(content) != size or (checksum and zlib.crc32(content) != checksum)):
            raise Damage('its checksum does not hold' if len(content) == size
                          else f'expected {size} bytes, got {len(content)}')
        return content, ''

    def _message(self, record: bytes | memoryview) -> BagMessage:
        number = int.from_bytes(record[:2], 'little')
        message = McapMessage.read(ReadDataStream(io.BytesIO(record)), len(record))
        topic, kind, encoding = self._topics[number]
        return BagMessage(topic, kind, message.log_time,
                          unpacked_message(message.data) if encoding == CDR else message.data, encoding)


def _seconds(time_ns: int | None, first_ns: int) -> str:
    return f'{((time_ns or first_ns) - first_ns) / 1e9:.3f}'
