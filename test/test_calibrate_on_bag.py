# SPDX-License-Identifier: Apache-2.0
"""Calibration on a user's camera: sightings of a known law give back what they were drawn with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.frame_sources import SourceOptions
from posegrasp_ros.estimation.card_calibration import Calibration
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card, write_card
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.score import score, sigmoid
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.pose_consensus import pose_consensus
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    invert,
    look_at,
    make_transform,
    perturb,
    random_rotation,
    rotation_angle,
    rotation_from_vector,
)
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.geometry.view_change import ViewChange
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.runs.provenance import describe_model
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.training import calibrate_on_bag as calibrate
from posegrasp_ros.training.camera_trials import STILL_OBJECT, UNSTATED, camera_trials
from posegrasp_ros.training.covariance_fit import covariance_scale, log_likelihoods
from posegrasp_ros.training.cross_validation import Fitted, cross_validated, fit
from posegrasp_ros.training.fit_calibration import fit_score
from posegrasp_ros.training.sightings import CameraSighting, CameraSightings
from posegrasp_ros.training.trial import Trial

CAMERA = Camera.from_field_of_view(640, 480, 1.0)
SPREAD = np.array([0.001, 0.001, 0.004, 0.01, 0.01, 0.005])
FIGURES = ('confidence', 'inlier_share', 'log_residual', 'correlation', 'evidence', 'log_disagreement',
           'hidden_share')
GOOD = {'confidence': 0.7, 'inlier_share': 1.0, 'log_residual': 0.2, 'correlation': 0.99, 'evidence': 1.3,
        'log_disagreement': 0.4, 'hidden_share': 0.0}


@pytest.fixture(scope='module')
def card():
    return load_model_card(resource_path('models/box'))


@pytest.fixture
def folder(tmp_path):
    """A copy of the box's folder."""
    return Path(shutil.copytree(resource_path('models/box'), tmp_path / 'box'))


def views(rng, count):
    """Camera poses around a table (4, 4), base_from_camera."""
    for _ in range(count):
        turn, height = rng.uniform(-1.2, 1.2), rng.uniform(0.3, 0.6)
        yield look_at((0.5 - 0.5 * np.cos(turn), 0.5 * np.sin(turn), height), (0.5, 0.0, 0.0))


def resting(rng):
    """base_from_object of an object on a table."""
    return make_transform(rotation_from_vector((0, 0, rng.uniform(-3, 3))), (0.5, rng.uniform(-0.1, 0.1), 0.02))


def sightings(rng, count, scale=1.0, moves_every=40, wrong=0.1, has_truth=True, truth_spread=None):
    """Errors ``scale`` times the stated ones; a share is 8 cm off and looks bad."""
    found = []
    for number, base_from_camera in enumerate(views(rng, count)):
        if number % moves_every == 0:
            base_from_object = resting(rng)
        truth = invert(base_from_camera) @ base_from_object
        pose, figures = perturb(truth, scale * SPREAD * rng.normal(size=6)), dict(GOOD)
        if rng.random() < wrong:
            shift = rng.normal(size=3)
            pose = perturb(truth, np.concatenate([0.08 * shift / np.linalg.norm(shift), rng.normal(size=3)]))
            figures |= {'inlier_share': 0.5, 'correlation': 0.4, 'evidence': 0.3}
        numbers = {name: value + 0.02 * rng.normal() for name, value in figures.items()}
        truths = ()
        if has_truth:
            own = None if truth_spread is None else np.diag(truth_spread ** 2)
            stated = truth if truth_spread is None else perturb(truth, truth_spread * rng.normal(size=6))
            truths = (TruePose(stated, own),)
        estimate = PoseEstimate(pose, 0.2 if figures['evidence'] < 1 else 0.95, np.diag(SPREAD ** 2))
        found.append(CameraSighting(Estimation([estimate], '', numbers), 0, number, truths, base_from_camera))
    return CameraSightings(found, FIGURES, count, CAMERA, '/camera/image', [])


