# SPDX-License-Identifier: Apache-2.0
"""Ground truth that is not exact: its covariance is read, travels with it, and counts in the coverage."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hand_made_bags import CAMERA, SECOND
from test_recorded import StageBag

from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.ground_truth_file import COVARIANCE_COLUMNS, GroundTruthError, read_ground_truth
from posegrasp_ros.estimation.card_calibration import UNCALIBRATED
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.evaluation import frame_answers
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.recorded import evaluate_recorded
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    invert,
    make_transform,
    perturb,
    random_rotation,
    rotate_covariance,
    rotation_from_vector,
    vector_from_rotation,
)
from posegrasp_ros.geometry.true_pose import OVERRULED, TruePose, TruthSigmas
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.frame_record import FrameRecord
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.truth_errors import UNKNOWN, median_length, share_within
from posegrasp_ros.monitoring.live_run import LiveRun
from posegrasp_ros.monitoring.object_watch import LiveObject
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.report.run_report import format_table, render_html
from posegrasp_ros.report.truth_text import truth_sentence
from posegrasp_ros.runs.rebuild import rebuild
from posegrasp_ros.runs.summary_schemas import summary_problem
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path

COVERAGE = 'covariance_coverage_90'
MESH = load_mesh(resource_path('models/box/mesh.obj'))
TARGET = ErrorTarget.from_mesh(MESH)
FEW_POINTS = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (8, 3)), 0.17)
SIGMAS = TruthSigmas.stated((1, 1, 3), (0.8,))
# Of the estimator, in its own camera frame.
ESTIMATE = np.diag(np.square([1e-3, 1e-3, 2e-3, 0.01, 0.01, 0.01]))
SIMULATED = {'bags': [{'name': 'bag', 'files': {}, 'simulated': True}]}


def poses(count, seed=0):
    """Of each frame the exact pose, an estimate, and a reference, with errors of :data:`ESTIMATE` and
    :data:`SIGMAS`."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        exact = make_transform(random_rotation(rng), rng.uniform((-0.2, -0.15, 0.4), (0.2, 0.15, 0.8)))
        estimate = perturb(exact, rng.multivariate_normal(np.zeros(6), ESTIMATE))
        yield exact, estimate, perturb(exact, rng.multivariate_normal(np.zeros(6), SIGMAS.covariance(exact)))


def coverage(frames, truth_sigmas=None, target=FEW_POINTS):
    """The summary's coverage of frames, each of truth and estimate."""
    run = RunMetrics(target, truth_sigmas=truth_sigmas)
    for index, (truth, estimate) in enumerate(frames):
        run.add_truth(index * SECOND, truth)
        run.add_estimate(index * SECOND, estimate, ESTIMATE)
    return run.summary()['metrics'][COVERAGE]


def test_stated_sigmas_give_the_coverage_that_an_exact_truth_gives():
    frames = list(poses(500))
    exact = coverage([(exact, estimate) for exact, estimate, _ in frames])
    disturbed = [(reference, estimate) for _, estimate, reference in frames]
    stated, unstated = coverage(disturbed, SIGMAS), coverage(disturbed)
    low, high = exact['interval']
    assert low <= 0.9 <= high and low <= stated['value'] <= high
    assert unstated['interval'][1] < low
    assert 'note' not in stated and unstated['note'] == UNKNOWN


def test_the_third_sigma_is_along_the_line_of_sight_of_an_object_at_the_edge_of_the_image():
    pose = make_transform(rotation_from_vector([1, 2, 3]), (0.4, -0.3, 0.5))
    sight = pose[:3, 3] / np.linalg.norm(pose[:3, 3])
    across = np.cross(sight, (0, 1, 0)) / np.linalg.norm(np.cross(sight, (0, 1, 0)))
    covariance = TruthSigmas.stated((1, 1, 3), (0.5, 0.5, 2)).covariance(pose)
    for part, (side, along) in ((covariance[:3, :3], np.array([1e-3, 3e-3])),
                                (covariance[3:, 3:], np.radians([0.5, 2]))):
        assert sight @ part @ sight == pytest.approx(along**2)
        assert across @ part @ across == pytest.approx(side**2)
        assert abs(across @ part @ sight) < 1e-12
    behind = TruthSigmas.stated((1, 2, 3)).covariance(make_transform(None, (0, 0, -1)))
    np.testing.assert_allclose(np.diag(behind), np.square([1e-3, 2e-3, 3e-3, 0, 0, 0]))


