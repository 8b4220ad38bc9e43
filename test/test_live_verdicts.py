# SPDX-License-Identifier: Apache-2.0
"""Verdicts of a run that goes on: as of the summary, at any time, at the same cost."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry, MetricBaselines, load_baselines
from posegrasp_ros.metrics.catalogue import Metric
from posegrasp_ros.metrics.live_verdicts import QuantileSketch
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.stats.intervals import Interval

FRAME_NS = SECOND // 10


def feed(run, index, estimate, latency_ms=40.0):
    stamp = index * FRAME_NS
    run.add_truth(stamp, TRUTH)
    run.add_report(StageReport(stamp, 'perception', True, '', {'latency_ms': latency_ms}))
    run.add_estimate(stamp, estimate)
    return stamp


def by_entry(items):
    return {(item['metric'], item['entry']): item for item in items}


def long_run(count=1500, share=0.9, baselines=None):
    run, rng = RunMetrics(TARGET, baselines or load_baselines()), np.random.default_rng(0)
    for index in range(count):
        feed(run, index, off_by(abs(rng.normal(0, 0.004)) if rng.random() < share else 0.03), rng.gamma(4, 10))
        yield run, index * FRAME_NS


def test_live_values_are_those_of_the_summary():
    for run, stamp in long_run():
        items = run.live_verdicts(stamp)
    live, summary = by_entry(items), run.summary(until_ns=stamp // SECOND * SECOND - 1)
    assert set(item['metric'] for item in items) == {'position_error_median', 'rotation_error_median',
                                                     'recall_1cm_5deg', 'add_recall_10pct', 'image_to_pose_p50'}
    for item in summary['verdicts']:
        twin = live[item['metric'], item['entry']]
        exact = pytest.approx(item['value'], rel=1e-9 if item['unit'] == '1' else 0.006, abs=1e-12)
        assert twin['value'] == exact, item['metric']
        assert {key: twin[key] for key in ('reference', 'unit', 'kind', 'direction', 'fair')} == {
            key: item[key] for key in ('reference', 'unit', 'kind', 'direction', 'fair')}
    assert live['recall_1cm_5deg', 'stated need']['verdict'] == 'better'
    low, high = live['recall_1cm_5deg', 'stated need']['interval']
    assert low < 0.9 < high, 'wider than that of the summary, for it may be looked at at any time'
    assert live['image_to_pose_p50', 'Isaac ROS DOPE on Jetson Thor']['verdict'] == 'worse'


def test_only_blocks_that_are_over_count_and_each_of_them_once():
    run = RunMetrics(TARGET, load_baselines())
    for index in range(15):
        feed(run, index, off_by(0.001))
    assert run.live_verdicts(SECOND - 1) == []
    once = run.live_verdicts(SECOND)
    feed(run, 3, off_by(0.03))
    run.add_truth(5 * FRAME_NS + 1, TRUTH)
    assert run.live_verdicts(SECOND) == once
    assert run.summary()['metrics']['recall_1cm_5deg']['n'] == 16, 'in the summary late ones count'


def test_frames_of_one_second_are_one_observation():
    """Sixty frames of a still scene decide nothing that one frame does not."""
    still = RunMetrics(TARGET, load_baselines())
    for index in range(10):
        feed(still, index, off_by(0.001))
    assert {item['verdict'] for item in still.live_verdicts(SECOND)} == {'inconclusive'}


def test_each_pick_is_an_observation_even_within_a_second():
    run = RunMetrics(None, load_baselines())
    for index in range(60):
        run.add_report(StageReport(index, 'execution', True))
    item, = run.live_verdicts(SECOND)
    assert (item['metric'], item['value'], item['verdict']) == ('grasp_success_rate', 1.0, 'better')


def test_a_previous_run_is_anywhere_in_its_interval():
    sure = Entry('sure', 'previous', 0.95, 'run', '', interval=Interval(0.94, 0.96))
    unsure = Entry('unsure', 'previous', 0.95, 'run', '', interval=Interval(0.75, 0.99))
    baselines = Baselines({'recall_1cm_5deg': MetricBaselines('higher_is_better', (sure, unsure))})
    run, stamp = list(long_run(800, 0.8, baselines))[-1]
    live = by_entry(run.live_verdicts(stamp))
    assert live['recall_1cm_5deg', 'sure']['verdict'] == 'worse'
    assert live['recall_1cm_5deg', 'unsure']['verdict'] == 'inconclusive'


def test_without_a_baselines_file_there_is_nothing_to_judge():
    for run, stamp in long_run(30, baselines=Baselines({})):
        assert run.live_verdicts(stamp) == []


@pytest.mark.parametrize('draw', [lambda rng: rng.lognormal(3, 1, 5000), lambda rng: rng.uniform(0, 1e-3, 5000),
                                  lambda rng: np.zeros(50)])
def test_quantiles_are_told_to_half_a_percent_in_little_room(draw):
    values, sketch = draw(np.random.default_rng(0)), QuantileSketch()
    for part in np.array_split(values, 10):
        sketch.add(part)
    for share in (0.1, 0.5, 0.9):
        exact = np.quantile(values, share, method='inverted_cdf')
        assert sketch.quantile(share) == pytest.approx(exact, rel=0.0051, abs=1e-11)
    assert len(sketch._counts) < 2000
    with pytest.raises(ValueError, match='at least one value'):
        QuantileSketch().quantile(0.5)


def test_images_that_were_forgotten_before_their_block_was_looked_at_do_no_harm():
    run = RunMetrics(TARGET, load_baselines())
    for index in range(40):
        feed(run, index, off_by(0.001))
    assert len(run.forget(15)) == 25
    assert by_entry(run.live_verdicts(4 * SECOND))['recall_1cm_5deg', 'stated need']['value'] == 1.0
    assert run.summary()['metrics']['recall_1cm_5deg']['n'] == 15


@pytest.mark.parametrize('where', ['in its blocks', 'in its verdicts'])
def test_a_metric_that_fails_goes_alone(added_metric, monkeypatch, where):
    def fail(*_) -> None:
        raise ZeroDivisionError('a bug')

    if where == 'in its blocks':
        added_metric(Metric('broken', '1', 'higher_is_better', 'Broken', fail))
    else:
        monkeypatch.setattr(QuantileSketch, 'quantile', fail)
    for run, stamp in long_run(50):
        items = run.live_verdicts(stamp)
    gone = {'broken'} if where == 'in its blocks' else {
        'position_error_median', 'rotation_error_median', 'mssd_median', 'image_to_pose_p50'}
    everything = {'position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'add_recall_10pct',
                  'image_to_pose_p50'}
    assert {item['metric'] for item in items} == everything - gone
    assert set(run.verdict_failures) == gone
    assert all('ZeroDivisionError: a bug' in text for _, text in run.verdict_failures.values())


def test_the_interval_and_the_verdict_of_a_rate_say_the_same_at_every_look():
    for run, stamp in long_run(600):
        for item in run.live_verdicts(stamp):
            if item['interval'] and not item['tolerance']:
                low, high = item['interval']
                outside = item['reference'] < low or item['reference'] > high
                assert outside == (item['verdict'] != 'inconclusive')
