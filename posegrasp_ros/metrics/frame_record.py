# SPDX-License-Identifier: Apache-2.0
"""FrameRecord: the data of a run about one object in one image, and its row in metrics.jsonl."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.metrics.pose.instance_matching import NO_INSTANCES, InstanceCount
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND, ErrorTarget, PoseErrors
from posegrasp_ros.metrics.stage_report import StageReport

FLAGS = ('has_image', 'has_estimate', 'has_truth', 'is_without_object')
NUMBERS = ('image_width_px', 'score', 'confidence_level', 'fits_grasp', 'visible_share', 'estimated_share')
POINTS = ('centres', 'true_centres')
Point = tuple[float, float, float]
"""Centre of an object in the camera frame, metres."""


class RecordKey(NamedTuple):
    """The key by which the stages' results are joined.

    :param object: name of the object; any, but always the same, where there is only one
    """

    stamp_ns: int
    object: str = ''


@dataclass(slots=True)
class FrameRecord:
    """Data about one object in one image; poses are dropped as soon as their errors are computed.

    :param truth_covariance: (6, 6) of the true pose, see :class:`posegrasp_ros.geometry.true_pose.TruePose`; kept,
        of the equivalent pose that the errors are with respect to, up to symmetry
    :param centres: of all estimated poses, to tell which object each of them was found on
    :param true_centres: of the object's instances
    :param visible_share: how much of the object is visible, as the ground truth says; NaN where it does not
    :param estimated_share: the same as perception estimates it at its best pose
    :param state: one of :data:`posegrasp_ros.metrics.track_states.STATES`; empty without tracking
    """

    has_image: bool = False
    matrix: np.ndarray | None = None
    image_width_px: float = math.nan
    reports: dict[str, tuple[bool, str]] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    score: float = math.nan
    estimate: np.ndarray | None = None
    covariance: np.ndarray | None = None
    truth: np.ndarray | None = None
    truth_covariance: np.ndarray | None = None
    has_estimate: bool = False
    has_truth: bool = False
    is_without_object: bool = False
    errors: PoseErrors | None = None
    confidence_level: float = math.nan
    estimate_from_truth: np.ndarray | None = None
    grasp: tuple[str, int] | None = None
    fits_grasp: float = math.nan
    instances: InstanceCount = NO_INSTANCES
    centres: tuple[Point, ...] = ()
    true_centres: tuple[Point, ...] = ()
    lost: frozenset[str] = frozenset()
    visible_share: float = math.nan
    estimated_share: float = math.nan
    state: str = ''

    def take_report(self, report: StageReport) -> bool:
        """Take a stage's report, unless it has reported already.

        :return: whether it was taken
        """
        if report.stage in self.reports:
            return False
        self.reports[report.stage] = (report.ok, report.reason)
        if 'latency_ms' in report.numbers:
            self.latency_ms[report.stage] = float(report.numbers['latency_ms'])
        if report.stage == 'perception':
            self.score = float(report.numbers.get('score', math.nan))
            self.estimated_share = float(report.numbers.get('visible_share', math.nan))
            self.state = report.words.get('state', '')
        return True

    def measure(self, target: ErrorTarget, has_check: bool) -> None:
        """Compute the errors and drop the poses, once both estimate and truth are known.

        :param has_check: whether it will be checked that the grasp tolerates the error
        """
        estimate, truth = self.estimate, self.truth
        if estimate is None or truth is None:
            return
        if np.isfinite(estimate).all():
            self.errors = target.errors(estimate, truth, self.matrix)
            if self.truth_covariance is not None:
                moved = target.nearest_covariance(estimate, truth, self.truth_covariance)
                # Without the rounding that tells both triangles apart: the row has one of them.
                self.truth_covariance = _symmetric(moved[np.triu_indices(6)])
            if self.covariance is not None:
                self.confidence_level = target.confidence_level(estimate, self.covariance, truth,
                                                                self.truth_covariance)
            if has_check:
                self.estimate_from_truth = invert(estimate) @ target.symmetry.nearest(truth, estimate)
        else:
            self.errors = NOT_FOUND
        self.estimate = self.covariance = self.truth = None

    def to_row(self) -> dict[str, Any]:
        """What the metrics need of the record, as plain values for JSON; what is not known is left out."""
        row: dict[str, Any] = {name: True for name in FLAGS if getattr(self, name)}
        row['reports'] = {stage: list(said) for stage, said in self.reports.items()}
        row['latency_ms'] = {stage: _plain(value) for stage, value in self.latency_ms.items()}
        row |= {name: _plain(value) for name in NUMBERS if not math.isnan(value := getattr(self, name))}
        row |= {name: list(points) for name in POINTS if (points := getattr(self, name))}
        if self.instances != NO_INSTANCES:
            row['instances'] = list(self.instances)
        if self.truth_covariance is not None:
            row['truth_covariance'] = self.truth_covariance[np.triu_indices(6)].tolist()
        if self.state:
            row['state'] = self.state
        if self.lost:
            row['lost'] = sorted(self.lost)
        if self.errors is not None:
            row['errors'] = {} if self.errors is NOT_FOUND else {
                each.name: _plain(getattr(self.errors, each.name)) for each in fields(PoseErrors)}
        return row

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> FrameRecord:
        """Inverse of :meth:`to_row`.

        :raises ValueError: when a value is none of a row's
        """
        try:
            errors = row.get('errors')
            if errors is not None:
                errors = PoseErrors(**{name: float(value) for name, value in errors.items()}) \
                    if errors else NOT_FOUND
            values: dict[str, Any] = {
                **{name: bool(row.get(name, False)) for name in FLAGS},
                **{name: float(row.get(name, math.nan)) for name in NUMBERS},
                **{name: tuple(tuple(map(float, centre)) for centre in row.get(name, ())) for name in POINTS}}
            return cls(
                **values,
                reports={str(stage): (bool(ok), str(reason)) for stage, (ok, reason) in row['reports'].items()},
                state=str(row.get('state', '')),
                latency_ms={str(stage): float(value) for stage, value in row['latency_ms'].items()},
                instances=InstanceCount(*map(int, row.get('instances', NO_INSTANCES))), errors=errors,
                truth_covariance=_symmetric(row['truth_covariance']) if 'truth_covariance' in row else None,
                lost=frozenset(map(str, row.get('lost', ()))))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'frame: expected a row of a run, got {row}: {error}') from error


def _symmetric(upper: ArrayLike) -> np.ndarray:
    """(6, 6) from the 21 numbers of its upper triangle, row by row."""
    matrix = np.zeros((6, 6))
    matrix[np.triu_indices(6)] = upper
    return np.triu(matrix) + np.triu(matrix, 1).T


def _plain(value: float) -> float | str:
    """A number as JSON can state it: ``nan`` and ``inf`` as texts, which float() reads."""
    return float(value) if math.isfinite(value) else str(float(value))
