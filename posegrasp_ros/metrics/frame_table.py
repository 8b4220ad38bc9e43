# SPDX-License-Identifier: Apache-2.0
"""FrameTable: the data of a run about its images, as columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.metrics.coded_column import CodedColumn, rows
from posegrasp_ros.metrics.confusion import NOT_FOUND
from posegrasp_ros.metrics.pose.calibration import are_probabilities
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.stage_report import NOT_ASKED

NO_REPORT = -1
"""In :attr:`Reported.ok`."""


@dataclass(frozen=True)
class Reported:
    """What a stage reported on N frames.

    :param ok: (N,) int8: 1 with an answer, 0 without, :data:`NO_REPORT` where it did not report
    :param reasons: (N,) empty where there is an answer or no report
    """

    ok: np.ndarray
    reasons: CodedColumn

    def __getitem__(self, chosen: np.ndarray) -> Reported:
        return Reported(rows(self.ok, chosen), self.reasons[chosen])


@dataclass(frozen=True)
class FrameTable:
    """The N frames of a run as columns; unknown times are NaN, errors of unanswered frames infinite.

    Where a run is about several objects, a frame is one object in one image.

    :param objects: (N,) name of the object that each frame is about
    :param stamps_ns: (N,) of the images
    :param blocks: (N,) index of the ``block_s`` second block that each frame lies in; the bootstrap resamples
        blocks
    :param is_without_object: (N,) whether the frame is known not to contain the object
    :param mssd_m: (N,) maximum symmetry-aware surface distance (BOP); mspd_px: the same for projections
    :param image_width_px: (N,) image width of the camera; NaN where it is not known
    :param fits_grasp: (N,) 1 where the pose error is within the tolerance of the planned grasp, 0 where it is not,
        NaN where no grasp was planned or its tolerance is not known
    :param instances: (N, 3) number of objects in the frame, of estimated poses, and of correct poses; zeros for
        frames without multi-instance data
    :param taken_for: per frame, for each instance of the object, the name of the object whose pose is on it, see
        :func:`posegrasp_ros.metrics.confusion.taken_for`; empty in a run about one object
    :param stray_poses: (N,) number of poses of the object that are on no known instance of any; 0 in a run about
        one object
    :param score: (N,) score reported by perception; NaN where it reports none
    :param confidence_level: (N,) level of the estimate's smallest confidence region that contains the truth; NaN
        where there is no estimate, covariance or truth
    :param truth_spreads: (N, 4) of the true poses, see :func:`posegrasp_ros.metrics.truth_spread.spread_of`; NaN
        where they are not known
    :param visible_share: (N,) how much of the object is visible, as the ground truth says; NaN where it does not
    :param estimated_share: (N,) the same as perception estimates it at its pose; NaN where it does not
    :param states: (N,) state of the tracked object, as perception reports it; empty without tracking
    :param lost: by stage (N,) whether its report of the frame was sent but not received
    :param has_lost_pose: (N,) whether the object is in the frame and a pose of it was apparently sent but not
        received
    :param reports: by stage what it reported
    :param measures_poses: (N,) whether more than reports is measured
    :param diameter_m: (N,) object diameter; NaN where it is not known
    :param tolerance_m: (N,) largest position error of a correct pose, from the model card
    :param tolerance_rad: (N,) largest rotation error of a correct pose, from the model card
    """

    objects: CodedColumn
    stamps_ns: np.ndarray
    blocks: np.ndarray
    block_s: float
    has_image: np.ndarray
    has_truth: np.ndarray
    lost: dict[str, np.ndarray]
    has_lost_pose: np.ndarray
    is_without_object: np.ndarray
    reports: dict[str, Reported]
    latency_ms: dict[str, np.ndarray]
    position_error_m: np.ndarray
    rotation_error_rad: np.ndarray
    add_error_m: np.ndarray
    mssd_m: np.ndarray
    mspd_px: np.ndarray
    projection_error_px: np.ndarray
    image_width_px: np.ndarray
    fits_grasp: np.ndarray
    instances: np.ndarray
    taken_for: CodedColumn
    stray_poses: np.ndarray
    score: np.ndarray
    confidence_level: np.ndarray
    truth_spreads: np.ndarray
    visible_share: np.ndarray
    estimated_share: np.ndarray
    states: CodedColumn
    measures_poses: np.ndarray
    diameter_m: np.ndarray
    tolerance_m: np.ndarray
    tolerance_rad: np.ndarray
    repeats: int

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def chosen(self, mask: np.ndarray) -> FrameTable:
        """The frames that a mask (N,) selects."""
        def of(column: Any) -> Any:
            if isinstance(column, np.ndarray):
                return rows(column, mask)
            if isinstance(column, dict):
                return {stage: of(values) for stage, values in column.items()}
            return column[mask] if isinstance(column, (CodedColumn, Reported)) else column

        return FrameTable(**{field.name: of(getattr(self, field.name)) for field in fields(self)})

    def reported(self, stage: str) -> np.ndarray:
        """(N,) whether the stage reported on a frame."""
        return self.reports[stage].ok != NO_REPORT

    def answered(self, stage: str) -> np.ndarray:
        """(N,) whether the stage had an answer for a frame."""
        return self.reports[stage].ok == 1

    def gave_reason(self, stage: str, reasons: Collection[str]) -> np.ndarray:
        """(N,) whether the stage refused a frame for one of these reasons."""
        return self.reports[stage].reasons.is_in(reasons)

    def inputs(self, stage: str) -> np.ndarray:
        """(N,) whether a frame is an input of the stage. Silence counts as an input, a lost report does not.

        Inputs of perception are all images. Inputs of planning, if it runs, are all frames in which perception
        found something, but for those that nobody asked to plan for. Not every plan is executed, so inputs of
        execution are only the frames that it reports.
        """
        reported = self.reported(stage)
        if stage == 'perception':
            return (reported | self.has_image | self.has_truth | self.is_without_object) & ~self.lost[stage]
        if stage == 'planning' and reported.any():
            asked = ~self.gave_reason(stage, (NOT_ASKED,))
            return (reported | self.answered('perception')) & asked & ~self.lost[stage]
        return reported

    def known_latency_ms(self, stage: str) -> np.ndarray:
        """(M,) latencies stated in the stage's reports."""
        return self.latency_ms[stage][np.isfinite(self.latency_ms[stage])]

    @cached_property
    def is_hidden(self) -> np.ndarray:
        """(N,) whether less of the object is visible than any pose is asked for."""
        return self.visible_share < LEAST_VISIBLE  # false where it is not known

    @cached_property
    def asked_instances(self) -> np.ndarray:
        """(N, 3) :attr:`instances`; none in frames that hide all of them."""
        if not self.is_hidden.any():
            return self.instances
        return np.where(self.is_hidden[:, None], self.instances.dtype.type(0), self.instances)

    @cached_property
    def counts_for_recall(self) -> np.ndarray:
        """(N,) whether the object is in the frame, not hidden, and its pose is measured."""
        return self.has_truth & ~self.has_lost_pose & ~self.is_hidden & self.measures_poses

    @cached_property
    def counts_for_surface(self) -> np.ndarray:
        """(N,) :attr:`counts_for_recall` where the object's shape is known, for errors of its surface."""
        return self.counts_for_recall & np.isfinite(self.diameter_m)

    @cached_property
    def counts_for_confusion(self) -> np.ndarray:
        """(N,) whether it is known what the object was taken for: in images with a ground truth of a run about
        several objects."""
        return self.counts_for_recall & self.taken_for.holds(bool)

    @cached_property
    def is_confused(self) -> np.ndarray:
        """(N,) whether an instance of the object was taken for another object."""
        confused = np.zeros(len(self), dtype=bool)
        for name in self.objects.words:
            others = [taken for taken in self.taken_for.words if set(taken) - {name, NOT_FOUND}]
            confused |= (self.objects == name) & self.taken_for.is_in(others)
        return confused

    @cached_property
    def is_accurate(self) -> np.ndarray:
        """(N,) whether the pose is within 1 cm and 5 degrees."""
        return ((self.position_error_m < STATED_NEED.position_m)
                & (self.rotation_error_rad < STATED_NEED.rotation_rad))

    @cached_property
    def is_tolerated(self) -> np.ndarray:
        """(N,) whether the pose is good enough for its planned grasp; without one, within 1 cm and 5 degrees."""
        return np.where(np.isnan(self.fits_grasp), self.is_accurate, self.fits_grasp == 1)

    @cached_property
    def is_right(self) -> np.ndarray:
        """(N,) whether the pose is within the model card's tolerance; the score is the probability of this."""
        return (self.position_error_m < self.tolerance_m) & (self.rotation_error_rad < self.tolerance_rad)

    @cached_property
    def has_found(self) -> np.ndarray:
        """(N,) whether the object is in the frame and a pose was estimated."""
        return self.counts_for_recall & np.isfinite(self.position_error_m)

    @cached_property
    def is_scored(self) -> np.ndarray:
        """(N,) whether the score of the pose can be compared with the truth; nowhere if the scores are not
        probabilities."""
        known = np.isfinite(self.score)
        return self.has_found & known & are_probabilities(self.score[known])

    @cached_property
    def states_covariance(self) -> np.ndarray:
        """(N,) whether the covariance of the pose can be compared with the truth."""
        return self.has_found & np.isfinite(self.confidence_level)
