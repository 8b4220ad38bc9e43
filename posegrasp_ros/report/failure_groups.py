# SPDX-License-Identifier: Apache-2.0
"""Failed frames of a run by their cause, with pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from posegrasp_ros.metrics import formatting
from posegrasp_ros.report.frame_rows import CAUSES, NOT_COUNTED, FrameRow, FrameRows

MOST_PICTURES = 6


@dataclass(frozen=True)
class FailureGroup:
    """The failed frames of one cause.

    :param count: of all frames of the run
    :param share: of the frames that count
    :param said: what the stages reported of them, most frequent first; of a long run of the frames listed
    :param rows: the worst that there are pictures of
    """

    cause: str
    count: int
    share: float
    said: str
    rows: Sequence[FrameRow]

    @property
    def text(self) -> str:
        """The cause in words."""
        return CAUSES[self.cause]


def failure_groups(frames: FrameRows | None) -> list[FailureGroup]:
    """The causes of failure, most frequent first."""
    if frames is None:
        return []
    groups = []
    total = frames.total - frames.counts.get(NOT_COUNTED, 0)
    found = [name for name in CAUSES if frames.counts.get(name)]
    for cause in sorted(found, key=lambda name: -frames.counts[name]):
        rows = [row for row in frames.rows if row.outcome == cause]
        said = Counter(formatting.reason(row.reason) for row in rows if row.reason)
        drawn = sorted((row for row in rows if row.picture), key=lambda row: -(row.error or 0.0))
        groups.append(FailureGroup(cause, frames.counts[cause], frames.counts[cause] / total,
                                   ', '.join(f'{reason} {count}' for reason, count in said.most_common()),
                                   drawn[:MOST_PICTURES]))
    return groups
