"""The metrics of a run: each a value with its unit, 95 % interval and number of frames, attempts or objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.metrics.baselines.baselines import METRIC_UNITS
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.bop import mspd_shares, mssd_shares
from posegrasp_ros.metrics.pose.calibration import (
    COVERAGE_LEVEL,
    expected_calibration_error,
    expected_calibration_error_interval,
)
from posegrasp_ros.metrics.stats.intervals import Interval, mean_interval, quantile_interval, rate_interval

RECALL_ADD_SHARE = 0.1
INTERVALS = {'median': quantile_interval, 'rate': rate_interval, 'mean': mean_interval}


@dataclass(frozen=True)
class Observations:
    """What one metric is made of.

    :param values: (M,) finite; in [0, 1] where it is not their median that is asked for
    :param clusters: (M,) block of time or attempt of each
    :param kind: the metric is their ``median``, their ``mean``, or the ``rate`` at which they are 1 and not 0
    """

    values: np.ndarray
    clusters: np.ndarray
    kind: str

    def __len__(self) -> int:
        return len(self.values)

    def blocks(self) -> list[np.ndarray]:
        """The values of each cluster."""
        order = np.argsort(self.clusters, kind='stable')
        starts = np.unique(self.clusters[order], return_index=True)[1]
        return np.split(self.values[order], starts[1:])

    @property
    def value(self) -> float:
        return float(np.median(self.values) if self.kind == 'median' else self.values.mean())

    @property
    def interval(self) -> Interval | None:
        return INTERVALS[self.kind](self.values, self.clusters)


def is_within_add(table: FrameTable) -> np.ndarray:
    """(N,) whether the pose's ADD is below a tenth of the diameter."""
    return table.add_error_m < RECALL_ADD_SHARE * (table.diameter_m or 0.0)


def measure(table: FrameTable) -> dict[str, dict]:
    """All metrics: {name: {value, unit, interval, n, clusters}}; without data the value is null and n 0.

    ``clusters`` are the blocks of time, or attempts, that count as independent of each other.
    """
    return {name: _score_error(table) if name == 'score_ece' else _metric(name, OBSERVED[name](table))
            for name in METRIC_UNITS}


def _metric(name: str, observed: Observations) -> dict:
    if not len(observed):
        return _stated(name, None, None, observed.clusters)
    return _stated(name, observed.value, observed.interval, observed.clusters)


def _stated(name: str, value: float | None, interval: Interval | None, clusters: np.ndarray) -> dict:
    return {'value': value, 'unit': METRIC_UNITS[name], 'interval': list(interval) if interval else None,
            'n': len(clusters), 'clusters': len(np.unique(clusters))}


def _median(table: FrameTable, values: np.ndarray, chosen: np.ndarray) -> Observations:
    """Of the chosen frames whose value is known."""
    chosen = chosen & np.isfinite(values)
    return Observations(values[chosen], table.blocks[chosen], 'median')


def _rate(holds: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> Observations:
    """Of what holds in the counted frames or does not, (N,)."""
    return Observations(holds[counted].astype(float), clusters[counted], 'rate')


def _mean(shares: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> Observations:
    """Of a number (N,) in [0, 1] in the counted frames."""
    return Observations(shares[counted], clusters[counted], 'mean')


def _share(parts: np.ndarray, wholes: np.ndarray, clusters: np.ndarray) -> Observations:
    """Share of (N,) counts in others, of which each one is a trial."""
    place = np.concatenate([np.arange(whole) for whole in wholes]) if wholes.size else np.zeros(0)
    return Observations((place < np.repeat(parts, wholes)).astype(float), np.repeat(clusters, wholes), 'rate')


def _score_error(table: FrameTable) -> dict:
    """Expected calibration error over the frames that have an answer, a score and a truth."""
    chosen = table.is_scored
    if not chosen.any():
        return _stated('score_ece', None, None, table.blocks[:0])
    scores, right = table.score[chosen], table.is_right[chosen]
    blocks = table.blocks[chosen]
    interval = expected_calibration_error_interval(scores, right, blocks)
    return _stated('score_ece', expected_calibration_error(scores, right), interval, blocks)


def _ar_mssd(table: FrameTable) -> Observations:
    """The BOP benchmark's average recall by distance on the surface."""
    return _mean(mssd_shares(table.mssd_m, table.diameter_m or 0.0), table.counts_for_recall, table.blocks)


def _ar_mspd(table: FrameTable) -> Observations:
    """The BOP benchmark's average recall by distance in the image, where the camera is known."""
    shares = mspd_shares(table.mspd_px, table.image_width_px)
    return _mean(shares, table.counts_for_recall & np.isfinite(table.image_width_px), table.blocks)


def _image_to_grasp(table: FrameTable) -> Observations:
    """Time of perception and planning; what messages take between nodes is not in it."""
    times = table.latency_ms['perception'] + table.latency_ms['planning']
    return _median(table, times, table.answered('planning'))


# All metrics that are a median or a mean of frames, attempts or objects.
OBSERVED: dict[str, Callable[[FrameTable], Observations]] = {
    'position_error_median': lambda table: _median(table, table.position_error_m, table.has_found),
    'rotation_error_median': lambda table: _median(table, table.rotation_error_rad, table.has_found),
    'recall_1cm_5deg': lambda table: _rate(table.is_accurate, table.counts_for_recall, table.blocks),
    'add_recall_10pct': lambda table: _rate(is_within_add(table), table.counts_for_recall, table.blocks),
    'ar_mssd': _ar_mssd,
    'ar_mspd': _ar_mspd,
    'mssd_median': lambda table: _median(table, table.mssd_m, table.has_found),
    'projection_error_median': lambda table: _median(table, table.projection_error_px, table.has_found),
    'covariance_coverage_90': lambda table: _rate(table.confidence_level <= COVERAGE_LEVEL,
                                                  table.states_covariance, table.blocks),
    'false_poses': lambda table: _rate(table.answered('perception'), table.is_without_object, table.blocks),
    'instance_recall': lambda table: _share(table.instances[:, 2], table.instances[:, 0], table.blocks),
    'instance_precision': lambda table: _share(table.instances[:, 2], table.instances[:, 1], table.blocks),
    'grasp_success_rate': lambda table: _rate(table.answered('execution'), table.inputs('execution'),
                                              np.arange(len(table))),
    'image_to_pose_p50': lambda table: _median(table, table.latency_ms['perception'],
                                               table.answered('perception')),
    'image_to_grasp_p50': _image_to_grasp,
}
