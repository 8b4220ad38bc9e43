# SPDX-License-Identifier: Apache-2.0
"""Catalogue of metrics. One record defines a metric; summary, verdicts, report and gate are derived from it.

Other packages add metrics through an entry point that refers to a :class:`Metric`::

    [project.entry-points."posegrasp.metrics"]
    my_metric = "my_package.my_module:MY_METRIC"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.observations import Observations, calibration, mean, median, rate, share
from posegrasp_ros.metrics.pose.bop import MSPD_WIDTH_PX, mspd_shares, mssd_shares
from posegrasp_ros.metrics.pose.calibration import COVERAGE_LEVEL
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.stats.interval import DIRECTIONS
from posegrasp_ros.metrics.track_states import ABSENT, FOUND, LOST, TRACKED
from posegrasp_ros.metrics.tracking_metrics import in_state, pose_flips, recovered, recovery_times
from posegrasp_ros.metrics.units import SHOWN_UNITS
from posegrasp_ros.runtime.entry_points import described, entry_points, load_entry_point
from posegrasp_ros.runtime.errors import InvalidInputError

KIND, GROUP = 'metric', 'posegrasp.metrics'
RECALL_ADD_SHARE = 0.1
LOWER, HIGHER, ON_TARGET = 'lower_is_better', 'higher_is_better', 'on_target'
NO_TRUTH = 'no pose with ground truth'
NO_TRACKING = 'nothing was tracked'
NO_OCCLUSION = 'no tracked object was hidden and seen again, or the ground truth does not tell'


class MetricError(InvalidInputError):
    """A metric that cannot be added."""


@dataclass(frozen=True)
class Curve:
    """Cumulative distribution of an error: share of frames with an error up to x.

    :param key: key in the summary's ``distributions``
    :param errors: (N,) errors of a table's frames, infinite without an answer, NaN where the error is unknown
    :param step: tick spacing, in ``unit``
    :param steps: number of steps on the axis; larger errors are off the plot
    :param need: accuracy that the grasp needs; None where none is specified
    """

    key: str
    title: str
    unit: str
    errors: Callable[[FrameTable], np.ndarray]
    step: float
    steps: int
    need: float | None = None


@dataclass(frozen=True)
class Metric:
    """Definition of one metric.

    :param unit: ``m``, ``rad``, ``px``, ``ms`` or ``1``
    :param direction: one of :data:`DIRECTIONS`
    :param label: display name
    :param observe: returns the metric's observations from the frames of a run
    :param heading: heading of its column in the terminal; empty for no column
    :param curve: distribution to plot in the report; None for none
    :param is_paired: whether estimators are compared by it frame by frame, and with what the references reach; it
        needs one value a frame
    :param is_optional: whether the gate skips it when it was not measured; not every recording contains the data
    :param no_data: reason shown when it could not be measured
    :param same_poses_as: metric that measures the same poses and has priority; empty for none
    :param is_for_planning: whether it matters only for how the planner ranks grasps
    :param is_for_tracking: whether it is of tracked objects: where none is, the next step does not mention it
    :param spans_blocks: whether one observation may take longer than a time block; there are no live verdicts then
    """

    name: str
    unit: str
    direction: str
    label: str
    observe: Callable[[FrameTable], Observations]
    heading: str = ''
    curve: Curve | None = None
    is_paired: bool = False
    is_optional: bool = False
    no_data: str = NO_TRUTH
    same_poses_as: str = ''
    is_for_planning: bool = False
    is_for_tracking: bool = False
    spans_blocks: bool = False


def is_within_add(table: FrameTable) -> np.ndarray:
    """(N,) whether the pose's ADD is below a tenth of the diameter."""
    return table.add_error_m < RECALL_ADD_SHARE * table.diameter_m


def _ar_mspd(table: FrameTable) -> Observations:
    """Average recall of MSPD, over frames with a known camera."""
    shares = mspd_shares(table.mspd_px, table.image_width_px)
    return mean(shares, table.counts_for_surface & np.isfinite(table.image_width_px), table.blocks)


def _image_to_grasp(table: FrameTable) -> Observations:
    """Sum of perception and planning time, without message transport."""
    times = table.latency_ms['perception'] + table.latency_ms['planning']
    return median(table, times, table.answered('planning'))


