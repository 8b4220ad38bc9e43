# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from posegrasp_ros.metrics.stats.intervals import quantile_interval
from posegrasp_ros.metrics.stats.paired import mcnemar_exact, paired_difference

CLUSTERS = np.repeat(np.arange(30), 4)


def hard_and_easy_scenes(rng, gain=0.0):
    """Errors of two estimators, (N,) each, whose scenes differ far more than they do."""
    scene = np.repeat(rng.normal(size=30), 4)
    return scene + 0.1 * rng.normal(size=120), scene + 0.1 * rng.normal(size=120) + gain


def test_what_is_hard_for_both_is_charged_to_neither():
    a, b = hard_and_easy_scenes(np.random.default_rng(0), gain=0.15)
    difference, (low, high) = paired_difference(a, b, CLUSTERS, 'mean')
    assert difference == pytest.approx(a.mean() - b.mean())
    assert high < 0 and low < -0.15 < high
    alone_a, alone_b = quantile_interval(a, CLUSTERS), quantile_interval(b, CLUSTERS)
    assert alone_a.high > alone_b.low, 'each for itself tells nothing'


@pytest.mark.parametrize('statistic, most', [('mean', 0.98), ('median', 1.0)])
def test_intervals_of_a_difference_hold_the_truth(statistic, most):
    """There is none, 400 runs. That of medians is on the safe side: wider by a third than it need be."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        low, high = paired_difference(*hard_and_easy_scenes(rng), CLUSTERS, statistic)[1]
        held += low <= 0 <= high
    assert 0.92 < held / 400 <= most


def test_an_estimator_is_no_better_than_itself():
    a, _ = hard_and_easy_scenes(np.random.default_rng(2))
    assert paired_difference(a, a, CLUSTERS, 'median') == (0.0, (0.0, 0.0))


def test_frames_without_an_answer_count_as_infinitely_wrong():
    a, b = hard_and_easy_scenes(np.random.default_rng(3))
    a[CLUSTERS < 6] = np.inf  # a fifth: the median is finite, and higher
    difference, (low, high) = paired_difference(a, b, CLUSTERS, 'median')
    assert 0 < low < difference < high < np.inf


def test_without_a_finite_difference_there_is_no_interval():
    a, b = hard_and_easy_scenes(np.random.default_rng(4))
    assert paired_difference(np.full(120, np.inf), b, CLUSTERS, 'median') == (np.inf, None)
    never = paired_difference(np.full(120, np.inf), np.full(120, np.inf), CLUSTERS, 'median')
    assert np.isnan(never[0]) and never[1] is None
    assert paired_difference(a[:16], b[:16], CLUSTERS[:16])[1] is None, 'four scenes'
    assert np.isnan(paired_difference(np.zeros(0), np.zeros(0), np.zeros(0))[0])


@pytest.mark.parametrize('only_a, only_b', [(5, 1), (0, 8), (3, 3), (10, 2), (0, 0)])
def test_mcnemar_is_the_binomial_of_the_frames_that_differ(only_a, only_b):
    a = np.array([True] * only_a + [False] * only_b + [True] * 7 + [False] * 4)
    b = np.array([False] * only_a + [True] * only_b + [True] * 7 + [False] * 4)
    count = only_a + only_b
    expected = min(1.0, 2 * binom.cdf(min(only_a, only_b), count, 0.5)) if count else 1.0
    assert mcnemar_exact(a, b) == pytest.approx(expected)
    assert mcnemar_exact(b, a) == pytest.approx(expected)


def test_a_scene_has_one_vote_however_long_it_was_filmed():
    a = np.repeat([True, True, True, False, True], 100)
    b = np.repeat([False, True, False, True, True], 100)
    scenes = np.repeat(np.arange(5), 100)
    assert mcnemar_exact(a, b) < 1e-6
    assert mcnemar_exact(a, b, scenes) == mcnemar_exact(a[::100], b[::100]) == 1.0


def test_mcnemar_of_equal_estimators_is_small_as_rarely_as_it_says():
    rng = np.random.default_rng(5)
    alarms = [mcnemar_exact(rng.random(60) < 0.8, rng.random(60) < 0.8) < 0.05 for _ in range(400)]
    assert np.mean(alarms) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
