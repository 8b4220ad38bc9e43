"""FrameTree: the transforms that a bag's /tf and /tf_static hold, and what follows from them."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry import invert


class _Link(NamedTuple):
    """Where a frame is in its parent at one time."""

    stamp_ns: int
    parent: str
    parent_from_child: np.ndarray

    def __lt__(self, other) -> bool:
        return self.stamp_ns < other[0]


class FrameTree:
    """Looks up transforms between frames, at or before a time.

    Unlike tf2 it does not interpolate: a recorded transform holds until the next one.
    """

    def __init__(self):
        self._links: dict[str, list[_Link]] = {}

    def add(self, parent: str, child: str, parent_from_child: np.ndarray, stamp_ns: int = 0) -> None:
        """Note where ``child`` is in ``parent``; a static transform has stamp 0.

        :param parent_from_child: (4, 4)
        """
        links = self._links.setdefault(child.lstrip('/'), [])
        insort(links, _Link(stamp_ns, parent.lstrip('/'), parent_from_child))

    def forget_before(self, stamp_ns: int) -> None:
        """Drop what no look-up at or after ``stamp_ns`` needs, so that a long bag does not fill memory."""
        for links in self._links.values():
            needed = bisect_right(links, stamp_ns, key=lambda link: link.stamp_ns) - 1
            if needed > 0:
                del links[:needed]

    @property
    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        parents = {link.parent for links in self._links.values() for link in links}
        return sorted(parents | set(self._links))

    def lookup(self, target: str, source: str, stamp_ns: int) -> np.ndarray | None:
        """Transform (4, 4) ``target_from_source``; None when no chain joins the two frames."""
        root_from_target = self._chain(target.lstrip('/'), stamp_ns)
        root_from_source = self._chain(source.lstrip('/'), stamp_ns)
        for frame, frame_from_source in root_from_source.items():
            if frame in root_from_target:
                return invert(root_from_target[frame]) @ frame_from_source
        return None

    def _chain(self, frame: str, stamp_ns: int) -> dict[str, np.ndarray]:
        """The frame and all above it: {ancestor: ancestor_from_frame}."""
        chain = {frame: np.eye(4)}
        while frame in self._links:
            link = self._at(frame, stamp_ns)
            if link.parent in chain:
                break
            chain[link.parent] = link.parent_from_child @ chain[frame]
            frame = link.parent
        return chain

    def _at(self, frame: str, stamp_ns: int) -> _Link:
        """The last transform at or before the time, else the first after it."""
        links = self._links[frame]
        return links[max(0, bisect_right(links, stamp_ns, key=lambda link: link.stamp_ns) - 1)]
