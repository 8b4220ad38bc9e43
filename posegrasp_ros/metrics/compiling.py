# SPDX-License-Identifier: Apache-2.0
"""Warm-up of the metrics: JIT compilation before the first report arrives."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.metrics.calibration_guard import CalibrationGuard, UsualRange
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error_interval
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.stats.intervals import MIN_CLUSTERS, quantile_interval
from posegrasp_ros.metrics.stats.sequential import ConfidenceSequence


def compile_metrics(target: ErrorTarget) -> None:
    """Compute a pose error, a rate, a quantile, a calibration error and a bet of dummy values.

    Takes seconds without a cache.
    """
    target.compile()
    rate = ConfidenceSequence()
    rate.add(1, 2)
    _ = rate.interval, rate.is_above(0.4), rate.is_below(0.6)
    few = np.arange(MIN_CLUSTERS)
    quantile_interval(few.astype(float), few)
    expected_calibration_error_interval(np.zeros(MIN_CLUSTERS), few > 0, few)
    CalibrationGuard({'': UsualRange(0.0, 0.0, 0.0, 1)}).add_view({'': 0.0})
