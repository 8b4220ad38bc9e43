"""Estimators on the same frames, compared frame by frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.metrics.baselines.baselines import METRIC_UNITS
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.measures import is_within_add
from posegrasp_ros.metrics.stats.intervals import verdict
from posegrasp_ros.metrics.stats.paired import mcnemar_exact, paired_difference


class _Column(NamedTuple):
    """What one metric is made of.

    :param values: (N,) errors, or 1 for right and 0 for wrong
    :param counted: (N,) which of them are known
    """

    values: np.ndarray
    counted: np.ndarray
    direction: str

    @property
    def is_rate(self) -> bool:
        return self.values.dtype == bool


def paired_comparisons(tables: dict[str, FrameTable], chosen: str) -> list[dict]:
    """One estimator against each of the others, by every metric that both have of some frames.

    Medians are over the frames that both answered, rates over all frames that are counted.

    :param tables: of the same frames, by estimator
    :return: {estimator, other, metric, unit, n, difference, interval, p_value, verdict} each: the difference is
        what ``estimator`` has more than ``other``; the p-value is null but for rates
    :raises ValueError: when the tables are not of the same frames
    """
    blocks, mine = tables[chosen].blocks, _columns(tables[chosen])
    items = []
    for other, table in tables.items():
        if other == chosen:
            continue
        if not np.array_equal(table.blocks, blocks):
            raise ValueError(f'{chosen} and {other}: expected tables of the same frames')
        for metric, theirs in _columns(table).items():
            counted = mine[metric].counted & theirs.counted
            if counted.any():
                compared = _compare(mine[metric], theirs, counted, blocks[counted])
                items.append({'estimator': chosen, 'other': other, 'metric': metric, 'unit': METRIC_UNITS[metric],
                              **compared})
    return items


def _columns(table: FrameTable) -> dict[str, _Column]:
    shown = table.counts_for_recall
    return {
        'recall_1cm_5deg': _Column(table.is_accurate, shown, 'higher_is_better'),
        'add_recall_10pct': _Column(is_within_add(table), shown, 'higher_is_better'),
        'false_poses': _Column(table.answered('perception'), table.is_without_object, 'lower_is_better'),
        'position_error_median': _Column(table.position_error_m, table.has_found, 'lower_is_better'),
        'rotation_error_median': _Column(table.rotation_error_rad, table.has_found, 'lower_is_better'),
    }


def _compare(mine: _Column, theirs: _Column, counted: np.ndarray, blocks: np.ndarray) -> dict:
    one, other = mine.values[counted], theirs.values[counted]
    difference, interval = paired_difference(one.astype(float), other.astype(float), blocks,
                                             'mean' if mine.is_rate else 'median')
    return {'n': int(counted.sum()), 'difference': difference, 'interval': list(interval) if interval else None,
            'p_value': mcnemar_exact(one, other, blocks) if mine.is_rate else None,
            'verdict': verdict(interval, 0.0, mine.direction)}
