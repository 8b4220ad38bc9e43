# SPDX-License-Identifier: Apache-2.0
"""BagTruths: ground truth of the objects in a recording, in the camera frame: topics, /tf or another source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from posegrasp_ros.datasets.bag_topics import BagTopics, guess_truth, poses_listing
from posegrasp_ros.datasets.ground_truth import GroundTruth
from posegrasp_ros.datasets.message_fields import pose_of, truth_covariance_of
from posegrasp_ros.datasets.tf_buffer import FrameTree
from posegrasp_ros.datasets.topic_names import below, topic_name
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.runtime.errors import InvalidInputError

ONLY = ('',)
"""Names of the objects where there is only one."""


def truth_topics(found: dict[str, str], asked: BagTopics, objects: Sequence[str]) -> dict[str, str]:
    """The ground-truth topic of each of several objects: ``/NAME/ground_truth``, by the object's name.

    :param found: {topic: message type} of the recording
    :param asked: its ``ground_truth`` is the topic of all, without the objects' names
    """
    if asked.ground_truth:
        topics = {name: below(name, asked.ground_truth) for name in objects}
        return {name: topic for name, topic in topics.items() if topic in found}
    guessed = ((name, guess_truth({topic: kind for topic, kind in found.items()
                                   if topic_name(name) in topic.split('/')}, asked))
               for name in objects)
    return {name: topic for name, topic in guessed if topic}


class BagTruths:
    """Ground truths of a recording, matched to images by stamp.

    :param own: from another source, used instead of a topic or /tf
    :param tree: of /tf
    :param topics: ground-truth topic by the object's name
    :param warn: takes a problem of the recording, one line
    :param warn_once: the same, once per text
    :ivar by_name: ground truth of each object, and how much of it was matched
    """

    def __init__(self, objects: Sequence[str], tolerance_ns: int, topics: dict[str, str], object_frame: str | None,
                 tree: FrameTree, warn: Callable[[str], None], warn_once: Callable[[str], None],
                 own: GroundTruth | None = None):
        self._has_own = own is not None
        self.by_name = {name: own or GroundTruth(tolerance_ns) for name in objects}
        self._frame = None if self._has_own else object_frame
        self._names = {} if self._has_own or self._frame else {topic: name for name, topic in topics.items()}
        self._tree, self._warn, self._warn_once = tree, warn, warn_once
        self._is_frame_missed = False

    @property
    def topics(self) -> list[str]:
        """The topics that are read."""
        return list(self._names)

    @property
    def late_ns(self) -> int:
        """For how long after an image the transforms of its ground truth may come."""
        return next(iter(self.by_name.values())).tolerance_ns if self._frame else 0

    def take(self, topic: str, stamp_ns: int, content: Any, arrived_ns: int) -> None:
        """Store a message of one of :attr:`topics`."""
        covariance = truth_covariance_of(content, lambda line: self._warn_once(f'{topic}: {line}'))
        self.by_name[self._names[topic]].add(stamp_ns, content.header.frame_id,
                                             TruePose(pose_of(content), covariance), arrived_ns)

    def may_come(self, stamp_ns: int, now_ns: int) -> bool:
        """Whether a better match of a topic may still arrive."""
        return any(self.by_name[name].may_come(stamp_ns, now_ns) for name in self._names.values())

    def of(self, stamp_ns: int, camera_frame: str, arrived_ns: int) -> dict[str, tuple[TruePose, ...]]:
        """The ground truths of an image by object, in the camera frame, without exact duplicates.

        :param arrived_ns: recording time of the image
        """
        if self._frame:
            self._take_from_tf(self._frame, stamp_ns, camera_frame, arrived_ns)
        return {name: tuple(self._seen_from_camera(name, truths, stamp_ns, camera_frame))
                for name, truths in self.by_name.items()}

    def forget(self, arrived_before_ns: int) -> None:
        """Drop poses too old for any future image."""
        for truths in self.by_name.values():
            truths.forget(arrived_before_ns)

    def forget_all(self) -> None:
        """Drop all poses after the clock was set back."""
        for truths in self.by_name.values():
            truths.forget_all()

    def account(self, found: dict[str, str]) -> None:
        """Warn about objects without ground truth, and about images that none matched.

        :param found: {topic: message type} of the recording
        """
        for name, truths in self.by_name.items():
            of = f' of {name}' if name else ''
            source = self._frame or next((topic for topic, each in self._names.items() if each == name), '')
            others = poses_listing(found)
            if not self._has_own and not source and others:
                where = below(name, '/ground_truth') if name else 'ground_truth'
                self._warn(f'no ground truth{of}, no errors are measured: no pose topic with messages has a '
                           f'name like {where}; found {others}')
            elif problem := truths.problem():
                self._warn(f'{source or "ground truth"}: {problem}')

    def _take_from_tf(self, object_frame: str, stamp_ns: int, camera_frame: str, arrived_ns: int) -> None:
        """Add the pose of the object's tf frame to the ground truths."""
        for truths in self.by_name.values():
            pose = self._tree.lookup(camera_frame, object_frame, stamp_ns, truths.tolerance_ns)
            if pose is not None:
                truths.add(stamp_ns, camera_frame, TruePose(pose), arrived_ns)
            elif object_frame.lstrip('/') not in self._tree.frames and not self._is_frame_missed:
                self._is_frame_missed = True
                self._warn(f'/tf has no object frame {object_frame!r}; its frames are: '
                           f'{", ".join(self._tree.frames) or "none"}. No errors are measured for such images')

    def _seen_from_camera(self, name: str, truths: GroundTruth, stamp_ns: int,
                          camera_frame: str) -> list[TruePose]:
        """The ground truths in the camera frame; a warning where /tf does not contain a transform."""
        poses: list[TruePose] = []
        for frame_id, pose in truths.of(stamp_ns):
            if frame_id not in ('', camera_frame):
                camera_from_frame = self._tree.lookup(camera_frame, frame_id, stamp_ns)
                if camera_from_frame is None:
                    source = next((topic for topic, each in self._names.items() if each == name), 'ground truth')
                    self._warn_once(f'{source}: is in the frame {frame_id}, which /tf does not connect with the '
                                    f'camera frame {camera_frame}: ground truth is skipped')
                    continue
                pose = pose.seen_from(camera_from_frame)
            if not any(np.array_equal(pose.pose, other.pose) for other in poses):
                poses.append(pose)
        return poses


def check_one_source(objects: Sequence[str], own: object, object_frame: str | None) -> None:
    """Refuse ground truth of one object for several.

    :raises InvalidInputError: when it is from a file or a tf frame, and there are several objects
    """
    if len(objects) > 1 and (own or object_frame):
        raise InvalidInputError(f'ground truth: expected a topic for each of {", ".join(objects)}, such as '
                                f'{below(objects[0], "/ground_truth")}, got one {"file" if own else "tf frame"}')
