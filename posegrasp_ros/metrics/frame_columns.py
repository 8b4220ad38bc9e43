# SPDX-License-Identifier: Apache-2.0
"""Conversion of the records of a run to a FrameTable."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from posegrasp_ros.metrics.coded_column import CodedColumn
from posegrasp_ros.metrics.confusion import Sighting, taken_for
from posegrasp_ros.metrics.frame_record import FrameRecord, RecordKey
from posegrasp_ros.metrics.frame_table import NO_REPORT, FrameTable, Reported
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND, STATED_NEED, PoseTolerance
from posegrasp_ros.metrics.stage_report import STAGES
from posegrasp_ros.metrics.truth_spread import spread_of

UNKNOWN_COVARIANCE = np.full((6, 6), np.nan)


class ObjectSize(NamedTuple):
    """What the metrics need of an object.

    :param diameter_m: None when it is not known, or only reports are measured
    :param measures_poses: whether more than reports is measured
    """

    diameter_m: float | None = None
    tolerance: PoseTolerance = STATED_NEED
    measures_poses: bool = False


class RunFacts(NamedTuple):
    """What the records of a run have in common.

    :param objects: by name
    :param block_ns: length of a time block; the frames of a block count as one observation
    :param knows_images: whether images are reported to the run; if so, a truth without an image is ignored
    :param repeats: number of duplicate messages
    """

    objects: Mapping[str, ObjectSize]
    block_ns: int
    knows_images: bool = False
    repeats: int = 0


def table_of(records: Mapping[RecordKey, FrameRecord], facts: RunFacts) -> FrameTable:
    """Convert records to columns, one row for each."""
    keys, frames = list(records), list(records.values())
    errors = [frame.errors or NOT_FOUND for frame in frames]
    sizes = [facts.objects[key.object] for key in keys]

    def flags(values: Iterable[bool]) -> np.ndarray:
        return np.fromiter(values, dtype=bool, count=len(frames))

    def column(values: Iterable[float]) -> np.ndarray:
        return np.fromiter(values, dtype=float, count=len(frames))

    has_truth = flags(frame.has_truth for frame in frames)
    if facts.knows_images:
        has_truth &= flags(frame.has_image or 'perception' in frame.reports for frame in frames)
    has_estimate = flags(frame.has_estimate for frame in frames)
    said_found = flags(frame.reports.get('perception', (False,))[0] for frame in frames)
    lost = {stage: flags(stage in frame.lost for frame in frames) for stage in STAGES}
    taken, stray = confusion_of(records, facts.objects)
    return FrameTable(
        objects=CodedColumn.of(key.object for key in keys),
        stamps_ns=np.array([key.stamp_ns for key in keys], dtype=np.int64),
        blocks=np.array([key.stamp_ns for key in keys], dtype=np.int64) // facts.block_ns,
        block_s=facts.block_ns / 1e9,
        has_image=flags(frame.has_image for frame in frames),
        has_truth=has_truth,
        lost=lost,
        has_lost_pose=has_truth & ~has_estimate & (said_found | lost['perception']),
        is_without_object=flags(frame.is_without_object for frame in frames),
        reports={stage: _reported(stage, frames) for stage in STAGES},
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
        instances=np.array([frame.instances for frame in frames], dtype=np.int32).reshape(-1, 3),
        taken_for=CodedColumn.of(taken),
        stray_poses=np.array(stray, dtype=np.int32),
        score=column(frame.score for frame in frames),
        confidence_level=column(frame.confidence_level for frame in frames),
        truth_spreads=spread_of(np.array([UNKNOWN_COVARIANCE if frame.truth_covariance is None else
                                          frame.truth_covariance for frame in frames]).reshape(-1, 6, 6)),
        visible_share=column(frame.visible_share for frame in frames),
        estimated_share=column(frame.estimated_share for frame in frames),
        states=CodedColumn.of(frame.state for frame in frames),
        measures_poses=flags(size.measures_poses for size in sizes),
        diameter_m=column(math.nan if size.diameter_m is None else size.diameter_m for size in sizes),
        tolerance_m=column(size.tolerance.position_m for size in sizes),
        tolerance_rad=column(size.tolerance.rotation_rad for size in sizes),
        repeats=facts.repeats,
    )


def _reported(stage: str, frames: Sequence[FrameRecord]) -> Reported:
    said = [frame.reports.get(stage) for frame in frames]
    ok = np.fromiter((NO_REPORT if each is None else each[0] for each in said), dtype=np.int8, count=len(said))
    return Reported(ok, CodedColumn.of('' if each is None else each[1] for each in said))


def confusion_of(records: Mapping[RecordKey, FrameRecord],
                 objects: Mapping[str, ObjectSize]) -> tuple[list[tuple[str, ...]], list[int]]:
    """What the object's instances were taken for, and the number of its poses on nothing, for each record."""
    if len(objects) < 2:
        return [()] * len(records), [0] * len(records)
    images: dict[int, dict[str, Sighting]] = defaultdict(dict)
    for key, frame in records.items():
        radius_m = (objects[key.object].diameter_m or 0.0) / 2
        images[key.stamp_ns][key.object] = Sighting(frame.centres, frame.true_centres, radius_m)
    found = {stamp_ns: taken_for(sightings) for stamp_ns, sightings in images.items()}
    each = [found[key.stamp_ns][key.object] for key in records]
    return [taken for taken, _ in each], [stray for _, stray in each]
