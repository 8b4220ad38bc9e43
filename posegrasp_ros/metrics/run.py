"""RunMetrics: reports, estimates and truths in, in any order; the summary of a run out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from posegrasp_ros.metrics.baselines import Ledger
from posegrasp_ros.metrics.instances import NO_INSTANCES, InstanceCount, count_instances, nearest_instance
from posegrasp_ros.metrics.pose_errors import STATED_NEED, ErrorTarget, PoseErrors
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.summary import RECALL_POSITION_M, RECALL_ROTATION_RAD, FrameTable, summarise

# Video frames this close together show the same thing: a block of them is what the bootstrap draws. A recording of
# one frame a scene, a second or more apart, has one frame a block: there, and only there, a block is a scene.
BLOCK_NS = 1_000_000_000
NOT_FOUND = PoseErrors(math.inf, math.inf, math.inf)


@dataclass
class _Frame:
    """All that is known of one image; poses are dropped as soon as their errors are known."""

    has_image: bool = False
    reports: dict[str, tuple[bool, str]] = field(default_factory=dict)
    perception_ms: float = math.nan
    planning_ms: float = math.nan
    execution_ms: float = math.nan
    score: float = math.nan
    estimate: np.ndarray | None = None
    covariance: np.ndarray | None = None
    truth: np.ndarray | None = None
    has_truth: bool = False
    is_without_object: bool = False
    errors: PoseErrors | None = None
    confidence_level: float = math.nan
    instances: InstanceCount = NO_INSTANCES


class RunMetrics:
    """Joins what the stages say by image stamp and measures it.

    The first message of a stamp stands; repeats are counted and ignored, and order does not matter. Memory grows
    by a few hundred bytes a frame. The same object serves the live monitor and the offline evaluation.

    :param target: the object, for pose errors; None when only reports are measured
    :param ledger: what the metrics are compared with; None for no verdicts
    :param block_ns: frames within such a stretch of time are drawn together
    """

    def __init__(self, target: ErrorTarget | None = None, ledger: Ledger | None = None, block_ns: int = BLOCK_NS):
        self._target = target
        self._ledger = ledger
        self._block_ns = block_ns
        self._frames: dict[int, _Frame] = {}
        self._knows_images = False
        self.repeats = 0

    def add_image(self, stamp_ns: int) -> None:
        """An image was taken. Where images are announced, one that no stage reports on counts as a failure, and a
        truth without an image does not count."""
        self._knows_images = True
        self._frame(stamp_ns).has_image = True

    def add_report(self, report: StageReport) -> None:
        """A stage's account of one image."""
        frame = self._frame(report.stamp_ns)
        if report.stage in frame.reports:
            self.repeats += 1
            return
        frame.reports[report.stage] = (report.ok, report.reason)
        setattr(frame, f'{report.stage}_ms', float(report.numbers.get('latency_ms', math.nan)))
        if report.stage == 'perception':
            frame.score = float(report.numbers.get('score', math.nan))

    def add_estimate(self, stamp_ns: int, camera_from_object: np.ndarray,
                     covariance: np.ndarray | None = None) -> None:
        """The best pose that perception found in an image, (4, 4), camera frame; one with NaN is no answer.

        :param covariance: (6, 6) in the camera frame; None or all zero where nothing is said of it
        """
        frame = self._frame(stamp_ns)
        if frame.estimate is not None or frame.errors is not None:
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
            self._frame(stamp_ns).instances = count_instances(estimates, truths, self._target,
                                                              (RECALL_POSITION_M, RECALL_ROTATION_RAD))

    def add_absence(self, stamp_ns: int) -> None:
        """The object is not in an image: nothing is to be found there."""
        self._frame(stamp_ns).is_without_object = True

    def summary(self, provenance: dict | None = None, until_ns: int | None = None) -> dict:
        """The run so far, in the form ``posegrasp.summary/1``.

        :param provenance: what was measured on which machine, copied into the summary
        :param until_ns: leave out later images, whose answers may still be under way; None for all
        """
        return summarise(self._table(until_ns), self._ledger, provenance or {})

    def _frame(self, stamp_ns: int) -> _Frame:
        return self._frames.setdefault(int(stamp_ns), _Frame())

    def _measure(self, frame: _Frame) -> None:
        """Turn a pair of poses into their errors."""
        if self._target is None or frame.estimate is None or frame.truth is None:
            return
        if np.isfinite(frame.estimate).all():
            frame.errors = self._target.errors(frame.estimate, frame.truth)
            if frame.covariance is not None:
                frame.confidence_level = self._target.confidence_level(frame.estimate, frame.covariance,
                                                                       frame.truth)
        else:
            frame.errors = NOT_FOUND
        frame.estimate = frame.covariance = frame.truth = None

    def _table(self, until_ns: int | None) -> FrameTable:
        """The frames as columns, in order of their stamps."""
        stamps = np.array(sorted(s for s in self._frames if until_ns is None or s <= until_ns), dtype=np.int64)
        frames = [self._frames[int(stamp)] for stamp in stamps]
        errors = [frame.errors or NOT_FOUND for frame in frames]

        def column(values) -> np.ndarray:
            return np.array(list(values), dtype=float)

        has_truth = np.array([frame.has_truth for frame in frames], dtype=bool)
        if self._knows_images:
            looked_at = (frame.has_image or 'perception' in frame.reports for frame in frames)
            has_truth &= np.array(list(looked_at), dtype=bool)
        return FrameTable(
            blocks=stamps // self._block_ns,
            block_s=self._block_ns / 1e9,
            has_image=np.array([frame.has_image for frame in frames], dtype=bool),
            has_truth=has_truth,
            is_without_object=np.array([frame.is_without_object for frame in frames], dtype=bool),
            reports=[frame.reports for frame in frames],
            latency_ms={stage: column(getattr(frame, f'{stage}_ms') for frame in frames)
                        for stage in ('perception', 'planning', 'execution')},
            position_error_m=column(error.position_m for error in errors),
            rotation_error_rad=column(error.rotation_rad for error in errors),
            add_error_m=column(error.add_m for error in errors),
            instances=np.array([frame.instances for frame in frames], dtype=int).reshape(-1, 3),
            score=column(frame.score for frame in frames),
            confidence_level=column(frame.confidence_level for frame in frames),
            diameter_m=self._target.diameter_m if self._target else None,
            tolerance=self._target.tolerance if self._target else STATED_NEED,
            repeats=self.repeats,
        )
