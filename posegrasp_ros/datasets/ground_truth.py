# SPDX-License-Identifier: Apache-2.0
"""GroundTruth: matches ground truth to images by stamp within a tolerance and counts unmatched ones."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from posegrasp_ros.geometry.true_pose import TruePose

# Half the period of a 100 Hz motion capture system; a hand-held object moves 2 mm in this time.
TOLERANCE_MS = 5.0
# Ground truths of several objects in one image are recorded within this time.
TOGETHER_NS = 10_000_000


class GroundTruth:
    """Stamped poses; several poses with one stamp are several objects.

    An image gets those with its own stamp, else those with the nearest stamp within the tolerance.

    :param tolerance_ns: largest difference between the stamps of image and ground truth
    :ivar seen: number of stamps added
    :ivar images: number of images queried
    :ivar matched: number of queried images with ground truth
    """

    def __init__(self, tolerance_ns: int = int(TOLERANCE_MS * 1e6)):
        self.tolerance_ns = tolerance_ns
        self.seen = self.images = self.matched = 0
        self.first_ns: int | None = None
        self._first_image_ns: int | None = None
        self._stamps: list[int] = []
        self._poses: dict[int, list[tuple[str, TruePose]]] = {}
        self._arrivals: dict[int, int] = {}
        self._used: set[int] = set()
        self._used_count = 0
        self._is_complete = False

    @property
    def unused(self) -> int:
        """Number of stamps not matched to an image so far."""
        return self.seen - self._used_count

    @property
    def frame_ids(self) -> set[str]:
        """Frames of the poses; empty for the camera's."""
        return {frame_id for poses in self._poses.values() for frame_id, _ in poses}

    def problem(self) -> str:
        """One-line warning about unmatched images; empty when all images have ground truth."""
        if not self.images or not self.seen or self.matched == self.images:
            return ''
        within = f'within {self.tolerance_ns / 1e6:g} ms'
        if not self.matched:
            return (f'no stamp matches an image {within}, no errors are measured: its first stamp is '
                    f'{self.first_ns} ns, that of the first image {self._first_image_ns} ns')
        return (f'{self.images - self.matched} of {self.images} images have no ground truth {within}; '
                f'{self.unused} of {self.seen} stamps of ground truth match no image')

    def add(self, stamp_ns: int, frame_id: str, pose: TruePose, arrived_ns: int = 0) -> None:
        """Add a pose in a frame.

        :param arrived_ns: recording time
        """
        if stamp_ns not in self._poses:
            insort(self._stamps, stamp_ns)
            self.seen += 1
            self._poses[stamp_ns], self._arrivals[stamp_ns] = [], arrived_ns
            self.first_ns = stamp_ns if self.first_ns is None else self.first_ns
        self._poses[stamp_ns].append((frame_id, pose))

    def add_all(self, poses: Iterable[tuple[int, str, TruePose]]) -> None:
        """Add a complete set of poses, which are never dropped: stamp, frame and pose each."""
        # Sorted first, so that each insertion is an append.
        for stamp_ns, frame_id, pose in sorted(poses, key=lambda each: each[0]):
            self.add(stamp_ns, frame_id, pose)
        self._is_complete = True

    def of(self, stamp_ns: int) -> list[tuple[str, TruePose]]:
        """The ground truths of an image: frame and pose each."""
        self.images += 1
        if self._first_image_ns is None:
            self._first_image_ns = stamp_ns
        nearest_ns = self._nearest(stamp_ns)
        if nearest_ns is None:
            return []
        self.matched += 1
        if nearest_ns not in self._used:
            self._used.add(nearest_ns)
            self._used_count += 1
        return self._poses[nearest_ns]

    def may_come(self, stamp_ns: int, now_ns: int) -> bool:
        """Whether a better match may still arrive.

        :param now_ns: recording time
        """
        if self._is_complete:
            return False
        # Only an equal stamp is final, because messages may be out of order.
        return stamp_ns not in self._arrivals or now_ns - self._arrivals[stamp_ns] <= TOGETHER_NS

    def forget(self, arrived_before_ns: int) -> None:
        """Drop poses that arrived too long ago for any future image."""
        if self._is_complete:
            return
        old = []
        for stamp_ns, arrived_ns in self._arrivals.items():  # in order of arrival
            if arrived_ns >= arrived_before_ns:
                break
            old.append(stamp_ns)
        for stamp_ns in old:
            del self._poses[stamp_ns], self._arrivals[stamp_ns]
            del self._stamps[bisect_left(self._stamps, stamp_ns)]
            self._used.discard(stamp_ns)

    def forget_all(self) -> None:
        """Drop all poses after the clock was set back."""
        self.forget(1 << 63)

    def _nearest(self, stamp_ns: int) -> int | None:
        """The stamp nearest to an image's; None if none is within the tolerance."""
        place = bisect_left(self._stamps, stamp_ns)
        near = min(
            self._stamps[max(0, place - 1) : place + 1], key=lambda other: abs(other - stamp_ns), default=None
        )
        return near if near is not None and abs(near - stamp_ns) <= self.tolerance_ns else None
