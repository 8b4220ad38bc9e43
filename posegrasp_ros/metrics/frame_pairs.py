# SPDX-License-Identifier: Apache-2.0
"""Paired comparison of estimators on the same frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from posegrasp_ros.metrics.catalogue import Metric, catalogue
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.observations import RATE, Observations
from posegrasp_ros.metrics.stats.intervals import verdict
from posegrasp_ros.metrics.stats.paired import mcnemar_exact, paired_difference

LEVEL = 0.05
"""Of the tests: a larger p-value decides nothing."""


def paired_comparisons(tables: Mapping[str, FrameTable], chosen: str, others: Collection[str]) -> list[dict]:
    """Compare one estimator with others, by every paired metric that both have values for.

    Medians are over the frames that both answered, rates over all counted frames.

    :param tables: frame tables of the same frames, by estimator; each is taken once
    :return: {estimator, other, metric, unit, n, difference, interval, p_value, verdict} each: the difference is
        ``estimator`` minus ``other``; the p-value is null except for rates
    :raises ValueError: when the tables are not of the same frames
    """
    items: list[dict] = []
    if not others:
        return items
    blocks, mine = _blocks_and_columns(tables[chosen])
    for other in others:
        their_blocks, columns = _blocks_and_columns(tables[other])
        if not np.array_equal(their_blocks, blocks):
            raise ValueError(f'{chosen} and {other}: expected tables of the same frames')
        for name, theirs in columns.items():
            counted, metric = _counted(mine[name]) & _counted(theirs), catalogue()[name]
            if counted.any():
                items.append({'estimator': chosen, 'other': other, 'metric': name, 'unit': metric.unit,
                              **_compare(metric, mine[name], theirs, counted, blocks[counted])})
    return items


def _blocks_and_columns(table: FrameTable) -> tuple[np.ndarray, dict[str, Observations]]:
    """What is compared, without the rest of the table."""
    return table.blocks, {name: metric.observe(table) for name, metric in catalogue().items() if metric.is_paired}


def _compare(metric: Metric, mine: Observations, theirs: Observations, counted: np.ndarray,
             blocks: np.ndarray) -> dict:
    one, other = (_of_frames(each)[counted] for each in (mine, theirs))
    is_rate = mine.kind == RATE
    difference, interval = paired_difference(one, other, blocks, 'mean' if is_rate else 'median')
    p_value = mcnemar_exact(one == 1, other == 1, blocks) if is_rate else None
    judged = verdict(interval, 0.0, metric.direction)
    return {'n': int(counted.sum()), 'difference': difference, 'interval': list(interval) if interval else None,
            # Interval and test are two methods: where they disagree, nothing is decided.
            'p_value': p_value, 'verdict': judged if p_value is None or p_value < LEVEL else 'inconclusive'}


def _of_frames(observed: Observations) -> np.ndarray:
    """(N,) values by frame; NaN where a frame was not counted."""
    counted = _counted(observed)
    values = np.full(len(counted), np.nan)
    values[counted] = observed.values
    return values


def _counted(observed: Observations) -> np.ndarray:
    """(N,) mask of the frames that were counted.

    :raises ValueError: when the values do not belong to frames: such a metric cannot be paired
    """
    if observed.counted is None:
        raise ValueError('paired comparison: expected a metric with one value a frame')
    return observed.counted
