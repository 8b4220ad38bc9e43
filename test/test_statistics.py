# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from posegrasp_ros.metrics.stats.clusters import clusters_of, count_of
from posegrasp_ros.metrics.stats.intervals import (
    Interval,
    bootstrap,
    cluster_quantile,
    is_beyond,
    mean_interval,
    mean_of,
    more_clusters_to_decide,
    quantile_interval,
    quantile_of,
    rate_interval,
    resample,
    resample_clusters,
    verdict,
    wilson_interval,
)


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
    assert many == pytest.approx(once, abs=0.03)


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


@pytest.mark.parametrize('quantile', [0.05, 0.5, 0.9])
def test_weighted_quantile_is_numpys_of_repeated_values(quantile):
    rng = np.random.default_rng(3)
    values, weights = rng.normal(size=30), rng.integers(0, 4, (50, 30))
    expected = [np.quantile(np.repeat(values, each), quantile) for each in weights]
    assert quantile_of(values, quantile)(weights) == pytest.approx(expected)


def test_a_quantile_among_frames_without_an_answer_is_infinite():
    values, weights = np.array([1.0, np.inf, 2.0, np.inf]), np.array([[1, 1, 1, 1], [3, 1, 2, 1], [0, 3, 1, 0]])
    assert quantile_of(values)(weights).tolist() == [np.inf, 2.0, np.inf]


def test_draws_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    values, clusters = np.random.default_rng(4).normal(size=90), np.repeat(np.arange(30), 3)
    at_once = resample(mean_of(values), clusters)
    monkeypatch.setattr('posegrasp_ros.metrics.stats.intervals.MOST_WEIGHTS', 7 * 90)
    assert resample(mean_of(values), clusters) == pytest.approx(at_once)
    assert bootstrap(lambda weights: weights @ values / weights.sum(), clusters) == pytest.approx(at_once)


SCENES = [(40, 5, 0.3), (20, 12, 0.9), (12, 10, 0.6)]


def scenes_of_frames(rng, scenes, frames, correlation):
    """(N,) standard normal numbers; those of one scene have this correlation."""
    shared = np.repeat(rng.normal(size=scenes), frames)
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * rng.normal(size=scenes * frames)


@pytest.mark.parametrize('scenes, frames, correlation', SCENES)
def test_intervals_of_correlated_frames_hold_the_truth_93_to_97_times_of_100(scenes, frames, correlation):
    """A median of skewed errors, rates and a mean, 1,000 runs each; 93 to 97, and 1.3 for the luck of 1,000."""
    rng, clusters = np.random.default_rng(5), np.repeat(np.arange(scenes), frames)
    held = dict.fromkeys(('median', 'rate 0.5', 'rate 0.8', 'mean'), 0)
    for _ in range(1000):
        numbers = scenes_of_frames(rng, scenes, frames, correlation)
        intervals = {'median': (quantile_interval(np.exp(numbers), clusters), 1.0),
                     'rate 0.5': (rate_interval(numbers < 0, clusters), 0.5),
                     'rate 0.8': (rate_interval(numbers < norm.ppf(0.8), clusters), 0.8),
                     'mean': (mean_interval(norm.cdf(numbers), clusters), 0.5)}
        for name, ((low, high), truth) in intervals.items():
            held[name] += low <= truth <= high
    assert all(917 < count < 983 for count in held.values()), held


def test_single_frames_taken_for_independent_would_not_hold_it():
    rng, clusters = np.random.default_rng(6), np.arange(40 * 5)
    held = 0
    for _ in range(300):
        low, high = rate_interval(scenes_of_frames(rng, 40, 5, 0.9) < 0, clusters)
        held += low <= 0.5 <= high
    assert held / 300 < 0.75


def test_one_frame_that_dissents_does_not_make_a_run_certain():
    """20 scenes of 30 frames, all right but one frame: no narrower than the scenes allow by much."""
    outcomes = np.ones(600, bool)
    outcomes[0] = False
    low, high = rate_interval(outcomes, np.repeat(np.arange(20), 30))
    assert low < 0.96 and high > 0.998


def test_a_mean_of_equal_shares_counts_each_scene_once():
    equal = mean_interval(np.full(60, 0.7), np.repeat(np.arange(20), 3))
    assert equal == pytest.approx(wilson_interval(14, 20))
    assert mean_interval(np.full(4, 0.7), np.arange(4)) is None
    assert mean_interval(np.zeros(0), np.zeros(0)) is None


def test_a_mean_of_numbers_that_scatter_little_has_a_narrower_interval_than_a_rate():
    values = np.tile([0.6, 0.7, 0.8], 20)
    low, high = mean_interval(values, np.arange(60))
    assert low < 0.7 < high and high - low < 0.06
    rate = wilson_interval(42, 60)
    assert rate.high - rate.low > 0.2


