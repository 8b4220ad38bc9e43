"""RunMetrics: joins reports, estimates and truths by image stamp and computes the summary of a run."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.frame_record import FrameRecord, table_of
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.live_verdicts import LiveVerdicts
from posegrasp_ros.metrics.losses import Loss
from posegrasp_ros.metrics.pose.instance_matching import (
    count_instances,
    nearest_instance,
)
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND, STATED_NEED, ErrorTarget, PoseErrors
from posegrasp_ros.metrics.stage_report import SET_BACK_NS, StageReport
from posegrasp_ros.metrics.summary import summarise

# Video frames this close together are correlated, so the bootstrap resamples blocks of them. In a recording with
# one frame per scene, a second or more apart, each block holds one frame: only there is a block a scene.
BLOCK_S = 1.0
# Closed blocks that are remembered, so that late messages do not open them again.
CLOSED_BLOCKS_KEPT = 10_000
LOSSES_KEPT = 100
# (name of the grasp, index of the symmetry copy, (4, 4) pose of the true object in the frame of the estimated one)
# -> whether the grasp still works; None where that is not known.
GraspTolerates = Callable[[str, int, np.ndarray], 'bool | None']


def block_ns_of(block_s: float) -> int:
    """Block length in nanoseconds, rounded the same way everywhere."""
    return round(1e9 * block_s)


@dataclass
class _OpenLoss:
    """Lost reports of which some (``left``) are not assigned to a frame yet."""

    loss: Loss
    left: int


class RunMetrics:
    """Joins the stages' messages by image stamp and measures them.

    The first message of a stamp counts; repeats are counted and ignored. Messages may arrive in any order. Memory
    grows by a few hundred bytes per frame, unless :meth:`forget` is called. Used by both the live monitor and the
    offline evaluation.

    Lost messages do not count against a stage: a frame whose report was lost is excluded from the inputs of that
    stage, a frame whose pose was lost is excluded from the pose metrics.

    :ivar repeats: number of duplicate messages
    :ivar lost_poses: images in finished blocks that show the object and for which perception reported a pose that
        was not received
    :param target: the object, for pose errors; None when only reports are measured
    :param baselines: what the metrics are compared with; None for no verdicts
    :param block_s: length of a time block; its frames are resampled together
    :param pose_check: whether the grasp planned with a pose tolerates its error, such as :meth:`PoseCheck.holds`;
        None compares every pose with the stated need
    """

    def __init__(self, target: ErrorTarget | None = None, baselines: Baselines | None = None,
                 block_s: float = BLOCK_S,
                 pose_check: GraspTolerates | None = None):
        self._target = target
        self._baselines = baselines
        self._block_ns = block_ns_of(block_s)
        self._pose_check = pose_check
        self._matrix, self._width_px = None, math.nan
        self._frames: dict[int, FrameRecord] = {}
        self._open_blocks: dict[int, list[int]] = {}
        self._closed_blocks: dict[int, None] = {}
        self._losses: deque[_OpenLoss] = deque(maxlen=LOSSES_KEPT)
        self._live = LiveVerdicts(baselines)
        self._knows_images = False
        self.repeats = 0
        self.lost_poses = 0

    def add_camera(self, matrix: np.ndarray, width_px: int) -> None:
        """Set the camera of the images that follow, for errors in pixels.

        :param matrix: (3, 3) pinhole matrix, pixels
        """
        self._matrix, self._width_px = np.asarray(matrix, dtype=float), float(width_px)

    def add_image(self, stamp_ns: int) -> None:
        """Add an image. Once images are announced, one without a report counts as a failure, and a truth without
        an image is ignored."""
        self._knows_images = True
        frame = self._frame(stamp_ns)
        frame.has_image, frame.matrix, frame.image_width_px = True, self._matrix, self._width_px

    def add_report(self, report: StageReport) -> None:
        """Add a stage's report on one image."""
        frame = self._frame(report.stamp_ns)
        if report.stage in frame.reports:
            self.repeats += 1
            return
        frame.reports[report.stage] = (report.ok, report.reason)
        if report.stage in frame.lost:
            self._unmark(report.stamp_ns, frame, report.stage)
        if report.ok and report.stage == 'perception':
            self._mark_lost('planning', report.stamp_ns, frame)
        if 'latency_ms' in report.numbers:
            frame.latency_ms[report.stage] = float(report.numbers['latency_ms'])
        if report.stage == 'perception':
            frame.score = float(report.numbers.get('score', math.nan))
        if report.stage == 'planning' and 'grasp' in report.words and self._pose_check:
            frame.grasp = report.words['grasp'], int(report.numbers.get('symmetry_copy', 0))
            self._check_grasp(frame)

    def add_estimate(self, stamp_ns: int, camera_from_object: np.ndarray,
                     covariance: np.ndarray | None = None) -> None:
        """Add the best pose that perception found in an image, (4, 4), camera frame; NaN means no answer.

        :param covariance: (6, 6) in the camera frame; None or all zero if unknown
        """
        frame = self._frame(stamp_ns)
        if frame.has_estimate:
            self.repeats += 1
            return
        frame.estimate = np.asarray(camera_from_object, dtype=float)
        if covariance is not None and np.any(covariance):
            frame.covariance = np.asarray(covariance, dtype=float)
        self._measure(frame)

    def add_truth(self, stamp_ns: int, camera_from_object: np.ndarray) -> None:
        """Add the true pose of the object in an image, (4, 4), camera frame; one with NaN is ignored."""
        frame = self._frame(stamp_ns)
        if frame.has_truth:
            self.repeats += 1
            return
        if np.isfinite(camera_from_object).all():
            frame.truth, frame.has_truth = np.asarray(camera_from_object, dtype=float), True
            self._measure(frame)

    def add_instances(self, stamp_ns: int, estimates: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> None:
        """Add all estimated poses in an image, best first, and all true poses, (4, 4) each.

        The errors of the image are those of the best pose with respect to the nearest true pose.
        """
        self.add_truth(stamp_ns, nearest_instance(estimates[0], truths) if len(estimates) else truths[0])
        if self._target is not None:
            self._frame(stamp_ns).instances = count_instances(estimates, truths, self._target.symmetry,
                                                              STATED_NEED)

    def add_absence(self, stamp_ns: int) -> None:
        """Mark an image as not containing the object."""
        self._frame(stamp_ns).is_without_object = True

    def add_loss(self, loss: Loss) -> None:
        """Add lost reports. They are assigned to frames between the stamps of the reports before and after them.

        If the stage also skipped frames there, the assignment to these frames is arbitrary.
        """
        self._losses.append(_OpenLoss(loss, loss.count))
        for stamp_ns in reversed(self._frames):
            if stamp_ns < loss.after_ns - SET_BACK_NS:
                break
            frame = self._frames[stamp_ns]
            if loss.stage == 'perception' or frame.reports.get('perception', (False,))[0]:
                self._mark_lost(loss.stage, stamp_ns, frame)

    @property
    def verdict_failures(self) -> dict[str, tuple[int, str]]:
        """By metric the number of failures of its live verdicts, and the last error."""
        return self._live.failures

    def block_of(self, stamp_ns: int) -> int:
        """Index of the time block that an image lies in."""
        return int(stamp_ns) // self._block_ns

    def errors(self, stamp_ns: int) -> PoseErrors | None:
        """Errors of the pose in an image; None without a pose or a truth."""
        frame = self._frames.get(int(stamp_ns))
        return frame.errors if frame else None

    def summary(self, provenance: dict | None = None, until_ns: int | None = None) -> dict:
        """Summary of the run so far, schema ``posegrasp.summary/1``; processes all frames.

        :param provenance: copied into the summary
        :param until_ns: leave out later images, whose answers may still be pending; None for all
        """
        return summarise(self.table(until_ns), self._baselines, provenance or {})

    def live_verdicts(self, until_ns: int) -> list[dict]:
        """Verdict items as in the summary, valid at any number of looks; the cost does not grow with the run.

        They are based on whole time blocks: an answer that arrives after its block was closed counts in the
        summary only.

        :param until_ns: blocks that end later stay open, as their answers may still be pending
        """
        for block in sorted(block for block in self._open_blocks if (block + 1) * self._block_ns <= until_ns):
            self._close(block)
        return self._live.items()

    def table(self, until_ns: int | None = None) -> FrameTable:
        """The frames as columns, in order of stamps.

        :param until_ns: leave out later images; None for all
        """
        return self._table_of(sorted(stamp for stamp in self._frames if until_ns is None or stamp <= until_ns))

    def forget(self, most_kept: int) -> int:
        """Drop the oldest images to bound memory in long runs: summaries then cover the newest images, live
        verdicts all.

        :return: number of images dropped
        """
        dropped = max(0, len(self._frames) - most_kept)
        for stamp_ns in list(itertools.islice(self._frames, dropped)):
            del self._frames[stamp_ns]
            block = self.block_of(stamp_ns)
            # Also drop it from a block that never closes because its stamp is far in the future.
            if block in self._open_blocks:
                self._open_blocks[block].remove(stamp_ns)
                if not self._open_blocks[block]:
                    del self._open_blocks[block]
        return dropped

    def _close(self, block: int) -> None:
        """Pass a block to the live verdicts, once."""
        stamps = sorted(self._open_blocks.pop(block))
        self._closed_blocks[block] = None
        if len(self._closed_blocks) > CLOSED_BLOCKS_KEPT:
            del self._closed_blocks[next(iter(self._closed_blocks))]
        table = self._table_of(stamps)
        self.lost_poses += int(table.has_lost_pose.sum())
        self._live.add_block(table)

    def _frame(self, stamp_ns: int) -> FrameRecord:
        stamp_ns = int(stamp_ns)
        frame = self._frames.get(stamp_ns)
        if frame is None:
            frame = self._frames[stamp_ns] = FrameRecord(matrix=self._matrix, image_width_px=self._width_px)
            block = self.block_of(stamp_ns)
            if block not in self._closed_blocks:
                self._open_blocks.setdefault(block, []).append(stamp_ns)
            self._mark_lost('perception', stamp_ns, frame)
        return frame

    def _mark_lost(self, stage: str, stamp_ns: int, frame: FrameRecord) -> None:
        """Mark a frame without a report as one whose report was lost, if an unassigned loss covers it."""
        if stage in frame.reports or stage in frame.lost:
            return
        for each in self._losses:
            if each.left and _covers(each.loss, stage, stamp_ns):
                frame.lost |= {stage}
                each.left -= 1
                return

    def _unmark(self, stamp_ns: int, frame: FrameRecord, stage: str) -> None:
        """Undo a mark: the report arrived from another publisher, so the lost one belongs to another frame."""
        frame.lost -= {stage}
        for each in self._losses:
            if _covers(each.loss, stage, stamp_ns):
                each.left += 1
                return

    def _measure(self, frame: FrameRecord) -> None:
        """Compute the errors of a frame once both estimate and truth are known."""
        if self._target is None or frame.estimate is None or frame.truth is None:
            return
        if np.isfinite(frame.estimate).all():
            frame.errors = self._target.errors(frame.estimate, frame.truth, frame.matrix)
            if frame.covariance is not None:
                frame.confidence_level = self._target.confidence_level(frame.estimate, frame.covariance,
                                                                       frame.truth)
            if self._pose_check:
                nearest = self._target.symmetry.nearest(frame.truth, frame.estimate)
                frame.estimate_from_truth = invert(frame.estimate) @ nearest
                self._check_grasp(frame)
        else:
            frame.errors = NOT_FOUND
        frame.estimate = frame.covariance = frame.truth = None

    def _check_grasp(self, frame: FrameRecord) -> None:
        """Check whether the grasp tolerates the pose error, once both are known."""
        if frame.grasp is None or frame.estimate_from_truth is None:
            return
        holds = self._pose_check(*frame.grasp, frame.estimate_from_truth)
        frame.fits_grasp = math.nan if holds is None else float(holds)
        frame.grasp = frame.estimate_from_truth = None

    def _table_of(self, stamps: Sequence[int]) -> FrameTable:
        return table_of({stamp: self._frames[stamp] for stamp in stamps}, self._block_ns, self._knows_images,
                        self._target, self.repeats)


def _covers(loss: Loss, stage: str, stamp_ns: int) -> bool:
    """Whether the report of a frame may be one of the lost reports."""
    return (loss.stage == stage and loss.after_ns < stamp_ns
            and (loss.before_ns is None or stamp_ns < loss.before_ns))