OURS = (
    Metric('position_error_median', 'm', LOWER, 'Position error, median',
           lambda table: median(table, table.position_error_m, table.has_found),
           heading='position', is_paired=True,
           curve=Curve('position_error', 'Position error', 'm', lambda table: table.position_error_m,
                       STATED_NEED.position_m, 4, STATED_NEED.position_m)),
    Metric('rotation_error_median', 'rad', LOWER, 'Rotation error, median',
           lambda table: median(table, table.rotation_error_rad, table.has_found),
           heading='rotation', is_paired=True,
           curve=Curve('rotation_error', 'Rotation error', 'rad', lambda table: table.rotation_error_rad,
                       STATED_NEED.rotation_rad, 4, STATED_NEED.rotation_rad)),
    Metric('recall_1cm_5deg', '1', HIGHER, 'Pose within 1 cm and 5°',
           lambda table: rate(table.is_accurate, table.counts_for_recall, table.blocks),
           heading='1 cm, 5°', is_paired=True),
    Metric('add_recall_10pct', '1', HIGHER, 'ADD below 10 % of diameter',
           lambda table: rate(is_within_add(table), table.counts_for_surface, table.blocks),
           heading='ADD < 10 %', is_paired=True, same_poses_as='recall_1cm_5deg'),
    # AR: average recall of the BOP benchmark; the MSSD and MSPD curves end at its largest thresholds.
    Metric('ar_mssd', '1', HIGHER, 'AR of MSSD',
           lambda table: mean(mssd_shares(table.mssd_m, table.diameter_m), table.counts_for_surface, table.blocks),
           heading='AR MSSD', same_poses_as='recall_1cm_5deg',
           curve=Curve('mssd', 'MSSD / diameter', '1',
                       lambda table: table.mssd_m / table.diameter_m, 0.1, 5)),
    Metric('ar_mspd', '1', HIGHER, 'AR of MSPD', _ar_mspd,
           heading='AR MSPD', same_poses_as='recall_1cm_5deg', no_data='no ground truth with a known camera',
           curve=Curve('mspd', f'MSPD, scaled to image width {MSPD_WIDTH_PX:g} px', 'px',
                       lambda table: table.mspd_px * MSPD_WIDTH_PX / table.image_width_px, 10.0, 5)),
    Metric('mssd_median', 'm', LOWER, 'MSSD, median',
           lambda table: median(table, table.mssd_m, table.has_found),
           same_poses_as='position_error_median'),
    Metric('projection_error_median', 'px', LOWER, 'Projection error, median',
           lambda table: median(table, table.projection_error_px, table.has_found),
           no_data='no pose with ground truth and a known camera', same_poses_as='position_error_median'),
    Metric('covariance_coverage_90', '1', ON_TARGET, 'Truth in the 90 % region of the covariance',
           lambda table: rate(table.confidence_level <= COVERAGE_LEVEL, table.states_covariance, table.blocks),
           heading='in 90 %', is_optional=True, no_data='no covariance with a ground truth', is_for_planning=True),
    Metric('score_ece', '1', LOWER, 'Score, expected calibration error',
           lambda table: calibration(table.score, table.is_right, table.is_scored, table.blocks),
           heading='ECE', is_optional=True, no_data='no score with a ground truth', is_for_planning=True),
    Metric('false_poses', '1', LOWER, 'False poses (object absent)',
           lambda table: rate(table.answered('perception'), table.is_without_object, table.blocks),
           heading='false poses', is_paired=True, is_optional=True,
           no_data='no image is labelled as without the object'),
    Metric('instance_recall', '1', HIGHER, 'Instance recall, several objects',
           lambda table: share(table.asked_instances[:, 2], table.asked_instances[:, 0], table.blocks),
           heading='found', is_optional=True, no_data='no image shows several objects'),
    Metric('instance_precision', '1', HIGHER, 'Instance precision, several objects',
           lambda table: share(table.asked_instances[:, 2], table.asked_instances[:, 1], table.blocks),
           heading='correct', is_optional=True, no_data='no image shows several objects'),
    Metric('object_confusion', '1', LOWER, 'Taken for another object',
           lambda table: rate(table.is_confused, table.counts_for_confusion, table.blocks),
           heading='confused', is_optional=True, no_data='no image with ground truth shows several objects'),
    Metric('state_found', '1', LOWER, 'Tracking: found by the networks', in_state(FOUND), is_optional=True,
           no_data=NO_TRACKING, is_for_tracking=True),
    Metric('state_tracked', '1', HIGHER, 'Tracking: followed without them', in_state(TRACKED),
           heading='followed', is_optional=True, no_data=NO_TRACKING, is_for_tracking=True),
    Metric('state_lost', '1', LOWER, 'Tracking: lost', in_state(LOST), heading='lost', is_optional=True,
           no_data=NO_TRACKING, is_for_tracking=True),
    Metric('state_absent', '1', LOWER, 'Tracking: absent', in_state(ABSENT), is_optional=True,
           no_data=NO_TRACKING, is_for_tracking=True),
    Metric('pose_flips', '1', LOWER, 'Tracking: flips to another pose', pose_flips, heading='flips',
           is_optional=True, no_data='no consecutive poses of a tracked object with ground truth',
           is_for_tracking=True),
    Metric('occlusion_recovery', '1', HIGHER, 'Tracking: found again after full occlusion', recovered,
           heading='found again', is_optional=True, no_data=NO_OCCLUSION, is_for_tracking=True,
           spans_blocks=True),
    Metric('recovery_time_median', 'ms', LOWER, 'Tracking: time until found again, median', recovery_times,
           heading='after', is_optional=True, no_data=NO_OCCLUSION, is_for_tracking=True, spans_blocks=True),
    Metric('grasp_success_rate', '1', HIGHER, 'Grasp success',
           lambda table: rate(table.answered('execution'), table.inputs('execution'), np.arange(len(table))),
           heading='lifted', is_optional=True, no_data='no pick was reported'),
    Metric('image_to_pose_p50', 'ms', LOWER, 'Image to pose, median',
           lambda table: median(table, table.latency_ms['perception'], table.answered('perception')),
           heading='to pose', no_data='no pose was given, or no report states its latency'),
    Metric('image_to_grasp_p50', 'ms', LOWER, 'Image to grasp, median', _image_to_grasp,
           heading='to grasp', no_data='no pose was given, or no report states its latency'),
)
_registered: dict[str, Metric] = {each.name: each for each in OURS}


