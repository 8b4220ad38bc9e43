# SPDX-License-Identifier: Apache-2.0
"""The calibration guard: notices figures that are not as at home, says which, and is silent at home."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.evaluation.frame_answers import Answer
from posegrasp_ros.evaluation.method import MethodUnderTest
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.calibration_guard import CalibrationGuard, UsualRange, ViewFigures, told_as_provenance
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.live_run import LiveRun
from posegrasp_ros.monitoring.liveness import OK, WARN
from posegrasp_ros.monitoring.object_watch import LiveObject
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.report.run_report import format_table, render_html

NAMES = ('correlation', 'evidence', 'log_residual')
SECOND = 1_000_000_000


def usual(rng, views=200):
    """Ranges as a calibration on so many views finds them of standard normal figures."""
    draws = np.quantile(rng.normal(size=(views, len(NAMES))), (0.05, 0.5, 0.95), axis=0).T
    return {name: UsualRange(*column, views) for name, column in zip(NAMES, draws)}


def view(number):
    """A pose from another side than that before."""
    return make_transform(rotation_from_vector((0, 0, math.radians(17 * number % 360))), (0, 0, 0.6))


def play(guard, values, pose=view):
    """The number of the frame at which the guard notices; None where it does not."""
    for number, row in enumerate(values):
        guard.figures(number, dict(zip(NAMES, row)))
        guard.pose(number, pose(number))
        if guard.departure:
            return number + 1
    return None


@pytest.mark.parametrize('seed', range(3))
def test_it_is_silent_at_home_for_ten_thousand_views(seed):
    rng = np.random.default_rng(seed)
    assert play(CalibrationGuard(usual(rng)), rng.normal(size=(10_000, len(NAMES)))) is None


@pytest.mark.parametrize('shift, figure, side', [((0, -1.5, 0), 'evidence', 'below'),
                                                 ((0, 0, 1.5), 'log_residual', 'above')])
@pytest.mark.parametrize('seed', range(3))
def test_a_figure_that_has_shifted_is_named_within_two_hundred_views(seed, shift, figure, side):
    rng = np.random.default_rng(seed)
    guard = CalibrationGuard(usual(rng))
    assert play(guard, rng.normal(size=(2000, len(NAMES)))) is None
    shifted = rng.normal(size=(200, len(NAMES))) + shift
    assert play(guard, shifted) is not None
    assert (guard.departure.figure, guard.departure.side) == (figure, side)


def test_it_is_silent_where_image_and_model_agree_better_than_usual():
    """The views of one good place: the score is too low there and the covariance too large."""
    rng = np.random.default_rng(0)
    assert play(CalibrationGuard(usual(rng)), rng.normal(size=(1000, len(NAMES))) + [1.5, 1.5, -1.5]) is None


def test_a_figure_of_unknown_meaning_may_leave_its_range_on_both_sides():
    for shift in (-3.0, 3.0):
        guard = CalibrationGuard({'sharpness': UsualRange(-1.6, 0, 1.6, 200)})
        for number in range(200):
            guard.figures(number, {'sharpness': shift})
            guard.pose(number, view(number))
        assert guard.departure.side == ('below' if shift < 0 else 'above')


def test_it_says_what_is_expected_what_is_seen_and_what_to_do():
    guard = CalibrationGuard({'correlation': UsualRange(0.9, 0.95, 0.99, 300)})
    play(guard, np.full((100, 3), 0.5))
    assert guard.departure.sentence.startswith(
        'score and covariance no longer hold: correlation is below 0.9 in 100% of the last')
    assert '(median 0.5), expected in 5% (median 0.95)' in guard.departure.sentence
    assert guard.departure.sentence.endswith('run posegrasp calibrate MODEL --bag BAG on frames of this camera')


def test_frames_of_one_view_are_one_observation():
    guard = CalibrationGuard({'correlation': UsualRange(0.9, 0.95, 0.99, 300)})
    assert play(guard, np.zeros((5000, 3)), pose=lambda _: view(0)) is None
    assert guard.views == 1


def test_a_figure_that_is_no_number_is_not_as_usual():
    guard = CalibrationGuard({'correlation': UsualRange(0.9, 0.95, 0.99, 300)})
    assert play(guard, np.full((100, 3), np.nan)) is not None


def test_it_recovers_and_remembers():
    rng = np.random.default_rng(0)
    guard = CalibrationGuard(usual(rng))
    assert play(guard, rng.normal(size=(100, 3)) + 4) is not None
    for number, row in enumerate(rng.normal(size=(500, 3)), start=1000):
        guard.figures(number, dict(zip(NAMES, row)))
        guard.pose(number, view(number))
    assert guard.departure is None
    assert list(told_as_provenance({'': guard})['unlike_calibration']) == ['']


def test_a_range_of_few_views_bears_more_views_outside():
    (few_inside, _), (many_inside, many_beyond) = (UsualRange(-1.6, 0, 1.6, views).gains for views in (20, 2000))
    assert few_inside < many_inside < 0 < many_beyond


@pytest.mark.parametrize('stretches', [(300, 100, 1000), (1000, 90), (50, 400, 300, 400)])
def test_views_added_at_once_are_as_views_added_one_by_one(stretches):
    """Good and bad stretches in turn, with figures that some views lack and some state as NaN."""
    rng = np.random.default_rng(len(stretches))
    values = np.concatenate([rng.normal(size=(count, len(NAMES))) - 2 * (place % 2)
                             for place, count in enumerate(stretches)])
    values[rng.uniform(size=values.shape) < 0.05] = np.nan
    is_known = rng.uniform(size=values.shape) < 0.9
    one, many = (CalibrationGuard(usual(np.random.default_rng(1))) for _ in range(2))
    for row, known in zip(values, is_known):
        one.add_view({name: value for name, value, is_in in zip(NAMES, row, known) if is_in})
    for part in np.array_split(np.arange(len(values)), 7):
        many.add_views(ViewFigures(dict(zip(NAMES, values[part].T)), dict(zip(NAMES, is_known[part].T))))
    assert many.views == one.views == len(values)
    assert one.noticed is not None
    assert repr((many.departure, many.noticed)) == repr((one.departure, one.noticed))  # NaN is not equal to itself


def test_a_figure_that_is_not_stated_any_more_is_not_noticed_again():
    guard = CalibrationGuard(usual(np.random.default_rng(0)))
    for _ in range(300):
        guard.add_view({'correlation': -9.0, 'evidence': 0.0})
    noticed = guard.noticed
    for _ in range(200):
        guard.add_view({'evidence': 0.0})
    assert noticed.figure == 'correlation' and guard.noticed == noticed


def test_without_usual_ranges_and_without_pose_nothing_is_noticed():
    guard = CalibrationGuard({})
    assert play(guard, np.full((100, 3), 9.0)) is None
    guard = CalibrationGuard(usual(np.random.default_rng(0)))
    for number in range(1000):
        guard.figures(number, dict.fromkeys(NAMES, 9.0))
    assert guard.views == 0


@pytest.mark.parametrize('pose_first', [True, False])
def test_the_monitor_warns_and_the_summary_carries_it(tmp_path, pose_first):
    target = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)), 0.17)
    watched = LiveObject(target, usual={'correlation': UsualRange(0.9, 0.95, 0.99, 300)})
    run = LiveRun({'': watched}, load_baselines(), RunKeeper(tmp_path / 'run', None, print), 1.5,
                  {'provenance': {}}, clock=lambda: 0.0)

    def frame(number, correlation):
        stamp = number * SECOND
        numbers = {'latency_ms': 20.0, 'correlation': correlation, 'score': 0.9}
        steps = [lambda: run.estimate(stamp, lambda: view(number), np.eye(6) * 1e-6),
                 lambda: run.report(lambda: StageReport(stamp, 'perception', True, '', numbers))]
        run.image(stamp)
        run.truth(stamp, lambda: view(number))
        for step in steps if pose_first else steps[::-1]:
            step()

    def health():
        return next(each for each in run.healths() if each.task == 'messages')

    for number in range(1, 100):
        frame(number, 0.95)
    assert health().level == OK
    for number in range(100, 140):
        frame(number, 0.5)
    assert health().level == WARN
    assert 'correlation is below 0.9' in health().text
    assert health().values == {'unlike the calibration': '1'}
    run.write_summary()
    run.close()
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    metrics = summary['metrics']
    assert 'correlation is below 0.9' in metrics['covariance_coverage_90']['note']
    assert 'correlation is below 0.9' in metrics['score_ece']['note']
    assert 'note' not in metrics['recall_1cm_5deg']
    assert 'Score and covariance no longer hold: correlation' in format_table(summary)
    assert 'Score and covariance no longer hold: correlation' in render_html(summary)


def test_an_evaluation_notices_too():
    target = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)), 0.17)
    usual = {'': {'correlation': UsualRange(0.9, 0.95, 0.99, 300)}}
    method = MethodUnderTest(RunMetrics({'': target}), usual)
    for number in range(1, 60):
        estimation = Estimation([PoseEstimate(view(number), 0.9, np.eye(6))])
        report = StageReport(number * SECOND, 'perception', True, '', {'correlation': 0.5, 'latency_ms': 9.0})
        frame = BagFrame(number * SECOND, None, None)
        list(method.count(frame, {'': Answer(estimation, report, None)}))
    assert 'correlation is below 0.9' in told_as_provenance(method.guards)['unlike_calibration']['']
