# SPDX-License-Identifier: Apache-2.0
"""Change points: false alarms stay below the level, and changes are found where they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from posegrasp_ros.metrics.stats.change_points import (
    LEAST_FIGURES,
    LEVEL,
    find_changes,
    first_alarm,
    log_evidence,
    mean,
    mean_of,
    share,
)
from posegrasp_ros.metrics.stats.moved_slice import farthest_moved

DAYS, TRIALS = 70, 200


def shares(rates, trials, seed, alike=0.0):
    """Days with such success rates, which themselves scatter as a beta of so many trials, where above 0."""
    rng = np.random.default_rng(seed)
    rates = np.asarray(rates, dtype=float)
    if alike:
        rates = rng.beta(rates * alike, (1 - rates) * alike)
    return [share(day, successes, trials) for day, successes in enumerate(rng.binomial(trials, rates))]


@pytest.mark.parametrize(('rate', 'trials', 'alike'), [(0.9, 200, 0), (0.9, 200, 100), (0.99, 20, 0)])
def test_false_alarms_stay_below_the_level(rate, trials, alike):
    """The full simulation, 1000 series of 200 days, is in docs/concepts/trends.md."""
    alarms = sum(first_alarm(shares(np.full(DAYS, rate), trials, seed, alike)) is not None for seed in range(60))
    assert alarms / 60 <= LEVEL


def test_the_evidence_has_a_mean_of_at_most_one_where_nothing_changes():
    evidence = [math.exp(log_evidence(shares(np.full(20, 0.9), TRIALS, seed))[-1]) for seed in range(200)]
    assert np.mean(evidence) < 1


def test_a_drop_of_five_points_is_noticed_within_days_and_dated():
    rates = np.where(np.arange(DAYS) < 40, 0.9, 0.85)
    delays, covered = [], 0
    for seed in range(40):
        (change,) = find_changes(shares(rates, TRIALS, seed))
        delays.append(change.noticed - 40 + 1)
        covered += change.first <= 40 <= change.last
        assert change.difference == pytest.approx(-0.05, abs=0.03)
    assert min(delays) > 0 and np.median(delays) <= 14 and max(delays) <= 25
    assert covered >= 36


def test_scatter_between_days_delays_the_verdict_and_is_no_change():
    rates = np.where(np.arange(DAYS) < 40, 0.9, 0.7)
    for seed in range(10):
        (change,) = find_changes(shares(rates, TRIALS, seed, alike=100))
        assert abs(change.index - 40) <= 3


def test_a_change_that_was_undone_is_two_changes():
    rates = np.r_[np.full(30, 0.9), np.full(30, 0.7), np.full(30, 0.9)]
    down, up = find_changes(shares(rates, TRIALS, 1))
    assert abs(down.index - 30) <= 1 and abs(up.index - 60) <= 1
    assert down.difference < 0 < up.difference and down.noticed < 60 <= up.noticed
    assert down.after.value == up.before.value == pytest.approx(0.7, abs=0.02)


def test_means_need_no_unit():
    rng = np.random.default_rng(2)
    values = np.r_[rng.normal(40, 1, 30), rng.normal(44, 1, 30)]
    (change,) = find_changes([mean(day, value, 1.0) for day, value in enumerate(values)])
    (scaled,) = find_changes([mean(day, 1000 * value + 5, 1000.0) for day, value in enumerate(values)])
    assert change.index == scaled.index == 30 and change.noticed == scaled.noticed
    assert change.before.interval.low < 40 < change.before.interval.high


def test_what_was_noticed_is_not_changed_by_later_figures():
    series = shares(np.where(np.arange(DAYS) < 20, 0.9, 0.8), TRIALS, 3)
    noticed = find_changes(series)[0].noticed
    assert find_changes(series[:noticed]) == []
    assert find_changes(series[:noticed + 1])[0].noticed == noticed


def test_few_figures_tell_nothing():
    series = shares([0.99, 0.99, 0.1], 10_000, 1)
    assert len(series) < LEAST_FIGURES and find_changes(series) == [] and find_changes([]) == []


def test_days_that_are_all_perfect_are_steady_and_one_miss_changes_nothing():
    assert find_changes([share(day, 20, 20) for day in range(50)]) == []
    assert find_changes([*(share(day, 20, 20) for day in range(50)), share(50, 19, 20)]) == []


def test_a_mean_is_in_the_unit_of_the_figures():
    found = mean_of([share(0, 90, 100), share(1, 180, 200)])
    assert found.value == pytest.approx(0.9, abs=0.005)
    assert found.interval.low == pytest.approx(0.86, abs=0.01)


def test_the_slice_that_surely_moved_farthest_is_named():
    steady, dropped = np.full(20, 0.9), np.where(np.arange(20) < 10, 0.9, 0.6)
    slices = {'north': shares(steady, TRIALS, 1), 'south': shares(dropped, TRIALS, 2),
              'few trials': shares(np.where(np.arange(20) < 10, 0.9, 0.4), 1, 3), 'new': shares(steady, 9, 4)[10:]}
    moved = farthest_moved(slices, time=10)
    assert moved.name == 'south' and moved.interval.low < moved.difference == pytest.approx(-0.3, abs=0.05)
    assert farthest_moved({'north': slices['north'], 'new': slices['new']}, time=10) is None
    assert farthest_moved(slices, time=10, since=10) is None and farthest_moved({}, time=10) is None


@pytest.mark.parametrize('bad', [
    lambda: share(0, 3, 2), lambda: share(0, 0, 0), lambda: share(0, math.nan, 2), lambda: mean(0, math.nan, 1),
    lambda: mean(0, 1, 0), lambda: mean(0, 1, math.inf), lambda: mean_of([]),
    lambda: find_changes([share(1, 1, 2), share(0, 1, 2)]),
    lambda: find_changes([share(0, 1, 2), mean(1, 1, 2)])])
def test_what_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match='expected'):
        bad()
