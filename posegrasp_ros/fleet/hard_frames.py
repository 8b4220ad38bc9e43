# SPDX-License-Identifier: Apache-2.0
"""The most informative frames of a fleet: failed, doubtful, unlike the rest, or with poses on which sources
disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from posegrasp_ros.fleet.frame_query import FramesView
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.runs.run_summary import BOUND, REFERENCES

DISAGREE, UNLIKE = 'sources_disagree', 'unlike_the_rest'
FAR = 6
"""Standard deviations, estimated from the median absolute deviation, beyond which a frame is unlike the rest."""
DOUBTFUL = (0.3, 0.7)
"""A score between these is as good as none."""
# SQL conditions on a frame of the source in question, s, the most instructive first; o is another source, u tells
# how far the frame is from the others.
REASONS = {
    'false_pose': 's.is_without_object AND s.perception_ok',
    'wrong': f's.has_errors AND s.position_m IS NOT NULL AND (s.position_m > {STATED_NEED.position_m} '
             f'OR s.rotation_rad > {STATED_NEED.rotation_rad})',
    'not_found': 's.has_truth AND NOT coalesce(s.perception_ok, false) AND coalesce(s.visible_share, 1) >= 0.1',
    DISAGREE: f'o.has_errors AND s.has_errors AND (coalesce(o.position_m, 1) > {STATED_NEED.position_m}) '
              f'<> (coalesce(s.position_m, 1) > {STATED_NEED.position_m})',
    UNLIKE: f'u.deviations > {FAR}',
    'doubtful': f's.score BETWEEN {DOUBTFUL[0]} AND {DOUBTFUL[1]}',
    'silent': 'NOT s.has_truth AND NOT s.is_without_object AND NOT coalesce(s.perception_ok, false)',
}
# How far the figures of a view, and the distance of an object whose true pose is known, are from those of all
# frames, at most.
_DEVIATIONS = """
WITH figures AS (
    SELECT bag, stamp_ns, object, unnest(map_keys(view)) AS figure, unnest(map_values(view)) AS value
    FROM frames WHERE estimator = '{name}' AND view IS NOT NULL
    UNION ALL
    SELECT bag, stamp_ns, object, 'distance', sqrt(estimate[4] ** 2 + estimate[8] ** 2 + estimate[12] ** 2)
    FROM frames WHERE estimator = '{name}' AND estimate IS NOT NULL),
usual AS (SELECT object, figure, median(value) AS middle, 1.4826 * mad(value) AS deviation FROM figures
          GROUP BY object, figure)
SELECT bag, stamp_ns, object, max(abs(value - middle) / deviation) AS deviations
FROM figures JOIN usual USING (object, figure) WHERE deviation > 0 AND isfinite(value)
GROUP BY bag, stamp_ns, object"""


@dataclass(frozen=True)
class HardFrame:
    """A frame worth looking at.

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
    name, same = estimator.replace("'", "''"), 'USING (bag, stamp_ns, object)'
    # Baselines are meant to be worse, the ground truth is perfect: neither disagrees.
    others = ', '.join(f"'{each}'" for each in (name, BOUND, *REFERENCES))
    joined = {DISAGREE: f'JOIN (SELECT * FROM frames WHERE estimator NOT IN ({others})) o {same}',
              UNLIKE: f'JOIN ({_DEVIATIONS.format(name=name)}) u {same}'}.get(reason, '')
    worth = 'u.deviations' if reason == UNLIKE else 'coalesce(s.position_m, 0)'
    rows = view.rows(
        'SELECT block, bag, stamp_ns, object, score, position_m, rotation_rad FROM ('
        f'SELECT s.block, s.bag, s.stamp_ns, s.object, s.score, s.position_m, s.rotation_rad, {worth} AS worth, '
        'row_number() OVER (PARTITION BY s.bag, s.block ORDER BY worth DESC, s.stamp_ns) AS place '
        f"FROM frames s {joined} WHERE s.estimator = '{name}' AND ({condition})) WHERE place = 1 "
        'ORDER BY worth DESC, bag, stamp_ns')
    return [(block, HardFrame(bag, stamp_ns, of, reason, score, position_m, rotation_rad))
            for block, bag, stamp_ns, of, score, position_m, rotation_rad in rows]


def _spread(found: Sequence[tuple[int, HardFrame]]) -> list[tuple[int, HardFrame]]:
    """The recordings by turns, each with its worst first."""
    by_bag: dict[str, list[tuple[int, HardFrame]]] = defaultdict(list)
    for item in found:
        by_bag[item[1].bag].append(item)
    turns = max(map(len, by_bag.values()), default=0)
    return [items[turn] for turn in range(turns) for items in by_bag.values() if turn < len(items)]
