# SPDX-License-Identifier: Apache-2.0
"""Two estimators on the same frames: only what they differ in counts."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.metrics.frame_pairs import paired_comparisons
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport


def table_of(estimates, spacing_ns=SECOND):
    run = RunMetrics(TARGET)
    for index, estimate in enumerate(estimates):
        run.add_truth(index * spacing_ns, TRUTH)
        run.add_report(StageReport(index * spacing_ns, 'perception', estimate is not None))
        if estimate is not None:
            run.add_estimate(index * spacing_ns, estimate)
    return run.table()


def items_of(tables, chosen='a'):
    return {(item['other'], item['metric']): item for item in paired_comparisons(
        tables, chosen, [name for name in tables if name != chosen])}


def test_a_small_difference_on_the_same_hard_frames_is_seen():
    """One estimator is 0.3 mm better on every frame; the frames scatter ten times as much."""
    hard = np.random.default_rng(0).uniform(0.001, 0.007, 80)
    tables = {'a': table_of([off_by(e) for e in hard]), 'b': table_of([off_by(e + 0.0003) for e in hard])}
    item = items_of(tables)['b', 'position_error_median']
    assert item['difference'] == pytest.approx(-0.0003, abs=1e-4)
    assert (item['verdict'], item['unit'], item['n'], item['p_value']) == ('better', 'm', 80, None)
    assert items_of(tables, 'b')['a', 'position_error_median']['verdict'] == 'worse'


def test_rates_come_with_the_exact_p_value_of_mcnemar():
    good, bad = off_by(0.001), off_by(0.05)
    tables = {'a': table_of([good] * 60), 'b': table_of([good] * 50 + [bad] * 10), 'c': table_of([good] * 60)}
    items = items_of(tables)
    item = items['b', 'recall_1cm_5deg']
    assert item['difference'] == pytest.approx(1 / 6) and item['verdict'] == 'better'
    assert item['p_value'] == pytest.approx(2 / 2**10)
    assert (items['c', 'recall_1cm_5deg']['p_value'], items['c', 'recall_1cm_5deg']['difference']) == (1.0, 0.0)


def test_frames_of_one_scene_are_no_independent_votes():
    good, bad = off_by(0.001), off_by(0.05)
    tables = {'a': table_of([good] * 60, SECOND // 30), 'b': table_of([good] * 30 + [bad] * 30, SECOND // 30)}
    item = items_of(tables)['b', 'recall_1cm_5deg']
    assert item['p_value'] == 0.5 and item['verdict'] == 'inconclusive', 'two of three seconds differ'


def test_medians_are_over_the_frames_that_both_answer():
    tables = {'a': table_of([off_by(0.002)] * 8 + [None] * 4), 'b': table_of([None] * 4 + [off_by(0.003)] * 8)}
    item = items_of(tables)['b', 'position_error_median']
    assert (item['n'], item['difference']) == (4, pytest.approx(-0.001))
    assert items_of(tables)['b', 'recall_1cm_5deg']['n'] == 12


def test_without_a_truth_there_is_nothing_to_compare():
    run = RunMetrics(TARGET)
    run.add_report(StageReport(0, 'perception', True))
    assert paired_comparisons({'a': run.table(), 'b': run.table()}, 'a', ['b']) == []


def test_tables_of_other_frames_are_refused():
    with pytest.raises(ValueError, match='a and b: expected tables of the same frames'):
        paired_comparisons({'a': table_of([TRUTH] * 3), 'b': table_of([TRUTH] * 4)}, 'a', ['b'])
