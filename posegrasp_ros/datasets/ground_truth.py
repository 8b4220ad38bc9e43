"""Ground truth joined with images by stamp, within a tolerance, and a count of what was not matched."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

import numpy as np

# Half the time between two poses of a 100 Hz motion capture; an object in a hand moves 2 mm meanwhile.
TOLERANCE_MS = 5.0
# Ground truths of several objects in an image are recorded within such a time.
TOGETHER_NS = 10_000_000


class GroundTruth:
    """Stamped poses; several of one stamp are several objects.

    An image has those of its own stamp, else those of the nearest one within the tolerance.

    :param tolerance_ns: how far the stamps of image and truth may lie apart
    :ivar seen: stamps that came in
    :ivar images: images that were asked about, and of these
    :ivar matched: those with a truth
    """

    def __init__(self, tolerance_ns: int = int(TOLERANCE_MS * 1e6)):
        self.tolerance_ns = tolerance_ns
        self.seen = self.images = self.matched = 0
        self.first_ns: int | None = None
        self._first_image_ns: int | None = None
        self._stamps: list[int] = []
        self._poses: dict[int, list[tuple[str, np.ndarray]]] = {}
        self._arrivals: dict[int, int] = {}
        self._used: set[int] = set()
        self._used_count = 0
        self._is_complete = False

    @property
    def unused(self) -> int:
        """Stamps that no image had until now."""
        return self.seen - self._used_count

    def problem(self) -> str:
        """What a person should know of how images and truths were matched, one line; empty when all images
        have one."""
        if not self.images or not self.seen or self.matched == self.images:
            return ''
        within = f'within {self.tolerance_ns / 1e6:g} ms'
        if not self.matched:
            return (f'has no stamp of an image {within}, no error is measured: its first is {self.first_ns} ns, '
                    f'the first image {self._first_image_ns} ns')
        return (f'{self.images - self.matched} of {self.images} images have no ground truth {within}; '
                f'{self.unused} of {self.seen} stamps with one belong to no image')

    def add(self, stamp_ns: int, frame_id: str, pose: np.ndarray, arrived_ns: int = 0) -> None:
        """Keep a pose (4, 4) in a frame.

        :param arrived_ns: the recording's time
        """
        if stamp_ns not in self._poses:
            insort(self._stamps, stamp_ns)
            self.seen += 1
            self._poses[stamp_ns], self._arrivals[stamp_ns] = [], arrived_ns
            self.first_ns = stamp_ns if self.first_ns is None else self.first_ns
        self._poses[stamp_ns].append((frame_id, pose))

    def add_all(self, poses: Iterable[tuple[int, str, np.ndarray]]) -> None:
        """Keep all that there are, for good: stamp, frame and pose (4, 4) each."""
        # In their order, for which keeping them sorted costs nothing.
        for stamp_ns, frame_id, pose in sorted(poses, key=lambda each: each[0]):
            self.add(stamp_ns, frame_id, pose)
        self._is_complete = True

    def of(self, stamp_ns: int) -> list[tuple[str, np.ndarray]]:
        """The truths of an image: frame and pose (4, 4) each."""
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
        """Whether a better one than those here may be on its way.

        :param now_ns: the recording's time
        """
        if self._is_complete:
            return False
        # Until one of the very stamp is here: who says that they come in order.
        return stamp_ns not in self._arrivals or now_ns - self._arrivals[stamp_ns] <= TOGETHER_NS

    def forget(self, arrived_before_ns: int) -> None:
        """Drop what came in so long ago that no coming image needs it."""
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
        """Drop everything: the clock was set back, what is here is of another time."""
        self.forget(1 << 63)

    def _nearest(self, stamp_ns: int) -> int | None:
        """The stamp nearest to an image's, None where none is near enough."""
        place = bisect_left(self._stamps, stamp_ns)
        near = min(
            self._stamps[max(0, place - 1) : place + 1], key=lambda other: abs(other - stamp_ns), default=None
        )
        return near if near is not None and abs(near - stamp_ns) <= self.tolerance_ns else None
