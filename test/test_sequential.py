# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from posegrasp_ros.metrics.stats.sequential import (
    BetsOnMore,
    ConfidenceSequence,
    SequentialMedian,
    SequentialVerdict,
)

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


STREAMS = {
    'always the same': np.full(3000, 0.9525),
    'always right': np.ones(3000),
    'never right': np.zeros(3000),
    'right or wrong': np.random.default_rng(8).integers(0, 2, 3000).astype(float),
    'anything': np.random.default_rng(9).random(3000),
    'worse all at once': np.repeat([1.0, 0.0], 1500),
    'to and fro': 0.5 + 0.5 * np.sin(np.arange(3000) / 200),
    'one success after all': np.append(np.zeros(2999), 1.0),
    'one failure after all': np.append(np.ones(2999), 0.0),
    'next to nothing': np.full(3000, 1e-12),
    'what speaks against the last look': np.tile(np.repeat([0.0, 1.0], (7, 93)), 30),
}


@pytest.mark.parametrize('name', STREAMS)
def test_whatever_comes_in_the_interval_holds_the_mean_and_leaves_out_what_a_verdict_is_reached_against(name):
    mean, references = ConfidenceSequence(), (0.0, 0.0175, 0.5, 0.9, 0.9525, 0.99, 1.0, 1.2, -0.1)
    verdicts = [SequentialVerdict(reference, 'higher_is_better', mean=mean) for reference in references]
    for count, share in enumerate(STREAMS[name]):
        mean.add(share, 1)
        if count < 30 or count % 300 == 0 or count > 2997:
            low, high = mean.interval
            assert 0 <= low <= mean.mean <= high <= 1
            assert [verdict.verdict for verdict in verdicts] == [
                'better' if low > reference else 'worse' if high < reference else 'inconclusive'
                for reference in references]


def test_an_interval_narrows_as_long_as_blocks_come():
    mean, widths = ConfidenceSequence(), []
    for count in range(1, 100_001):
        mean.add(0.9525, 1)
        if count in (2_200, 20_000, 100_000):
            widths.append(mean.interval.high - mean.interval.low)
    assert widths[0] < 0.003 and widths[1] < widths[0] / 5 and widths[2] < widths[1] / 4


def test_shares_that_fall_between_the_places_never_make_a_wealth_larger():
    rng, bounds = np.random.default_rng(11), np.array([0.6, 0.7, 0.79, 0.8])
    exact, mean = BetsOnMore(bounds), ConfidenceSequence()
    for share in rng.beta(8, 2, 400):
        exact.add(share)
        mean.add(share, 1)
        assert (exact.are_won | ~np.array([mean.is_above(bound) for bound in bounds])).all()


@pytest.mark.parametrize('successes, trials', [(3, 2), (-1, 2), (float('nan'), 1), (1, float('inf'))])
def test_what_is_no_share_is_refused(successes, trials):
    with pytest.raises(ValueError, match='expected 0 <= successes <= trials'):
        ConfidenceSequence().add(successes, trials)


def test_a_confidence_sequence_holds_the_mean_at_every_look_and_narrows():
    rng, held, widths = np.random.default_rng(7), 0, []
    for _ in range(40):
        sequence, holds = ConfidenceSequence(), True
        for _ in range(200):
            sequence.add(rng.binomial(5, 0.8), 5)
            low, high = sequence.interval
            holds &= low <= 0.8 <= high
        held += holds
        widths.append(high - low)
    assert held >= 38
    assert np.mean(widths) < 0.15
    assert ConfidenceSequence().interval == (0.0, 1.0)


def test_a_look_takes_as_long_after_many_blocks_as_after_few():
    verdict = SequentialVerdict(0.9, 'higher_is_better')

    def looks() -> float:
        began = time.process_time()
        for _ in range(500):
            verdict.add(9, 10)
            assert verdict.verdict
        return (time.process_time() - began) / 500

    first, _, last = looks(), [looks() for _ in range(5)], looks()
    assert last < 3 * first