def catalogue() -> Mapping[str, Metric]:
    """All metrics by name, built-in ones first.

    :raises MetricError: when a metric of another package cannot be used
    """
    _load_others()
    return MappingProxyType(_registered)


def curves() -> list[Curve]:
    """The error distributions to plot."""
    return [metric.curve for metric in catalogue().values() if metric.curve]


def unit_of(name: str) -> str:
    """Unit of a metric's values."""
    return catalogue()[name].unit


def register_metric(metric: Metric) -> None:
    """Register a metric in this process.

    :raises MetricError: when the record is invalid or the name is taken
    """
    _check(metric, _registered)
    _registered[metric.name] = metric


def unregister_metric(name: str) -> None:
    """Remove a registered metric."""
    del _registered[name]


def _check(metric: Metric, others: Mapping[str, Metric]) -> None:
    if metric.name in others:
        raise MetricError(f'metric {metric.name}: expected a unique name, this one is already registered')
    if metric.unit not in SHOWN_UNITS:
        raise MetricError(f'metric {metric.name}: unit: expected one of {", ".join(SHOWN_UNITS)}, got '
                          f'{metric.unit!r}')
    if metric.direction not in DIRECTIONS:
        raise MetricError(f'metric {metric.name}: direction: expected one of {", ".join(DIRECTIONS)}, got '
                          f'{metric.direction!r}')


@cache
def _load_others() -> None:
    """Register the metrics of other packages; none of them if one is unusable."""
    found: dict[str, Metric] = {}
    for name in entry_points(GROUP):
        metric = load_entry_point(KIND, GROUP, name, MetricError)
        if not isinstance(metric, Metric):
            raise MetricError(f'{described(KIND, GROUP, name)}: expected a Metric, got {type(metric).__name__}')
        _check(metric, {**_registered, **found})
        found[metric.name] = metric
    _registered.update(found)
