# SPDX-License-Identifier: Apache-2.0
"""Poses in a recording or beside it, read before its images so that an answer may come seconds after its image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from posegrasp_ros.datasets.bag_messages import BagError, BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO, COMPRESSED, IMAGE, TF, BagTopics, guess_topics, listing
from posegrasp_ros.datasets.frame_excerpt import header_stamp_ns
from posegrasp_ros.datasets.ground_truth_file import read_ground_truth
from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.pose_sources.asked_sources import AskedSources
from posegrasp_ros.pose_sources.bop_poses import is_bop_csv, read_bop_poses
from posegrasp_ros.pose_sources.pose_matching import ImagePlace, ImageTimes, matched_poses
from posegrasp_ros.pose_sources.pose_messages import READERS, states_class
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runtime.errors import InvalidInputError


class PoseSource(Protocol):
    """Poses of one object from one source."""

    @property
    def frame_ids(self) -> Counter[str]:
        """The frames that the poses are in, without the camera's, and how many are in each."""

    @property
    def every(self) -> list[StatedPose]:
        """All poses that can have an image."""

    def of(self, image: ImagePlace) -> Sequence[StatedPose]:
        """Poses in an image, best first."""

    def account(self) -> dict:
        """How the poses were matched, as plain values."""


@dataclass(frozen=True)
class RecordedPoses:
    """All stated poses of a recording.

    :param sources: by the source's name and by object
    :param arrivals_ns: recording time of each image by its stamp
    :param frames_ns: where there are no images: the stamps of all poses, sorted, which stand for those of images
    :param has_images: whether the recording has images, and not only their camera_info
    """

    sources: Mapping[str, Mapping[str, PoseSource]]
    arrivals_ns: Mapping[int, int]
    frames_ns: Sequence[int] | None = None
    has_images: bool = True

    @property
    def frame_ids(self) -> set[str]:
        """The frames that poses are in, without the camera's."""
        each = (source for objects in self.sources.values() for source in objects.values())
        return {frame for source in each for frame in source.frame_ids}


def read_recorded_poses(path: str | Path, asked: AskedSources, topics: BagTopics,
                        objects: Sequence[str]) -> RecordedPoses:
    """Read the poses of a recording, which are kept, half a kilobyte each.

    :param topics: of the recording, for its images
    :param objects: names of the objects; '' of the only one
    :raises InvalidInputError: when there is no such topic or frame, none of the poses can be told to be the
        object's, or they match no images
    """
    bag = BagMessages(path)
    times_topic = _times_topic(path, bag.topics, topics)
    stamps: dict[int, int] = {}
    heard = _heard(bag, _wanted_topics(path, bag.topics, asked, objects), times_topic, stamps)
    named: dict[str, dict[str, list[StatedPose]]] = {}
    for topic in asked.topics:
        named[topic] = {name: _of_topic(path, bag.topics, heard, topic, name, asked, objects) for name in objects}
    for frame in asked.frames:
        named[f'tf:{frame}'] = {_only(path, f'tf frame {frame}', objects): _of_frame(path, heard, frame)}
    placed: dict[str, dict[str, PoseSource]] = {}
    for file in asked.files:
        name = _only(path, str(file), objects)
        if is_bop_csv(file):
            placed[file.name] = {name: read_bop_poses(file, asked.classes.get(name))}
        else:
            named[file.name] = {name: [StatedPose(each.pose, stamp_ns, frame_id.lstrip('/'), None, each.covariance)
                                       for stamp_ns, frame_id, each in read_ground_truth(file)]}
    named = {source: {name: [pose._replace(stamp_ns=pose.stamp_ns + asked.shift_ns.get(name, 0)) for pose in poses]
                      for name, poses in each.items()} for source, each in named.items()}
    every = [pose for each in named.values() for poses in each.values() for pose in poses]
    if not times_topic:
        for pose in every:
            stamps.setdefault(pose.stamp_ns, pose.stamp_ns if pose.arrived_ns is None else pose.arrived_ns)
    images = ImageTimes(sorted(stamps), [stamps[stamp] for stamp in sorted(stamps)])
    matched: dict[str, dict[str, PoseSource]] = {
        source: {name: matched_poses(f'{path}: {source}', poses, images, asked.matching)
                 for name, poses in each.items()} for source, each in named.items()}
    sources = {**matched, **placed}
    return RecordedPoses({source: sources[source] for source in asked.names}, stamps,
                         None if times_topic else images.stamps_ns, _has_images(bag.topics, topics))


