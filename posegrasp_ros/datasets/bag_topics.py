# SPDX-License-Identifier: Apache-2.0
"""Topics of a recording to read: requested ones, and the rest guessed by type and name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.base_frame import BASE_FRAME

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
# Message types with a pose: of this package, motion capture (Vicon's bridge sends transforms) and odometry.
POSES = ('geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/PoseWithCovarianceStamped',
         'geometry_msgs/msg/TransformStamped', 'nav_msgs/msg/Odometry')
TF = 'tf2_msgs/msg/TFMessage'
# Suffixes that image_transport appends to the name of an image topic.
TRANSPORTS = ('compressed', 'compressedDepth', 'theora', 'ffmpeg', 'zstd', 'draco', 'avif')
# Words in the names of image topics that are not camera images of the scene.
NOT_A_PICTURE = {'depth', 'depthmap', 'depthimage', 'disparity', 'mask', 'masks', 'overlay', 'debug', 'infra',
                 'infrared', 'ir', 'points'}
TRUTH_WORDS = ('ground_truth', 'groundtruth', 'truth', 'gt_pose')


@dataclass(frozen=True)
class BagTopics:
    """Topics to read; None lets the reader guess.

    :param depth: of depth registered to the images; it is not guessed, None means no depth
    :param base_frame: the robot's frame, for the camera's pose from /tf; None if it is not needed
    :param object_frame: the object's tf frame, for ground truth from /tf instead of a topic
    :param rectified: whether the images are rectified, one of
        :data:`posegrasp_ros.geometry.camera_info.RECTIFIED`
    """

    image: str | None = None
    camera_info: str | None = None
    ground_truth: str | None = None
    base_frame: str | None = BASE_FRAME
    depth: str | None = None
    object_frame: str | None = None
    rectified: str = 'auto'


def guess_topics(path: str | Path, found: dict[str, str], asked: BagTopics) -> BagTopics:
    """Guess the topics that were not requested, by type and name.

    :param found: {topic: message type} of the recording
    :raises BagError: when there is no image topic, no camera_info topic belongs to it, or a requested topic is
        missing
    """
    for name in filter(None, (asked.image, asked.camera_info, asked.ground_truth, asked.depth)):
        if name not in found:
            raise BagError(f'{path}: {name}: no such topic; found {listing(found)}')

    infos = [name for name, kind in found.items() if kind == CAMERA_INFO]
    image = asked.image or max(
        (name for name, kind in found.items()
         if kind in (IMAGE, COMPRESSED) and not _words(name) & NOT_A_PICTURE),
        key=lambda name: _kinship(name, _partner(name, infos)), default=None)
    if image is None:
        raise BagError(f'{path}: {_no_picture(found)}')
    if found[image] not in (IMAGE, COMPRESSED):
        raise BagError(f'{path}: {image}: expected {IMAGE} or {COMPRESSED}, found {found[image]}')
    for topic, kinds in ((asked.depth, (IMAGE, COMPRESSED)), (asked.ground_truth, POSES),
                         (asked.camera_info, (CAMERA_INFO,))):
        if topic and found[topic] not in kinds:
            raise BagError(f'{path}: {topic}: expected {" or ".join(kinds)}, found {found[topic]}')
    camera_info = asked.camera_info or _partner(image, infos)
    if infos and camera_info is None:
        raise BagError(f'{path}: expected the camera_info of {image} in its namespace or above, such as '
                       f'{_namespace(image)}/camera_info, found {", ".join(infos)}: set the right one with '
                       '--camera-info-topic')
    return replace(asked, image=image, camera_info=camera_info,
                   ground_truth=asked.ground_truth or guess_truth(found, asked))


def guess_truth(found: dict[str, str], asked: BagTopics) -> str | None:
    """A pose topic with a name like ground truth; None where there is none, or ground truth comes from /tf."""
    truths = (name for name, kind in found.items()
              if kind in POSES and any(word in name.lower() for word in TRUTH_WORDS))
    return next(truths, None) if asked.object_frame is None else None


def poses_listing(found: dict[str, str]) -> str:
    """The topics that could be ground truth, as text; empty where there are none."""
    poses = {name: kind for name, kind in found.items() if kind in POSES}
    return listing(poses) if poses else ''


def are_neighbours(image: str, info: str) -> bool:
    """Whether a camera_info topic is in the namespace of an image topic, as published by one driver."""
    return _namespace(image) == _namespace(info)


def _partner(image: str, infos: list[str]) -> str | None:
    """The camera_info topic of an image topic: in its namespace, else in the nearest one above or below."""
    namespace = _namespace(image)
    related = [info for info in infos if _is_within(namespace, _namespace(info))
               or _is_within(_namespace(info), namespace)]
    return max(related, key=lambda info: (are_neighbours(image, info), info.endswith('/camera_info'),
                                          _kinship(image, info)), default=None)


def _namespace(topic: str) -> str:
    """Namespace of a topic; transports such as image_raw/compressed have that of the image topic itself."""
    base, _, name = topic.rpartition('/')
    return base.rpartition('/')[0] if name in TRANSPORTS else base


def _is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer + '/')


def _words(topic: str) -> set[str]:
    """The words of a topic's name, in lower case; compressedDepth has two."""
    return {word.lower() for word in re.findall(r'[A-Z]?[a-z]+|[A-Z]+', topic)}


def _no_picture(found: dict[str, str]) -> str:
    """Error text: why no image topic could be guessed."""
    images = {name: kind for name, kind in found.items() if kind in (IMAGE, COMPRESSED)}
    if not images:
        return f'expected a topic of {IMAGE} or {COMPRESSED}, found {listing(found)}'
    return ('expected a topic with images of the scene, found only topics named like depth, infrared or results'
            f': {listing(images)}; set one with --image-topic')


def _kinship(first: str, second: str | None) -> int:
    """Number of leading name parts that two topics share."""
    parts = zip(first.split('/'), (second or '').split('/'))
    return next((count for count, (a, b) in enumerate(parts) if a != b), len((second or '').split('/')))


def listing(found: dict[str, str]) -> str:
    return ', '.join(f'{name} ({kind})' for name, kind in found.items()) or 'no topics'