def test_the_covariance_of_the_truth_is_not_taken_for_errors_of_the_estimate(card):
    rng = np.random.default_rng(0)
    spread = 1.5 * SPREAD
    known = camera_trials(sightings(rng, 800, 2.0, wrong=0.0, truth_spread=spread), card)
    scale = fit(known.trials, card.simulated.score, spins=False).covariance_scale
    assert scale['translation'] == pytest.approx(4.0, rel=0.25)
    assert scale['rotation'] == pytest.approx(4.0, rel=0.25)
    exact = camera_trials(sightings(rng, 800, 2.0, wrong=0.0), card)
    scale = fit(exact.trials, card.simulated.score, spins=False).covariance_scale
    assert scale['translation'] == pytest.approx(4.0, rel=0.2)
    assert exact.truth == UNSTATED


def test_a_truth_that_explains_all_leaves_little_to_the_estimate(card):
    seen = sightings(np.random.default_rng(1), 300, scale=0.0, wrong=0.0, truth_spread=3 * SPREAD)
    scale = fit(camera_trials(seen, card).trials, card.simulated.score, spins=False).covariance_scale
    assert max(scale.values()) < 0.7


def test_without_truth_a_resting_object_shows_how_its_views_scatter(card):
    seen = sightings(np.random.default_rng(2), 200, 2.0, has_truth=False)
    found = camera_trials(seen, card)
    assert found.truth == STILL_OBJECT and len(found.trials) == 200
    known = camera_trials(sightings(np.random.default_rng(2), 200, 2.0), card)
    agrees = [trial.is_right == exact.is_right for trial, exact in zip(found.trials, known.trials)]
    assert np.mean(agrees) > 0.9  # but for those at the edge of the tolerance
    scale = fit(found.trials, card.simulated.score, spins=False).covariance_scale
    assert scale['translation'] == pytest.approx(4.0, rel=0.35)
    assert scale['rotation'] == pytest.approx(4.0, rel=0.35)


def test_what_all_views_share_is_not_seen_without_truth(card):
    seen = sightings(np.random.default_rng(3), 120, 1.0, wrong=0.0, has_truth=False)
    for each in seen.sightings:
        pose = each.estimation.poses[0]
        pose.camera_from_object = pose.camera_from_object @ make_transform(None, (0.0, 0.0, 0.03))
    assert np.mean([trial.is_right for trial in camera_trials(seen, card).trials]) > 0.95


def test_cross_validation_says_what_it_was_before_and_is_after(card):
    found = camera_trials(sightings(np.random.default_rng(4), 400, 3.0), card)
    before = Fitted(card.simulated.score, {'translation': 1.0, 'rotation': 1.0})
    measured = cross_validated(found.trials, found.scenes, card.simulated.score, before, spins=False)
    assert measured['coverage_90']['before'] < 0.5
    assert measured['coverage_90']['after'] == pytest.approx(0.9, abs=0.04)
    assert measured['score_log_loss']['after'] <= measured['score_log_loss']['before']
    low, high = measured['coverage_90']['interval']
    assert low < measured['coverage_90']['after'] < high


@pytest.mark.parametrize('spins', [False, True])
def test_the_fitted_scale_makes_the_truths_likelier_than_others(spins):
    rng = np.random.default_rng(8)
    spread = SPREAD * ([1, 1, 1, 1, 1, 0] if spins else 1)
    size = np.array([2, 2, 2, 0.5, 0.5, 0.5])
    trials = [Trial(size * spread * rng.normal(size=6), np.diag(spread ** 2), {}, True, STATED_NEED)
              for _ in range(500)]
    found = covariance_scale(trials, spins)
    assert found['translation'] == pytest.approx(4.0, rel=0.15)
    assert found['rotation'] == pytest.approx(0.25, rel=0.15)

    def likelihood(translation, rotation):
        return log_likelihoods(trials, [{'translation': translation, 'rotation': rotation}] * 500, spins).sum()

    assert likelihood(*found.values()) > max(likelihood(1.0, 1.0), likelihood(8.0, 0.12), likelihood(2.0, 0.5))


