# SPDX-License-Identifier: Apache-2.0
"""RunMetrics: joins reports, estimates and truths by image stamp and object, and computes the summary of a run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from posegrasp_ros.geometry.true_pose import TruePose, TruthSigmas, checked_visible_share
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.frame_columns import ObjectSize, RunFacts, table_of
from posegrasp_ros.metrics.frame_record import FrameRecord, Point, RecordKey
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.live_verdicts import LiveVerdicts
from posegrasp_ros.metrics.losses import Loss
from posegrasp_ros.metrics.lost_reports import LostReports
from posegrasp_ros.metrics.pose.instance_matching import count_instances, nearest_instance
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, ErrorTarget, PoseErrors
from posegrasp_ros.metrics.stage_report import SET_BACK_NS, StageReport
from posegrasp_ros.metrics.summary import summarise

# Video frames this close together are correlated, so the bootstrap resamples blocks of them. In a recording with
# one frame per scene, a second or more apart, each block holds one frame: only there is a block a scene.
BLOCK_S = 1.0
# Closed blocks that are remembered, so that late messages do not open them again.
CLOSED_BLOCKS_KEPT = 10_000
# (name of the grasp, index of the symmetry copy, (4, 4) pose of the true object in the frame of the estimated one)
# -> whether the grasp still works; None where that is not known.
GraspTolerates = Callable[[str, int, np.ndarray], 'bool | None']
ALL_OBJECTS = ''
"""Name under which verdicts are over all objects of a run about several."""


def block_ns_of(block_s: float) -> int:
    """Block length in nanoseconds, rounded the same way everywhere."""
    return round(1e9 * block_s)


class RunMetrics:
    """Joins the stages' messages by image stamp and object, and measures them.

    The first message of a stamp counts; repeats are counted and ignored. Messages may arrive in any order. Memory
    grows by a few hundred bytes per frame, unless :meth:`forget` is called. Used by both the live monitor and the
    offline evaluation.

    Lost messages do not count against a stage: a frame whose report was lost is excluded from the inputs of that
    stage, a frame whose pose was lost is excluded from the pose metrics.

    :ivar repeats: number of duplicate messages
    :ivar lost_poses: frames in finished blocks that show the object and for which perception reported a pose that
        was not received
    :param target: the object, for pose errors, or several by name; None when only reports are measured. With one
        object, the names in calls and reports do not matter
    :param baselines: what the metrics are compared with; None for no verdicts
    :param block_s: length of a time block; its frames are resampled together
    :param pose_check: whether the grasp planned with a pose tolerates its error, such as :meth:`PoseCheck.holds`,
        or several by the object's name; None compares every pose with the stated need
    :param truth_sigmas: errors of all true poses, instead of what comes with them; None for what comes with them
    """

    def __init__(self, target: ErrorTarget | Mapping[str, ErrorTarget] | None = None,
                 baselines: Baselines | None = None, block_s: float = BLOCK_S,
                 pose_check: GraspTolerates | Mapping[str, GraspTolerates | None] | None = None,
                 truth_sigmas: TruthSigmas | None = None):
        self._truth_sigmas, self._baselines = truth_sigmas, baselines
        self._targets = dict(target) if isinstance(target, Mapping) else {'': target}
        self._pose_checks = dict(pose_check) if isinstance(pose_check, Mapping) else dict.fromkeys(
            self._targets, pose_check)
        self._block_ns = block_ns_of(block_s)
        self._matrix: np.ndarray | None = None
        self._width_px = math.nan
        self._frames: dict[RecordKey, FrameRecord] = {}
        self._changed: dict[RecordKey, None] = {}
        self._open_blocks: dict[int, list[RecordKey]] = {}
        self._closed_blocks: dict[int, None] = {}
        self._losses = LostReports()
        each = self._targets if len(self._targets) > 1 else ()
        self._live = {name: LiveVerdicts(baselines) for name in (ALL_OBJECTS, *each)}
        self._knows_images = False
        self.repeats = self.lost_poses = 0

    def add_camera(self, matrix: np.ndarray, width_px: int) -> None:
        """Set the camera of the images that follow, for errors in pixels.

        :param matrix: (3, 3) pinhole matrix, pixels
        """
        self._matrix, self._width_px = np.asarray(matrix, dtype=float), float(width_px)

    def add_image(self, stamp_ns: int) -> None:
        """Add an image. Once images are announced, one without a report counts as a failure, and a truth without
        an image is ignored."""
        self._knows_images = True
        for name in self._targets:
            frame = self._frame(self._key(stamp_ns, name))
            frame.has_image, frame.matrix, frame.image_width_px = True, self._matrix, self._width_px

    def add_report(self, report: StageReport) -> None:
        """Add a stage's report on one image."""
        key = self._key(report.stamp_ns, report.object)
        frame = self._frame(key)
        if not frame.take_report(report):
            self.repeats += 1
            return
        if report.stage in frame.lost:
            self._losses.unmark(report.stage, key, frame)
        if report.ok and report.stage == 'perception':
            self._losses.mark('planning', key, frame)
        if report.stage == 'planning' and 'grasp' in report.words and self._pose_checks[key.object]:
            frame.grasp = report.words['grasp'], int(report.numbers.get('symmetry_copy', 0))
            self._check_grasp(key, frame)

    def add_estimate(self, stamp_ns: int, camera_from_object: np.ndarray,
                     covariance: np.ndarray | None = None, object_name: str = '') -> None:
        """Add the best pose that perception found in an image, (4, 4), camera frame; NaN means no answer.

        :param covariance: (6, 6) in the camera frame; None or all zero if unknown
        """
        key = self._key(stamp_ns, object_name)
        frame = self._frame(key)
        if frame.has_estimate:
            self.repeats += 1
            return
        frame.estimate, frame.has_estimate = np.asarray(camera_from_object, dtype=float), True
        frame.centres = frame.centres or self._centres(key, [frame.estimate])
        if covariance is not None and np.any(covariance):
            frame.covariance = np.asarray(covariance, dtype=float)
        self._measure(key, frame)

    def add_truth(self, stamp_ns: int, camera_from_object: np.ndarray, object_name: str = '',
                  covariance: np.ndarray | None = None) -> None:
        """Add the true pose of the object in an image, (4, 4), camera frame; one with NaN is ignored.

        :param covariance: (6, 6) of its errors in the camera frame; None if unknown
        """
        key = self._key(stamp_ns, object_name)
        frame = self._frame(key)
        if frame.has_truth:
            self.repeats += 1
            return
        if np.isfinite(camera_from_object).all():
            frame.truth, frame.has_truth = np.asarray(camera_from_object, dtype=float), True
            frame.truth_covariance = covariance if self._truth_sigmas is None else \
                self._truth_sigmas.covariance(frame.truth)
            frame.true_centres = frame.true_centres or self._centres(key, [frame.truth])
            self._measure(key, frame)

    def add_instances(self, stamp_ns: int, estimates: Sequence[np.ndarray], truths: Sequence[TruePose],
                      object_name: str = '') -> None:
        """Add all estimated poses in an image, (4, 4) each, best first, and all true poses.

        The errors of the image are those of the best pose with respect to the nearest true pose.
        """
        key = self._key(stamp_ns, object_name)
        frame, target = self._frame(key), self._targets[key.object]
        poses = [truth.pose for truth in truths]
        frame.centres, frame.true_centres = self._centres(key, estimates), self._centres(key, poses)
        if truths:
            truth = nearest_instance(estimates[0], truths) if len(estimates) else truths[0]
            self.add_truth(stamp_ns, truth.pose, object_name, truth.covariance)
        if len(truths) > 1 and target is not None:
            frame.instances = count_instances(estimates, poses, target.symmetry, STATED_NEED)

    def add_absence(self, stamp_ns: int, object_name: str = '') -> None:
        """Mark an image as not containing the object."""
        self._frame(self._key(stamp_ns, object_name)).is_without_object = True

    def add_visible_share(self, stamp_ns: int, share: float, object_name: str = '') -> None:
        """Add how much of the object is visible in an image, see :attr:`BagFrame.visible_share`."""
        self._frame(self._key(stamp_ns, object_name)).visible_share = checked_visible_share(share)

    def add_loss(self, loss: Loss) -> None:
        """Add lost reports, which are assigned to frames between the stamps of the reports before and after."""
        if len(self._targets) == 1:
            loss = replace(loss, object='')
        self._losses.add(loss)
        for key in reversed(self._frames):
            if key.stamp_ns < loss.after_ns - SET_BACK_NS:
                break
            frame = self._frames[key]
            is_due = loss.stage == 'perception' or frame.reports.get('perception', (False,))[0]
            if is_due and self._losses.mark(loss.stage, key, frame):
                self._changed[key] = None

    @property
    def verdict_failures(self) -> dict[str, tuple[int, str]]:
        """By metric the number of failures of its live verdicts, and the last error."""
        return {metric: failure for live in self._live.values() for metric, failure in live.failures.items()}

    @property
    def facts(self) -> RunFacts:
        """What all records have in common."""
        sizes = {name: ObjectSize() if target is None else size_of(target)
                 for name, target in self._targets.items()}
        return RunFacts(sizes, self._block_ns, self._knows_images, self.repeats)

    @property
    def records(self) -> Mapping[RecordKey, FrameRecord]:
        """The frames, in the order in which they came."""
        return MappingProxyType(self._frames)

    def block_of(self, stamp_ns: int) -> int:
        """Index of the time block that an image lies in."""
        return int(stamp_ns) // self._block_ns

    def errors(self, stamp_ns: int, object_name: str = '') -> PoseErrors | None:
        """Errors of the pose in an image; None without a pose or a truth."""
        frame = self._frames.get(self._key(stamp_ns, object_name))
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
        summary only. In a run about several objects those of one object name it as ``object``.

        :param until_ns: blocks that end later stay open, as their answers may still be pending
        """
        for block in sorted(block for block in self._open_blocks if (block + 1) * self._block_ns <= until_ns):
            self._close(block)
        return [{**item, 'object': name} if name != ALL_OBJECTS else item
                for name, live in self._live.items() for item in live.items()]

    def table(self, until_ns: int | None = None) -> FrameTable:
        """The frames as columns, object by object, in order of stamps.

        :param until_ns: leave out later images; None for all
        """
        return self._table_of([key for key in self._frames if until_ns is None or key.stamp_ns <= until_ns])

    def take_rows(self, until_ns: int | None = None) -> Iterator[tuple[RecordKey, dict[str, Any]]]:
        """The rows, see :meth:`FrameRecord.to_row`, of frames that are new or have changed since the last call.

        :param until_ns: leave out later images, which may still change; None for all
        """
        for key in [key for key in self._changed if until_ns is None or key.stamp_ns <= until_ns]:
            del self._changed[key]
            yield key, self._frames[key].to_row()

    def forget(self, most_kept: int) -> list[RecordKey]:
        """Drop the oldest images to bound memory in long runs: summaries then cover the newest images, live
        verdicts all.

        :return: what was dropped
        """
        dropped = list(itertools.islice(self._frames, max(0, len(self._frames) - most_kept * len(self._targets))))
        for key in dropped:
            del self._frames[key]
            self._changed.pop(key, None)
            block = self.block_of(key.stamp_ns)
            # Also drop it from a block that never closes because its stamp is far in the future.
            if block in self._open_blocks:
                self._open_blocks[block].remove(key)
                if not self._open_blocks[block]:
                    del self._open_blocks[block]
        return dropped

    def _close(self, block: int) -> None:
        """Pass a block to the live verdicts, once."""
        table = self._table_of(self._open_blocks.pop(block))
        self._closed_blocks[block] = None
        if len(self._closed_blocks) > CLOSED_BLOCKS_KEPT:
            del self._closed_blocks[next(iter(self._closed_blocks))]
        self.lost_poses += int(table.has_lost_pose.sum())
        for name, live in self._live.items():
            live.add_block(table if name == ALL_OBJECTS else table.chosen(table.objects == name))

    def _key(self, stamp_ns: int, object_name: str) -> RecordKey:
        """Key of a frame; KeyError where the run is about several objects, and this is none of them."""
        if len(self._targets) == 1:
            object_name = next(iter(self._targets))
        elif object_name not in self._targets:
            raise KeyError(object_name)
        return RecordKey(int(stamp_ns), object_name)

    def _frame(self, key: RecordKey) -> FrameRecord:
        """The record of a frame, which is about to change."""
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frames[key] = FrameRecord(matrix=self._matrix, image_width_px=self._width_px)
            block = self.block_of(key.stamp_ns)
            if block not in self._closed_blocks:
                self._open_blocks.setdefault(block, []).append(key)
            self._losses.mark('perception', key, frame)
        self._changed[key] = None
        return frame

    def _measure(self, key: RecordKey, frame: FrameRecord) -> None:
        """Compute the errors of a frame once both estimate and truth are known."""
        if (target := self._targets[key.object]) is not None:
            frame.measure(target, has_check=self._pose_checks[key.object] is not None)
            self._check_grasp(key, frame)

    def _check_grasp(self, key: RecordKey, frame: FrameRecord) -> None:
        """Check whether the grasp tolerates the pose error, once both are known."""
        check = self._pose_checks[key.object]
        if check is None or frame.grasp is None or frame.estimate_from_truth is None:
            return
        holds = check(*frame.grasp, frame.estimate_from_truth)
        frame.fits_grasp = math.nan if holds is None else float(holds)
        frame.grasp = frame.estimate_from_truth = None

    def _centres(self, key: RecordKey, poses: Sequence[np.ndarray]) -> tuple[Point, ...]:
        """Centres of the object at (4, 4) poses; none in a run about one object, which needs none."""
        target = self._targets[key.object]
        if len(self._targets) < 2 or target is None:
            return ()
        return tuple(tuple((pose[:3, :3] @ target.centre + pose[:3, 3]).tolist()) for pose in poses
                     if np.isfinite(pose).all())

    def _table_of(self, keys: Sequence[RecordKey]) -> FrameTable:
        places = {name: place for place, name in enumerate(self._targets)}
        keys = sorted(keys, key=lambda key: (places[key.object], key.stamp_ns))
        return table_of({key: self._frames[key] for key in keys}, self.facts)


def size_of(target: ErrorTarget) -> ObjectSize:
    """What the metrics need of an object."""
    return ObjectSize(target.diameter_m if math.isfinite(target.diameter_m) else None, target.tolerance, True)
