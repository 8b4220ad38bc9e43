# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from posegrasp_ros.feasibility.required.psychometric import CEILING, AdaptiveCurve

THRESHOLD, SLOPE, LARGEST = 0.02, 6.0, 0.1


def chance(error: float) -> float:
    return CEILING / (1.0 + (error / THRESHOLD) ** SLOPE)


def sampled(seed: int, picks: int, expected_threshold: float = THRESHOLD) -> AdaptiveCurve:
    rng, curve = np.random.default_rng(seed), AdaptiveCurve(expected_threshold, LARGEST)
    for _ in range(picks):
        error = curve.next_error()
        curve.add(error, rng.random() < chance(error))
    return curve


def true_limit(wanted: float) -> float:
    """By brute force: success under normal errors, averaged over fine quantiles, at many spreads."""
    errors = np.abs(np.random.default_rng(0).standard_normal(40_000))
    spreads = np.linspace(0.001, 0.03, 400)
    means = [(CEILING / (1 + (spread * errors / THRESHOLD) ** SLOPE)).mean() for spread in spreads]
    return float(spreads[np.flatnonzero(np.array(means) >= wanted)[-1]])


@pytest.mark.parametrize('expected_threshold', [0.007, 0.02, 0.06])
def test_twenty_picks_find_the_limit_wherever_it_was_expected(expected_threshold):
    found = [sampled(seed, 20, expected_threshold).limit(0.9)[0] for seed in range(9)]
    assert np.median(found) == pytest.approx(true_limit(0.9), rel=0.2)


@pytest.mark.slow
def test_the_interval_holds_the_true_limit_about_as_often_as_it_says():
    intervals = [sampled(seed, 20).limit(0.9)[1] for seed in range(25)]
    assert np.mean([low <= true_limit(0.9) <= high for low, high in intervals]) >= 0.85


def test_picks_go_where_the_curve_bends():
    errors = np.array([error for error, _ in sampled(3, 20).trials])
    assert np.mean((errors > THRESHOLD / 2) & (errors < 2 * THRESHOLD)) > 0.8


def test_an_axis_on_which_everything_lifts_is_limited_only_by_what_was_tried():
    curve = AdaptiveCurve(np.inf, LARGEST)
    for _ in range(20):
        curve.add(curve.next_error(), True)
    assert curve.limit(0.9)[1][1] == LARGEST


def test_nothing_reaches_more_than_is_lifted_without_an_error():
    curve = sampled(1, 20)
    curve.with_ceiling(0.93)
    assert curve.limit(0.95) == (0.0, (0.0, 0.0))
    assert len(curve.trials) == 20


def test_the_curve_falls_within_its_interval():
    points = np.array(sampled(2, 20).curve())
    assert (np.diff(points[:, 1]) <= 1e-12).all()
    assert ((points[:, 2] <= points[:, 1]) & (points[:, 1] <= points[:, 3])).all()
