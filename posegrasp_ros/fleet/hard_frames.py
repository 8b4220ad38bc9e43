# SPDX-License-Identifier: Apache-2.0
"""The frames of a fleet that teach most: failed, doubtful, or answered differently by several sources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from posegrasp_ros.fleet.frame_query import FramesView
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED

DISAGREE = 'sources_disagree'
DOUBTFUL = (0.3, 0.7)
"""A score between these is as good as none."""
# SQL conditions on a frame of the source in question, which is s, the most instructive first; o is another source.
REASONS = {
    'false_pose': 's.is_without_object AND s.perception_ok',
    'wrong': f's.has_errors AND s.position_m IS NOT NULL AND (s.position_m > {STATED_NEED.position_m} '
             f'OR s.rotation_rad > {STATED_NEED.rotation_rad})',
    'not_found': 's.has_truth AND NOT coalesce(s.perception_ok, false) AND coalesce(s.visible_share, 1) >= 0.1',
    DISAGREE: f'o.has_errors AND s.has_errors AND (coalesce(o.position_m, 1) > {STATED_NEED.position_m}) '
              f'<> (coalesce(s.position_m, 1) > {STATED_NEED.position_m})',
    'doubtful': f's.score BETWEEN {DOUBTFUL[0]} AND {DOUBTFUL[1]}',
    'silent': 'NOT s.has_truth AND NOT s.is_without_object AND NOT coalesce(s.perception_ok, false)',
}


@dataclass(frozen=True)
class HardFrame:
    """A frame that is worth being looked at.

    :param bag: address of its recording
    :param reason: a key of :data:`REASONS`
    """

    bag: str
    stamp_ns: int
    object: str
    reason: str
    score: float | None
    position_m: float | None
    rotation_rad: float | None


def hard_frames(view: FramesView, estimator: str, budget: int) -> list[HardFrame]:
    """At most so many frames, one of each scene: by turns of each reason, and of each recording.

    :param estimator: the source in question; others tell where sources disagree
    """
    by_reason = {reason: _spread(_found(view, estimator, condition, reason))
                 for reason, condition in REASONS.items()}
    chosen: list[HardFrame] = []
    taken: set[tuple[str, int]] = set()
    while len(chosen) < budget and any(by_reason.values()):
        for waiting in by_reason.values():
            while waiting:
                block, frame = waiting.pop(0)
                if (frame.bag, block) not in taken:
                    taken.add((frame.bag, block))
                    chosen.append(frame)
                    break
            if len(chosen) == budget:
                break
    return chosen


def _found(view: FramesView, estimator: str, condition: str, reason: str) -> list[tuple[int, HardFrame]]:
    """The worst frame of each scene of which a condition holds, with the number of its block."""
    name = estimator.replace("'", "''")
    others = '' if reason != DISAGREE else (
        'JOIN frames o ON o.bag = s.bag AND o.stamp_ns = s.stamp_ns AND o.object = s.object '
        f"AND o.estimator <> '{name}'")
    rows = view.rows(
        'SELECT block, bag, stamp_ns, object, score, position_m, rotation_rad FROM ('
        'SELECT s.block, s.bag, s.stamp_ns, s.object, s.score, s.position_m, s.rotation_rad, row_number() OVER ('
        'PARTITION BY s.bag, s.block ORDER BY coalesce(s.position_m, 0) DESC, s.stamp_ns) AS place '
        f"FROM frames s {others} WHERE s.estimator = '{name}' AND ({condition})) WHERE place = 1 "
        'ORDER BY coalesce(position_m, 0) DESC, bag, stamp_ns')
    return [(block, HardFrame(bag, stamp_ns, of, reason, score, position_m, rotation_rad))
            for block, bag, stamp_ns, of, score, position_m, rotation_rad in rows]


def _spread(found: Sequence[tuple[int, HardFrame]]) -> list[tuple[int, HardFrame]]:
    """The recordings by turns, each with its worst first."""
    by_bag: dict[str, list[tuple[int, HardFrame]]] = defaultdict(list)
    for item in found:
        by_bag[item[1].bag].append(item)
    turns = max(map(len, by_bag.values()), default=0)
    return [items[turn] for turn in range(turns) for items in by_bag.values() if turn < len(items)]