def test_few_trials_leave_the_score_near_the_simulated_one_and_many_move_it():
    rng = np.random.default_rng(5)
    prior = {'bias': 0.0, 'evidence': 2.0}

    def distance(count):
        trials = []
        for _ in range(count):
            figure = rng.normal()
            is_right = rng.random() < sigmoid(-1 + 2 * figure)
            step = np.zeros(6) if is_right else np.full(6, 0.5)
            trials.append(Trial(step, np.eye(6), {'evidence': figure}, True, STATED_NEED))
        return abs(score(fit_score(trials, prior), {'evidence': 0.0}) - sigmoid(-1.0))

    assert distance(3000) < 0.03
    assert fit_score([], prior) == prior


@pytest.mark.parametrize('symmetry', [NO_SYMMETRY, Symmetry.generated((), (0.0, 0.0, 1.0))])
def test_the_consensus_is_that_of_most_poses(symmetry):
    rng = np.random.default_rng(6)
    truth = make_transform(random_rotation(rng), (0.5, 0.1, 0.02))
    poses = [perturb(truth, SPREAD * rng.normal(size=6)) for _ in range(60)]
    poses += [perturb(truth, np.concatenate([rng.normal(size=3) * 0.1, rng.normal(size=3)])) for _ in range(25)]
    if symmetry.axis is not None:
        poses = [pose @ symmetry.turn(rng.uniform(-3, 3)) for pose in poses]
    covariances = [symmetry.without_spin(np.diag(SPREAD ** 2), pose) for pose in poses]
    found = pose_consensus(poses, covariances, symmetry)
    nearest = symmetry.nearest(found, truth)
    assert np.linalg.norm(nearest[:3, 3] - truth[:3, 3]) < 0.002
    assert rotation_angle(nearest[:3, :3].T @ truth[:3, :3]) < 0.006


def test_a_view_lasts_until_the_object_is_seen_from_elsewhere():
    change, here = ViewChange(), make_transform(None, (0.0, 0.0, 0.5))
    turned = make_transform(rotation_from_vector((0, 0.1, 0)), (0.0, 0.0, 0.5))
    assert [change.is_new(pose) for pose in (here, here, turned, turned, here)] == [True, False, True, False, True]


@pytest.mark.parametrize(('count', 'moves_every', 'found'), [
    (60, 20, 'expected at least 100 comparable frames of 20 scenes, found 60 of (59|60), of 60 images')])
def test_too_little_is_refused_with_what_was_found(card, count, moves_every, found):
    with pytest.raises(InvalidInputError, match=found):
        camera_trials(sightings(np.random.default_rng(0), count, moves_every=moves_every), card)


