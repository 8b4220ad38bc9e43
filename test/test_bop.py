# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.metrics.pose.bop import (
    MSPD_THRESHOLDS_PX,
    MSSD_THRESHOLDS,
    mspd_shares,
    mssd_shares,
    recalls,
)


def test_thresholds_are_the_benchmarks():
    assert pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]) == MSSD_THRESHOLDS
    assert MSPD_THRESHOLDS_PX.tolist() == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]


def test_surface_shares_by_hand():
    errors = np.array([0.0, 0.012, 0.0251, 0.06, np.inf, np.nan])
    assert mssd_shares(errors, 0.1).tolist() == [1.0, 0.8, 0.5, 0.0, 0.0, 0.0]


def test_an_error_on_a_threshold_is_not_below_it():
    assert mspd_shares(np.array([5.0, 4.999]), 640).tolist() == [0.9, 1.0]


def test_pixels_count_by_the_width_of_the_image():
    assert mspd_shares(np.array([12.0, 12.0]), np.array([640, 1280])).tolist() == [0.8, 0.9]


def test_average_recall_is_the_mean_of_the_recalls():
    errors = np.abs(np.random.default_rng(0).normal(0, 0.02, 500))
    errors[::7] = np.inf
    assert mssd_shares(errors, 0.1).mean() == pytest.approx(recalls(errors, MSSD_THRESHOLDS * 0.1).mean())


def test_no_errors_have_no_recalls():
    with pytest.raises(ValueError, match='at least one'):
        recalls(np.zeros(0), MSPD_THRESHOLDS_PX)
