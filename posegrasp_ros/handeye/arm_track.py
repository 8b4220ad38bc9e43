# SPDX-License-Identifier: Apache-2.0
"""ArmTrack: where the arm's tool was at any time, from /tf, a pose topic or a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegrasp_ros.datasets.bag_messages import BagError, BagMessages
from posegrasp_ros.datasets.bag_topics import POSES, TF, listing
from posegrasp_ros.datasets.ground_truth_file import read_ground_truth
from posegrasp_ros.datasets.message_fields import pose_of, stamp_of
from posegrasp_ros.datasets.tf_buffer import STATIC_NS, FrameTree
from posegrasp_ros.geometry.transforms import invert, vector_from_rotation
from posegrasp_ros.runtime.errors import InvalidInputError

MOST_APART_NS = 500_000_000
"""Between two poses of the arm, and around an image."""
SPEED_OVER_NS = 40_000_000


class ArmTrackError(InvalidInputError):
    """No pose of the arm."""


class ArmTrack:
    """Poses of the tool in the base frame by time.

    :param lookup: base_from_tool (4, 4) at a stamp in nanoseconds; None where it is not known
    """

    def __init__(self, lookup: Callable[[int], np.ndarray | None]):
        self.at = lookup

    @classmethod
    def of_tree(cls, tree: FrameTree, base_frame: str, tool_frame: str) -> ArmTrack:
        """From transforms that connect both frames, interpolated, not extrapolated."""
        def lookup(stamp_ns: int) -> np.ndarray | None:
            if tree.lookup(base_frame, tool_frame, stamp_ns) is None:
                return None
            return tree.lookup(base_frame, tool_frame, stamp_ns, MOST_APART_NS)

        return cls(lookup)

    @classmethod
    def of_poses(cls, poses: Iterable[tuple[int, np.ndarray]]) -> ArmTrack:
        """From stamps in nanoseconds and base_from_tool (4, 4)."""
        tree = FrameTree()
        for stamp_ns, base_from_tool in poses:
            tree.add('base', 'tool', base_from_tool, stamp_ns)
        return cls.of_tree(tree, 'base', 'tool')

    def speed(self, stamp_ns: int) -> tuple[float, float]:
        """Speed of the tool in metres and in radians a second; NaN where it is not known."""
        before, after = self.at(stamp_ns - SPEED_OVER_NS), self.at(stamp_ns + SPEED_OVER_NS)
        if before is None or after is None:
            return float('nan'), float('nan')
        moved = invert(before) @ after
        seconds = 2e-9 * SPEED_OVER_NS
        return (float(np.linalg.norm(moved[:3, 3])) / seconds,
                float(np.linalg.norm(vector_from_rotation(moved[:3, :3]))) / seconds)


def track_of_file(path: Path) -> ArmTrack:
    """From a CSV file with a stamp and a pose in each line, as ground truth has them.

    :raises InvalidInputError: when it cannot be read
    """
    return ArmTrack.of_poses((stamp_ns, found.pose) for stamp_ns, _, found in read_ground_truth(path))


def track_of_bag(path: Path, base_frame: str, tool_frame: str, topic: str | None = None) -> ArmTrack:
    """From a recording's /tf, or a topic with the tool's pose in the base frame.

    :raises ArmTrackError: when the recording does not have it
    """
    bag = BagMessages(path)
    if topic is not None:
        if bag.topics.get(topic) not in POSES:
            raise ArmTrackError(f'{path}: {topic}: expected a topic of {" or ".join(POSES)}, found '
                                f'{bag.topics.get(topic) or listing(bag.topics)}')
        return ArmTrack.of_poses((stamp_of(each.header), pose_of(each)) for _, each in _readable(bag, [topic]))
    tree = FrameTree()
    for name, item in _readable(bag, [name for name, kind in bag.topics.items() if kind == TF]):
        stamp_ns = STATIC_NS if name.endswith('tf_static') else stamp_of(item.header)
        tree.add(item.header.frame_id, item.child_frame_id, pose_of(item), stamp_ns)
    for frame in (base_frame, tool_frame):
        if frame.lstrip('/') not in tree.frames:
            raise ArmTrackError(f'{path}: expected the frame {frame!r} in /tf, found '
                                f'{", ".join(tree.frames) or "no frames"}: name it with '
                                f'--{"base" if frame == base_frame else "tool"}-frame, or give the arm\'s poses '
                                'with --arm')
    return ArmTrack.of_tree(tree, base_frame, tool_frame)


def _readable(bag: BagMessages, topics: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Poses and transforms by their topic; those that are none are skipped, with a warning."""
    for message in bag.messages(topics):
        try:
            content = bag.decode(message)
        except BagError as error:
            bag.warn_once(f'{message.topic}: messages are skipped: {error}')
            continue
        for item in content.transforms if message.type == TF else (content,):
            try:
                pose_of(item)
            except ValueError as error:
                bag.warn_once(f'{bag.path}: {message.topic}: poses are skipped: {error}')
                continue
            yield message.topic, item
