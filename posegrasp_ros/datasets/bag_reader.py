# SPDX-License-Identifier: Apache-2.0
"""Camera frames with intrinsics, ground truth and camera pose from a rosbag2 recording, without ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.datasets.bag_cameras import stated_intrinsics
from posegrasp_ros.datasets.bag_messages import BagError, BagMessage, BagMessages
from posegrasp_ros.datasets.bag_topics import TF, BagTopics, are_neighbours, guess_topics
from posegrasp_ros.datasets.bag_truths import ONLY, BagTruths, check_one_source, truth_topics
from posegrasp_ros.datasets.base_frame import BASE_FRAME, FORMER_BASE_FRAME
from posegrasp_ros.datasets.frame import BagFrame, PackedFrame
from posegrasp_ros.datasets.ground_truth import TOLERANCE_MS, GroundTruth
from posegrasp_ros.datasets.message_fields import stamp_of
from posegrasp_ros.datasets.tf_buffer import FrameTree
from posegrasp_ros.datasets.visible_shares import VisibleShares, share_topics
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera, is_rectified
from posegrasp_ros.sensing.camera_info_join import WAIT_NS as INFO_WAIT_NS
from posegrasp_ros.sensing.camera_info_join import CameraInfoJoin
from posegrasp_ros.sensing.depth_buffer import SLOP_MS, DepthImages
from posegrasp_ros.sensing.joined_camera import JoinedCamera
from posegrasp_ros.sensing.packed_image import BitDepth, PackedImage

# Longest time, in the bag's time, that an image waits for messages of its stamp, and most images that wait.
WAIT_NS = 500_000_000
MOST_WAITING = 60
# How long messages are kept, in the bag's time, for images that are out of order.
KEEP_NS = 5_000_000_000
# If the stamps of a topic go back by more than this, the clock was set back.
JUMP_NS = 1_000_000_000
# An unlimited tolerance.
EVER_NS = 1 << 63


def read_frames(path: str | Path, topics: BagTopics | None = None) -> Iterator[BagFrame]:
    """The frames of a recording in order, in constant memory; see :class:`BagReader`."""
    return iter(BagReader(path, topics))


class _Waiting(NamedTuple):
    """An image that waits for messages of its stamp."""

    stamp_ns: int
    arrived_ns: int
    frame_id: str
    image: PackedImage | Exception


class BagReader:
    """Matches a recording's images with camera_info, ground truth, depth and /tf by stamp.

    camera_info is matched by :class:`CameraInfoJoin`. Ground truth is that of the same stamp, else the nearest
    within a tolerance; several messages of one stamp are several objects. Depth is that of the same stamp, else
    the nearest within :data:`SLOP_MS`; how much of an object is visible is that of the same stamp. An unusable
    message does not stop the reader: its frame states the reason.
    An image with the stamp of an earlier one is skipped. After the clock was set back, earlier messages are not
    matched any more.

    :param truths: ground truth from another source, used instead of a topic or /tf
    :param tolerance_ms: largest difference between the stamps of image and ground truth
    :param objects: names of several objects, each with a topic of ground truth, see
        :func:`posegrasp_ros.datasets.bag_truths.truth_topics`
    :param frames: tf frames to give the camera's pose in, with each image
    :ivar topics: the topics in use, with the guessed ones filled in
    :raises BagError: when the path is not a readable recording, or has no image topic
    """

    def __init__(self, path: str | Path, topics: BagTopics | None = None, truths: GroundTruth | None = None,
                 tolerance_ms: float = TOLERANCE_MS, objects: Sequence[str] = ONLY,
                 frames: Collection[str] = ()):
        self.path, self._frames = Path(path), frames
        self._bag = BagMessages(path)
        asked = topics or BagTopics()
        found = self._filled_topics()
        check_one_source(objects, truths, asked.object_frame)
        of_several = truth_topics(found, asked, objects) if len(objects) > 1 else None
        self.topics = guess_topics(path, found, asked if of_several is None else replace(
            asked, ground_truth=next(iter(of_several.values()), None)))
        self._image_topic = self.topics.image or ''  # never empty: guess_topics raises
        self._info_is_named = asked.camera_info is not None
        self._tf_topics = [name for name, kind in self._bag.topics.items() if kind == TF]
        self._moves = any(not name.endswith('tf_static') for name in self._tf_topics)
        self._waiting: deque[_Waiting] = deque()
        self._infos = CameraInfoJoin()
        self._depths = DepthImages(slop_ns=int(SLOP_MS * 1e6), most=MOST_WAITING)
        self._bit_depth = BitDepth(lambda text: self.warn_once(f'{self.topics.image}: {text}'))
        self._tree = FrameTree()
        of_one = {objects[0]: self.topics.ground_truth} if self.topics.ground_truth else {}
        named = of_one if of_several is None else of_several
        self._truths = BagTruths(objects, int(tolerance_ms * 1e6), named, self.topics.object_frame, self._tree,
                                 self._warn, self.warn_once, truths)
        self._shares = VisibleShares(share_topics(found, {name: named.get(name) for name in objects}, self._warn))
        self._tree_until_ns = -1
        self._newest_ns: dict[str, int] = {}
        self._image_stamps: dict[int, int] = {}
        self._count = self._repeats = 0
        self._missed: set[bool] = set()

    @property
    def image_count(self) -> int | None:
        """Number of images in the recording's index; None when the recording is truncated."""
        return self._bag.counts.get(self._image_topic)

    @property
    def truths(self) -> dict[str, GroundTruth]:
        """Ground truth of each object, and how much of it was matched."""
        return self._truths.by_name

    @property
    def truth_topics(self) -> list[str]:
        """The topics that ground truth is read from."""
        return self._truths.topics

    @property
    def cameras(self) -> dict[str, Camera]:
        """All intrinsics that the recording states, by name."""
        return stated_intrinsics(self._bag)

    @property
    def warnings(self) -> list[str]:
        """Problems of the recording found so far, one line each."""
        return self._bag.warnings

    def warn_once(self, text: str) -> None:
        """Warn about something missing from a frame, once per text."""
        self._bag.warn_once(f'{self.path}: {text}')

    def _warn(self, text: str) -> None:
        self._bag.warn(f'{self.path}: {text}')

    def __iter__(self) -> Iterator[BagFrame]:
        for packed in self.undecoded():
            frame = packed.decode()
            if frame.warning:
                self.warn_once(frame.warning)
            yield frame

    def undecoded(self) -> Iterator[PackedFrame]:
        """The frames with their images still encoded."""
        self._take_first_statics()
        names = (self.topics.image, self.topics.camera_info, *self._truths.topics, *self._shares.topics,
                 self.topics.depth)
        for message in self._bag.messages([*filter(None, names), *self._tf_topics]):
            try:
                yield from self._take(message, self._bag.decode(message))
            except (BagError, ValueError) as error:
                if message.topic == self.topics.image:
                    self._waiting.append(_Waiting(message.time_ns, message.time_ns, '', error))
                else:
                    self._bag.warn_once(f'{message.topic}: messages are skipped: {error}')
            while self._waiting and self._is_ready(message.time_ns):
                yield self._frame(self._waiting.popleft())
        yield from self._rest()
        self._account()

    def _take_first_statics(self) -> None:
        """Static transforms hold at all times, also before they were recorded; a later one replaces the first."""
        known: set[str] = set()
        topics = [name for name in self._tf_topics if name.endswith('tf_static')]
        for message in self._bag.messages(topics) if topics else ():
            try:
                for item in self._bag.decode(message).transforms:
                    if item.child_frame_id not in known:
                        self._tree.take(item, is_static=True)
                        known.add(item.child_frame_id)
            except (BagError, ValueError):
                continue  # told when it is read in its place

    def _filled_topics(self) -> dict[str, str]:
        """The topics that have messages; all topics if the recording has no message counts."""
        counts = self._bag.counts
        filled = {name: kind for name, kind in self._bag.topics.items() if counts.get(name, 1)}
        return filled or self._bag.topics

    def _take(self, message: BagMessage, content: Any) -> Iterator[PackedFrame]:
        """Store a message until its image is complete; yields the waiting frames if the clock was set back."""
        if message.topic in self._tf_topics:
            is_static = message.topic.endswith('tf_static')
            for item in content.transforms:
                if not is_static:
                    yield from self._note_stamp(f'{message.topic}: {item.child_frame_id}', stamp_of(item.header))
                self._tree_until_ns = max(self._tree_until_ns, self._tree.take(item, is_static))
            return
        stamp_ns = stamp_of(content.header)
        yield from self._note_stamp(message.topic, stamp_ns)
        if message.topic == self.topics.image:
            self._take_image(stamp_ns, message.time_ns, content)
        elif message.topic == self.topics.depth:
            self._depths.add(stamp_ns, PackedImage.of(content))
        elif message.topic == self.topics.camera_info:
            self._infos.add(stamp_ns, content, message.time_ns)
        elif message.topic in self._shares.topics:
            self._shares.take(message.topic, stamp_ns, content, message.time_ns)
        else:
            self._truths.take(message.topic, stamp_ns, content, message.time_ns)

    def _take_image(self, stamp_ns: int, arrived_ns: int, content: Any) -> None:
        """Queue an image, unless its stamp was seen before."""
        if stamp_ns == 0 and stamp_ns in self._image_stamps:
            self._bag.warn_once(f'{self.path}: {self.topics.image}: images without a stamp get their recording '
                                'time as stamp')
            stamp_ns = arrived_ns
        if stamp_ns in self._image_stamps:
            self._repeats += 1
            return
        self._image_stamps[stamp_ns] = arrived_ns
        image = self._bit_depth.noted(PackedImage.of(content))
        self._waiting.append(_Waiting(stamp_ns, arrived_ns, content.header.frame_id, image))

    def _note_stamp(self, source: str, stamp_ns: int) -> Iterator[PackedFrame]:
        """Update a source's newest stamp; if the clock was set back, yield all waiting frames and reset."""
        newest_ns = self._newest_ns.get(source, stamp_ns)
        if stamp_ns < newest_ns - JUMP_NS:
            self._bag.warn(
                f'{self.path}: {source}: the clock was set back by {(newest_ns - stamp_ns) / 1e9:.3f} s, '
                f'from {newest_ns} ns to {stamp_ns} ns; messages before and after it are not matched'
            )
            yield from self._rest()
            self._infos.forget_stamps()
            self._truths.forget_all()
            self._shares.forget_all()
            self._tree.forget_moving()
            self._tree_until_ns = -1
            self._depths.forget_all()
            self._newest_ns, self._image_stamps, newest_ns = {}, {}, stamp_ns
        self._newest_ns[source] = max(stamp_ns, newest_ns)

    def _rest(self) -> Iterator[PackedFrame]:
        while self._waiting:
            yield self._frame(self._waiting.popleft())

    def _is_ready(self, now_ns: int) -> bool:
        """Whether the first image in the queue is complete or has waited long enough."""
        stamp_ns, arrived_ns, *_ = self._waiting[0]
        if now_ns - arrived_ns > WAIT_NS or len(self._waiting) > MOST_WAITING:
            return True
        return ((self.topics.camera_info is None or self._infos.has(stamp_ns)
                 or now_ns - arrived_ns > INFO_WAIT_NS)
                and not self._truths.may_come(stamp_ns, now_ns) and not self._shares.may_come(stamp_ns)
                and (self.topics.depth is None or not self._depths.may_come(stamp_ns))
                and (not self._moves or self._tree_until_ns >= stamp_ns + self._truths.late_ns))

    def _frame(self, waiting: _Waiting) -> PackedFrame:
        """Build the frame of an image; an image that could not be deserialised has its arrival time as stamp."""
        number, self._count = self._count, self._count + 1
        stamp_ns, frame_id = waiting.stamp_ns, waiting.frame_id
        if isinstance(waiting.image, Exception):
            return PackedFrame(stamp_ns, waiting.image, number=number)
        depth = self._depths.nearest(stamp_ns) if self.topics.depth else None
        camera = JoinedCamera(self._camera(waiting),
                              is_rectified(self.topics.rectified, self._image_topic, frame_id), frame_id,
                              self._image_topic, self.topics.camera_info or '')
        truths = self._truths.of(stamp_ns, frame_id, self._image_stamps.get(stamp_ns, 0))
        frame = PackedFrame(stamp_ns, waiting.image, camera, truths.pop('', ()),
                            self._camera_pose(stamp_ns, frame_id), depth, number=number, named_truths=truths,
                            visible_shares=self._shares.of(stamp_ns),
                            camera_from_frames=self._camera_from_frames(stamp_ns, frame_id))
        self._forget(waiting.arrived_ns - KEEP_NS, stamp_ns - KEEP_NS)
        return frame

    def _camera(self, waiting: _Waiting) -> StatedCamera | CameraError | None:
        """The camera of an image, or its error; None when there is none yet."""
        stated = self._infos.of(waiting.stamp_ns, waiting.arrived_ns)
        if isinstance(stated, StatedCamera) and not self._info_is_named:
            frames = waiting.frame_id, stated.frame_id
            # If a frame is not stated, the topics must be in one namespace; otherwise the frames must be equal.
            is_partner = frames[0] == frames[1] if all(frames) else are_neighbours(
                self._image_topic, self.topics.camera_info or '')
            if not is_partner:
                return CameraError(f'{self.topics.camera_info}: expected the frame of the image, {frames[0]!r}, '
                                   f'found {frames[1]!r}: set the camera_info of the image with '
                                   '--camera-info-topic')
        return stated

    def _camera_from_frames(self, stamp_ns: int, camera_frame: str) -> dict[str, np.ndarray]:
        """By frame (4, 4), of those that /tf connects with the camera's, which is the identity."""
        found = ((frame, np.eye(4) if frame == camera_frame.lstrip('/')
                  else self._tree.lookup(camera_frame, frame, stamp_ns)) for frame in self._frames)
        return {frame: camera_from_frame for frame, camera_from_frame in found if camera_from_frame is not None}

    def _camera_pose(self, stamp_ns: int, camera_frame: str) -> np.ndarray | None:
        """base_from_camera (4, 4); None, with one warning, where /tf does not contain it."""
        base_frame = self.topics.base_frame
        if base_frame is None:
            return None
        if base_frame == BASE_FRAME and BASE_FRAME not in self._tree.frames:
            base_frame = FORMER_BASE_FRAME
        base_from_camera = self._tree.lookup(base_frame, camera_frame, stamp_ns)
        if base_from_camera is None:
            known_later = self._tree.lookup(base_frame, camera_frame, stamp_ns, EVER_NS) is not None
            when = f' at {stamp_ns} ns, only at other times, and is not extrapolated' if known_later else ''
            if known_later not in self._missed:
                self._missed.add(known_later)
                self._warn(f'/tf does not connect the camera frame {camera_frame!r} with the base frame '
                           f'{self.topics.base_frame!r}{when}; its frames are: '
                           f'{", ".join(self._tree.frames) or "none"}. No grasps are planned for such '
                           'images: set the base frame, or the pose of the camera in it')
        return base_from_camera

    def _account(self) -> None:
        """Warn about skipped images and unmatched ground truth."""
        if self._repeats:
            self._bag.warn(
                f'{self.path}: {self.topics.image}: {self._repeats} images have the stamp of another image and '
                'are skipped'
            )
        self._truths.account(self._filled_topics())
        for topic in self._shares.unmatched:
            self._warn(f'{topic}: no stamp matches an image: the visible share is not known')

    def _forget(self, arrived_before_ns: int, stamp_before_ns: int) -> None:
        """Drop data too old for any future image."""
        while self._image_stamps and next(iter(self._image_stamps.values())) < arrived_before_ns:
            del self._image_stamps[next(iter(self._image_stamps))]
        self._truths.forget(arrived_before_ns)
        self._shares.forget(arrived_before_ns)
        self._tree.forget_before(stamp_before_ns)
        self._depths.forget_before(stamp_before_ns)
