"""RunMetrics: reports, estimates and truths in, in any order; the summary of a run out."""

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

# Video frames this close together show the same thing: a block of them is what the bootstrap draws. A recording of
# one frame a scene, a second or more apart, has one frame a block: there, and only there, a block is a scene.
BLOCK_S = 1.0
# Blocks that are over and remembered as such, so that what comes late does not open them again.
CLOSED_BLOCKS_KEPT = 10_000
LOSSES_KEPT = 100
# From a grasp's name, the number of the symmetry it was turned by, and the (4, 4) pose of the true object in the
# frame of the estimated one: whether the grasp works all the same; None where that is not known.
GraspTolerates = Callable[[str, int, np.ndarray], 'bool | None']


def block_ns_of(block_s: float) -> int:
    """The same stretch of time for everybody who counts blocks."""
    return round(1e9 * block_s)


@dataclass
class _OpenLoss:
    """Reports that were lost, as long as not all frames are known that they may have been of."""

    loss: Loss
    left: int


class RunMetrics:
    """Joins what the stages say by image stamp and measures it.

    The first message of a stamp stands; repeats are counted and ignored, and order does not matter. Memory grows
    by a few hundred bytes a frame, unless :meth:`forget` is called. The same object serves the live monitor and
    the offline evaluation.

    What was sent and did not come is not held against a stage: a frame whose report was lost is left out of the
    inputs of that stage, one whose pose was lost out of what is measured of poses.

    :ivar repeats: messages that came for an image that had theirs
    :ivar lost_poses: images in finished blocks that show the object, that perception has a pose of, and whose pose
        did not come
    :param target: the object, for pose errors; None when only reports are measured
    :param baselines: what the metrics are compared with; None for no verdicts
    :param block_s: frames within such a stretch of time are drawn together
    :param pose_check: tells for each pose whether the grasp that was planned with it tolerates its error, such as
        :meth:`PoseCheck.holds`; None holds every pose against the stated need
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
        """Which camera takes the images that follow, for errors in pixels.

        :param matrix: (3, 3) pinhole matrix, pixels
        """
        self._matrix, self._width_px = np.asarray(matrix, dtype=float), float(width_px)

    def add_image(self, stamp_ns: int) -> None:
        """An image was taken. Where images are announced, one that no stage reports on counts as a failure, and a
        truth without an image does not count."""
        self._knows_images = True
        frame = self._frame(stamp_ns)
        frame.has_image, frame.matrix, frame.image_width_px = True, self._matrix, self._width_px

    def add_report(self, report: StageReport) -> None:
        """A stage's account of one image."""
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
        """The best pose that perception found in an image, (4, 4), camera frame; one with NaN is no answer.

        :param covariance: (6, 6) in the camera frame; None or all zero where nothing is said of it
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
        """Where the object really was in an image, (4, 4), camera frame; one with NaN is no truth."""
        frame = self._frame(stamp_ns)
        if frame.has_truth:
            self.repeats += 1
            return
        if np.isfinite(camera_from_object).all():
            frame.truth, frame.has_truth = np.asarray(camera_from_object, dtype=float), True
            self._measure(frame)

    def add_instances(self, stamp_ns: int, estimates: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> None:
        """All poses that were found in an image, best first, and all objects that are there, (4, 4) each.

        The errors of the image are those of the best pose against the object it is nearest to.
        """
        self.add_truth(stamp_ns, nearest_instance(estimates[0], truths) if len(estimates) else truths[0])
        if self._target is not None:
            self._frame(stamp_ns).instances = count_instances(estimates, truths, self._target.symmetry,
                                                              STATED_NEED)

    def add_absence(self, stamp_ns: int) -> None:
        """The object is not in an image: nothing is to be found there."""
        self._frame(stamp_ns).is_without_object = True

    def add_loss(self, loss: Loss) -> None:
        """Reports were lost: of which frames is told by the stamps of the reports before and after them, as far as
        it can be; where a stage left out frames as well, of some of these."""
        self._losses.append(_OpenLoss(loss, loss.count))
        for stamp_ns in reversed(self._frames):
            if stamp_ns < loss.after_ns - SET_BACK_NS:
                break
            frame = self._frames[stamp_ns]
            if loss.stage == 'perception' or frame.reports.get('perception', (False,))[0]:
                self._mark_lost(loss.stage, stamp_ns, frame)

    @property
    def verdict_failures(self) -> dict[str, tuple[int, str]]:
        """By metric how often its live verdicts failed, and how they did last."""
        return self._live.failures

    def block_of(self, stamp_ns: int) -> int:
        """Number of the stretch of time that an image lies in."""
        return int(stamp_ns) // self._block_ns

    def errors(self, stamp_ns: int) -> PoseErrors | None:
        """Of the pose in an image; None where there is no pose or no truth."""
        frame = self._frames.get(int(stamp_ns))
        return frame.errors if frame else None

    def summary(self, provenance: dict | None = None, until_ns: int | None = None) -> dict:
        """The run so far, in the form ``posegrasp.summary/1``; looks at all frames.

        :param provenance: what was measured on which machine, copied into the summary
        :param until_ns: leave out later images, whose answers may still be under way; None for all
        """
        return summarise(self.table(until_ns), self._baselines, provenance or {})

    def live_verdicts(self, until_ns: int) -> list[dict]:
        """Verdicts as in the summary that may be looked at as often as one likes; costs no more in a long run.

        They stand on whole blocks of time: an answer that comes in after its block was looked at counts in the
        summary alone.

        :param until_ns: blocks that end later are not looked at yet, for their answers may be under way
        """
        for block in sorted(block for block in self._open_blocks if (block + 1) * self._block_ns <= until_ns):
            self._close(block)
        return self._live.items()

    def table(self, until_ns: int | None = None) -> FrameTable:
        """The frames as columns, in order of their stamps.

        :param until_ns: leave out later images; None for all
        """
        return self._table_of(sorted(stamp for stamp in self._frames if until_ns is None or stamp <= until_ns))

    def forget(self, most_kept: int) -> int:
        """Drop the images that came first, so that a run without end has its place: summaries then tell of the
        newest ones, live verdicts of all.

        :return: how many were dropped
        """
        dropped = max(0, len(self._frames) - most_kept)
        for stamp_ns in list(itertools.islice(self._frames, dropped)):
            del self._frames[stamp_ns]
            block = self.block_of(stamp_ns)
            # One that never ends, for its stamp is far ahead of all others, must not be kept either.
            if block in self._open_blocks:
                self._open_blocks[block].remove(stamp_ns)
                if not self._open_blocks[block]:
                    del self._open_blocks[block]
        return dropped

    def _close(self, block: int) -> None:
        """Let the live verdicts see a block, and never again."""
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
        """Take a frame that a stage did not report on for one whose report was lost, if that may be."""
        if stage in frame.reports or stage in frame.lost:
            return
        for each in self._losses:
            if each.left and _covers(each.loss, stage, stamp_ns):
                frame.lost |= {stage}
                each.left -= 1
                return

    def _unmark(self, stamp_ns: int, frame: FrameRecord, stage: str) -> None:
        """The report came all the same, from another publisher: another frame's was lost."""
        frame.lost -= {stage}
        for each in self._losses:
            if _covers(each.loss, stage, stamp_ns):
                each.left += 1
                return

    def _measure(self, frame: FrameRecord) -> None:
        """Turn a pair of poses into their errors."""
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
        """Once pose error and grasp are known, tell whether the one tolerates the other."""
        if frame.grasp is None or frame.estimate_from_truth is None:
            return
        holds = self._pose_check(*frame.grasp, frame.estimate_from_truth)
        frame.fits_grasp = math.nan if holds is None else float(holds)
        frame.grasp = frame.estimate_from_truth = None

    def _table_of(self, stamps: Sequence[int]) -> FrameTable:
        return table_of({stamp: self._frames[stamp] for stamp in stamps}, self._block_ns, self._knows_images,
                        self._target, self.repeats)


def _covers(loss: Loss, stage: str, stamp_ns: int) -> bool:
    """Whether a report of a frame may be among those that were lost."""
    return (loss.stage == stage and loss.after_ns < stamp_ns
            and (loss.before_ns is None or stamp_ns < loss.before_ns))
