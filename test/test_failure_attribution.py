# SPDX-License-Identifier: Apache-2.0
"""Every failed attempt falls to exactly one reason, the first thing that went wrong."""

from __future__ import annotations

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, add_frame, off_by

from posegrasp_ros.metrics.diagnosis.failure_attribution import REASONS, waterfall, with_oracle
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport

GOOD, FAR = off_by(0.002), off_by(0.02)


def fall_of(frames, **options):
    """The waterfall of frames of one second each."""
    run = RunMetrics(TARGET, **options)
    for index, frame in enumerate(frames):
        add_frame(run, index * SECOND, *frame)
    return waterfall(run.table())


def lost(fall):
    return {step['reason']: step['lost'] for step in fall['steps'] if step['lost']}


@pytest.mark.parametrize(('frame', 'reason'), [
    (('bad_image', None, 'no_grasp'), 'no_image'),
    (('no_camera_info', None, 'no_grasp'), 'no_image'),
    (('no_detection', None, 'no_grasp'), 'not_detected'),
    ((None, None, 'no_grasp'), 'not_detected'),
    ((np.full((4, 4), np.nan), 'bad_pose', 'no_grasp'), 'not_detected'),
    ((FAR, '', 'missed'), 'pose_outside_tolerance'),
    ((FAR, 'collides', 'no_grasp'), 'pose_outside_tolerance'),
    ((GOOD, 'pose_too_uncertain', 'no_grasp'), 'pose_outside_tolerance'),
    ((GOOD, '', 'stale_pose'), 'stale_pose'),
    ((GOOD, 'stale_pose', 'no_grasp'), 'stale_pose'),
    ((GOOD, 'collides', 'no_grasp'), 'no_feasible_grasp'),
    ((GOOD, None, 'no_grasp'), 'no_feasible_grasp'),
    ((GOOD, '', 'slipped'), 'execution'),
])
def test_a_failed_pick_is_charged_to_the_first_thing_that_went_wrong(frame, reason):
    fall = fall_of([frame, (GOOD, '', '')])
    assert lost(fall) == {reason: 1}
    assert (fall['of'], fall['attempts'], fall['successes']) == ('attempts', 2, 1)


def test_a_pick_that_held_is_a_success_however_far_off_the_pose_was():
    assert fall_of([(FAR, '', '')])['successes'] == 1


def test_any_mixture_of_failures_adds_up_to_all_attempts():
    rng = np.random.default_rng(0)
    choices = [GOOD, GOOD, GOOD, FAR, 'no_detection', 'bad_image', None], ['', '', 'collides', 'stale_pose', None]
    frames = [(choices[0][rng.integers(7)], choices[1][rng.integers(5)], ('', 'slipped')[rng.integers(2)])
              for _ in range(300)]
    fall = fall_of(frames)
    left = [step['left'] for step in fall['steps']]
    assert [step['reason'] for step in fall['steps']] == list(REASONS)
    assert left == [300 - sum(step['lost'] for step in fall['steps'][:index + 1]) for index in range(6)]
    assert left[-1] == fall['successes'] == sum(pick == '' for _, _, pick in frames)


def test_without_picks_an_attempt_is_a_frame_that_shows_the_object():
    run = RunMetrics(TARGET)
    for index, estimate in enumerate([GOOD, GOOD, FAR, 'no_detection']):
        add_frame(run, index * SECOND, estimate, '' if estimate is not GOOD or index else 'collides')
    add_frame(run, 9 * SECOND, 'no_detection', has_truth=False)
    fall = waterfall(run.table())
    assert (fall['of'], fall['attempts'], fall['successes']) == ('frames', 4, 1)
    assert lost(fall) == {'not_detected': 1, 'pose_outside_tolerance': 1, 'no_feasible_grasp': 1}
    assert fall['if_perfect']['execution'] is None, 'nobody picked'


