# SPDX-License-Identifier: Apache-2.0
"""Ros1File: messages of a ROS 1 .bag file, read by rosbags."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.rosbag1 import Reader

from posegrasp_ros.datasets.storage.recorded_file import ROS1, BagError, BagMessage, Contents, Warn

MAGIC = b'#ROSBAG V'
# tf's own type of ROS 1 has the fields of that of tf2.
SAME_FIELDS = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}


class Ros1File:
    """Messages of a ROS 1 .bag file.

    :param warn: called with one line for each problem found
    :ivar contents: what is in it
    :raises BagError: when it cannot be read
    """

    def __init__(self, path: Path, warn: Warn):
        self._path, self._warn = path, warn
        counts: dict[str, int] = {}
        self.contents = Contents(counts=counts)
        try:
            with Reader(path) as reader:
                for connection in reader.connections:
                    self.contents.learn(connection.topic, _kind(connection.msgtype), ROS1)
                    counts[connection.topic] = counts.get(connection.topic, 0) + connection.msgcount
        except OSError:
            raise
        except Exception as error:  # the reader has errors of many kinds for a damaged file
            raise BagError(f'{path}: a ROS 1 bag that cannot be read: {" ".join(str(error).split())}; try `rosbag '
                           'reindex` on it, or `rosbags-convert --src FILE --dst FOLDER`') from error

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """The messages of these topics in the order of time, up to the damage where there is any."""
        time_ns = 0
        try:
            with Reader(self._path) as reader:
                wanted = [connection for connection in reader.connections if connection.topic in topics]
                for connection, time_ns, data in reader.messages(wanted) if wanted else ():
                    yield BagMessage(connection.topic, _kind(connection.msgtype), time_ns, bytes(data), ROS1)
        except OSError:
            raise
        except Exception as error:  # as above
            reason = ' '.join(str(error).split())
            self._warn(f'{self._path}: damaged; everything after {time_ns} ns is lost: {reason}')


def _kind(msgtype: str) -> str:
    return SAME_FIELDS.get(msgtype, msgtype)
