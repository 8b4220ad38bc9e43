"""Camera frames with intrinsics, ground truth and camera pose from a rosbag2 recording, without ROS."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posegrasp_ros.bag_messages import BagError, BagMessage, BagMessages
from posegrasp_ros.bag_writer import BagWriter
from posegrasp_ros.camera import Camera, CameraError
from posegrasp_ros.frame_tree import FrameTree
from posegrasp_ros.geometry import transform_from_pose
from posegrasp_ros.images import ImageError, decode_compressed, decode_image

__all__ = ['BagError', 'BagFrame', 'BagReader', 'BagTopics', 'BagWriter', 'read_frames']

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POSE = 'geometry_msgs/msg/PoseStamped'
TF = 'tf2_msgs/msg/TFMessage'
# Words in the names of image topics that are no camera picture of the scene.
NOT_A_PICTURE = ('depth', 'disparity', 'mask', 'overlay', 'debug', 'infra', '/ir', 'points')
TRUTH_WORDS = ('ground_truth', 'groundtruth', 'truth', 'gt_pose')
# An image waits so long, in the bag's time, for messages of its stamp; and no more images than this wait at once.
WAIT_NS = 500_000_000
MOST_WAITING = 60
# Messages of other stamps are kept so long, for images that come out of order.
KEEP_NS = 5_000_000_000


@dataclass(frozen=True)
class BagTopics:
    """Which topics to read; None lets the reader guess.

    :param base_frame: the robot's frame, for the camera's pose from /tf
    """

    image: str | None = None
    camera_info: str | None = None
    ground_truth: str | None = None
    base_frame: str = 'base'


@dataclass(frozen=True)
class BagFrame:
    """One image of a recording with what was recorded about it.

    :param image: (H, W, 3) uint8 blue green red; None when it cannot be decoded
    :param camera: None when there is no usable camera_info
    :param camera_from_object: (4, 4) ground truth of the same stamp, or None
    :param base_from_camera: (4, 4) from /tf, or None
    :param reason: why it cannot be used (``bad_image``, ``no_camera_info``, ``bad_camera_info``,
        ``size_mismatch``), else empty
    :param problem: the same as one line for a person
    :param decode_ms: time it took to decode the image
    """

    stamp_ns: int
    image: np.ndarray | None
    camera: Camera | None
    camera_from_object: np.ndarray | None = None
    base_from_camera: np.ndarray | None = None
    reason: str = ''
    problem: str = ''
    decode_ms: float = 0.0


def read_frames(path: str | Path, topics: BagTopics | None = None) -> Iterator[BagFrame]:
    """The frames of a recording in its order, in constant memory; see :class:`BagReader`."""
    return iter(BagReader(path, topics))


class BagReader:
    """Joins a recording's images with camera_info, ground truth and /tf by their stamps.

    camera_info is that of the image's stamp, else the last before it; ground truth only that of the same stamp. A
    message that cannot be used never ends the reading: its frame says why.

    :ivar topics: the topics in use, guessed ones filled in
    :raises BagError: when the path is no readable recording, or holds no image topic
    """

    def __init__(self, path: str | Path, topics: BagTopics | None = None):
        self.path = Path(path)
        self._bag = BagMessages(path)
        self.topics = guess_topics(path, self._bag.topics, topics or BagTopics())
        self._tf_topics = [name for name, kind in self._bag.topics.items() if kind == TF]
        self._moves = any(not name.endswith('tf_static') for name in self._tf_topics)
        self._waiting: deque[tuple[int, int, Any]] = deque()
        self._cameras: dict[int, Camera | CameraError] = {}
        self._truths: dict[int, tuple[str, np.ndarray]] = {}
        self._tree = FrameTree()
        self._tree_until_ns = -1

    @property
    def image_count(self) -> int | None:
        """How many images the recording's index lists; None when it was cut off."""
        return self._bag.counts.get(self.topics.image)

    @property
    def warnings(self) -> list[str]:
        """What was wrong with the recording so far, one line each."""
        return self._bag.warnings

    def __iter__(self) -> Iterator[BagFrame]:
        names = (self.topics.image, self.topics.camera_info, self.topics.ground_truth)
        for message in self._bag.messages([*filter(None, names), *self._tf_topics]):
            try:
                self._take(message, self._bag.decode(message))
            except (BagError, ValueError) as error:
                if message.topic == self.topics.image:
                    self._waiting.append((message.time_ns, message.time_ns, error))
                else:
                    self._bag.warn_once(f'{message.topic}: messages are left out: {error}')
            while self._waiting and self._is_ready(message.time_ns):
                yield self._frame(*self._waiting.popleft())
        while self._waiting:
            yield self._frame(*self._waiting.popleft())

    def _take(self, message: BagMessage, content: Any) -> None:
        """Keep a message until its image is complete."""
        if message.topic in self._tf_topics:
            self._take_transforms(content, is_static=message.topic.endswith('tf_static'))
            return
        stamp_ns = stamp_of(content.header)
        if message.topic == self.topics.image:
            self._waiting.append((stamp_ns, message.time_ns, content))
        elif message.topic == self.topics.camera_info:
            try:
                self._cameras[stamp_ns] = Camera.from_info(content)
            except CameraError as error:
                self._cameras[stamp_ns] = error
        else:
            p, q = content.pose.position, content.pose.orientation
            pose = transform_from_pose((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
            if not np.isfinite(pose).all():
                raise ValueError(f'expected a finite position, got ({p.x}, {p.y}, {p.z})')
            self._truths[stamp_ns] = (content.header.frame_id, pose)

    def _take_transforms(self, content: Any, is_static: bool) -> None:
        for item in content.transforms:
            t, q = item.transform.translation, item.transform.rotation
            stamp_ns = 0 if is_static else stamp_of(item.header)
            pose = transform_from_pose((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
            self._tree.add(item.header.frame_id, item.child_frame_id, pose, stamp_ns)
            self._tree_until_ns = max(self._tree_until_ns, stamp_ns)

    def _is_ready(self, now_ns: int) -> bool:
        """Whether the longest waiting image has all that it can get."""
        stamp_ns, arrived_ns, _ = self._waiting[0]
        if now_ns - arrived_ns > WAIT_NS or len(self._waiting) > MOST_WAITING:
            return True
        return ((self.topics.camera_info is None or stamp_ns in self._cameras)
                and (self.topics.ground_truth is None or stamp_ns in self._truths)
                and (not self._moves or self._tree_until_ns >= stamp_ns))

    def _frame(self, stamp_ns: int, _: int, message: Any) -> BagFrame:
        """Decode an image and give it what belongs to it; one without fields has no stamp but its arrival."""
        if isinstance(message, Exception):
            return BagFrame(stamp_ns, None, None, reason='bad_image', problem=str(message))
        frame_id = message.header.frame_id
        frame = BagFrame(stamp_ns, None, None, self._truth(stamp_ns, frame_id),
                         self._tree.lookup(self.topics.base_frame, frame_id, stamp_ns))
        start = time.perf_counter()
        try:
            image = _decode(message)
            frame = replace(frame, image=image, decode_ms=(time.perf_counter() - start) * 1e3)
            frame = self._with_camera(frame)
        except ImageError as error:
            frame = replace(frame, reason='bad_image', problem=str(error))
        except CameraError as error:
            frame = replace(frame, reason='bad_camera_info', problem=str(error))
        self._forget_before(stamp_ns - KEEP_NS)
        return frame

    def _with_camera(self, frame: BagFrame) -> BagFrame:
        """The frame with its intrinsics, or with the reason why it has none.

        :raises CameraError: when the camera_info of its time is not usable
        """
        camera = self._camera(frame.stamp_ns)
        if camera is None:
            return replace(frame, reason='no_camera_info', problem='no camera_info up to this image')
        height, width = frame.image.shape[:2]
        if (camera.width, camera.height) != (width, height):
            problem = (f'image: expected {camera.width}x{camera.height} pixels as camera_info says, '
                       f'got {width}x{height}')
            return replace(frame, reason='size_mismatch', problem=problem)
        return replace(frame, camera=camera)

    def _camera(self, stamp_ns: int) -> Camera | None:
        """The camera of a stamp; None when there is none yet.

        :raises CameraError: when it is not usable
        """
        camera = self._cameras.get(stamp_ns)
        if camera is None:
            before = [s for s in self._cameras if s <= stamp_ns]
            camera = self._cameras[max(before)] if before else None
        if isinstance(camera, CameraError):
            raise camera
        return camera

    def _truth(self, stamp_ns: int, camera_frame: str) -> np.ndarray | None:
        """The ground truth of a stamp, in the camera's frame."""
        if stamp_ns not in self._truths:
            return None
        frame_id, pose = self._truths[stamp_ns]
        if frame_id in ('', camera_frame):
            return pose
        camera_from_frame = self._tree.lookup(camera_frame, frame_id, stamp_ns)
        if camera_from_frame is None:
            self._bag.warn_once(f'{self.path}: {self.topics.ground_truth}: is in the frame {frame_id}, which no '
                                f'/tf joins with the camera frame {camera_frame}: truths are left out')
            return None
        return camera_from_frame @ pose

    def _forget_before(self, stamp_ns: int) -> None:
        """Drop what no coming image can need, but the last camera_info."""
        for kept, least in ((self._cameras, 1), (self._truths, 0)):
            while len(kept) > least and next(iter(kept)) < stamp_ns:
                del kept[next(iter(kept))]
        self._tree.forget_before(stamp_ns)


def stamp_of(header: Any) -> int:
    """A std_msgs/Header's stamp, nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def _decode(message: Any) -> np.ndarray:
    """Pixels of an Image or CompressedImage."""
    if hasattr(message, 'encoding'):
        return decode_image(message.encoding, message.width, message.height, message.step, message.data)
    return decode_compressed(message.data)


def guess_topics(path: str | Path, found: dict[str, str], asked: BagTopics) -> BagTopics:
    """Fill in the topics that were not asked for by type and name.

    :param found: {topic: message type} of the recording
    :raises BagError: when there is no image topic, or one that was asked for is not there
    """
    for name in filter(None, (asked.image, asked.camera_info, asked.ground_truth)):
        if name not in found:
            raise BagError(f'{path}: {name}: no such topic; found {_listing(found)}')

    infos = [name for name, kind in found.items() if kind == CAMERA_INFO]
    image = asked.image or max(
        (name for name, kind in found.items()
         if kind in (IMAGE, COMPRESSED) and not any(word in name.lower() for word in NOT_A_PICTURE)),
        key=lambda name: _kinship(name, _nearest(name, infos)), default=None)
    if image is None:
        raise BagError(f'{path}: expected a topic of {IMAGE} or {COMPRESSED}, found {_listing(found)}')
    if found[image] not in (IMAGE, COMPRESSED):
        raise BagError(f'{path}: {image}: expected {IMAGE} or {COMPRESSED}, found {found[image]}')
    truths = [name for name, kind in found.items()
              if kind == POSE and any(word in name.lower() for word in TRUTH_WORDS)]
    return replace(asked, image=image, camera_info=asked.camera_info or _nearest(image, infos),
                   ground_truth=asked.ground_truth or (truths[0] if truths else None))


def _nearest(image: str, infos: list[str]) -> str | None:
    """The camera_info topic that shares most of the image topic's name."""
    return max(infos, key=lambda info: _kinship(image, info), default=None)


def _kinship(first: str, second: str | None) -> int:
    """How many leading parts two topic names share."""
    parts = zip(first.split('/'), (second or '').split('/'))
    return next((count for count, (a, b) in enumerate(parts) if a != b), len((second or '').split('/')))


def _listing(found: dict[str, str]) -> str:
    return ', '.join(f'{name} ({kind})' for name, kind in found.items()) or 'no topics'
