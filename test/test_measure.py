# SPDX-License-Identifier: Apache-2.0
"""Calibration: draws of a known law give back what they were drawn with."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.score import sigmoid
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.training import measure
from posegrasp_ros.training.covariance_fit import covariance_scale
from posegrasp_ros.training.fit_calibration import fit_score
from posegrasp_ros.training.trial import Trial

SPREAD = np.array([0.001, 0.001, 0.004, 0.01, 0.01, 0.005])

FIGURES = ('confidence', 'inlier_share', 'log_residual', 'correlation', 'evidence', 'log_disagreement',
           'hidden_share')


@pytest.fixture
def shipped_copy(tmp_path):
    """The shipped box's folder, to be written to."""
    return Path(shutil.copytree(resource_path('models/box'), tmp_path / 'box'))


def trial(disturbance, covariance, figures=None):
    return Trial(disturbance, covariance, figures or {}, True, STATED_NEED)


def draws(rng, count, scale, spins=False):
    """Errors ``scale`` times as large as their covariance says."""
    spread = SPREAD * ([1, 1, 1, 1, 1, 0] if spins else 1)
    return [trial(scale * spread * rng.normal(size=6), np.diag(spread ** 2)) for _ in range(count)]


@pytest.mark.parametrize('spins', [False, True])
def test_the_covariance_grows_to_hold_nine_truths_of_ten(spins):
    rng = np.random.default_rng(0)
    found = covariance_scale(draws(rng, 2000, scale=2.0, spins=spins), spins)
    assert found['translation'] == pytest.approx(4.0, rel=0.15)
    assert found['rotation'] == pytest.approx(4.0, rel=0.15)


def test_long_tails_make_it_wider():
    rng = np.random.default_rng(1)
    trials = draws(rng, 600, scale=1.0) + draws(rng, 150, scale=5.0)
    scale = covariance_scale(trials, spins=False)
    root = np.sqrt(np.repeat([scale['translation'], scale['rotation']], 3))
    inside = [np.sum((each.disturbance / (SPREAD * root)) ** 2) < 10.645 for each in trials]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


def test_the_score_is_the_share_that_is_right():
    rng = np.random.default_rng(2)
    trials, chance = [], []
    for _ in range(2000):
        figures = {name: rng.normal() for name in FIGURES}
        chance.append(sigmoid(1 + 2 * figures['evidence'] - figures['log_residual']))
        right = rng.random() < chance[-1]
        trials.append(trial(np.zeros(6) if right else np.full(6, 0.5), np.eye(6), figures))
    fitted = fit_score(trials)
    scores = np.array([sigmoid(fitted['bias'] + sum(fitted[name] * each.figures[name] for name in FIGURES))
                       for each in trials])
    assert np.abs(scores - chance).mean() < 0.03
    assert expected_calibration_error(scores, np.array([each.is_right for each in trials])) < 0.05


def test_few_trials_fit_nothing():
    few = draws(np.random.default_rng(3), 5, scale=3.0)
    assert fit_score(few) == {}
    assert covariance_scale(few, spins=False) == {'translation': 1.0, 'rotation': 1.0}


@pytest.mark.slow
def test_calibrate_writes_a_card_that_loads(monkeypatch, shipped_copy):
    monkeypatch.setattr(measure, 'SCENES_A_KIND', 1)
    monkeypatch.setattr(measure, 'HELD_OUT', 1)
    before = load_model_card(shipped_copy)
    measure.measure(shipped_copy, seed=3, progress=False)
    after = load_model_card(shipped_copy)
    assert after.network_sha256 == before.network_sha256 and after.provenance == before.provenance
    assert after.measured['data'] == '1 held-out simulated scenes'
    assert after.score == {}  # four scenes are too few to fit


def test_an_interrupted_calibration_leaves_the_card_as_it_was(monkeypatch, shipped_copy):
    card = (shipped_copy / 'model.yaml').read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, '_trials', interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure.measure(shipped_copy, seed=3, progress=False)
    assert (shipped_copy / 'model.yaml').read_bytes() == card


def test_no_figure_raises_the_score_where_it_is_worse():
    """Such as inlier_share, nearly the same in all frames at home and here a little smaller in right ones."""
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(400):
        is_right, step = rng.random() < 0.7, np.zeros(6)
        step[0] = 0.001 if is_right else 0.1
        figures = {'evidence': rng.normal(1.2 if is_right else 0.6, 0.3),
                   'inlier_share': 1 - 0.01 * rng.random() * (1.5 if is_right else 1.0),
                   'log_residual': rng.normal(0.2 if is_right else 0.0, 0.3)}
        trials.append(Trial(step, np.eye(6), figures, True, STATED_NEED))
    fitted = fit_score(trials)
    assert fitted['evidence'] > 1 and fitted['inlier_share'] == 0 and fitted['log_residual'] == 0
