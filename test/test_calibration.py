# SPDX-License-Identifier: Apache-2.0
"""Draws from what is claimed are found calibrated, others are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from posegrasp_ros.geometry.transforms import (
    Symmetry,
    make_transform,
    perturb,
    random_rotation,
    rotate_covariance,
    rotation_from_vector,
)
from posegrasp_ros.metrics.pose.calibration import (
    confidence_level,
    expected_calibration_error,
    expected_calibration_error_interval,
    reliability,
)
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget

POINTS = np.random.default_rng(1).uniform(-0.05, 0.05, (20, 3))
COUNT = 1500


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def random_covariance(rng):
    """Millimetres and hundredths of a radian, with correlations of any sign."""
    mixing = rng.normal(size=(6, 6)) + 2 * np.eye(6)
    units = np.diag([0.001] * 3 + [0.01] * 3)
    return units @ mixing @ mixing.T @ units / 6


def draws(rng, claimed_scale=1.0):
    """(estimate, claimed covariance, truth), the truth drawn from the covariance before it is scaled."""
    for _ in range(COUNT):
        estimate = make_transform(random_rotation(rng), rng.normal(0, 0.3, 3) + (0, 0, 1))
        covariance = random_covariance(rng)
        truth = perturb(estimate, rng.multivariate_normal(np.zeros(6), covariance))
        yield estimate, claimed_scale * covariance, truth


def coverage(levels):
    return np.mean(np.array(levels) <= 0.9)


@pytest.mark.parametrize('scale, low, high', [(1.0, 0.88, 0.92), (0.5, 0.0, 0.75), (2.0, 0.97, 1.0)])
def test_the_90_percent_region_holds_90_percent_of_draws_when_the_covariance_is_right(rng, scale, low, high):
    levels = [confidence_level(*draw) for draw in draws(rng, scale)]
    assert low < coverage(levels) < high


def test_the_level_is_chi_square_of_six_degrees_by_hand():
    covariance = np.diag([0.002**2] * 3 + [0.01**2] * 3)
    estimate = make_transform(None, (0, 0, 1))
    truth = make_transform(rotation_from_vector([0, 0.02, 0]), (0.002, 0, 1))
    assert confidence_level(estimate, covariance, truth) == pytest.approx(chi2.cdf(1 + 4, 6))


def test_turns_about_a_free_axis_cost_neither_error_nor_degree(rng):
    symmetry = Symmetry.generated(axis=(0, 0, 1), offset=(0.02, 0.01, 0))
    target, levels = ErrorTarget(POINTS, 0.1, symmetry), []
    for estimate, covariance, truth in draws(rng):
        spun = truth @ symmetry.turn(rng.uniform(0, 2 * np.pi))
        levels.append(target.confidence_level(estimate, covariance, spun))
    assert 0.87 < coverage(levels) < 0.93
    assert np.mean(levels) == pytest.approx(0.5, abs=0.03), 'levels of right covariances are uniform'


def test_a_covariance_without_extent_along_the_free_axis_is_no_less_right(rng):
    symmetry = Symmetry.generated(axis=(0, 0, 1))
    target = ErrorTarget(POINTS, 0.1, symmetry)
    for estimate, covariance, truth in list(draws(rng))[:20]:
        flat = symmetry.without_spin(covariance, estimate)
        assert target.confidence_level(estimate, flat, truth) == pytest.approx(
            target.confidence_level(estimate, covariance, truth), abs=1e-6)


def test_the_nearest_of_equivalent_truths_counts(rng):
    flip = make_transform(rotation_from_vector([0, 0, np.pi]))
    target = ErrorTarget(POINTS, 0.1, Symmetry.generated([flip]))
    for estimate, covariance, truth in list(draws(rng))[:20]:
        assert target.confidence_level(estimate, covariance, truth @ flip) == pytest.approx(
            confidence_level(estimate, covariance, truth))


def test_it_does_not_matter_which_frame_is_looked_from(rng):
    turn = make_transform(random_rotation(rng))
    for estimate, covariance, truth in list(draws(rng))[:20]:
        turned = rotate_covariance(covariance, turn[:3, :3])
        assert confidence_level(turn @ estimate, turned, turn @ truth) == pytest.approx(
            confidence_level(estimate, covariance, truth))


@pytest.mark.parametrize('covariance', [np.diag([1.0, 1, 1, 1, 1, 0]), np.full((6, 6), np.nan), -np.eye(6),
                                        np.full((6, 6), np.inf)])
def test_what_is_no_covariance_holds_nothing(covariance):
    assert confidence_level(np.eye(4), covariance, make_transform(None, (0.1, 0, 0))) == 1.0


def test_expected_calibration_error_by_hand():
    scores = np.array([0.95, 0.95, 0.95, 0.95, 0.15, 1.0])
    right = np.array([True, True, False, False, True, True])
    # last bin: 5 scores of 0.96 on average, 3 right; second bin: one score of 0.15, right
    assert expected_calibration_error(scores, right) == pytest.approx((5 * (0.96 - 0.6) + 0.85) / 6)
    assert [(each['low'], each['n']) for each in reliability(scores, right)] == [(0.1, 1), (0.9, 5)]
    assert reliability(scores, right)[1]['right'] == pytest.approx(0.6)


@pytest.mark.parametrize('sharpen, low, high', [(1.0, 0.0, 0.03), (0.3, 0.1, 1.0), (3.0, 0.1, 1.0)])
def test_scores_that_are_probabilities_have_a_small_error_and_others_have_not(rng, sharpen, low, high):
    """Scores p**sharpen of poses that are right with probability p: too sure below 1, too shy above."""
    p = rng.uniform(size=4000)
    right = rng.random(4000) < p
    error = expected_calibration_error(p**sharpen, right)
    interval = expected_calibration_error_interval(p**sharpen, right, np.arange(4000))
    assert low <= error < high and interval.low <= error <= interval.high
    assert interval.high - interval.low < 0.05


def test_few_blocks_give_no_interval(rng):
    assert expected_calibration_error_interval(rng.uniform(size=40), np.ones(40), np.arange(40) // 10) is None


def test_calibrated_scores_are_not_found_wanting_by_the_luck_of_few_frames():
    """200 frames show an error of 0.07 where there is none: 95 of 100 intervals, or more, reach down to it."""
    rng, clusters = np.random.default_rng(3), np.repeat(np.arange(40), 5)
    lows, errors = [], []
    for _ in range(60):
        scores = rng.uniform(size=200)
        right = rng.random(200) < scores
        lows.append(expected_calibration_error_interval(scores, right, clusters).low)
        errors.append(expected_calibration_error(scores, right))
    assert np.mean(errors) > 0.05 and np.mean(np.array(lows) == 0) >= 0.93
