# SPDX-License-Identifier: Apache-2.0
"""PoseFrames: the frames of a recording that holds poses and ground truth, but no images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posegrasp_ros.datasets.bag_cameras import stated_intrinsics
from posegrasp_ros.datasets.bag_messages import BagError, BagMessages
from posegrasp_ros.datasets.bag_topics import CAMERA_INFO, TF, BagTopics, guess_truth
from posegrasp_ros.datasets.bag_truths import ONLY, BagTruths, check_one_source, truth_topics
from posegrasp_ros.datasets.frame import BagFrame, PackedFrame
from posegrasp_ros.datasets.ground_truth import TOLERANCE_MS, GroundTruth
from posegrasp_ros.datasets.message_fields import stamp_of
from posegrasp_ros.datasets.tf_buffer import FrameTree
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.pose_sources.recorded_poses import RecordedPoses
from posegrasp_ros.sensing.images import ImageError
from posegrasp_ros.sensing.joined_camera import JoinedCamera

NO_IMAGE = ImageError('the recording holds no images')


@dataclass(frozen=True)
class BareFrame:
    """A frame without an image."""

    packed: PackedFrame

    @property
    def stamp_ns(self) -> int:
        return self.packed.stamp_ns

    @property
    def scene(self) -> int | None:
        return None

    @property
    def number(self) -> int | None:
        return self.packed.number

    def without_image(self) -> BagFrame:
        """See :meth:`PackedFrame.without_image`."""
        return self.packed.without_image()

    def decode(self) -> BagFrame:
        """The same: there is no image."""
        return self.packed.without_image()


class PoseFrames:
    """Frames with the stamps of camera_info, else of the poses themselves; silence does not count then.

    Poses and ground truth are compared in the frame of camera_info, else in that of most poses.

    :param poses: of the recording
    :param truths: ground truth from another source, used instead of a topic or /tf
    :raises BagError: when there are no poses either
    """

    def __init__(self, path: str | Path, topics: BagTopics, poses: RecordedPoses,
                 truths: GroundTruth | None = None, tolerance_ms: float = TOLERANCE_MS,
                 objects: Sequence[str] = ONLY):
        self.path, self._poses = Path(path), poses
        self._bag = BagMessages(path)
        check_one_source(objects, truths, topics.object_frame)
        found = self._bag.topics
        one = topics.ground_truth or guess_truth(found, topics)
        named = truth_topics(found, topics, objects) if len(objects) > 1 else {objects[0]: one} if one else {}
        self._tree = FrameTree()
        self._truths = BagTruths(objects, int(tolerance_ms * 1e6), named, topics.object_frame, self._tree,
                                 self._warn, self.warn_once, truths)
        self._info_topic = topics.camera_info or next(
            (topic for topic, kind in found.items() if kind == CAMERA_INFO), None)
        if not poses.arrivals_ns:
            raise BagError(f'{path}: expected poses or camera_info, found neither')
        if not self._info_topic:
            self._warn('no images and no camera_info: the stamps of the poses stand for those of images, so how '
                       'many images have no pose is not measured')

    @property
    def image_count(self) -> int:
        return len(self._poses.arrivals_ns)

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
        """Problems found so far, one line each."""
        return self._bag.warnings

    def warn_once(self, text: str) -> None:
        """Warn about something, once per text."""
        self._bag.warn_once(f'{self.path}: {text}')

    def _warn(self, text: str) -> None:
        self._bag.warn(f'{self.path}: {text}')

    def undecoded(self) -> Iterator[BareFrame]:
        """The frames in the order of their stamps; everything else is read first, for it is small."""
        camera, camera_frame = self._read()
        frame_id = camera_frame or self._usual_frame()
        for number, stamp_ns in enumerate(sorted(self._poses.arrivals_ns)):
            truths = self._truths.of(stamp_ns, frame_id, self._poses.arrivals_ns[stamp_ns])
            frames = {frame: self._tree.lookup(frame_id, frame, stamp_ns) for frame in self._poses.frame_ids}
            yield BareFrame(PackedFrame(
                stamp_ns, NO_IMAGE, JoinedCamera(camera, frame_id=frame_id), truths.pop('', ()), number=number,
                named_truths=truths, camera_from_frames={
                    name: pose for name, pose in frames.items() if pose is not None}))
        self._truths.account(self._bag.topics)

    def _read(self) -> tuple[StatedCamera | CameraError | None, str]:
        """The last camera_info and its frame; fills ground truth and transforms."""
        camera: StatedCamera | CameraError | None = None
        camera_frame = ''
        tf_topics = [topic for topic, kind in self._bag.topics.items() if kind == TF]
        for message in self._bag.messages([*tf_topics, *self._truths.topics, *filter(None, [self._info_topic])]):
            try:
                content = self._bag.decode(message)
                if message.topic in tf_topics:
                    for item in content.transforms:
                        self._tree.take(item, message.topic.endswith('tf_static'))
                elif message.topic == self._info_topic:
                    camera_frame = content.header.frame_id
                    camera = _stated_camera(content)
                else:
                    self._truths.take(message.topic, stamp_of(content.header), content, message.time_ns)
            except (BagError, ValueError) as error:
                self.warn_once(f'{message.topic}: messages are skipped: {error}')
        return camera, camera_frame.lstrip('/')

    def _usual_frame(self) -> str:
        """The frame of most poses; empty where none is named."""
        counts = sum((each.frame_ids for objects in self._poses.sources.values() for each in objects.values()),
                     Counter[str]())
        return max(sorted(counts), key=counts.__getitem__, default='')


def _stated_camera(content: Any) -> StatedCamera | CameraError:
    try:
        return StatedCamera.from_info(content)
    except CameraError as error:
        return error
