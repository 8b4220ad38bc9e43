# SPDX-License-Identifier: Apache-2.0
"""Which image a stated pose belongs to: by the stamp of its header, by the nearest stamp, or by its arrival."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from posegrasp_ros.pose_sources.match_rules import How
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runtime.errors import InvalidInputError

# A stamp that went through seconds as float64 is off by 0.2 µs.
ROUNDING_NS = 1_000
# A rule fits when it finds images for so many of the stamps.
MOST = 0.5


class ImagePlace(NamedTuple):
    """An image: its stamp, its scene or the place of its recording among others, and its number there."""

    stamp_ns: int
    scene: int
    number: int


class ImageTimes(NamedTuple):
    """Stamps of the images of a recording, sorted, and when each of them arrived."""

    stamps_ns: list[int]
    arrivals_ns: list[int]


@dataclass(frozen=True)
class Matching:
    """How poses are matched to images.

    :param how: ``stamp``: the header has the image's stamp; ``nearest``: the image with the nearest stamp;
        ``arrival``: the last image that was recorded before the pose was; ``auto``: ``stamp`` or ``nearest``,
        whichever fits most poses
    :param tolerance_ns: of ``nearest``: largest difference of the stamps
    """

    how: How = 'auto'
    tolerance_ns: int = 5_000_000


@dataclass(frozen=True)
class MatchedPoses:
    """Poses by the stamp of their image.

    :param by_stamp: best first
    :param how: the rule in use
    :param unmatched: number of poses without an image
    """

    by_stamp: Mapping[int, Sequence[StatedPose]]
    how: str
    tolerance_ns: int
    unmatched: int

    @property
    def frame_ids(self) -> Counter[str]:
        """The frames that the poses are in, without the camera's, and how many are in each."""
        return Counter(pose.frame_id for poses in self.by_stamp.values() for pose in poses if pose.frame_id)

    @property
    def every(self) -> list[StatedPose]:
        """All poses that have an image."""
        return [pose for poses in self.by_stamp.values() for pose in poses]

    def of(self, image: ImagePlace) -> Sequence[StatedPose]:
        """Poses in an image, best first."""
        return self.by_stamp.get(image.stamp_ns, ())

    def account(self) -> dict:
        """How the poses were matched, as plain values."""
        return {'matched_by': self.how, 'tolerance_ms': self.tolerance_ns / 1e6, 'images': len(self.by_stamp),
                'poses_without_image': self.unmatched}


def matched_poses(name: str, poses: Sequence[StatedPose], images: ImageTimes,
                  matching: Matching) -> MatchedPoses:
    """Give each pose to its image.

    :param name: of the source, for messages
    :raises InvalidInputError: when no rule fits, or arrivals are not known
    """
    how = _chosen(name, poses, images, matching) if matching.how == 'auto' else matching.how
    if how == 'arrival' and any(pose.arrived_ns is None for pose in poses):
        raise InvalidInputError(f'{name}: expected poses with a recording time to match them by arrival, found '
                                'a file that has none')
    by_stamp, unmatched = defaultdict(list), 0
    for pose in poses:
        stamp_ns = _image_of(pose, images, how, matching.tolerance_ns)
        if stamp_ns is None:
            unmatched += 1
        else:
            by_stamp[stamp_ns].append(pose)
    for stamp_ns, group in by_stamp.items():
        by_stamp[stamp_ns] = sorted(_of_newest(group, how), key=lambda pose: -_score(pose))
    return MatchedPoses(dict(by_stamp), how, ROUNDING_NS if how == 'stamp' else matching.tolerance_ns, unmatched)


def _of_newest(group: list[StatedPose], how: str) -> list[StatedPose]:
    """By arrival or nearest stamp an image may get several messages: the first one counts, with all its poses."""
    if how == 'stamp':
        return group
    first = min(group, key=lambda pose: (pose.arrived_ns or 0, pose.stamp_ns))
    return [pose for pose in group if (pose.stamp_ns, pose.arrived_ns) == (first.stamp_ns, first.arrived_ns)]


def _image_of(pose: StatedPose, images: ImageTimes, how: str, tolerance_ns: int) -> int | None:
    if how == 'arrival':
        place = bisect_right(images.arrivals_ns, pose.arrived_ns or 0) - 1
        return images.stamps_ns[place] if place >= 0 else None
    return _nearest(pose.stamp_ns, images.stamps_ns, ROUNDING_NS if how == 'stamp' else tolerance_ns)


def _chosen(name: str, poses: Sequence[StatedPose], images: ImageTimes, matching: Matching) -> str:
    """The stricter of the rules that fit."""
    if not poses or not images.stamps_ns:
        return 'stamp'
    for how, tolerance_ns in (('stamp', ROUNDING_NS), ('nearest', matching.tolerance_ns)):
        fitting = sum(_nearest(pose.stamp_ns, images.stamps_ns, tolerance_ns) is not None for pose in poses)
        if fitting >= MOST * min(len(poses), len(images.stamps_ns)):
            return how
    raise InvalidInputError(
        f'{name}: expected poses with the stamps of images within {matching.tolerance_ns / 1e6:g} ms, found none '
        f'for most: the first stamp is {poses[0].stamp_ns} ns, that of the first image {images.stamps_ns[0]} ns. '
        'Set --match-tolerance, or --match arrival for a node that does not keep the stamp of the image')


def _nearest(stamp_ns: int, stamps_ns: list[int], tolerance_ns: int) -> int | None:
    place = bisect_left(stamps_ns, stamp_ns)
    near = min(stamps_ns[max(0, place - 1):place + 1], key=lambda other: abs(other - stamp_ns), default=None)
    return near if near is not None and abs(near - stamp_ns) <= tolerance_ns else None


def _score(pose: StatedPose) -> float:
    return pose.score if pose.score == pose.score else 0.0