@pytest.mark.parametrize(('mm', 'deg', 'expected'), [
    ((2,), (), [2e-3] * 3 + [0] * 3), ((), (1,), [0] * 3 + [np.radians(1)] * 3),
    ((1, 2, 3), (0,), [1e-3, 2e-3, 3e-3, 0, 0, 0])])
def test_one_number_stands_for_three_and_what_is_not_stated_is_zero(mm, deg, expected):
    sigmas = TruthSigmas.stated(mm, deg)
    assert [*sigmas.position_m, *sigmas.rotation_rad] == pytest.approx(expected)


def test_nothing_stated_is_no_sigmas_and_two_numbers_are_refused():
    assert TruthSigmas.stated() is None
    for wrong in ((1, 2), (-1,), (np.nan,)):
        with pytest.raises(InvalidInputError, match='expected one or three numbers of at least 0'):
            TruthSigmas.stated(wrong)


def test_a_covariance_turns_with_its_pose_into_another_frame():
    rng = np.random.default_rng(1)
    half = rng.normal(size=(6, 6)) * 1e-3
    turn = make_transform(random_rotation(rng), (1, 2, 3))
    truth = TruePose(make_transform(random_rotation(rng), (0.1, 0.2, 0.6)), half @ half.T).seen_from(turn)
    # One error, applied in either frame.
    delta = half @ rng.normal(size=6)
    moved = np.concatenate([turn[:3, :3] @ delta[:3], turn[:3, :3] @ delta[3:]])
    before = invert(turn) @ truth.pose
    np.testing.assert_allclose(turn @ perturb(before, delta), perturb(truth.pose, moved), atol=1e-9)
    np.testing.assert_allclose(truth.covariance, rotate_covariance(half @ half.T, turn[:3, :3]), atol=1e-15)


def symmetries():
    flip = make_transform(rotation_from_vector([0, 0, np.pi]), (0.1, 0.0, 0.0))
    return [Symmetry.generated([flip]), Symmetry.generated(axis=(0, 0, 1), offset=(0.06, 0.02, 0.0))]


@pytest.mark.parametrize('symmetry', symmetries(), ids=['half-turn', 'axis'])
def test_the_covariance_of_an_equivalent_pose_is_that_of_its_errors(symmetry):
    rng = np.random.default_rng(2)
    target = ErrorTarget(MESH.vertices, MESH.diameter, symmetry)
    exact = make_transform(random_rotation(rng), (0.05, 0.02, 0.6))
    equivalent = exact @ (symmetry.discrete[-1] if symmetry.axis is None else symmetry.turn(2.0))
    covariance = np.diag(np.square([1e-3, 2e-3, 3e-3, 4e-3, 6e-3, 8e-3]))
    errors = []
    for delta in rng.multivariate_normal(np.zeros(6), covariance, 4000):
        nearest = symmetry.nearest(perturb(exact, delta), equivalent)
        errors.append([*(nearest[:3, 3] - equivalent[:3, 3]),
                       *vector_from_rotation(nearest[:3, :3] @ equivalent[:3, :3].T)])
    found = target.nearest_covariance(equivalent, exact, covariance)
    np.testing.assert_allclose(found, np.cov(np.transpose(errors)), atol=0.08 * np.abs(found).max())


