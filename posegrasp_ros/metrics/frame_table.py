"""FrameTable: all that is known of a run's images, as columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, Tolerance


@dataclass(frozen=True)
class FrameTable:
    """A run's N frames as columns; unknown times are NaN, errors of unanswered frames infinite.

    :param blocks: (N,) stretch of ``block_s`` seconds that each frame lies in, what the bootstrap draws
    :param is_without_object: (N,) whether nothing is to be found in the frame
    :param mssd_m: (N,) maximum symmetry-aware surface distance, as BOP defines it; mspd_px that of projections
    :param image_width_px: (N,) of the camera; NaN where it is not known
    :param fits_grasp: (N,) 1 where the pose's error is within the tolerance of the grasp that was planned, 0
        where it is not, NaN where no grasp was planned or its tolerance is not known
    :param instances: (N, 3) objects in the frame, poses of them, pairs of the two that agree; zeros where a frame
        was not said to have several
    :param score: (N,) perception's own; NaN where it states none
    :param confidence_level: (N,) level of the estimate's smallest confidence region that holds the truth; NaN
        where there is no estimate, covariance or truth
    :param lost: by stage (N,) whether its report of the frame was sent and did not come
    :param has_lost_pose: (N,) whether the object is in the frame and a pose of it was sent, as far as anybody can
        tell, and did not come
    :param reports: per frame {stage: (ok, reason)}
    :param diameter_m: the object's; None when no pose errors are measured
    """

    blocks: np.ndarray
    block_s: float
    has_image: np.ndarray
    has_truth: np.ndarray
    lost: dict[str, np.ndarray]
    has_lost_pose: np.ndarray
    is_without_object: np.ndarray
    reports: list[dict[str, tuple[bool, str]]]
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
    score: np.ndarray
    confidence_level: np.ndarray
    diameter_m: float | None
    tolerance: Tolerance
    repeats: int

    def __len__(self) -> int:
        return len(self.reports)

    def reported(self, stage: str) -> np.ndarray:
        """(N,) whether the stage said anything of a frame."""
        return np.array([stage in reports for reports in self.reports], dtype=bool)

    def answered(self, stage: str) -> np.ndarray:
        """(N,) whether the stage had an answer to a frame."""
        return np.array([reports.get(stage, (False, ''))[0] for reports in self.reports], dtype=bool)

    def gave_reason(self, stage: str, reasons: Collection[str]) -> np.ndarray:
        """(N,) whether the stage refused a frame for one of some reasons."""
        return np.array([reports.get(stage, (True, ''))[1] in reasons for reports in self.reports], dtype=bool)

    def inputs(self, stage: str) -> np.ndarray:
        """(N,) whether the stage had a frame to answer, silence included; what it said and was lost is not known.

        Perception has every image. Planning, if it runs at all, has every frame in which perception found
        something. Not every plan is carried out, so execution has only what it reports.
        """
        reported = self.reported(stage)
        if stage == 'perception':
            return (reported | self.has_image | self.has_truth | self.is_without_object) & ~self.lost[stage]
        if stage == 'planning' and reported.any():
            return (reported | self.answered('perception')) & ~self.lost[stage]
        return reported

    def known_latency_ms(self, stage: str) -> np.ndarray:
        """(M,) times that the stage's reports tell."""
        return self.latency_ms[stage][np.isfinite(self.latency_ms[stage])]

    @cached_property
    def counts_for_recall(self) -> np.ndarray:
        """(N,) whether the object is in the frame and its pose is measured."""
        if self.diameter_m is None:
            return np.zeros(len(self), dtype=bool)
        return self.has_truth & ~self.has_lost_pose

    @cached_property
    def is_accurate(self) -> np.ndarray:
        """(N,) whether the pose is within 1 cm and 5 degrees."""
        return ((self.position_error_m < STATED_NEED.position_m)
                & (self.rotation_error_rad < STATED_NEED.rotation_rad))

    @cached_property
    def is_tolerated(self) -> np.ndarray:
        """(N,) whether the pose is good enough for the grasp planned with it, else for the stated need."""
        return np.where(np.isnan(self.fits_grasp), self.is_accurate, self.fits_grasp == 1)

    @cached_property
    def is_right(self) -> np.ndarray:
        """(N,) whether the pose is within the model card's tolerance, which its score is a probability of."""
        return ((self.position_error_m < self.tolerance.position_m)
                & (self.rotation_error_rad < self.tolerance.rotation_rad))

    @cached_property
    def has_found(self) -> np.ndarray:
        """(N,) whether there is a pose of the object that is in the frame."""
        return self.counts_for_recall & np.isfinite(self.position_error_m)

    @cached_property
    def is_scored(self) -> np.ndarray:
        """(N,) whether the score of the pose can be held against its truth."""
        return self.has_found & np.isfinite(self.score)

    @cached_property
    def states_covariance(self) -> np.ndarray:
        """(N,) whether the covariance of the pose can be held against its truth."""
        return self.has_found & np.isfinite(self.confidence_level)
