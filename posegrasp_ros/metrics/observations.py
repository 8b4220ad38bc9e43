# SPDX-License-Identifier: Apache-2.0
"""Observations of a metric, grouped into time blocks or attempts that count as independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from posegrasp_ros.metrics.coded_column import rows
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error, expected_calibration_error_interval
from posegrasp_ros.metrics.stats.interval import Interval
from posegrasp_ros.metrics.stats.intervals import mean_interval, quantile_interval, rate_interval

MEDIAN, RATE, MEAN, CALIBRATION = 'median', 'rate', 'mean', 'calibration'
INTERVALS: dict[str, Callable[[np.ndarray, np.ndarray], Interval | None]] = {
    MEDIAN: quantile_interval, RATE: rate_interval, MEAN: mean_interval}


@dataclass(frozen=True)
class Observations:
    """Observations of one metric.

    :param values: (M,) finite; in [0, 1] unless the metric is a median
    :param clusters: (M,) time block or attempt of each value
    :param kind: whether the metric is the :data:`MEDIAN` or :data:`MEAN` of the values, or the :data:`RATE` of
        ones among values of 0 and 1
    :param counted: (N,) mask of the table's frames with one value each; None where values do not belong to frames
    """

    values: np.ndarray
    clusters: np.ndarray
    kind: str
    counted: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def within(self, frames: np.ndarray) -> Observations:
        """Those of the frames in a mask (N,)."""
        assert self.counted is not None
        kept = frames[self.counted]
        return replace(self, values=rows(self.values, kept), clusters=rows(self.clusters, kept),
                       counted=self.counted & frames)

    def blocks(self) -> list[np.ndarray]:
        """The values of each cluster."""
        order = np.argsort(self.clusters, kind='stable')
        starts = np.unique(self.clusters[order], return_index=True)[1]
        return np.split(self.values[order], starts[1:])

    @property
    def value(self) -> float:
        return float(np.median(self.values) if self.kind == MEDIAN else self.values.mean())

    @property
    def interval(self) -> Interval | None:
        """95 % interval; None where there are too few clusters."""
        return INTERVALS[self.kind](self.values, self.clusters)


@dataclass(frozen=True)
class ScoreObservations(Observations):
    """Scores in :attr:`values`; the metric is their expected calibration error.

    :param right: (M,) whether the pose of each score is correct
    """

    right: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def within(self, frames: np.ndarray) -> ScoreObservations:
        """Those of the frames in a mask (N,)."""
        assert self.counted is not None
        values, right = super().within(frames), rows(self.right, frames[self.counted])
        return ScoreObservations(values.values, values.clusters, self.kind, values.counted, right)

    @property
    def value(self) -> float:
        return expected_calibration_error(self.values, self.right)

    @property
    def interval(self) -> Interval | None:
        return expected_calibration_error_interval(self.values, self.right, self.clusters)


def median(table: FrameTable, values: np.ndarray, chosen: np.ndarray) -> Observations:
    """Observations of a median: values (N,) of the chosen frames (N,), where finite."""
    chosen = chosen & np.isfinite(values)
    return Observations(rows(values, chosen), rows(table.blocks, chosen), MEDIAN, chosen)


def rate(holds: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> Observations:
    """Observations of a rate: whether a condition holds (N,) in the counted frames (N,)."""
    return Observations(holds[counted].astype(float), rows(clusters, counted), RATE, counted)


def mean(shares: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> Observations:
    """Observations of a mean: numbers (N,) in [0, 1] of the counted frames (N,)."""
    return Observations(rows(shares, counted), rows(clusters, counted), MEAN, counted)


def share(parts: np.ndarray, wholes: np.ndarray, clusters: np.ndarray) -> Observations:
    """Observations of a rate: (N,) successes in (N,) trials of each frame."""
    before = np.cumsum(wholes) - wholes
    place = np.arange(wholes.sum()) - np.repeat(before, wholes)
    return Observations((place < np.repeat(parts, wholes)).astype(float), np.repeat(clusters, wholes), RATE)


def calibration(scores: np.ndarray, right: np.ndarray, chosen: np.ndarray, clusters: np.ndarray) -> Observations:
    """Observations of a calibration error: scores (N,) of the chosen frames; ``right`` (N,): pose is correct."""
    return ScoreObservations(rows(scores, chosen), rows(clusters, chosen), CALIBRATION, chosen,
                             rows(right, chosen))