def test_a_camera_that_does_not_move_has_one_scene(card):
    seen = sightings(np.random.default_rng(0), 300, 0.3, moves_every=1000, wrong=0.0)
    first = seen.sightings[0]
    for number, each in enumerate(seen.sightings):
        object.__setattr__(each, 'truths', first.truths)
        object.__setattr__(each, 'block', number // 30)
    with pytest.raises(InvalidInputError, match='found 300 of 1, of 300 images'):
        camera_trials(seen, card)


def test_neither_truth_nor_camera_pose_is_refused(card):
    seen = sightings(np.random.default_rng(0), 120, has_truth=False)
    for each in seen.sightings:
        object.__setattr__(each, 'base_from_camera', None)
    with pytest.raises(InvalidInputError, match=r'expected ground truth .* and neither'):
        camera_trials(seen, card)


@pytest.fixture
def calibrated(monkeypatch, folder):
    """The folder, calibrated on drawn sightings."""
    monkeypatch.setattr(calibrate, 'sightings_of', lambda *_, **__: sightings(np.random.default_rng(7), 200, 2.0))
    calibrate.calibrate_on_bag(folder, [Path('monday')], calibrate.BagCalibration(SourceOptions()), progress=False)
    return folder


def test_the_card_keeps_both_and_uses_that_on_the_camera(calibrated, card):
    after = load_model_card(calibrated)
    assert after.simulated == card.simulated
    assert after.score != card.score and after.covariance_scale[0] == pytest.approx(4.0, rel=0.4)
    user = after.calibration.user_camera
    assert (user.frames, user.camera['width'], user.camera['topic']) == (200, 640, '/camera/image')
    assert user.scenes > 190
    assert set(after.calibration.figures) == set(FIGURES) - {'log_disagreement', 'hidden_share'}
    assert after.calibration.sentence.startswith("the user's camera (640x480, fx ")
    assert describe_model(after)['calibration'] == after.calibration.sentence
    fields = yaml.safe_load((calibrated / 'model.yaml').read_text())
    assert fields['format'] == 'posegrasp.model/1'
    assert 'before' in fields['on_user_camera']['measured']['coverage_90']


def test_forget_brings_the_simulated_one_back(calibrated, card, capsys):
    assert main(['calibrate', str(calibrated), '--forget']) == 0
    assert load_model_card(calibrated).calibration == card.calibration
    assert main(['calibrate', str(calibrated), '--forget']) == 2
    assert 'expected a calibration on a camera to forget' in capsys.readouterr().err


def test_other_networks_are_refused(calibrated):
    fields = yaml.safe_load((calibrated / 'model.yaml').read_text())
    fields['on_user_camera']['networks'] = '0123456789ab'
    write_card(calibrated, fields)
    with pytest.raises(ModelCardError, match=r'on_user_camera.networks: expected .*retrained.*--forget'):
        load_model_card(calibrated)


@pytest.mark.parametrize(('section', 'expected'), [
    ({'figures': {'evidence': [1, 0, 2, 30]}}, 'on_user_camera.figures.evidence: expected 5 % 50'),
    ({'score': {'evidence': 1.0}}, 'on_user_camera.score.bias: expected a number'),
    ({'frames': 0}, 'on_user_camera.frames: expected')])
def test_a_section_that_is_wrong_is_named(calibrated, section, expected):
    fields = yaml.safe_load((calibrated / 'model.yaml').read_text())
    fields['on_user_camera'] |= section
    write_card(calibrated, fields)
    with pytest.raises(ModelCardError) as raised:
        load_model_card(calibrated)
    assert expected.split(': ')[0] in str(raised.value)


def test_out_copies_the_model_and_leaves_it_as_it_was(monkeypatch, folder, tmp_path):
    monkeypatch.setattr(calibrate, 'sightings_of', lambda *_, **__: sightings(np.random.default_rng(7), 200, 2.0))
    before = (folder / 'model.yaml').read_bytes()
    how = calibrate.BagCalibration(out=tmp_path / 'mine')
    written = calibrate.calibrate_on_bag(folder, [Path('monday')], how, progress=False)
    assert written == tmp_path / 'mine' / 'model.yaml'
    assert (folder / 'model.yaml').read_bytes() == before
    assert load_model_card(tmp_path / 'mine').calibration.user_camera
    with pytest.raises(InvalidInputError, match='expected a folder that does not exist yet'):
        calibrate.calibrate_on_bag(folder, [Path('monday')], how, progress=False)


@pytest.mark.parametrize(('arguments', 'said'), [
    (['box', '--bag', 'monday'], 'expected --out FOLDER'),
    (['box', '--forget', '--bag', 'monday'], '--forget: expected without'),
    (['box', '--out', 'there'], '--out: expected with --bag')])
def test_options_that_do_not_go_together_are_refused(capsys, arguments, said):
    assert main(['calibrate', *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_model_without_simulated_score_is_calibrated_there_first(folder):
    fields = yaml.safe_load((folder / 'model.yaml').read_text())
    write_card(folder, {**fields, 'score': {}})
    with pytest.raises(ModelCardError, match='run posegrasp calibrate without --bag first'):
        calibrate.calibrate_on_bag(folder, [Path('monday')], calibrate.BagCalibration(), progress=False)


def test_an_uncalibrated_card_says_so():
    assert Calibration().sentence == 'none: the score is no probability'


def test_a_network_trained_anew_drops_the_calibration_on_the_camera(calibrated):
    training_run = pytest.importorskip('posegrasp_ros.training.training_run')
    assert 'on_user_camera' not in training_run._card_of(load_model_card(calibrated))
