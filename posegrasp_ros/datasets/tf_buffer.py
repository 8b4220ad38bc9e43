# SPDX-License-Identifier: Apache-2.0
"""FrameTree: buffer and lookup of the transforms of a bag's /tf and /tf_static."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.datasets.message_fields import stamp_of
from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    rotation_angle,
    rotation_from_vector,
    transform_from_pose,
    vector_from_rotation,
)

STATIC_NS = -1
"""Stamp of a static transform."""
LONGEST_GAP_NS = 1_000_000_000
MOVED_M, MOVED_RAD = 0.01, float(np.radians(1.0))
"""Over a longer gap, a frame that moved farther is not interpolated: where it was in between is not known."""


class _Link(NamedTuple):
    """Transform of a frame to its parent at one time."""

    stamp_ns: int
    parent: str
    parent_from_child: np.ndarray

    def __lt__(self, other: tuple) -> bool:
        return self.stamp_ns < other[0]


class FrameTree:
    """Looks up transforms between frames at a time like tf2: interpolated between two stamps, not extrapolated.

    Unlike tf2, it does not interpolate over gaps of more than a second in which a frame moved.
    """

    def __init__(self) -> None:
        self._links: dict[str, list[_Link]] = {}

    def add(self, parent: str, child: str, parent_from_child: np.ndarray, stamp_ns: int = STATIC_NS) -> None:
        """Add a transform; of two with the same stamp the last one is used, and one of a frame to itself is not.

        :param parent_from_child: (4, 4)
        """
        if parent.lstrip('/') == child.lstrip('/'):
            return
        links = self._links.setdefault(child.lstrip('/'), [])
        insort(links, _Link(stamp_ns, parent.lstrip('/'), parent_from_child))

    def take(self, stated: Any, is_static: bool) -> int:
        """Add a geometry_msgs/TransformStamped.

        :return: the stamp that it counts under
        :raises ValueError: when it is no transform
        """
        t, q = stated.transform.translation, stated.transform.rotation
        stamp_ns = STATIC_NS if is_static else stamp_of(stated.header)
        self.add(stated.header.frame_id, stated.child_frame_id,
                 transform_from_pose((t.x, t.y, t.z), (q.x, q.y, q.z, q.w)), stamp_ns)
        return stamp_ns

    def forget_before(self, stamp_ns: int) -> None:
        """Drop transforms not needed for look-ups at or after ``stamp_ns``, to limit memory for long bags."""
        for links in self._links.values():
            needed = bisect_right(links, stamp_ns, key=lambda link: link.stamp_ns) - 1
            if needed > 0:
                del links[:needed]

    def forget_moving(self) -> None:
        """Drop all but static transforms after the clock was set back."""
        for links in self._links.values():
            links[:] = [link for link in links if link.stamp_ns == STATIC_NS]
        self._links = {child: links for child, links in self._links.items() if links}

    @property
    def frames(self) -> list[str]:
        """Names of all frames, sorted."""
        parents = {link.parent for links in self._links.values() for link in links}
        return sorted(parents | set(self._links))

    def lookup(self, target: str, source: str, stamp_ns: int, within_ns: int | None = None) -> np.ndarray | None:
        """Transform (4, 4) ``target_from_source``; None when the two frames are not connected at that time.

        :param within_ns: each moving transform must have a stamp within this of the time; before the first and
            after the last stamp the nearest one is used. None needs one before and one after the time
        """
        root_from_target = self._chain(target.lstrip('/'), stamp_ns)
        root_from_source = self._chain(source.lstrip('/'), stamp_ns)
        for frame, frame_from_source in root_from_source.items():
            if frame not in root_from_target:
                continue
            links = [child for chain in (root_from_source, root_from_target) for child in _below(chain, frame)]
            if not all(self._is_known(child, stamp_ns, within_ns) for child in links):
                return None
            return invert(root_from_target[frame]) @ frame_from_source
        return None

    def _chain(self, frame: str, stamp_ns: int) -> dict[str, np.ndarray]:
        """The frame and all its ancestors: {ancestor: ancestor_from_frame}; in a loop nothing is an ancestor."""
        chain = {frame: np.eye(4)}
        while frame in self._links:
            link = self._at(frame, stamp_ns)
            if link.parent in chain:
                return {next(iter(chain)): np.eye(4)}
            chain[link.parent] = link.parent_from_child @ chain[frame]
            frame = link.parent
        return chain

    def _around(self, frame: str, stamp_ns: int) -> tuple[_Link, _Link]:
        """The last transform at or before the time and the first one after it; the same one twice at the ends."""
        links = self._links[frame]
        after = bisect_right(links, stamp_ns, key=lambda link: link.stamp_ns)
        return links[max(0, after - 1)], links[min(after, len(links) - 1)]

    def _at(self, frame: str, stamp_ns: int) -> _Link:
        """The transform at a time."""
        before, after = self._around(frame, stamp_ns)
        if before is after or before.parent != after.parent or STATIC_NS in (before.stamp_ns, after.stamp_ns) \
                or before.stamp_ns >= stamp_ns:
            return before
        share = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
        return before._replace(
            parent_from_child=_between(before.parent_from_child, after.parent_from_child, share)
        )

    def _is_known(self, frame: str, stamp_ns: int, within_ns: int | None) -> bool:
        """Whether a frame's transform has a stamp near a time; for None, one before and one after it."""
        around = self._around(frame, stamp_ns)
        if any(link.stamp_ns == STATIC_NS for link in around):
            return True
        if within_ns is None:
            return around[0].stamp_ns <= stamp_ns <= around[1].stamp_ns and not _is_gap(*around, stamp_ns)
        return any(abs(link.stamp_ns - stamp_ns) <= within_ns for link in around)


def _is_gap(before: _Link, after: _Link, stamp_ns: int) -> bool:
    """Whether a frame moved between two transforms that lie too far apart to interpolate."""
    if before.stamp_ns == stamp_ns or after.stamp_ns - before.stamp_ns <= LONGEST_GAP_NS:
        return False
    first, second = before.parent_from_child, after.parent_from_child
    return bool(np.linalg.norm(second[:3, 3] - first[:3, 3]) > MOVED_M
                or rotation_angle(first[:3, :3].T @ second[:3, :3]) > MOVED_RAD)


def _below(chain: dict[str, np.ndarray], ancestor: str) -> list[str]:
    """The frames of a chain below one of them."""
    names = list(chain)
    return names[:names.index(ancestor)]


def _between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """(4, 4) transform interpolated between two at a fraction, with constant linear and angular velocity."""
    turn = vector_from_rotation(first[:3, :3].T @ second[:3, :3])
    translation = first[:3, 3] + share * (second[:3, 3] - first[:3, 3])
    return make_transform(first[:3, :3] @ rotation_from_vector(share * turn), translation)
