# SPDX-License-Identifier: Apache-2.0
"""read_ahead: the next frame of a file is read and decoded while the previous one is processed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.watch.watch_source import Watchable


class DecodedFrame(NamedTuple):
    """A frame that is already decoded, in place of its encoded image.

    :param frame: with the time that it took
    """

    frame: BagFrame
    scene: int | None
    number: int | None

    @property
    def stamp_ns(self) -> int:
        return self.frame.stamp_ns

    def decode(self) -> BagFrame:
        return self.frame


def read_ahead(frames: Iterator[Watchable | None]) -> Iterator[Watchable | None]:
    """The same frames, each decoded in another thread, which OpenCV does without the interpreter's lock.

    What reading raises is raised where the frame would have come.
    """

    def read() -> list[Watchable | None]:
        """The next frame; none at the end."""
        for item in frames:
            if item is None:
                return [None]
            undecoded = item.undecoded
            return [item._replace(undecoded=DecodedFrame(undecoded.decode(), undecoded.scene, undecoded.number))]
        return []

    with ThreadPoolExecutor(1, 'posegrasp-reader') as reader:
        coming = reader.submit(read)
        while found := coming.result():
            coming = reader.submit(read)
            yield from found