def _times_topic(path: str | Path, found: dict[str, str], topics: BagTopics) -> str | None:
    """The topic whose stamps are those of the images; None where there are no images."""
    if not _has_images(found, topics):
        return topics.camera_info or next((name for name, kind in found.items() if kind == CAMERA_INFO), None)
    return guess_topics(path, found, topics).image


def _has_images(found: dict[str, str], topics: BagTopics) -> bool:
    return bool(topics.image) or any(kind in (IMAGE, COMPRESSED) for kind in found.values())


def _wanted_topics(path: str | Path, found: dict[str, str], asked: AskedSources,
                   objects: Sequence[str]) -> list[str]:
    """The topics to read, for all objects.

    :raises BagError: when one is not there, or its messages state no poses
    """
    wanted = [topic for topic in found if found[topic] == TF] if asked.frames else []
    for source in asked.topics:
        topics = [topic for topic in {source, *(below(name, source) for name in objects)} if topic in found]
        if not topics:
            raise BagError(f'{path}: {source}: no such topic; found {listing(found)}')
        for topic in topics:
            if found[topic] not in READERS:
                raise BagError(f'{path}: {topic}: expected poses ({", ".join(READERS)}), found {found[topic]}')
        wanted += topics
    return wanted


def _heard(bag: BagMessages, wanted: Sequence[str], times_topic: str | None,
           stamps: dict[int, int]) -> dict[str, list[StatedPose]]:
    """The poses by topic; fills in when each image arrived by its stamp."""
    heard: dict[str, list[StatedPose]] = {topic: [] for topic in wanted}
    for message in bag.messages([*wanted, *filter(None, [times_topic])]):
        if message.topic == times_topic:
            stamp_ns = header_stamp_ns(message)
            stamps.setdefault(message.time_ns if stamp_ns == 0 else stamp_ns, message.time_ns)
        if message.topic in heard:
            try:
                heard[message.topic] += [pose._replace(arrived_ns=message.time_ns)
                                         for pose in READERS[message.type](bag.decode(message))]
            except (BagError, AttributeError) as error:
                bag.warn_once(f'{bag.path}: {message.topic}: messages are left out: {error}')
    return heard


def _of_topic(path: str | Path, found: dict[str, str], heard: dict[str, list[StatedPose]], source: str, name: str,
              asked: AskedSources, objects: Sequence[str]) -> list[StatedPose]:
    """The poses of an object on a topic, or on its own below the object's name."""
    own = below(name, source)
    topic = own if own in heard else source
    poses = heard[topic]
    if states_class(found[topic]):
        return _of_class(f'{path}: {topic}', poses, asked.classes.get(name), name, len(objects))
    if topic == source and len(objects) > 1:
        raise BagError(f'{path}: {source}: expected a topic for each of {", ".join(objects)}, such as {own}, or '
                       f'messages that name the class of each pose, found {found[topic]}')
    return poses


def _of_class(place: str, poses: list[StatedPose], class_id: str | None, name: str,
              count: int) -> list[StatedPose]:
    """The poses of one class: the stated one, the object's name, or the only one that there is."""
    found = Counter(pose.class_id for pose in poses)
    if class_id is None and count == 1 and len(found) <= 1:
        return poses
    chosen = next((each for each in found if each.lower() == name.lower()), None) if class_id is None else class_id
    if chosen not in found:
        listed = ', '.join(f'{each!r} ({number} poses)' for each, number in found.most_common()) or 'none'
        raise BagError(f'{place}: expected poses of the class {name if class_id is None else class_id!r}, found '
                       f'the classes {listed}: name the right one with --pose-class')
    return [pose for pose in poses if pose.class_id == chosen]


def _of_frame(path: str | Path, heard: dict[str, list[StatedPose]], frame: str) -> list[StatedPose]:
    """What was published of a tf frame: nothing is interpolated, for only that was said."""
    poses = [pose for each in heard.values() for pose in each if pose.class_id == frame.lstrip('/')]
    if not poses:
        frames = sorted({pose.class_id for each in heard.values() for pose in each} - {''})
        raise BagError(f'{path}: /tf has no frame {frame!r}; its frames are: {", ".join(frames) or "none"}')
    return sorted(poses, key=lambda pose: pose.arrived_ns or 0)


def _only(path: str | Path, what: str, objects: Sequence[str]) -> str:
    """Name of the only object."""
    if len(objects) > 1:
        raise InvalidInputError(f'{path}: {what}: expected one object, got {", ".join(objects)}: judge one after '
                                'the other')
    return objects[0]
