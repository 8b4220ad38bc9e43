# SPDX-License-Identifier: Apache-2.0
"""How well a calibration holds on scenes that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from posegrasp_ros.estimation.pose_estimate import MIN_SCORE
from posegrasp_ros.estimation.score import score
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error
from posegrasp_ros.metrics.stats.intervals import rate_interval
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.training.covariance_fit import REGION, covariance_scale, log_likelihoods, variance_factors
from posegrasp_ros.training.fit_calibration import fit_score
from posegrasp_ros.training.trial import Trial

FOLDS = 5


class Fitted(NamedTuple):
    """A calibration as it is fitted.

    :param score: coefficients
    :param covariance_scale: factors on the variances of translation and rotation
    """

    score: Mapping[str, float]
    covariance_scale: Mapping[str, float]


def fit(trials: Sequence[Trial], prior: Mapping[str, float], spins: bool) -> Fitted:
    """Score of all trials, and covariance of those that are answered with it.

    :param prior: coefficients that the score is pulled towards
    """
    fitted = fit_score(trials, prior or None)
    return Fitted(fitted, covariance_scale(answered(trials, fitted), spins))


def answered(trials: Sequence[Trial], coefficients: Mapping[str, float]) -> list[Trial]:
    """The trials that the estimator would answer; all without a score."""
    return [trial for trial in trials if not coefficients or score(coefficients, trial.figures) >= MIN_SCORE]


def cross_validated(trials: Sequence[Trial], scenes: Sequence[int], prior: Mapping[str, float], before: Fitted,
                    spins: bool, progress: bool = False) -> dict[str, dict]:
    """Fit on four fifths of the scenes and look at the rest, in turn.

    :param before: what was used before, and was fitted on none of these
    :return: {figure: {before, after}}: ``coverage_90`` (with ``interval``), ``log_likelihood`` of an answered
        frame's truth, ``score_ece``, ``score_log_loss``, ``answered``
    """
    numbers = np.asarray(scenes)
    names = np.unique(numbers)
    fold_of = dict(zip(names.tolist(), np.random.default_rng(0).permutation(len(names)) % FOLDS))
    folds = np.array([fold_of[number] for number in numbers.tolist()])
    fits = []
    for fold in Progress(range(FOLDS), desc='cross-validating', disable=not progress):
        fits.append(fit([trial for trial, number in zip(trials, folds) if number != fold], prior, spins))
    old, new = (_figures(trials, each, numbers, spins)
                for each in ([before] * len(trials), [fits[fold] for fold in folds]))
    interval = new.pop('interval')
    measured = {name: {'before': old[name], 'after': value} for name, value in new.items()}
    measured['coverage_90']['interval'] = interval
    return measured


def _figures(trials: Sequence[Trial], fits: Sequence[Fitted], scenes: np.ndarray, spins: bool) -> dict:
    """Of trials, each with the fit that does not know it."""
    scores = np.array([score(fitted.score, trial.figures) for trial, fitted in zip(trials, fits)])
    right, is_answered = np.array([trial.is_right for trial in trials]), scores >= MIN_SCORE
    limit = stats.chi2(5 if spins else 6).ppf(REGION)
    inside = np.array([trial.squared_distance(scale=variance_factors(fitted.covariance_scale)) <= limit
                       for trial, fitted in zip(trials, fits)])[is_answered]
    likelihoods = log_likelihoods(trials, [fitted.covariance_scale for fitted in fits], spins)[is_answered]
    chance = np.clip(np.where(right, scores, 1 - scores), 1e-9, 1.0)
    interval = rate_interval(inside, scenes[is_answered]) if inside.size else None
    return {'coverage_90': round(float(inside.mean()), 4) if inside.size else None,
            'log_likelihood': round(float(likelihoods.mean()), 3) if inside.size else None,
            'score_ece': round(expected_calibration_error(scores, right), 4),
            'score_log_loss': round(float(-np.log(chance).mean()), 4),
            'answered': int(is_answered.sum()),
            'interval': [round(end, 4) for end in interval] if interval else None}