def test_coverage_of_a_symmetric_object_is_right_with_stated_sigmas():
    symmetry = symmetries()[0]
    rng = np.random.default_rng(4)
    # Estimates of the equivalent pose, whose origin is 0.1 m from that of the recorded one.
    frames = [(reference, perturb(exact @ symmetry.discrete[-1], rng.multivariate_normal(np.zeros(6), ESTIMATE)))
              for exact, _, reference in poses(300, 3)]
    low, high = coverage(frames, SIGMAS, ErrorTarget(FEW_POINTS.points, 0.17, symmetry))['interval']
    assert low <= 0.9 <= high


def test_an_estimate_with_a_covariance_of_nothing_is_not_saved_by_the_truths():
    run = RunMetrics(TARGET, truth_sigmas=SIGMAS)
    pose = make_transform(None, (0, 0, 0.5))
    run.add_truth(0, pose)
    run.add_estimate(0, pose, np.diag([-1e-9, 1e-6, 1e-6, 1e-4, 1e-4, 1e-4]))
    assert run.summary()['metrics'][COVERAGE]['value'] == 0.0


@pytest.mark.parametrize('sigmas', [(1, 1, 1), (0, 0, 1), (1, 1, 3), (0.2, 0.2, 1), (0.5, 1, 1), (0, 0, 0)])
def test_the_median_length_of_a_normal_error_is_that_of_samples(sigmas):
    covariance = np.diag(np.square(sigmas).astype(float))[None]
    lengths = np.linalg.norm(np.random.default_rng(0).normal(size=(200_000, 3)) * sigmas, axis=1)
    assert median_length(covariance)[0] == pytest.approx(np.median(lengths), rel=0.02)
    assert share_within(covariance, 4.0)[0] == pytest.approx((lengths <= 4.0).mean(), abs=0.03)


# What is said of it.

def measured(truth_sigmas=None, provenance=None):
    run = RunMetrics(FEW_POINTS, load_baselines(), truth_sigmas=truth_sigmas)
    for index, (_, estimate, reference) in enumerate(poses(60)):
        run.add_truth(index * SECOND, reference)
        run.add_estimate(index * SECOND, estimate, ESTIMATE)
        run.add_report(StageReport(index * SECOND, 'perception', True, '', {}))
    summary = run.summary(provenance)
    assert summary_problem(summary) == ''
    return summary


def test_medians_say_how_much_of_them_the_truth_may_explain():
    summary = measured(SIGMAS)
    own = summary['truth_errors']
    exact = float(np.median([np.linalg.norm(estimate[:3, 3] - truth[:3, 3]) for truth, estimate, _ in poses(60)]))
    assert own['position_m'] == pytest.approx(2.57e-3, rel=0.03) and own['unknown'] == 0
    assert own['position_left_m'] == pytest.approx(exact, rel=0.3)
    assert 0.99 < own['recall_if_perfect'] < 1
    line = truth_sentence(summary)
    assert "the ground truth's own errors (median 2.56 mm and" in line and 'perfect estimator' in line
    assert line in ' '.join(format_table(summary).split()) and line.replace("'", '&#39;') in render_html(summary)


def test_a_truth_of_unknown_accuracy_is_named_wherever_its_coverage_is_shown():
    summary = measured()
    assert summary['metrics'][COVERAGE]['note'] == UNKNOWN
    assert f'*: {UNKNOWN}' in format_table(summary) and UNKNOWN in render_html(summary)
    assert truth_sentence(summary) == '' and summary['truth_errors']['unknown'] == 60
    work = {item['metric']: item['why'] for item in summary['next']['metrics']}
    assert work[COVERAGE].endswith(UNKNOWN)


@pytest.mark.parametrize(('provenance', 'is_unknown'), [
    (SIMULATED, False), ({'seed': 1}, False), ({'bags': [{'name': 'bag', 'simulated': False}]}, True),
    ({**SIMULATED, 'configuration': {'ground_truth': 'disturbed.csv'}}, True), ({}, True)])
