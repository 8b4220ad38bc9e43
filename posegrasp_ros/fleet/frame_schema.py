# SPDX-License-Identifier: Apache-2.0
"""Columns of a recording's frames in Parquet, schema ``posegrasp.frames/1``: all that a run's summary depends on.

A row is one object in one image, as one estimator answered. Rows are ordered by estimator (a row group each),
object and stamp. Unknown numbers are null.

``bag``, ``object``, ``estimator``
    where the row belongs; ``object`` is empty where there is only one
``stamp_ns``, ``block``
    stamp of the image, as the run of this recording alone counts it (after a clock was set back it goes on), and
    the time block that it lies in
``has_image``, ``has_estimate``, ``has_truth``, ``is_without_object``, ``image_width_px``, ``score``,
``confidence_level``, ``fits_grasp``, ``visible_share``, ``estimated_share``, ``state``
    see :class:`posegrasp_ros.metrics.frame_record.FrameRecord`
``STAGE_ok``, ``STAGE_reason``, ``STAGE_latency_ms``, ``STAGE_lost``
    report of a stage (perception, planning, execution); ``ok`` is null where it did not report
``has_errors``, ``position_m``, ``rotation_rad``, ``add_m``, ``adi_m``, ``mssd_m``, ``mspd_px``, ``projection_px``
    errors of the pose where its truth is known; null where no pose was found
``instances_present``, ``instances_given``, ``instances_right``
    of images with several of the object
``centres``, ``true_centres``, ``taken_for``, ``stray_poses``
    in a run about several objects: centres of poses and of instances, metres, camera frame; what each instance was
    taken for, and the number of poses on nothing
``truth_covariance``
    upper triangle of the true pose's covariance, 21 numbers
``estimate``, ``truth``, ``said_ns``
    (4, 4) row by row, camera frame, and the stamp that the estimate came with: for the diagnosis of systematic
    faults; null where there is no pair or no such diagnosis
``view``
    first frame of a view: figures that are compared with those of the model's calibration

Further columns are what the recording's path states, such as ``robot=r7``; ``model`` and ``date`` are in the path
of the Parquet file. The key ``posegrasp`` of the file's metadata holds a JSON document with what else the summary
depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from posegrasp_ros.evaluation.method import MethodUnderTest
from posegrasp_ros.metrics.frame_columns import confusion_of
from posegrasp_ros.metrics.frame_record import FLAGS, NUMBERS, POINTS, FrameRecord, RecordKey
from posegrasp_ros.metrics.pose.instance_matching import InstanceCount
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND, PoseErrors
from posegrasp_ros.metrics.stage_report import STAGES

if TYPE_CHECKING:  # only the extra fleet installs it
    import pyarrow as pa

FRAMES_SCHEMA = 'posegrasp.frames/1'
DOCUMENT = b'posegrasp'
ERRORS = tuple(each.name for each in fields(PoseErrors))
INSTANCES = InstanceCount._fields
TEXTS = ('bag', 'object', 'estimator', 'state', *(f'{stage}_reason' for stage in STAGES))


@dataclass(frozen=True)
class KeyedRecord:
    """A frame with all that its row holds.

    :param pair: stamp that the estimate came with, estimate and truth (4, 4); None for none
    :param view: figures of a view, see :class:`posegrasp_ros.metrics.calibration_guard.CalibrationGuard`
    """

    key: RecordKey
    frame: FrameRecord
    block: int
    taken_for: tuple[str, ...] = ()
    stray: int = 0
    pair: tuple[int, np.ndarray, np.ndarray] | None = None
    view: Mapping[str, float] | None = None


Getter = Callable[[KeyedRecord], Any]


def _getters() -> dict[str, Getter]:
    """How each column is had from a record."""
    found: dict[str, Getter] = {
        'object': lambda each: each.key.object, 'stamp_ns': lambda each: each.key.stamp_ns,
        'block': lambda each: each.block, 'state': lambda each: each.frame.state}
    found |= {name: _attribute(name) for name in (*FLAGS, *POINTS)}
    found |= {name: _number(name) for name in NUMBERS}
    for stage in STAGES:
        found |= _stage(stage)
    found['has_errors'] = lambda each: each.frame.errors is not None
    found |= {name: _error(name) for name in ERRORS}
    found |= {f'instances_{name}': _instances(name) for name in INSTANCES}
    found |= {
        'taken_for': lambda each: each.taken_for, 'stray_poses': lambda each: each.stray,
        'truth_covariance': lambda each: None if each.frame.truth_covariance is None else
        each.frame.truth_covariance[np.triu_indices(6)],
        'estimate': lambda each: each.pair and each.pair[1].ravel(),
        'truth': lambda each: each.pair and each.pair[2].ravel(),
        'said_ns': lambda each: each.pair and each.pair[0],
        'view': lambda each: None if each.view is None else list(each.view.items())}
    return found


def frames_schema(values: Sequence[str] = ()) -> pa.Schema:
    """Names and types of the columns.

    :param values: names of further ones, see
        :func:`posegrasp_ros.fleet.partition_values.partition_values`
    """
    import pyarrow as pa

    number = pa.float64()
    kinds = {**dict.fromkeys(TEXTS, pa.string()), **dict.fromkeys(FLAGS, pa.bool_()),
             **dict.fromkeys(NUMBERS, number), **dict.fromkeys(ERRORS, number),
             **dict.fromkeys(POINTS, pa.list_(pa.list_(number))), 'stamp_ns': pa.int64(), 'block': pa.int64(),
             'has_errors': pa.bool_(), 'taken_for': pa.list_(pa.string()), 'stray_poses': pa.int32(),
             'said_ns': pa.int64(), 'view': pa.map_(pa.string(), number)}
    for stage in STAGES:
        kinds |= {f'{stage}_ok': pa.bool_(), f'{stage}_latency_ms': number, f'{stage}_lost': pa.bool_()}
    kinds |= dict.fromkeys((f'instances_{name}' for name in INSTANCES), pa.int32())
    kinds |= dict.fromkeys(('truth_covariance', 'estimate', 'truth'), pa.list_(number))
    names = ['bag', 'estimator', *_getters(), *values]
    return pa.schema([(name, kinds.get(name, pa.string())) for name in names])


def frames_of(bag: str, estimator: str, records: Sequence[KeyedRecord], values: Mapping[str, str]) -> pa.Table:
    """The rows of one estimator.

    :param values: further columns, the same in all rows
    """
    import pyarrow as pa

    schema, count = frames_schema(tuple(values)), len(records)
    same = {'bag': bag, 'estimator': estimator, **values}
    getters = _getters()
    columns = [pa.array([same[each.name]] * count if each.name in same else
                        [getters[each.name](record) for record in records], type=each.type) for each in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def keyed_records(method: MethodUnderTest) -> list[KeyedRecord]:
    """The frames of an estimator, object by object, in the order of their stamps."""
    metrics, facts = method.metrics, method.metrics.facts
    places = {name: place for place, name in enumerate(facts.objects)}
    records = metrics.records
    taken, strays = confusion_of(records, facts.objects)
    pairs: dict[RecordKey, tuple[int, np.ndarray, np.ndarray]] = {}
    for name, log in method.pair_logs.items():
        found = log.pairs()
        pairs |= {RecordKey(stamp, name): (said, estimate, truth) for stamp, said, estimate, truth in zip(
            found.stamps_ns.tolist(), found.said_ns.tolist(), found.estimates, found.truths)}
    views = {RecordKey(stamp, name): view for name, guard in method.guards.items()
             for stamp, view in (guard.history or {}).items()}
    rows = [KeyedRecord(key, frame, metrics.block_of(key.stamp_ns), tuple(each), int(stray), pairs.get(key),
                        views.get(key)) for (key, frame), each, stray in zip(records.items(), taken, strays)]
    return sorted(rows, key=lambda row: (places[row.key.object], row.key.stamp_ns))


def _attribute(name: str) -> Getter:
    return lambda each: getattr(each.frame, name)


def _number(name: str) -> Getter:
    """Null where it is not known."""
    def get(each: KeyedRecord) -> float | None:
        value = getattr(each.frame, name)
        return None if value != value else value

    return get


def _stage(stage: str) -> dict[str, Getter]:
    return {f'{stage}_ok': lambda each: each.frame.reports.get(stage, (None,))[0],
            f'{stage}_reason': lambda each: each.frame.reports.get(stage, (None, ''))[1],
            f'{stage}_latency_ms': lambda each: each.frame.latency_ms.get(stage),
            f'{stage}_lost': lambda each: stage in each.frame.lost}


def _error(name: str) -> Getter:
    return lambda each: None if each.frame.errors in (None, NOT_FOUND) else getattr(each.frame.errors, name)


def _instances(name: str) -> Getter:
    return lambda each: getattr(each.frame.instances, name)