def test_without_any_truth_all_images_are_attempts_and_poses_are_taken_for_right():
    run = RunMetrics(TARGET)
    for index, estimate in enumerate([GOOD, FAR, 'no_detection']):
        add_frame(run, index * SECOND, estimate, '', has_truth=False)
    assert lost(waterfall(run.table())) == {'not_detected': 1}


def test_images_without_the_object_are_no_attempts():
    run = RunMetrics(TARGET)
    run.add_absence(0)
    run.add_report(StageReport(0, 'perception', True))
    fall = waterfall(run.table())
    assert (fall['attempts'], set(fall['if_perfect'].values())) == (0, {None})


def test_where_only_picks_are_reported_they_alone_are_to_blame():
    run = RunMetrics()
    for index in range(4):
        run.add_report(StageReport(index, 'execution', index > 0, '' if index else 'slipped'))
    assert lost(waterfall(run.table())) == {'execution': 1}


def test_what_a_perfect_stage_would_gain_is_the_share_that_the_others_let_pass():
    frames = [('no_detection', None, 'no_grasp')] * 20 + [(FAR, '', 'missed')] * 20   # 60 of 100 left
    frames += [(GOOD, 'collides', 'no_grasp')] * 15                                   # 45 of 60
    frames += [(GOOD, '', 'slipped')] * 9 + [(GOOD, '', '')] * 36                     # 36 of 45
    rates = fall_of(frames)['if_perfect']
    assert rates == {'perception': pytest.approx(45 / 60 * 36 / 45), 'planning': pytest.approx(0.6 * 36 / 45),
                     'execution': pytest.approx(0.45)}


def test_where_nothing_gets_through_nobody_knows_what_is_behind():
    rates = fall_of([('no_detection', None, 'no_grasp')] * 3)['if_perfect']
    assert rates == {'perception': None, 'planning': None, 'execution': None}


def test_the_oracle_on_the_same_frames_tells_what_perfect_perception_gains():
    mine, oracle = fall_of([(FAR, ''), (FAR, '')]), fall_of([(TRUTH, ''), (TRUTH, 'collides')])
    assert with_oracle(mine, oracle)['if_perfect']['perception'] == 0.5
    assert with_oracle(mine, waterfall(RunMetrics().table())) == mine


def test_poses_that_are_off_are_told_by_what_they_are_off_in():
    frames = [(off_by(0.02), '')] * 4 + [(off_by(0, 6), '')] * 3 + [(off_by(0.011, 16), '')] * 2 + [(GOOD, '')]
    assert fall_of(frames)['outside_by'] == {'position': 4, 'rotation': 3, 'both': 2, 'neither': 0, 'gross': 2}


@pytest.mark.parametrize('order', [('report', 'pose'), ('pose', 'report')])
@pytest.mark.parametrize(('tolerated_m', 'estimate', 'reasons'), [
    (0.001, GOOD, {'pose_outside_tolerance': 1}), (0.05, FAR, {'execution': 1}),
    (None, FAR, {'pose_outside_tolerance': 1})])
def test_the_tolerance_that_counts_is_that_of_the_grasp_that_was_tried(order, tolerated_m, estimate, reasons):
    asked = []

    def check(grasp, symmetry_copy, estimate_from_truth):
        asked.append((grasp, symmetry_copy))
        return None if tolerated_m is None else np.linalg.norm(estimate_from_truth[:3, 3]) < tolerated_m

    run = RunMetrics(TARGET, pose_check=check)
    run.add_truth(0, TRUTH)
    for what in order:
        if what == 'pose':
            run.add_estimate(0, estimate)
        else:
            run.add_report(StageReport(0, 'planning', True, '', {'symmetry_copy': 3.0}, {'grasp': 'grasp_7'}))
    run.add_report(StageReport(0, 'perception', True))
    run.add_report(StageReport(0, 'execution', False, 'missed'))
    fall = waterfall(run.table())
    assert asked == [('grasp_7', 3)]
    assert lost(fall) == reasons
    assert fall['outside_by']['neither'] == (estimate is GOOD)
