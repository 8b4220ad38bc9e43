# SPDX-License-Identifier: Apache-2.0
"""An excerpt of a recording: some of its images with all that has their stamps, and the transforms around them."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Collection
from pathlib import Path
from typing import Any

from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES, BagMessage, BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO, TF
from posegrasp_ros.datasets.bag_writer import RawBagWriter

# Both CDR and ROS 1 have 4 bytes before the stamp of a header: the byte order, and the sequence number.
STAMP_AT = 4
TRANSFORMS_NS = 500_000_000
"""Transforms so long before and after an image are kept, to interpolate between."""


def write_excerpt(path: str | Path, out: str | Path, stamps_ns: Collection[int]) -> int:
    """Write the messages that belong to images of these stamps.

    Static transforms are kept; of a camera_info that was sent once, the first.

    :param out: folder to make
    :return: number of messages
    :raises BagError: when the recording cannot be read, or the folder is there
    """
    bag, wanted = BagMessages(path), sorted(stamps_ns)
    count, has_info = 0, set()
    with RawBagWriter(out) as writer:
        for message in bag.messages(list(bag.topics)):
            is_first_info = message.type == CAMERA_INFO and message.topic not in has_info
            if is_first_info or _belongs(message, wanted):
                if message.type == CAMERA_INFO:
                    has_info.add(message.topic)
                writer.write(message.topic, message.type, message.time_ns, *raw_message(bag, message))
                count += 1
    return count


def raw_message(bag: BagMessages, message: BagMessage) -> tuple[bytes, Any]:
    """A message's bytes as ROS 2 writes them, and the types that tell its own."""
    if message.encoding == 'ros1':
        return bytes(STANDARD_TYPES.ros1_to_cdr(message.data, message.type)), STANDARD_TYPES
    return message.data, bag.store(message)


def header_stamp_ns(message: BagMessage) -> int:
    """The stamp of a message that begins with a header; 0 for one that is cut off."""
    if len(message.data) < STAMP_AT + 8:
        return 0
    order = '>' if message.encoding == 'cdr' and message.data[1] % 2 == 0 else '<'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', message.data, STAMP_AT)
    return seconds * 1_000_000_000 + nanoseconds


def _belongs(message: BagMessage, wanted: list[int]) -> bool:
    if message.type == TF:
        return message.topic.endswith('tf_static') or _is_near(message.time_ns, wanted, TRANSFORMS_NS)
    return _is_near(header_stamp_ns(message), wanted, 0)


def _is_near(time_ns: int, wanted: list[int], within_ns: int) -> bool:
    place = bisect_left(wanted, time_ns - within_ns)
    return place < len(wanted) and wanted[place] <= time_ns + within_ns