def test_the_truth_of_a_simulator_is_exact_and_has_no_note(provenance, is_unknown):
    summary = measured(provenance={'bags': [], **provenance} if 'seed' not in provenance else provenance)
    assert ('note' in summary['metrics'][COVERAGE]) is is_unknown
    assert (UNKNOWN in format_table(summary)) is is_unknown and truth_sentence(summary) == ''


def test_a_row_keeps_the_covariance_and_one_without_is_read():
    record = FrameRecord(truth_covariance=SIGMAS.covariance(make_transform(None, (0.1, 0.2, 0.5))))
    again = FrameRecord.from_row(json.loads(json.dumps(record.to_row())))
    np.testing.assert_allclose(again.truth_covariance, record.truth_covariance, rtol=1e-15, atol=1e-18)
    assert FrameRecord.from_row(FrameRecord().to_row()).truth_covariance is None


# Where it comes from.

def csv(tmp_path, covariance, columns=COVARIANCE_COLUMNS, frame=''):
    path = tmp_path / 'truth.csv'
    upper = dict(zip(COVARIANCE_COLUMNS, covariance[np.triu_indices(6)]))
    path.write_text(f'stamp_ns,frame_id,x,y,z,qx,qy,qz,qw,{",".join(columns)}\n'
                    f'1,{frame},0,0,0.5,0,0,0,1,{",".join(repr(float(upper[name])) for name in columns)}\n')
    return path


def test_a_covariance_is_read_from_the_columns_of_a_file(tmp_path):
    half = np.random.default_rng(0).normal(size=(6, 6))
    (_, _, truth), = read_ground_truth(csv(tmp_path, half @ half.T))
    np.testing.assert_allclose(truth.covariance, half @ half.T, rtol=1e-12)
    (_, _, unknown), = read_ground_truth(csv(tmp_path, np.zeros((6, 6))))
    assert unknown.covariance is None


def test_a_file_with_some_of_the_columns_or_the_covariance_of_nothing_is_refused_in_one_line(tmp_path):
    with pytest.raises(GroundTruthError, match=r'or none; missing: cov_5_5$') as some:
        list(read_ground_truth(csv(tmp_path, np.eye(6), COVARIANCE_COLUMNS[:-1])))
    nothing = np.eye(6)
    nothing[0, 1] = nothing[1, 0] = 2.0
    with pytest.raises(GroundTruthError, match=r'line 2: .*positive semi-definite') as none:
        list(read_ground_truth(csv(tmp_path, nothing)))
    assert '\n' not in str(some.value) + str(none.value)


STATED = np.diag(np.square([1e-3, 2e-3, 3e-3, 0.01, 0.02, 0.03]))


@pytest.mark.parametrize(('covariance', 'frame', 'expected', 'warnings'), [
    (STATED, 'cam', STATED, 0), (np.zeros((6, 6)), 'cam', None, 0), (-STATED, 'cam', None, 1),
    (np.full((6, 6), np.nan), 'cam', None, 1), (STATED, 'map', 'turned', 0)])
def test_a_topic_states_it_in_its_frame_or_says_by_zeros_that_it_is_unknown(tmp_path, covariance, frame, expected,
                                                                            warnings):
    turn = make_transform(rotation_from_vector([0.3, 1.0, -0.4]), (1, 0, 0))
    with StageBag(tmp_path / 'bag') as bag:
        bag.transform(0, 'cam', 'map', turn, at_ns=SECOND)
        bag.image(SECOND)
        bag.info(SECOND)
        bag.truth(SECOND, make_transform(None, (0, 0, 0.5)), covariance=covariance, frame_id=frame)
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None))
    (truth,), = (each.true_poses for each in reader)
    assert len(reader.warnings) == warnings
    if expected is None:
        assert truth.covariance is None and all('counts as unknown' in line for line in reader.warnings)
    else:
        expected = rotate_covariance(STATED, turn[:3, :3]) if frame == 'map' else expected
        np.testing.assert_allclose(truth.covariance, expected, atol=1e-15)


