# SPDX-License-Identifier: Apache-2.0
"""Warm-up of the metrics: JIT compilation before the first report arrives."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.stats.intervals import MIN_CLUSTERS, quantile_interval
from posegrasp_ros.metrics.stats.sequential import ConfidenceSequence


def compile_metrics(target: ErrorTarget) -> None:
    """Compute a pose error, a rate and a quantile of dummy values (takes seconds without a cache)."""
    target.compile()
    rate = ConfidenceSequence()
    rate.add(1, 2)
    _ = rate.interval, rate.is_above(0.4), rate.is_below(0.6)
    quantile_interval(np.arange(float(MIN_CLUSTERS)), np.arange(MIN_CLUSTERS))
