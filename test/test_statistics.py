from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from posegrasp_ros.metrics.statistics import quantile_interval, rate_interval, verdict, wilson_interval


@pytest.mark.parametrize('successes, trials', [(8, 10), (0, 10), (10, 10), (45, 50), (1, 1)])
def test_wilson_agrees_with_scipy(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(method='wilson')
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize('successes, trials', [(1, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_cannot_be(successes, trials):
    with pytest.raises(ValueError, match=f'{successes} of {trials}'):
        wilson_interval(successes, trials)


def test_independent_trials_get_wilson():
    outcomes = np.array([True] * 8 + [False] * 2)
    assert rate_interval(outcomes, np.arange(10)) == wilson_interval(8, 10)


def test_repeating_every_frame_of_a_scene_proves_nothing_more():
    outcomes = np.array([True] * 16 + [False] * 4)
    once = rate_interval(outcomes, np.arange(20))
    many = rate_interval(np.repeat(outcomes, 30), np.repeat(np.arange(20), 30))
    assert many == pytest.approx(once, abs=0.02)


def test_all_successes_still_have_an_interval():
    low, high = rate_interval(np.ones(600, bool), np.repeat(np.arange(20), 30))
    assert 0.8 < low < 0.9 and high == 1


def test_too_few_scenes_say_nothing():
    assert rate_interval(np.ones(300, bool), np.repeat(np.arange(3), 100)) is None
    assert quantile_interval(np.arange(300.0), np.repeat(np.arange(3), 100)) is None
    assert quantile_interval(np.zeros(0), np.zeros(0)) is None


def test_the_median_of_correlated_frames_is_as_uncertain_as_that_of_its_scenes():
    scenes = np.random.default_rng(0).normal(size=40)
    once = quantile_interval(scenes, np.arange(40))
    many = quantile_interval(np.repeat(scenes, 20), np.repeat(np.arange(40), 20))
    assert many == pytest.approx(once, abs=0.1)
    assert once.low < np.median(scenes) < once.high


def test_intervals_are_the_same_every_time_and_in_any_order():
    rng = np.random.default_rng(1)
    values, clusters = rng.normal(size=200), np.repeat(np.arange(20), 10)
    order = rng.permutation(200)
    assert quantile_interval(values, clusters) == quantile_interval(values[order], clusters[order])


def test_intervals_of_correlated_frames_hold_the_truth():
    """95 % intervals, 200 runs each: between 91 and 99 % of them hold the true value."""
    rng = np.random.default_rng(2)
    held_median = held_rate = 0
    clusters = np.repeat(np.arange(40), 5)
    for _ in range(200):
        values = np.repeat(rng.normal(size=40), 5) + 0.5 * rng.normal(size=200)
        low, high = rate_interval(values < 0.8, clusters)
        held_rate += low < 0.7629 < high
        low, high = quantile_interval(values, clusters)
        held_median += low < 0 < high
    assert 0.91 < held_rate / 200 < 0.99  # P(N(0, 1.25) < 0.8) = 0.7629
    assert 0.91 < held_median / 200 < 0.99


@pytest.mark.parametrize('interval, direction, expected', [
    ((1, 2), 'lower_is_better', 'better'),
    ((4, 5), 'lower_is_better', 'worse'),
    ((2, 4), 'lower_is_better', 'inconclusive'),
    ((1, 2), 'higher_is_better', 'worse'),
    ((4, 5), 'higher_is_better', 'better'),
    ((3, 4), 'higher_is_better', 'inconclusive'),
    (None, 'higher_is_better', 'inconclusive'),
])
def test_verdict_needs_the_whole_interval_on_one_side(interval, direction, expected):
    assert verdict(interval, 3, direction) == expected


def test_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="'up'"):
        verdict((1, 2), 3, 'up')


@pytest.mark.parametrize('trials', range(1, 60))
def test_none_of_n_is_not_better_than_none(trials):
    assert wilson_interval(0, trials).low == 0.0
    assert verdict(wilson_interval(0, trials), 0.0, 'higher_is_better') == 'inconclusive'
    assert verdict(wilson_interval(trials, trials), 1.0, 'higher_is_better') == 'inconclusive'