# Recorded, replayed, live and made again.

@pytest.fixture(scope='module')
def frames():
    return list(poses(30, seed=5))


@pytest.fixture(scope='module', params=[True, False], ids=['with covariance', 'without'])
def bag(request, frames, tmp_path_factory):
    """What the stages said of a few frames, with true poses that are as exact as they say, or do not say it."""
    path = tmp_path_factory.mktemp('truth') / 'bag'
    with StageBag(path) as bag:
        for index, (_, estimate, reference) in enumerate(frames, start=1):
            bag.info(index * SECOND)
            bag.image(index * SECOND)
            bag.truth(index * SECOND, reference,
                      covariance=SIGMAS.covariance(reference) if request.param else None)
            bag.estimate(index * SECOND, estimate)
            bag.report(index * SECOND, latency_ms=10.0)
    return path, request.param


@pytest.fixture
def card(monkeypatch, frames):
    """With an estimator that answers what is recorded."""
    class Recorded:
        def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None):
            pose = frames[stamp_ns // SECOND - 1][1]
            return Estimation([PoseEstimate(pose, 0.9, np.eye(6) * 1e-5)])

    monkeypatch.setattr(frame_answers, 'create_estimator', lambda *_, **__: Recorded())
    return SimpleNamespace(name='box', mesh=MESH, symmetry=NO_SYMMETRY, tolerance=STATED_NEED,
                           calibration=UNCALIBRATED,
                           network_sha256='00' * 32, sha256='1' * 64, identity='box')


def live(frames, folder, is_stated, truth_sigmas):
    run = LiveRun({'': LiveObject(TARGET)}, load_baselines(), RunKeeper(folder, None, print), 1.5,
                  {'provenance': {}}, truth_sigmas=truth_sigmas)
    run.camera(CAMERA.matrix, CAMERA.width)
    for index, (_, estimate, reference) in enumerate(frames, start=1):
        run.image(index * SECOND)
        run.truth(index * SECOND, lambda reference=reference: reference,
                  covariance=SIGMAS.covariance(reference) if is_stated else None)
        run.estimate(index * SECOND, lambda estimate=estimate: estimate, np.eye(6) * 1e-5)
        run.report(lambda index=index: StageReport(index * SECOND, 'perception', True, '', {'latency_ms': 10.0}))
    run.write_summary()
    run.close()
    return json.loads((folder / 'summary.json').read_text())


@pytest.mark.parametrize('sigmas', [None, TruthSigmas.stated((5,), (3,))], ids=['unstated', 'stated'])
def test_evaluator_recording_monitor_and_report_give_the_same_figures(bag, card, frames, tmp_path, sigmas):
    path, has_covariance = bag
    options = EvaluateOptions('onnx', (), truth_sigmas=sigmas)
    summaries = [
        evaluate_bags([path], card, options, out=tmp_path / 'a', progress=False),
        evaluate_recorded([path], card, out=tmp_path / 'b', progress=False, truth_sigmas=sigmas),
        live(frames, tmp_path / 'c', has_covariance, sigmas)]
    for name, summary in zip('abc', summaries[:3]):
        assert rebuild(tmp_path / name).summary['metrics'] == summary['metrics']
        assert rebuild(tmp_path / name).summary['truth_errors'] == summary['truth_errors']
    first = summaries[0]
    for summary in summaries[1:]:
        for key in ('value', 'n', 'interval', 'note'):
            assert summary['metrics'][COVERAGE].get(key) == pytest.approx(first['metrics'][COVERAGE].get(key))
        assert summary['truth_errors'] == pytest.approx(first['truth_errors'])
    assert ('note' in first['metrics'][COVERAGE]) is not (has_covariance or sigmas is not None)
    for summary in summaries[:2]:
        said = [line for line in summary['provenance']['warnings'] if OVERRULED in line]
        assert len(said) == (has_covariance and sigmas is not None)


