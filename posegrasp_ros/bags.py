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
from posegrasp_ros.bag_topics import TF, BagTopics, guess_topics
from posegrasp_ros.bag_writer import BagWriter
from posegrasp_ros.camera import Camera, CameraError
from posegrasp_ros.depth_images import SLOP_MS, DepthImages
from posegrasp_ros.frame_tree import FrameTree
from posegrasp_ros.geometry import transform_from_pose
from posegrasp_ros.images import ImageError, decode_compressed, decode_image

__all__ = ['BagError', 'BagFrame', 'BagReader', 'BagTopics', 'BagWriter', 'read_frames']

# An image waits so long, in the bag's time, for messages of its stamp; and no more images than this wait at once.
WAIT_NS = 500_000_000
MOST_WAITING = 60
# Messages of other stamps are kept so long, for images that come out of order.
KEEP_NS = 5_000_000_000
# Ground truths of several objects in an image are recorded within such a time.
TOGETHER_NS = 10_000_000


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
    :param other_objects: (4, 4) ground truths of further instances of the object
    :param decode_ms: time it took to decode image and depth
    :param depth_m: (H, W) float32 metres registered to the image, NaN where unknown; None without a depth camera
    """

    stamp_ns: int
    image: np.ndarray | None
    camera: Camera | None
    camera_from_object: np.ndarray | None = None
    base_from_camera: np.ndarray | None = None
    reason: str = ''
    problem: str = ''
    decode_ms: float = 0.0
    other_objects: tuple[np.ndarray, ...] = ()
    depth_m: np.ndarray | None = None

    @property
    def truths(self) -> tuple[np.ndarray, ...]:
        """Ground truths of all instances."""
        return () if self.camera_from_object is None else (self.camera_from_object, *self.other_objects)


def read_frames(path: str | Path, topics: BagTopics | None = None) -> Iterator[BagFrame]:
    """The frames of a recording in its order, in constant memory; see :class:`BagReader`."""
    return iter(BagReader(path, topics))


class BagReader:
    """Joins a recording's images with camera_info, ground truth and /tf by their stamps.

    camera_info is that of the image's stamp, else the last before it; ground truth only that of the same stamp,
    where several messages are as many objects; depth that of the same stamp, else the nearest within
    :data:`posegrasp_ros.depth_images.SLOP_MS`. A message that cannot be used never ends the reading: its frame
    says why.

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
        self._truths: dict[int, list[tuple[str, np.ndarray]]] = {}
        self._first_truth_ns: dict[int, int] = {}
        self._depths = DepthImages(slop_ns=int(SLOP_MS * 1e6), most=MOST_WAITING)
        self._tree = FrameTree()
        self._tree_until_ns = -1
        self._misses_camera_pose = False
        self._first_stamps_ns: dict[str, int] = {}
        self._matched_truths = 0

    @property
    def image_count(self) -> int | None:
        """How many images the recording's index lists; None when it was cut off."""
        return self._bag.counts.get(self.topics.image)

    @property
    def warnings(self) -> list[str]:
        """What was wrong with the recording so far, one line each."""
        return self._bag.warnings

    def __iter__(self) -> Iterator[BagFrame]:
        names = (self.topics.image, self.topics.camera_info, self.topics.ground_truth, self.topics.depth)
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
        self._warn_of_strange_truths()

    def _take(self, message: BagMessage, content: Any) -> None:
        """Keep a message until its image is complete."""
        if message.topic in self._tf_topics:
            self._take_transforms(content, is_static=message.topic.endswith('tf_static'))
            return
        stamp_ns = stamp_of(content.header)
        self._first_stamps_ns.setdefault(message.topic, stamp_ns)
        if message.topic == self.topics.image:
            self._waiting.append((stamp_ns, message.time_ns, content))
        elif message.topic == self.topics.depth:
            self._depths.add(stamp_ns, content)
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
            self._truths.setdefault(stamp_ns, []).append((content.header.frame_id, pose))
            self._first_truth_ns.setdefault(stamp_ns, message.time_ns)

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
                and (self.topics.ground_truth is None
                     or now_ns - self._first_truth_ns.get(stamp_ns, now_ns) > TOGETHER_NS)
                and (self.topics.depth is None or not self._depths.may_come(stamp_ns))
                and (not self._moves or self._tree_until_ns >= stamp_ns))

    def _frame(self, stamp_ns: int, _: int, message: Any) -> BagFrame:
        """Decode an image and give it what belongs to it; one without fields has no stamp but its arrival."""
        if isinstance(message, Exception):
            return BagFrame(stamp_ns, None, None, reason='bad_image', problem=str(message))
        frame_id = message.header.frame_id
        truths = self._truths_of(stamp_ns, frame_id)
        frame = BagFrame(stamp_ns, None, None, truths[0] if truths else None,
                         self._camera_pose(stamp_ns, frame_id), other_objects=tuple(truths[1:]))
        start = time.perf_counter()
        try:
            image = _decode(message)
            frame = replace(frame, image=image, decode_ms=(time.perf_counter() - start) * 1e3)
            frame = self._with_depth(self._with_camera(frame))
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

    def _with_depth(self, frame: BagFrame) -> BagFrame:
        """The frame with its depth; without, said once, where that is not usable."""
        if self.topics.depth is None or frame.camera is None:
            return frame
        start = time.perf_counter()
        try:
            depth_m = self._depths.of(frame.stamp_ns, frame.camera.width, frame.camera.height)
        except ImageError as error:
            self._bag.warn_once(f'{self.path}: {self.topics.depth}: goes without: {error}')
            return frame
        return replace(frame, depth_m=depth_m, decode_ms=frame.decode_ms + (time.perf_counter() - start) * 1e3)

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

    def _camera_pose(self, stamp_ns: int, camera_frame: str) -> np.ndarray | None:
        """base_from_camera (4, 4); None, said once, where /tf does not tell it."""
        base_frame = self.topics.base_frame
        if base_frame is None:
            return None
        base_from_camera = self._tree.lookup(base_frame, camera_frame, stamp_ns)
        if base_from_camera is None and not self._misses_camera_pose:
            self._misses_camera_pose = True
            frames = ', '.join(self._tree.frames) or 'none'
            self._bag.warn(f'{self.path}: no /tf joins the camera frame {camera_frame!r} with the base frame '
                           f'{base_frame!r}; its frames are: {frames}. No grasps are planned for such images: '
                           'name the base frame, or give the pose of the camera in it')
        return base_from_camera

    def _warn_of_strange_truths(self) -> None:
        """Say it when there is ground truth, but none has the stamp of an image."""
        image_ns, truth_ns = (self._first_stamps_ns.get(topic) for topic in
                              (self.topics.image, self.topics.ground_truth))
        if self._matched_truths == 0 and None not in (image_ns, truth_ns):
            self._bag.warn_once(f'{self.path}: {self.topics.ground_truth}: has no stamp of an image, no error is '
                                f'measured: its first is {truth_ns} ns, that of {self.topics.image} {image_ns} ns')

    def _truths_of(self, stamp_ns: int, camera_frame: str) -> list[np.ndarray]:
        """The ground truths of a stamp, in the camera's frame; one that is repeated word for word is one."""
        given = self._truths.get(stamp_ns, [])
        self._matched_truths += len(given)
        poses: list[np.ndarray] = []
        for frame_id, pose in given:
            seen = self._seen_from_camera(frame_id, pose, stamp_ns, camera_frame)
            if seen is not None and not any(np.array_equal(seen, other) for other in poses):
                poses.append(seen)
        return poses

    def _seen_from_camera(self, frame_id: str, pose: np.ndarray, stamp_ns: int,
                          camera_frame: str) -> np.ndarray | None:
        """A ground truth in the camera's frame; None, said once, where /tf does not tell."""
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
        for kept, least in ((self._cameras, 1), (self._truths, 0), (self._first_truth_ns, 0)):
            while len(kept) > least and next(iter(kept)) < stamp_ns:
                del kept[next(iter(kept))]
        self._tree.forget_before(stamp_ns)
        self._depths.forget_before(stamp_ns)


def stamp_of(header: Any) -> int:
    """A std_msgs/Header's stamp, nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def _decode(message: Any) -> np.ndarray:
    """Pixels of an Image or CompressedImage."""
    if hasattr(message, 'encoding'):
        return decode_image(message.encoding, message.width, message.height, message.step, message.data)
    return decode_compressed(message.data)
