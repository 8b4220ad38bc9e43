# SPDX-License-Identifier: Apache-2.0
"""Metrics of tracking: states, flips and recovery after occlusion; options as the node has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from run_frames import TARGET, TRUTH, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.evaluation import frame_answers
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry, MetricBaselines
from posegrasp_ros.metrics.frame_record import FrameRecord
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.tracking_metrics import recoveries
from posegrasp_ros.report.run_report import format_table, render_html
from posegrasp_ros.runtime.errors import InvalidInputError

FRAME_NS = 100_000_000
GOOD, FLIPPED, ASIDE = off_by(0.002), off_by(0.0, 90.0), off_by(0.05)


HIDDEN = [('lost', None, 0.0)] * 3


def run_of(frames, step_ns: int = FRAME_NS, start_ns: int = 0, run: RunMetrics | None = None) -> RunMetrics:
    """A run of frames of (state, pose or None, visible share or None)."""
    run = run or RunMetrics(TARGET)
    for index, (state, pose, share) in enumerate(frames):
        stamp_ns = start_ns + index * step_ns
        run.add_image(stamp_ns)
        run.add_truth(stamp_ns, TRUTH)
        if share is not None:
            run.add_visible_share(stamp_ns, share)
        if pose is not None:
            run.add_estimate(stamp_ns, pose)
        words = {'state': state} if state else {}
        reason = 'lost' if pose is None else ''
        run.add_report(StageReport(stamp_ns, 'perception', not reason, reason, {}, words))
    return run


def metrics_of(frames, **how) -> dict:
    return run_of(frames, **how).summary()['metrics']


def test_states_are_shares_of_the_frames_and_counted():
    frames = [('found', GOOD, None)] * 2 + [('tracked', GOOD, None)] * 5 + [('lost', None, None)] * 2 + [
        ('absent', None, None)]
    summary = run_of(frames).summary()
    assert summary['states'] == {'found': 2, 'tracked': 5, 'lost': 2, 'absent': 1}
    assert {name: summary['metrics'][f'state_{name}']['value'] for name in summary['states']} == {
        'found': 0.2, 'tracked': 0.5, 'lost': 0.2, 'absent': 0.1}
    assert summary['metrics']['state_lost']['n'] == 10
    assert 'Tracking: found 2, tracked 5, lost 2, absent 1' in format_table(summary)
    assert 'Tracking: followed without them' in render_html(summary)


def test_without_tracking_there_are_no_states_and_no_metrics_of_it():
    summary = run_of([('', GOOD, 1.0), ('', None, 0.0), ('', GOOD, 1.0)]).summary()
    assert summary['states'] is None
    names = ('state_found', 'state_tracked', 'state_lost', 'state_absent', 'pose_flips', 'occlusion_recovery',
             'recovery_time_median')
    assert [summary['metrics'][name]['n'] for name in names] == [0] * 7
    assert 'Tracking' not in format_table(summary) and 'Tracking' not in render_html(summary)
    assert not set(names) & {item['metric'] for item in summary['next']['metrics']}


def test_with_tracking_the_next_step_says_what_was_not_measured_of_it():
    why = {item['metric']: item['why'] for item in run_of([('tracked', GOOD, None)]).summary()['next']['metrics']}
    assert why['state_tracked'] == 'nothing requires it'
    assert why['occlusion_recovery'].startswith('not measured: no tracked object was hidden')


def test_there_are_no_live_verdicts_of_what_takes_longer_than_a_block():
    needs = {name: MetricBaselines('higher_is_better', (Entry('need', 'requirement', 0.5, 'us', '2026-01-01'),))
             for name in ('state_tracked', 'occlusion_recovery')}
    frames = [('tracked', GOOD, 1.0), *HIDDEN, *[('lost', None, 1.0)] * 6, ('found', GOOD, 1.0)]
    run = run_of(frames * 3, run=RunMetrics(TARGET, Baselines(needs)))
    assert [item['metric'] for item in run.live_verdicts(10**18)] == ['state_tracked']
    assert [item['value'] for item in run.summary()['verdicts'] if item['metric'] == 'occlusion_recovery'] == [1.0]


@pytest.mark.parametrize('off', [FLIPPED, ASIDE])
def test_a_flip_counts_once_where_it_begins(off):
    poses = [GOOD, GOOD, off, off, off, GOOD, off]
    flips = metrics_of([('tracked', pose, None) for pose in poses])['pose_flips']
    assert (flips['value'], flips['n']) == (pytest.approx(2 / 6), 6)


def test_a_drift_is_no_flip_and_a_pose_after_none_is_not_counted():
    metrics = metrics_of([('tracked', GOOD, None), ('tracked', off_by(0.04, 29.0), None), ('lost', None, None),
                          ('found', FLIPPED, None)])
    assert (metrics['pose_flips']['value'], metrics['pose_flips']['n']) == (0.0, 1)


def test_images_far_apart_are_not_one_after_the_other():
    frames = [('tracked', GOOD, None), ('found', FLIPPED, None)]
    assert metrics_of(frames, step_ns=500_000_000)['pose_flips']['value'] == 1.0
    assert metrics_of(frames, step_ns=500_000_001)['pose_flips']['n'] == 0


def test_images_that_perception_had_no_time_for_are_passed_over():
    frames = [*[('tracked', GOOD, 1.0)] * 2, *HIDDEN, ('found', FLIPPED, 1.0), ('found', GOOD, 1.0)]
    run, skipped_ns = run_of(frames, step_ns=2 * FRAME_NS), FRAME_NS
    for index, (_, _, share) in enumerate(frames):
        run.add_image(2 * index * FRAME_NS + skipped_ns)
        run.add_truth(2 * index * FRAME_NS + skipped_ns, TRUTH)
        run.add_visible_share(2 * index * FRAME_NS + skipped_ns, share)
    metrics = run.summary()['metrics']
    assert (metrics['pose_flips']['value'], metrics['pose_flips']['n']) == (0.0, 2)
    assert [each.after_ms for each in recoveries(run.table())] == [200.0]


def test_objects_are_followed_one_by_one():
    run = RunMetrics({'box': TARGET, 'can': TARGET})
    for index, (box, can) in enumerate([(GOOD, FLIPPED), (GOOD, FLIPPED), (FLIPPED, GOOD)]):
        for name, pose in (('box', box), ('can', can)):
            run.add_truth(index * FRAME_NS, TRUTH, name)
            run.add_estimate(index * FRAME_NS, pose, object_name=name)
            run.add_report(StageReport(index * FRAME_NS, 'perception', True, '', {}, {'state': 'tracked'},
                                       object=name))
    summary = run.summary()
    flips = {name: part['metrics']['pose_flips'] for name, part in summary['objects'].items()}
    assert {name: (each['value'], each['n']) for name, each in flips.items()} == {'box': (0.5, 2), 'can': (0.0, 2)}
    assert (summary['metrics']['pose_flips']['value'], summary['metrics']['pose_flips']['n']) == (0.25, 4)




def test_recovery_is_from_the_first_frame_that_asks_for_a_pose_to_the_first_accurate_one():
    frames = [('tracked', GOOD, 1.0), *HIDDEN, ('lost', None, 0.15), ('found', ASIDE, 0.5), ('found', GOOD, 1.0),
              ('tracked', GOOD, 1.0), *HIDDEN, ('found', GOOD, 0.9), ('tracked', GOOD, 1.0)]
    assert [each.after_ms for each in recoveries(run_of(frames).table())] == [200.0, 0.0]
    metrics = metrics_of(frames)
    assert (metrics['occlusion_recovery']['value'], metrics['occlusion_recovery']['n']) == (1.0, 2)
    assert metrics['recovery_time_median']['value'] == 100.0
    assert metrics['recovery_time_median']['unit'] == 'ms'


def test_an_object_that_is_hidden_again_before_it_was_found_was_not_found_again():
    frames = [('tracked', GOOD, 1.0), *HIDDEN, ('absent', None, 1.0), *HIDDEN, ('found', GOOD, 1.0)]
    assert [each.after_ms for each in recoveries(run_of(frames).table())] == [np.inf, 0.0]
    metrics = metrics_of(frames)
    assert metrics['occlusion_recovery']['value'] == 0.5
    assert (metrics['recovery_time_median']['value'], metrics['recovery_time_median']['n']) == (0.0, 1)


def test_a_pose_while_it_is_hidden_finds_nothing_again():
    frames = [('tracked', GOOD, 1.0), ('tracked', GOOD, 0.05), ('absent', None, 1.0)]
    assert [each.after_ms for each in recoveries(run_of(frames).table())] == [np.inf]


@pytest.mark.parametrize('frames', [
    [*HIDDEN, ('found', GOOD, 1.0)],  # never seen before
    [('tracked', GOOD, 1.0), *HIDDEN],  # not seen again
    [('tracked', GOOD, None), ('lost', None, None), ('found', GOOD, None)],  # nobody knows
])
def test_what_is_no_occlusion_is_not_counted(frames):
    assert recoveries(run_of(frames).table()) == []


def test_another_recording_is_no_continuation():
    run = run_of([('tracked', GOOD, 1.0), *HIDDEN])
    run_of([('found', GOOD, 1.0)], start_ns=100 * FRAME_NS, run=run)
    assert recoveries(run.table()) == []


def test_a_row_keeps_the_state():
    row = json.loads(json.dumps(FrameRecord(state='lost').to_row()))
    assert FrameRecord.from_row(row).state == 'lost'
    assert FrameRecord.from_row(FrameRecord().to_row()).state == ''


# Options.

def test_the_tracker_of_an_evaluation_gets_its_options(scripted_model, monkeypatch):
    from posegrasp_ros.estimation.model_card import load_model_card

    cards, seen = {'': load_model_card(scripted_model)}, []
    monkeypatch.setattr(frame_answers, 'with_tracking',
                        lambda estimator, say, options: seen.append(options) or estimator)
    wanted = TrackingOptions(correction_hz=5.0, give_up_s=0.5)
    EvaluateOptions('mean_pose', compare_with=('oracle',), track=True, tracking=wanted).work(cards).begin()
    assert seen == [wanted], 'the others are not tracked'


@pytest.mark.parametrize(('options', 'words'), [
    ({'correction_hz': 0.0}, 'correction_hz: expected a number from 0.1 to 100, got 0'),
    ({'correction_hz': float('nan')}, 'correction_hz: expected'),
    ({'give_up_s': 61.0}, 'give_up_s: expected a number from 0 to 60, got 61'),
])
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(InvalidInputError, match=words):
        TrackingOptions(**options)


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--correction-hz', '5'], 'expected with --track'),
    (['--give-up-s', '5'], 'expected with --track'),
    (['--track', '--correction-hz', '0'], 'expected a number from 0.1 to 100'),
    (['--track', '--give-up-s', '-1'], 'expected a number from 0 to 60'),
])
def test_options_that_do_not_fit_are_refused_at_the_command_line(bag, scripted_model, capsys, arguments, words):
    assert main(['evaluate', str(bag), '--model', str(scripted_model), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_command_hands_the_options_on(bag, scripted_model, monkeypatch, tmp_path):
    from posegrasp_ros.evaluation import bag_evaluation

    class Enough(Exception):
        """The options were seen."""

    def seen(paths, cards, options, *_):
        raise Enough(options.track, options.tracking)

    monkeypatch.setattr(bag_evaluation, 'evaluate_bags', seen)
    command = ['evaluate', str(bag), '--model', str(scripted_model), '--track']
    with pytest.raises(Enough) as error:
        main([*command, '--correction-hz', '4', '--give-up-s', '3'])
    assert error.value.args == (True, TrackingOptions(4.0, 3.0))
    with pytest.raises(Enough) as error:
        main(command)
    assert error.value.args == (True, TrackingOptions()), 'the defaults of the node'
