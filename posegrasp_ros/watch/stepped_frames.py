# SPDX-License-Identifier: Apache-2.0
"""SteppedFrames: the frames of a folder, video or recording by their places, forwards and backwards."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watch_source import WatchSource

KEPT = 16
"""So many frames are kept, for steps back; for longer ones the source is read again from its beginning."""


class SteppedFrames:
    """Reads a source once for the stamps, then as far as the frame that is asked for.

    :ivar stamps_ns: of all frames, in the source's order
    :raises WatchError: for a live source, and where two frames have one stamp, by which a label is known
    """

    def __init__(self, source: WatchSource):
        if source.is_live:
            raise WatchError(f'{source.name}: expected a folder, video or recording to label, got a live camera: '
                             'record it first')
        self._source = source
        self.stamps_ns = [frame.stamp_ns for frame in _with_progress(self._all())]
        if not self.stamps_ns:
            raise WatchError(f'{source.name}: expected images to label, found none')
        if len(set(self.stamps_ns)) < len(self.stamps_ns):
            raise WatchError(f'{source.name}: expected frames with stamps of their own to label, found two with '
                             'the same: label one scene at a time')
        self._next, self._rest = 0, iter(self._all())
        self._kept: OrderedDict[int, Undecoded] = OrderedDict()

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def frame(self, place: int) -> BagFrame:
        """The frame at a place from 0.

        :raises WatchError: when the source has changed meanwhile
        """
        if place not in self._kept:
            if place < self._next:
                self._next, self._rest = 0, iter(self._all())
            for undecoded in _with_progress(self._rest, self._next, place + 1):
                self._kept[self._next] = undecoded
                self._kept.move_to_end(self._next)
                self._next += 1
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
                if self._next > place:
                    break
        found = self._kept.get(place)
        if found is None or found.stamp_ns != self.stamps_ns[place]:
            raise WatchError(f'{self._source.name}: expected the frames that it had at the start, found others')
        return found.decode()

    def _all(self) -> Iterator[Undecoded]:
        return (item.undecoded for item in self._source.frames() if item is not None)


def _with_progress(frames: Iterable[Undecoded], first: int = 0, total: int | None = None) -> Iterable[Undecoded]:
    """The same, with a bar where it takes longer than two seconds."""
    return Progress(frames, 'reading', total, unit='frame', initial=first, delay=2.0, leave=False)
