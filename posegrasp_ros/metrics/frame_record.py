"""FrameRecord: the data of a run about one image, and its conversion to a FrameTable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.instance_matching import NO_INSTANCES, InstanceCount
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND, STATED_NEED, ErrorTarget, PoseErrors
from posegrasp_ros.metrics.stage_report import STAGES


@dataclass(slots=True)
class FrameRecord:
    """Data about one image; poses are dropped as soon as their errors are computed."""

    has_image: bool = False
    matrix: np.ndarray | None = None
    image_width_px: float = math.nan
    reports: dict[str, tuple[bool, str]] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    score: float = math.nan
    estimate: np.ndarray | None = None
    covariance: np.ndarray | None = None
    truth: np.ndarray | None = None
    has_truth: bool = False
    is_without_object: bool = False
    errors: PoseErrors | None = None
    confidence_level: float = math.nan
    estimate_from_truth: np.ndarray | None = None
    grasp: tuple[str, int] | None = None
    fits_grasp: float = math.nan
    instances: InstanceCount = NO_INSTANCES
    lost: frozenset[str] = frozenset()

    @property
    def has_estimate(self) -> bool:
        return self.estimate is not None or self.errors is not None


def table_of(records: Mapping[int, FrameRecord], block_ns: int, knows_images: bool, target: ErrorTarget | None,
             repeats: int) -> FrameTable:
    """Convert records by stamp to columns.

    :param block_ns: length of a time block; the frames of a block count as one observation
    :param knows_images: whether images are reported to the run; if so, a truth without an image is ignored
    :param target: the object; None when only reports are measured
    :param repeats: number of duplicate messages
    """
    frames = list(records.values())
    errors = [frame.errors or NOT_FOUND for frame in frames]

    def flags(values: Iterable[bool]) -> np.ndarray:
        return np.fromiter(values, dtype=bool, count=len(frames))

    def column(values: Iterable[float]) -> np.ndarray:
        return np.fromiter(values, dtype=float, count=len(frames))

    has_truth = flags(frame.has_truth for frame in frames)
    if knows_images:
        has_truth &= flags(frame.has_image or 'perception' in frame.reports for frame in frames)
    has_estimate = flags(frame.has_estimate for frame in frames)
    said_found = flags(frame.reports.get('perception', (False,))[0] for frame in frames)
    lost = {stage: flags(stage in frame.lost for frame in frames) for stage in STAGES}
    return FrameTable(
        blocks=np.array(list(records), dtype=np.int64) // block_ns,
        block_s=block_ns / 1e9,
        has_image=flags(frame.has_image for frame in frames),
        has_truth=has_truth,
        lost=lost,
        has_lost_pose=has_truth & ~has_estimate & (said_found | lost['perception']),
        is_without_object=flags(frame.is_without_object for frame in frames),
        reports=[frame.reports for frame in frames],
        latency_ms={stage: column(frame.latency_ms.get(stage, math.nan) for frame in frames)
                    for stage in STAGES},
        position_error_m=column(error.position_m for error in errors),
        rotation_error_rad=column(error.rotation_rad for error in errors),
        add_error_m=column(error.add_m for error in errors),
        mssd_m=column(error.mssd_m for error in errors),
        mspd_px=column(error.mspd_px for error in errors),
        projection_error_px=column(error.projection_px for error in errors),
        image_width_px=column(frame.image_width_px for frame in frames),
        fits_grasp=column(frame.fits_grasp for frame in frames),
        instances=np.array([frame.instances for frame in frames], dtype=int).reshape(-1, 3),
        score=column(frame.score for frame in frames),
        confidence_level=column(frame.confidence_level for frame in frames),
        diameter_m=target.diameter_m if target else None,
        tolerance=target.tolerance if target else STATED_NEED,
        repeats=repeats,
    )
