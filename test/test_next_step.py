# SPDX-License-Identifier: Apache-2.0
"""What next follows from the figures: change them and the advice changes."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, add_frame, off_by

from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.first_card import also_missed
from posegrasp_ros.report.run_report import format_brief

GOOD = off_by(0.002, 1)


def next_of(frames):
    run = RunMetrics(TARGET, load_baselines())
    for index, frame in enumerate(frames):
        add_frame(run, index * SECOND, *frame)
    return run.summary()['next']


def actions(advice):
    return {item['metric']: item['action'] for item in advice['metrics']}


def reasons(advice):
    return {item['metric']: item['why'] for item in advice['metrics']}


def test_when_all_is_well_there_is_nothing_but_holding():
    advice = next_of([(GOOD, '', '')] * 60)
    assert set(actions(advice).values()) == {'hold', 'ignore'}
    assert {name for name, action in actions(advice).items() if action == 'hold'} == {
        'position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'add_recall_10pct',
        'grasp_success_rate'}
    assert 'All requirements that could be measured are met.' in advice['text'] and 'Work on' not in advice['text']


@pytest.mark.parametrize(('wrong', 'worked_on', 'left'), [
    (off_by(0.03, 1), 'position_error_median', 'rotation_error_median'),
    (off_by(0.002, 20), 'rotation_error_median', 'position_error_median')])
def test_the_error_that_costs_attempts_is_worked_on_and_the_other_held(wrong, worked_on, left):
    advice = next_of([(wrong, '', 'missed')] * 40 + [(GOOD, '', '')] * 20)
    assert actions(advice)[worked_on] == 'work on' and actions(advice)[left] == 'hold'
    assert actions(advice)['grasp_success_rate'] == 'work on', 'it is the goal'
    assert 'related to 40 of 40 failed attempts' in reasons(advice)[worked_on]


def test_a_tail_is_told_from_a_pose_that_is_off_as_a_rule():
    advice = next_of([(off_by(0.002, 40), '')] * 20 + [(GOOD, '')] * 40)
    assert actions(advice) | {'recall_1cm_5deg': 'work on', 'rotation_error_median': 'hold'} == actions(advice)
    assert 'The median pose is accurate enough, the tail is not.' in advice['text']
    assert 'the initial estimate fails, not the refinement' in advice['text']
    near = next_of([(off_by(0.002, 7), '')] * 20 + [(GOOD, '')] * 40)
    assert 'better refinement could correct' in near['text']


def test_the_paragraph_names_where_most_is_lost_and_what_mending_it_would_bring():
    frames = [(GOOD, 'collides', 'no_grasp')] * 30 + [('no_detection', None, 'no_grasp')] * 4
    frames += [(GOOD, '', '')] * 66
    text = next_of(frames)['text']
    assert 'Grasp success is 66.0 %' in text and 'the goal is missed' in text
    assert '34 of 100 attempts failed, 30 of them because of: no feasible grasp.' in text
    assert 'A perfect planning alone would raise 66.0 % to 96.0 %, which is enough.' in text
    worse = next_of(frames[:34] + [(GOOD, '', 'slipped')] * 40 + frames[34:60])['text']
    assert 'not enough by itself' in worse


def test_where_only_the_time_is_missed_the_remedy_is_less_time_and_no_training():
    slow = RunMetrics(TARGET, load_baselines())
    for index in range(60):
        slow.add_truth(index * SECOND, TRUTH)
        if index:
            slow.add_estimate(index * SECOND, GOOD)
        slow.add_report(StageReport(index * SECOND, 'perception', bool(index), '' if index else 'no_detection',
                                    {'latency_ms': 150.0}))
    summary = slow.summary()
    assert summary['next']['remedy'].startswith('less time from image to pose')
    assert also_missed(summary) == ['Image to pose, median 150 ms where at most 100 ms is needed']
    assert 'Other requirements missed: Image to pose, median 150 ms' in format_brief(summary)


def test_a_missed_metric_that_costs_little_is_left_for_later():
    slow = RunMetrics(TARGET, load_baselines())
    for index in range(60):
        add_frame(slow, index * SECOND, GOOD if index % 3 else 'no_detection')
    for index in range(60, 120):
        slow.add_truth(index * SECOND, TRUTH)
        slow.add_image(index * SECOND)
        slow.add_report(StageReport(index * SECOND, 'perception', True, '', {'latency_ms': 150.0}))
        slow.add_estimate(index * SECOND, off_by(0.03))
    advice = slow.summary()['next']
    assert actions(advice)['image_to_pose_p50'] == 'ignore'
    assert 'but no failed frame is related to it' in reasons(advice)['image_to_pose_p50']
    assert actions(advice)['add_recall_10pct'] == 'ignore'
    assert 'measures the same poses as recall_1cm_5deg' in reasons(advice)['add_recall_10pct']


def test_where_nothing_fails_the_widest_gap_comes_first():
    run = RunMetrics(TARGET, load_baselines())
    for index in range(60):
        run.add_truth(index * SECOND, TRUTH)
        run.add_report(StageReport(index * SECOND, 'perception', True, '', {'latency_ms': 150.0, 'score': 0.1}))
        run.add_estimate(index * SECOND, GOOD)
    advice = run.summary()['next']
    assert actions(advice)['score_ece'] == 'work on', '0.9 where 0.05 is needed; the time is half too long'
    assert 'Work on: Score, expected calibration error.' in advice['text']
    assert actions(advice)['image_to_pose_p50'] == 'ignore'


def test_what_was_not_measured_says_what_it_would_take():
    why = reasons(next_of([(GOOD, '')] * 10))
    assert why['grasp_success_rate'] == 'not measured: no pick was reported'
    assert why['image_to_pose_p50'] == 'not measured: no pose was given, or no report states its latency'
    text = RunMetrics(TARGET, load_baselines()).summary()['next']['text']
    assert text.startswith('The accuracy of the poses is not known')


def test_an_undecided_goal_says_how_many_more_attempts_would_decide():
    rng = np.random.default_rng(0)
    text = next_of([(GOOD, '', '' if rng.random() < 0.85 else 'slipped') for _ in range(60)])['text']
    assert 'not decided yet, about' in text and 'more attempts would decide' in text
