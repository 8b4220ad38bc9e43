# SPDX-License-Identifier: Apache-2.0
"""LostReports: assigns lost reports to the frames whose reports they probably were."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from posegrasp_ros.metrics.frame_record import FrameRecord, RecordKey
from posegrasp_ros.metrics.losses import Loss

LOSSES_KEPT = 100


@dataclass
class _OpenLoss:
    """Lost reports of which some (``left``) are not assigned to a frame yet."""

    loss: Loss
    left: int


class LostReports:
    """Marks frames without a report between the reports before and after lost ones.

    If the stage also skipped frames there, the assignment to these frames is arbitrary.
    """

    def __init__(self) -> None:
        self._losses: deque[_OpenLoss] = deque(maxlen=LOSSES_KEPT)

    def add(self, loss: Loss) -> None:
        """Add lost reports."""
        self._losses.append(_OpenLoss(loss, loss.count))

    def mark(self, stage: str, key: RecordKey, frame: FrameRecord) -> bool:
        """Mark a frame without a report as one whose report was lost, if an unassigned loss covers it.

        :return: whether it was marked
        """
        if stage in frame.reports or stage in frame.lost:
            return False
        for each in self._losses:
            if each.left and _covers(each.loss, stage, key):
                frame.lost |= {stage}
                each.left -= 1
                return True
        return False

    def unmark(self, stage: str, key: RecordKey, frame: FrameRecord) -> None:
        """Undo a mark: the report arrived from another publisher, so the lost one belongs to another frame."""
        frame.lost -= {stage}
        for each in self._losses:
            if _covers(each.loss, stage, key):
                each.left += 1
                return


def _covers(loss: Loss, stage: str, key: RecordKey) -> bool:
    """Whether the report of a frame may be one of the lost reports."""
    return (loss.stage == stage and loss.object in ('', key.object) and loss.after_ns < key.stamp_ns
            and (loss.before_ns is None or key.stamp_ns < loss.before_ns))
