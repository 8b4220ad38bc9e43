# SPDX-License-Identifier: Apache-2.0
"""A copy of a recording in which the poses of one topic have systematic faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.bag_cameras import stated_cameras
from posegrasp_ros.datasets.bag_messages import STANDARD_TYPES, BagError, BagMessage, BagMessages
from posegrasp_ros.datasets.bag_topics import listing
from posegrasp_ros.datasets.bag_writer import RawBagWriter, make_header, new_message, pose_parts
from posegrasp_ros.datasets.frame_excerpt import raw_message
from posegrasp_ros.faults.injection import PoseTrack, inject
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.pose_sources.pose_fields import set_poses, set_stamp
from posegrasp_ros.pose_sources.pose_messages import READERS
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runtime.atomic_file import no_half_folder
from posegrasp_ros.runtime.progress import Progress

POSE = 'geometry_msgs/msg/PoseWithCovarianceStamped'
OWN_TOPIC = '/pose'
Faults = Sequence[tuple[str, Sequence[float]]]


def write_faulty(path: str | Path, out: str | Path, faults: Faults, topic: str | None = None,
                 estimates: Mapping[int, StatedPose] | None = None, seed: int = 0, progress: bool = True) -> int:
    """Copy a recording with faults in the poses of a topic; every other message is copied as it is.

    :param faults: names and sizes, see :func:`posegrasp_ros.faults.injection.inject`, put in one after the other
    :param topic: of poses in the recording; None: the estimates are written to :data:`OWN_TOPIC`
    :param estimates: by the stamp of their image
    :return: number of poses that were written
    :raises BagError: when the recording cannot be read, or has no poses on that topic
    """
    bag = BagMessages(path)
    if topic is not None and READERS.get(bag.topics.get(topic, '')) is None:
        raise BagError(f'{path}: {topic}: expected a topic of poses, found {listing(bag.topics)}')
    stated = _stated(bag, topic) if topic else [[pose] for _, pose in sorted((estimates or {}).items())]
    cameras = {topic: each.raw for topic, each in stated_cameras(bag).items()}
    faulty = _with_faults(stated, cameras, faults, seed)
    written, ours, waiting = 0, iter(faulty), list(zip(stated, faulty))
    with RawBagWriter(out) as writer, no_half_folder(Path(out)):
        for message in Progress(bag.messages(list(bag.topics)), unit='message', disable=not progress,
                            total=sum(bag.counts.values()) or None):
            if message.topic == topic:
                written += _write_changed(writer, bag, message, next(ours))
                continue
            writer.write(message.topic, message.type, message.time_ns, *raw_message(bag, message))
            while topic is None and waiting and (waiting[0][0][0].arrived_ns or 0) <= message.time_ns:
                written += _write_own(writer, *waiting.pop(0))
        for each in waiting if topic is None else ():
            written += _write_own(writer, *each)
    return written


def _stated(bag: BagMessages, topic: str) -> list[list[StatedPose]]:
    """The poses of each message of a topic."""
    return [list(READERS[message.type](bag.decode(message))) for message in bag.messages([topic])]


def _with_faults(stated: list[list[StatedPose]], cameras: Mapping[str, Camera], faults: Faults,
                 seed: int) -> list[tuple[int, list[np.ndarray]]]:
    """Stamp and poses of each message with the faults; no poses where there are none any more."""
    flat = [pose for poses in stated for pose in poses]
    stamps = np.array([pose.stamp_ns for pose in flat], dtype=np.int64)
    poses = np.array([pose.frame_from_object for pose in flat]).reshape(-1, 4, 4)
    order = np.argsort(stamps, kind='stable')
    new_stamps, new_poses = stamps.copy(), poses.copy()
    track = PoseTrack(stamps[order], poses[order], cameras)
    for name, sizes in faults:
        track = PoseTrack(*inject(track, name, sizes, seed), cameras)
    new_stamps[order], new_poses[order] = track.stamps_ns, track.poses
    result, place = [], 0
    for each in stated:
        mine = range(place, place + len(each))
        is_usable = all(np.isfinite(new_poses[index]).all() for index in mine)
        result.append((int(new_stamps[place]) if each else 0,
                       [new_poses[index] for index in mine] if is_usable else []))
        place += len(each)
    return result


def _write_changed(writer: RawBagWriter, bag: BagMessages, message: BagMessage,
                   faulty: tuple[int, list[np.ndarray]]) -> int:
    stamp_ns, poses = faulty
    if not poses:
        return 0
    content, store = bag.decode(message), raw_message(bag, message)[1]
    set_poses(content, poses)
    set_stamp(content, stamp_ns)
    writer.write(message.topic, message.type, message.time_ns, store.serialize_cdr(content, message.type), store)
    return len(poses)


def _write_own(writer: RawBagWriter, stated: list[StatedPose], faulty: tuple[int, list[np.ndarray]]) -> int:
    stamp_ns, poses = faulty
    for before, pose in zip(stated, poses):
        position, orientation = pose_parts(pose)
        covariance = np.zeros((6, 6)) if before.covariance is None else before.covariance
        content = new_message(POSE, header=make_header(stamp_ns, before.frame_id), pose=new_message(
            'geometry_msgs/msg/PoseWithCovariance', covariance=covariance.ravel(), pose=new_message(
                'geometry_msgs/msg/Pose', position=new_message('geometry_msgs/msg/Point', **position),
                orientation=orientation)))
        writer.write(OWN_TOPIC, POSE, before.arrived_ns or before.stamp_ns,
                     STANDARD_TYPES.serialize_cdr(content, POSE), STANDARD_TYPES)
    return len(poses)