@pytest.mark.parametrize('rate, reference, scenes', [(0.8, 0.9, 20), (0.95, 0.9, 40), (1.0, 0.95, 10),
                                                     (0.5, 0.45, 50)])
def test_as_many_more_attempts_as_foretold_do_decide(rate, reference, scenes):
    interval = wilson_interval(rate * scenes, scenes)
    more = more_clusters_to_decide(rate, interval, scenes, reference, 'higher_is_better', is_rate=True)
    decided, undecided = (verdict(wilson_interval(rate * n, n), reference, 'higher_is_better')
                          for n in (scenes + more, scenes + more - 1))
    assert decided == ('better' if rate > reference else 'worse')
    assert undecided == 'inconclusive'


def test_a_median_is_decided_when_the_interval_has_shrunk_by_the_square_root():
    """10 mm away, 20 mm wide on that side: four times as many scenes."""
    assert more_clusters_to_decide(0.05, Interval(0.03, 0.06), 30, 0.04, 'lower_is_better') in (90, 91)


@pytest.mark.parametrize('value, interval, reference, direction, tolerance', [
    (0.05, Interval(0.045, 0.055), 0.04, 'lower_is_better', 0.0),
    (0.05, None, 0.04, 'lower_is_better', 0.0),
    (0.04, Interval(0.03, 0.06), 0.04, 'lower_is_better', 0.0),
    (0.9, Interval(0.89, 0.91), 0.9, 'on_target', 0.03),
], ids=['decided', 'no interval', 'on the reference', 'on target'])
def test_what_no_more_attempts_would_decide_has_no_number(value, interval, reference, direction, tolerance):
    assert more_clusters_to_decide(value, interval, 30, reference, direction, tolerance) is None


def test_a_target_is_decided_when_the_interval_is_inside_its_tolerance():
    more = more_clusters_to_decide(0.91, Interval(0.85, 0.97), 100, 0.9, 'on_target', 0.03)
    assert more == pytest.approx(100 * (3**2 - 1), abs=1)


@pytest.mark.parametrize('direction', ['lower_is_better', 'higher_is_better', 'on_target'])
def test_what_is_no_number_is_beyond_any_reference(direction):
    assert is_beyond(math.nan, 0.5, direction, 0.1)
    assert not is_beyond(0.5, 0.5, direction, 0.1)


@pytest.mark.parametrize('quantile', [0.05, 0.5, 0.9])
def test_quantiles_by_clusters_are_those_of_all_values(quantile):
    rng = np.random.default_rng(5)
    clusters = rng.integers(0, 40, 900)
    values = np.where(rng.random(900) < 0.1, np.inf, rng.normal(size=900) + clusters)
    groups = clusters_of(clusters)
    # also draws that are nothing like a bootstrap's, whose quantiles lie far from that of all values
    times = np.concatenate([rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), 50),
                            np.eye(len(groups), dtype=int)])
    expected = quantile_of(values, quantile)(times[:, groups.index])
    assert cluster_quantile(values, groups, quantile)(times).tolist() == expected.tolist()
    drawn = resample_clusters(cluster_quantile(values, groups, quantile), len(groups))
    assert drawn.tolist() == resample(quantile_of(values, quantile), clusters).tolist()


@pytest.mark.parametrize('names', [[3, 1, 1, 7, 3], [10**15, 5, 5], [], [-4, -4, 2]])
def test_clusters_are_those_of_unique_names(names):
    names = np.array(names, dtype=np.int64)
    _, index, sizes = np.unique(names, return_inverse=True, return_counts=True)
    groups = clusters_of(names)
    assert (groups.index.tolist(), groups.sizes.tolist()) == (index.tolist(), sizes.tolist())
    assert count_of(names) == len(groups) == len(sizes)


def test_joined_clusters_hold_the_same_values():
    names, values = np.repeat(np.arange(23), 3), np.random.default_rng(0).normal(size=69)
    all_of_them, joined = clusters_of(names), clusters_of(names).joined(6)
    assert joined.sizes.tolist() == [12, 12, 12, 12, 12, 9]
    assert joined.sums(values) == pytest.approx(np.add.reduceat(all_of_them.sums(values), np.arange(0, 23, 4)))
    assert all_of_them.joined(23) is all_of_them


@pytest.mark.parametrize('correlation', [0.0, 0.7])
def test_the_interval_of_joined_clusters_is_as_wide(monkeypatch, correlation):
    rng = np.random.default_rng(2)
    scenes = np.repeat(np.arange(6000), 4)
    values = rng.lognormal(correlation * rng.normal(size=6000)[scenes], 1)
    low, high = quantile_interval(values, scenes)
    monkeypatch.setattr('posegrasp_ros.metrics.stats.intervals.MOST_RESAMPLED', 500)
    joined_low, joined_high = quantile_interval(values, scenes)
    assert (joined_high - joined_low) / (high - low) == pytest.approx(1, abs=0.15)
