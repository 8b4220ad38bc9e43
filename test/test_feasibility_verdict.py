# SPDX-License-Identifier: Apache-2.0
"""What follows from which figures, and that each refusal has the right reason."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from posegrasp_ros.feasibility.break_even import BreakEven, Business, Range
from posegrasp_ros.feasibility.cell import Needs
from posegrasp_ros.feasibility.expected_success import SHARES, Figures
from posegrasp_ros.feasibility.timing import stated_timing
from posegrasp_ros.feasibility.verdict import FEASIBLE, IF, NOT, judge, missed_needs, reasons_of
from posegrasp_ros.metrics.stats.intervals import Interval

GOOD = Figures(success=0.98, ideal=0.99, true_pose=0.99, share_of_views=0.99)
NEEDS = Needs(success=0.95, orientation=True, rate_hz=10)
FAST = stated_timing(40, rate_hz=10)


def seen(share=0.0, text='+x and -x show the same artwork', kind='hidden feature', twin_share=0.0):
    ambiguity = SimpleNamespace(kind=kind, text=text, share_of_views=share, twin_share=twin_share,
                                is_harmless=False)
    return SimpleNamespace(ambiguous_share=share, ambiguities=[ambiguity] if share or twin_share else [])


def test_feasible_when_every_need_is_met():
    assert judge(reasons_of(GOOD, NEEDS, seen(), FAST)) == FEASIBLE


@pytest.mark.parametrize(('figures', 'attainable', 'timing', 'word', 'missed'), [
    (GOOD._replace(success=0.90), seen(), FAST, IF, {'success'}),
    (GOOD._replace(share_of_views=0.80), seen(), FAST, IF, {'views'}),
    (GOOD._replace(ideal=0.60, success=0.1), seen(), FAST, NOT, {'camera'}),
    (GOOD._replace(true_pose=0.90, ideal=0.88, success=0.8), seen(), FAST, NOT, {'grip'}),
    (Figures(0, 0, 0, 0, 'too wide'), seen(), FAST, NOT, {'grasp'}),
    (GOOD, seen(0.4), FAST, NOT, {'orientation'}),
    (GOOD, seen(0.02), FAST, FEASIBLE, set()),
    (GOOD, seen(kind='twin faces', twin_share=0.2), FAST, IF, {'twins'}),
    (GOOD, seen(0.02, kind='same artwork', twin_share=0.2), FAST, IF, {'twins'}),
    (GOOD, seen(0.4, kind='same artwork', twin_share=0.2), FAST, NOT, {'orientation'}),
    (GOOD, seen(), stated_timing(200, rate_hz=30), NOT, {'time'}),
])
def test_what_misses_which_need(figures, attainable, timing, word, missed):
    reasons = reasons_of(figures, NEEDS, attainable, timing)
    assert (judge(reasons), missed_needs(reasons)) == (word, missed)


def with_interval(figures, name, low, high):
    return figures._replace(intervals={**{each: figures.interval(each) for each in SHARES},
                                       name: Interval(low, high)})


@pytest.mark.parametrize('name', ['true_pose', 'ideal'])
def test_only_what_is_missed_for_sure_is_refused(name):
    missed = GOOD._replace(**{name: 0.93})
    for high, word in ((0.94, NOT), (0.96, IF)):
        reasons = reasons_of(with_interval(missed, name, 0.90, high), NEEDS, seen(), FAST)
        assert judge(reasons) == word
        assert any(f'93.0 % [90.0, {100 * high:.1f}]' in reason.text for reason in reasons)


def test_what_was_measured_on_this_machine_another_may_mend():
    late = stated_timing(200, rate_hz=10)
    assert judge(reasons_of(GOOD, NEEDS, seen(), late)) == NOT
    assert judge(reasons_of(GOOD, NEEDS, seen(), replace(late, pose_p95_ms=250.0))) == IF
    assert replace(late, pose_p95_ms=250.0).allowed_median_ms == pytest.approx(80)


def test_only_what_surely_does_not_pay_is_refused():
    unsure = BreakEven.draw(Business(Range(300, 300), Range(0.05, 0.5), Range(0.4, 4.0), Range(30, 30)), seed=1)
    break_even = {**unsure.to_dict(0.9), 'pays_from': {'value': 0.995, 'interval': [0.97, 0.999]}}
    assert judge(reasons_of(GOOD, NEEDS, seen(), FAST, break_even)) == IF
    assert judge(reasons_of(GOOD._replace(ideal=0.96, success=0.96), NEEDS, seen(), FAST, break_even)) == NOT


def test_what_looks_alike_is_harmless_where_orientation_does_not_matter():
    assert judge(reasons_of(GOOD, replace(NEEDS, orientation=False), seen(1.0), FAST)) == FEASIBLE


def test_reasons_say_their_numbers():
    texts = {reason.name: reason.text for reason in reasons_of(GOOD, NEEDS, seen(0.4), stated_timing(200, 30))}
    assert '40.0 %' in texts['orientation'] and '+x and -x' in texts['orientation']
    assert '200 ms' in texts['time'] and '33.3 ms' in texts['time']


@pytest.mark.parametrize(('unattended', 'word'), [(False, FEASIBLE), (True, NOT)])
def test_what_does_not_pay_is_not_feasible(unattended, word):
    business = Business(Range(300, 300), Range(0.1, 0.1), Range(0.4, 0.4), Range(30, 30), unattended)
    break_even = BreakEven.draw(business, seed=1).to_dict(GOOD.success)
    assert judge(reasons_of(GOOD, NEEDS, seen(), FAST, break_even)) == word
