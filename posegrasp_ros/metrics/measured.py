# SPDX-License-Identifier: Apache-2.0
"""A metric of frames as plain values: what a summary says of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from posegrasp_ros.metrics.catalogue import Metric
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.stats.clusters import count_of
from posegrasp_ros.metrics.truth_errors import note_of

CALIBRATED = ('covariance_coverage_90', 'score_ece')
"""Metrics whose verdict is of the frames that the model was calibrated on."""


def measured(metric: Metric, table: FrameTable, unlike: str = '',
             within: np.ndarray | None = None) -> dict[str, Any]:
    """A metric: {value, unit, interval, n, clusters}; without data the value is null and n 0.

    ``clusters`` is the number of time blocks or attempts that count as independent. ``note``, where there is one,
    belongs with the value wherever it is shown.

    :param unlike: how the frames differ from those that the model was calibrated on; empty where they do not
    :param within: (N,) mask of the frames that count, of a metric with one value a frame; None for all
    """
    observed = metric.observe(table)
    if within is not None:
        observed = observed.within(within)
    value, interval = (observed.value, observed.interval) if len(observed) else (None, None)
    notes = (note_of(metric.name, table, within), unlike if metric.name in CALIBRATED else '')
    note = '; '.join(filter(None, notes))
    return {'value': value, 'unit': metric.unit, 'interval': list(interval) if interval else None,
            'n': len(observed), 'clusters': count_of(observed.clusters), **({'note': note} if note else {})}
