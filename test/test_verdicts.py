# SPDX-License-Identifier: Apache-2.0
"""Verdicts against fixed figures, and against figures that were measured themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry, MetricBaselines, load_baselines
from posegrasp_ros.metrics.baselines.gate import check_gate
from posegrasp_ros.metrics.baselines.verdicts import compare, difference_interval, judge
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stats.intervals import Interval, wilson_interval
from posegrasp_ros.metrics.summary import judged


def metric(value, low, high, clusters=50):
    return {'value': value, 'unit': '1', 'interval': [low, high], 'n': clusters, 'clusters': clusters}


def previous(value, low=None, high=None, **more):
    return Entry('v1', 'previous', value, 'run v1', '2026-11-23',
                 interval=None if low is None else Interval(low, high), **more)


def test_the_uncertainty_of_what_was_measured_before_counts_too():
    now = metric(0.80, 0.76, 0.84)
    assert judge(now, 'higher_is_better', previous(0.85)) == 'worse'
    assert judge(now, 'higher_is_better', previous(0.85, 0.80, 0.90)) == 'inconclusive'
    assert judge(now, 'higher_is_better', previous(0.95, 0.90, 0.98)) == 'worse'
    assert judge(now, 'lower_is_better', previous(0.95, 0.90, 0.98)) == 'better'
    assert judge({**now, 'interval': None}, 'higher_is_better', previous(0.95)) == 'inconclusive'


def test_equal_runs_differ_in_no_more_than_5_percent_of_comparisons():
    rng = np.random.default_rng(0)
    claimed = 0
    for first, second in rng.binomial(60, 0.8, (2000, 2)):
        one, other = wilson_interval(first, 60), wilson_interval(second, 60)
        low, high = difference_interval(first / 60, one, second / 60, other)
        claimed += not low <= 0 <= high
    assert claimed / 2000 <= 0.055


def test_sides_of_a_difference_add_up_like_standard_errors():
    low, high = difference_interval(10.0, Interval(7.0, 14.0), 6.0, Interval(5.0, 10.0))
    assert (low, high) == (pytest.approx(4 - 5.0), pytest.approx(4 + math.hypot(4, 1)))


def test_what_is_inconclusive_says_how_many_more_would_decide():
    baselines = Baselines({'recall_1cm_5deg': MetricBaselines('higher_is_better', (
        Entry('need', 'requirement', 0.75, 'brief', ''), Entry('far', 'requirement', 0.5, 'brief', ''),
        previous(0.78, 0.7, 0.85)))})
    interval = wilson_interval(40, 50)
    near, far, before = compare({'recall_1cm_5deg': metric(0.8, *interval)}, baselines)
    assert near['verdict'] == 'inconclusive' and near['decided_after'] > 50
    grown = wilson_interval(0.8 * (50 + near['decided_after']), 50 + near['decided_after'])
    assert grown.low == pytest.approx(0.75, abs=0.003)
    assert (far['verdict'], far['decided_after']) == ('better', None)
    assert (before['verdict'], before['decided_after']) == ('inconclusive', None)


def run_of(estimates):
    run = RunMetrics(TARGET)
    for index, estimate in enumerate(estimates):
        run.add_truth(index * SECOND, TRUTH)
        run.add_estimate(index * SECOND, estimate)
    return run.summary()


def gated(summary, *entries):
    baselines = Baselines({'recall_1cm_5deg': MetricBaselines('higher_is_better', entries)})
    return check_gate(summary['metrics'], baselines)


def test_the_gate_stops_what_is_surely_worse_than_before_and_says_so():
    summary = run_of([off_by(0.002)] * 60 + [off_by(0.05)] * 40)
    result, = gated(summary, previous(0.9, 0.84, 0.94))
    assert not result.held
    assert result.text == ("recall_1cm_5deg: 60.0 % [50.2, 69.1], needed no worse than 'v1' 90.0 % [84.0, 94.0]: "
                           'worse')


@pytest.mark.parametrize('entry', [
    previous(0.65, 0.55, 0.74), previous(0.55, 0.5, 0.6), previous(0.9, 0.84, 0.94, fair=False, note='other bag'),
    Entry('mean_pose', 'scripted', 0.99, 'bag', '')])
def test_the_gate_lets_pass_what_may_be_chance_and_what_is_no_fair_comparison(entry):
    summary = run_of([off_by(0.002)] * 60 + [off_by(0.05)] * 40)
    assert all(result.held for result in gated(summary, entry))


def test_a_summary_can_be_judged_by_another_baselines_file():
    summary = run_of([off_by(0.002)] * 60)
    assert summary['verdicts'] == [] and 'states no requirement' in summary['next']['text']
    again = judged(summary, load_baselines())
    assert {item['verdict'] for item in again['verdicts']} == {'better'}
    assert 'the goal is reached' in again['next']['text']
    assert {key: again[key] for key in summary if key not in ('verdicts', 'next')} == {
        key: summary[key] for key in summary if key not in ('verdicts', 'next')}
