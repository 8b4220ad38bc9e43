from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from posegrasp_ros.metrics.sequential import BetsOnMore, ConfidenceSequence, SequentialMedian, SequentialVerdict

LOOKS = 10_000
RUNS = 100


def alarms(draw, mean) -> float:
    """Share of runs in which a rate that is what it was is called better or worse at any look."""
    more, less, ever = BetsOnMore(np.full(RUNS, mean)), BetsOnMore(np.full(RUNS, 1 - mean)), np.zeros(RUNS, bool)
    for _ in range(LOOKS):
        shares = draw()
        more.add(shares)
        less.add(1 - shares)
        ever |= more.are_won | less.are_won
    return float(ever.mean())


@pytest.mark.parametrize('mean', [0.5, 0.95])
def test_nothing_changed_is_called_a_change_in_at_most_5_percent_of_runs_of_10000_looks(mean):
    rng = np.random.default_rng(0)
    assert alarms(lambda: (rng.random(RUNS) < mean).astype(float), mean) <= 0.05


def test_frames_of_a_block_may_be_as_alike_as_they_like():
    """10,000 frames in blocks of 25, a look after every frame: only finished blocks change a verdict."""
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(RUNS):
        verdict, calls = SequentialVerdict(0.9, 'higher_is_better'), set()
        for rate in rng.beta(0.9, 0.1, 400):
            verdict.add(rng.binomial(25, rate), 25)
            calls.add(verdict.verdict)
        wrong += calls != {'inconclusive'}
    assert wrong / RUNS <= 0.05


def test_an_interval_that_is_looked_at_after_every_frame_would_not_do():
    """What a verdict of the ordinary 95 % interval at every look comes to, for comparison: not 5 %."""
    rng = np.random.default_rng(2)
    rates = (rng.random((RUNS, 2000)) < 0.9).cumsum(axis=1) / np.arange(1, 2001)
    half = 1.96 * np.sqrt(0.9 * 0.1 / np.arange(1, 2001))
    assert (np.abs(rates - 0.9) > half)[:, 30:].any(axis=1).mean() > 0.3


@pytest.mark.parametrize('rate, reference, blocks', [(0.97, 0.9, 250), (0.8, 0.9, 250), (0.99, 0.9, 130),
                                                     (0.1, 0.5, 40), (0.6, 0.5, 900)])
def test_a_change_is_found_in_a_number_of_attempts_that_a_robot_makes(rate, reference, blocks):
    rng, needed = np.random.default_rng(3), []
    for _ in range(15):
        verdict = SequentialVerdict(reference, 'higher_is_better')
        while verdict.verdict == 'inconclusive':
            verdict.add(rng.random() < rate, 1)
        assert verdict.verdict == ('better' if rate > reference else 'worse')
        needed.append(verdict.blocks)
    assert np.median(needed) < blocks


def decided(verdict, rate, blocks=600):
    rng = np.random.default_rng(4)
    for _ in range(blocks):
        verdict.add(rng.binomial(10, rate), 10)
    return verdict.verdict


@pytest.mark.parametrize('direction, rate, expected', [
    ('higher_is_better', 0.95, 'better'), ('higher_is_better', 0.85, 'worse'),
    ('lower_is_better', 0.95, 'worse'), ('lower_is_better', 0.85, 'better'),
    ('on_target', 0.9, 'better'), ('on_target', 0.99, 'worse'), ('on_target', 0.8, 'worse'),
    ('on_target', 0.95, 'inconclusive'),
])
def test_directions(direction, rate, expected):
    assert decided(SequentialVerdict(0.9, direction, tolerance=0.05), rate) == expected


def test_a_verdict_does_not_depend_on_the_order_of_blocks():
    shares = np.random.default_rng(5).binomial(10, 0.93, 300)
    one, other = (SequentialVerdict(0.9, 'higher_is_better') for _ in range(2))
    for share, late in zip(shares, shares[::-1]):
        one.add(share, 10)
        other.add(late, 10)
    assert one.verdict == other.verdict == 'better'


