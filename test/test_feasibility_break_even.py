# SPDX-License-Identifier: Apache-2.0
"""The success rate from which a cell pays, against what a person works out by hand."""

from __future__ import annotations

import pytest

from posegrasp_ros.feasibility.break_even import BreakEven, Business, Range

EXACT = Business(Range(300, 300), Range(0.10, 0.10), Range(0.40, 0.40), Range(10, 10))


def test_pays_from_where_gains_and_losses_meet():
    break_even = BreakEven.draw(EXACT, seed=1)
    # 10 cents against 40: four successes pay a failure.
    assert break_even.pays_from(unattended=False) == pytest.approx(0.8)
    assert break_even.earned_per_pick(0.8, unattended=False) == pytest.approx(0, abs=1e-12)
    assert break_even.earned_per_hour(0.9, unattended=False) == pytest.approx(300 * (0.09 - 0.04))


def test_a_cell_that_nobody_watches_has_to_be_better():
    break_even = BreakEven.draw(EXACT, seed=1)
    # Ten minutes of 300 picks an hour are 50 picks: 5.00 on top of 0.40.
    assert break_even.pays_from(unattended=True) == pytest.approx(5.4 / 5.5)
    assert (break_even.earned_per_hour(0.9, unattended=True) < 0).all()


def test_an_hour_of_a_cell_that_stands_still_holds_fewer_picks():
    break_even = BreakEven.draw(EXACT, seed=1)
    # With one failure in a hundred, 300 picks take an hour and half an hour of standing.
    per_pick = break_even.earned_per_pick(0.99, unattended=True)
    assert break_even.earned_per_hour(0.99, unattended=True) == pytest.approx(200 * per_pick)


def test_the_interval_is_as_wide_as_what_is_not_known():
    unsure = BreakEven.draw(Business(Range(300, 300), Range(0.05, 0.20), Range(0.2, 0.8), Range(10, 10)), seed=1)
    stated = unsure.to_dict(success=0.9)
    low, high = stated['pays_from']['interval']
    assert 0.5 < low < stated['pays_from']['value'] < high < 0.8 / 0.85
    assert 0 < stated['probability_that_it_pays'] < 1
    assert BreakEven.draw(EXACT, seed=1).to_dict(0.9)['pays_from']['interval'] == pytest.approx([0.8, 0.8])


def test_the_same_seed_gives_the_same_figures():
    ranges = Business(Range(100, 300), Range(0.05, 0.2), Range(0.2, 0.8), Range(5, 30), unattended=True)
    assert BreakEven.draw(ranges, 3).to_dict(0.9) == BreakEven.draw(ranges, 3).to_dict(0.9)
