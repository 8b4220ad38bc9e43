"""Observations: what one metric is made of, in blocks of time or attempts that count as independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error, expected_calibration_error_interval
from posegrasp_ros.metrics.stats.interval import Interval
from posegrasp_ros.metrics.stats.intervals import mean_interval, quantile_interval, rate_interval

MEDIAN, RATE, MEAN, CALIBRATION = 'median', 'rate', 'mean', 'calibration'
INTERVALS = {MEDIAN: quantile_interval, RATE: rate_interval, MEAN: mean_interval}


@dataclass(frozen=True)
class Observations:
    """What one metric is made of.

    :param values: (M,) finite; in [0, 1] where it is not their median that is asked for
    :param clusters: (M,) block of time or attempt of each
    :param kind: the metric is their :data:`MEDIAN`, their :data:`MEAN`, or the :data:`RATE` at which they are 1
        and not 0
    :param counted: (N,) which of the table's frames they are of, one each; None where they are not of frames
    """

    values: np.ndarray
    clusters: np.ndarray
    kind: str
    counted: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

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
        """95 %; None where there are too few clusters."""
        return INTERVALS[self.kind](self.values, self.clusters)


@dataclass(frozen=True)
class ScoreObservations(Observations):
    """Scores in :attr:`values`, whose expected calibration error is the metric.

    :param right: (M,) whether the pose of each score is right
    """

    right: np.ndarray | None = None

    @property
    def value(self) -> float:
        return expected_calibration_error(self.values, self.right)

    @property
    def interval(self) -> Interval | None:
        return expected_calibration_error_interval(self.values, self.right, self.clusters)


def median(table: FrameTable, values: np.ndarray, chosen: np.ndarray) -> Observations:
    """Of the chosen frames (N,) whose value (N,) is known."""
    chosen = chosen & np.isfinite(values)
    return Observations(values[chosen], table.blocks[chosen], MEDIAN, chosen)


def rate(holds: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> Observations:
    """Of what holds in the counted frames or does not, (N,)."""
    return Observations(holds[counted].astype(float), clusters[counted], RATE, counted)


def mean(shares: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> Observations:
    """Of a number (N,) in [0, 1] in the counted frames."""
    return Observations(shares[counted], clusters[counted], MEAN, counted)


def share(parts: np.ndarray, wholes: np.ndarray, clusters: np.ndarray) -> Observations:
    """Share of (N,) counts in others, of which each one is a trial."""
    place = np.concatenate([np.arange(whole) for whole in wholes]) if wholes.size else np.zeros(0)
    return Observations((place < np.repeat(parts, wholes)).astype(float), np.repeat(clusters, wholes), RATE)


def calibration(scores: np.ndarray, right: np.ndarray, chosen: np.ndarray, clusters: np.ndarray) -> Observations:
    """Of the scores (N,) of the chosen frames, and whether their poses are right (N,)."""
    return ScoreObservations(scores[chosen], clusters[chosen], CALIBRATION, chosen, right[chosen])
