# SPDX-License-Identifier: Apache-2.0
"""Records of the MCAP format, as far as a damaged file is read by them (https://mcap.dev/spec)."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import lz4.frame
import zstandard
from mcap.opcode import Opcode

from posegrasp_ros.runtime.errors import quoted

MAGIC = b'\x89MCAP0\r\n'
MOST_DEFINITION_BYTES = 1 << 20
MOST_INDEX_BYTES = 1 << 28
RECORD = struct.Struct('<BQ')  # opcode, bytes of content
CHUNK = struct.Struct('<QQQII')  # first and last time, bytes unpacked, checksum, length of the compression's name
FOOTER = struct.Struct('<BQQQI8s')  # opcode, length, begin of the index and of its offsets, checksum, magic
FOOTER_UNCHECKED_BYTES = 12
MESSAGE_BYTES = 22  # before its data
# A chunk's record: its length and its unpacked length are below 2^40, its compression is one of three.
LOOKS_LIKE_CHUNK = re.compile(
    rb'\x06.{5}\0{3}.{8}.{8}.{5}\0{3}.{4}(?:\0{4}|\x04\0{3}zstd|\x03\0{3}lz4).{5}\0{3}', re.DOTALL)
LONGEST_HEADER = 80
BLOCK_BYTES = 1 << 20
# Of the records that belong into a chunk.
LEAST_BYTES = {int(Opcode.MESSAGE): MESSAGE_BYTES, int(Opcode.SCHEMA): 14, int(Opcode.CHANNEL): 16}
SCHEMA_ENCODINGS = {'ros2msg': False, 'ros2idl': True, 'omgidl': True, 'ros1msg': False, '': False}


class Damage(Exception):
    """Why a chunk cannot be read."""


def has_whole_index(file: BinaryIO) -> bool:
    """Whether there is an index, and its checksum holds where it has one."""
    if file.seek(0, io.SEEK_END) < len(MAGIC) + FOOTER.size:
        return False
    file.seek(-FOOTER.size, io.SEEK_END)
    opcode, _, start, _, checksum, magic = FOOTER.unpack(file.read())
    end = file.tell() - FOOTER_UNCHECKED_BYTES
    if opcode != Opcode.FOOTER or magic != MAGIC or not len(MAGIC) <= start < end:
        return False
    if end - start > MOST_INDEX_BYTES:
        return False
    file.seek(start)
    return not checksum or zlib.crc32(file.read(end - start)) == checksum


def inner_records(content: bytes) -> Iterator[tuple[int, memoryview]]:
    """Opcode and content of each whole record in a chunk, up to one that does not belong there."""
    view, offset = memoryview(content), 0
    while offset + RECORD.size <= len(view):
        opcode, length = RECORD.unpack_from(view, offset)
        offset += RECORD.size
        if length > len(view) - offset or opcode not in LEAST_BYTES or length < LEAST_BYTES[opcode]:
            return
        yield opcode, view[offset:offset + length]
        offset += length


def is_chunk(length: int, content: bytes) -> bool:
    """Whether a chunk's lengths agree with each other."""
    if len(content) < CHUNK.size + 8:
        return False
    start_ns, end_ns, _, _, name_length = CHUNK.unpack(content[:CHUNK.size])
    place = CHUNK.size + name_length
    return (start_ns <= end_ns and name_length <= 8
            and length == place + 8 + int.from_bytes(content[place:place + 8], 'little'))


def next_chunk(file: BinaryIO, offset: int) -> int | None:
    """Where the next chunk begins, by its looks; None where there is none."""
    while True:
        file.seek(offset)
        block = file.read(BLOCK_BYTES + LONGEST_HEADER)
        for match in LOOKS_LIKE_CHUNK.finditer(block):
            place = match.start()
            _, length = RECORD.unpack_from(block, place)
            if is_chunk(length, block[place + RECORD.size:place + RECORD.size + LONGEST_HEADER]):
                return offset + place
        if len(block) <= LONGEST_HEADER or len(block) < BLOCK_BYTES:
            return None
        offset += BLOCK_BYTES


def decompress(compression: str, packed: bytes, size: int) -> bytes:
    """At most one byte more than was promised; fewer where ``packed`` is cut off."""
    if compression == '':
        return packed
    if compression == 'zstd':
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            return stream.read(size + 1)
    if compression == 'lz4':
        return lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
    raise Damage(f'expected a compression of zstd, lz4 or none, got {quoted(compression)}')