def test_a_robot_that_grows_worse_loses_its_verdict_and_gets_the_other():
    verdict, seen = SequentialVerdict(0.9, 'higher_is_better'), []
    for rate in [1.0] * 100 + [0.5] * 200:
        verdict.add(rate, 1)
        seen.append(verdict.verdict)
    order = [seen[0]] + [now for before, now in itertools.pairwise(seen) if now != before]
    assert order == ['inconclusive', 'better', 'inconclusive', 'worse']


@pytest.mark.parametrize('reference, direction, share, expected', [
    (0.0, 'lower_is_better', 0.0, 'inconclusive'),
    (0.0, 'lower_is_better', 0.1, 'worse'),
    (1.0, 'higher_is_better', 1.0, 'inconclusive'),
    (1.0, 'higher_is_better', 0.9, 'worse'),
    (1.2, 'higher_is_better', 1.0, 'worse'),
    (-0.1, 'lower_is_better', 0.0, 'worse'),
])
def test_references_at_and_beyond_the_ends(reference, direction, share, expected):
    """No rate of success is better than all; one failure is enough to be worse."""
    verdict = SequentialVerdict(reference, direction)
    for _ in range(3):
        verdict.add(share, 1)
    assert verdict.verdict == expected


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match='3 of 2'):
        SequentialVerdict(0.5, 'higher_is_better').add(3, 2)
    with pytest.raises(ValueError, match="'up'"):
        SequentialVerdict(0.5, 'up')
    with pytest.raises(ValueError, match="'on_target'"):
        SequentialMedian(0.5, 'on_target')


def test_a_block_without_trials_says_nothing():
    verdict = SequentialVerdict(1.0, 'higher_is_better')
    verdict.add(0, 0)
    assert (verdict.blocks, verdict.verdict) == (0, 'inconclusive')


@pytest.mark.parametrize('direction, typical, expected', [
    ('lower_is_better', 0.008, 'better'), ('lower_is_better', 0.0125, 'worse'),
    ('higher_is_better', 0.0125, 'better'), ('lower_is_better', 0.01, 'inconclusive'),
])
def test_medians(direction, typical, expected):
    rng, verdict = np.random.default_rng(6), SequentialMedian(0.01, direction)
    for _ in range(400):
        errors = typical * np.exp(0.5 * rng.normal() + 0.2 * rng.normal(size=30))
        errors[0] = np.inf
        verdict.add(np.delete(errors, 0) if expected == 'inconclusive' else errors)
    assert verdict.verdict == expected


def test_values_on_the_reference_speak_for_neither_side():
    verdict = SequentialMedian(5.0, 'lower_is_better')
    for _ in range(1000):
        verdict.add(np.array([4.0, 5.0, 5.0, 9.0]))
    verdict.add(np.zeros(0))
    assert (verdict.blocks, verdict.verdict) == (1000, 'inconclusive')


def test_a_confidence_sequence_holds_the_mean_at_every_look_and_narrows():
    rng, held, widths = np.random.default_rng(7), 0, []
    for _ in range(15):
        sequence, holds = ConfidenceSequence(), True
        for _ in range(200):
            sequence.add(rng.binomial(5, 0.8), 5)
            low, high = sequence.interval
            holds &= low <= 0.8 <= high
        held += holds
        widths.append(high - low)
    assert held >= 14
    assert np.mean(widths) < 0.15
    assert ConfidenceSequence().interval == (0.0, 1.0)


def test_a_look_takes_as_long_after_many_blocks_as_after_few():
    """And no more than a fraction of a millisecond."""
    verdict = SequentialVerdict(0.9, 'higher_is_better')

    def looks() -> float:
        began = time.process_time()
        for _ in range(500):
            verdict.add(9, 10)
            assert verdict.verdict
        return (time.process_time() - began) / 500

    first, _, last = looks(), [looks() for _ in range(5)], looks()
    assert last < 3 * first and last < 5e-4
