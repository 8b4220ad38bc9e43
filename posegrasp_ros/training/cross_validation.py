"""How well a calibration holds on scenes that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from posegrasp_ros.estimation.pose_estimate import MIN_SCORE
from posegrasp_ros.estimation.score import score
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error
from posegrasp_ros.metrics.stats.intervals import rate_interval
from posegrasp_ros.training.fit_calibration import REGION, covariance_scale, fit_score
from posegrasp_ros.training.trial import Trial

FOLDS = 5

Fitted = tuple[Mapping[str, float], Mapping[str, float]]
"""Coefficients of the score, and factors on the variances."""


def fit(trials: Sequence[Trial], prior: Mapping[str, float], spins: bool) -> Fitted:
    """Score of all trials, and covariance of those that are answered with it.

    :param prior: coefficients that the score is pulled towards
    """
    fitted = fit_score(trials, prior or None)
    return fitted, covariance_scale(answered(trials, fitted), spins)


def answered(trials: Sequence[Trial], coefficients: Mapping[str, float]) -> list[Trial]:
    """The trials that the estimator would answer."""
    return [trial for trial in trials if _score(trial, coefficients) >= MIN_SCORE]


def cross_validated(trials: Sequence[Trial], scenes: Sequence[int], prior: Mapping[str, float],
                    before: Fitted, spins: bool) -> dict[str, dict]:
    """Figures of a fit on other scenes, beside those of the calibration before.

    :param before: what was used before, and was fitted on none of these
    :return: {figure: {before, after}}: ``coverage_90`` (with ``interval`` after), ``score_ece``,
        ``score_log_loss``, ``answered``
    """
    numbers = np.asarray(scenes)
    names = np.unique(numbers)
    fold_of = dict(zip(names.tolist(), np.random.default_rng(0).permutation(len(names)) % FOLDS))
    folds = np.array([fold_of[number] for number in numbers.tolist()])
    fits = [fit([trials[place] for place in np.flatnonzero(folds != fold)], prior, spins) for fold in range(FOLDS)]
    old = _figures(trials, numbers, lambda place: before, spins)
    new = _figures(trials, numbers, lambda place: fits[folds[place]], spins)
    compared = {name: {'before': old[name], 'after': new[name]}
                for name in ('coverage_90', 'score_ece', 'score_log_loss', 'answered')}
    compared['coverage_90']['interval'] = new['interval']
    return compared


def _figures(trials: Sequence[Trial], scenes: np.ndarray, fitted_of: Callable[[int], Fitted], spins: bool) -> dict:
    """Of trials, each with the fit that does not know it; None where there is no score."""
    fits = [fitted_of(place) for place in range(len(trials))]
    if not all(coefficients for coefficients, _ in fits):
        return {'coverage_90': None, 'score_ece': None, 'score_log_loss': None, 'answered': None, 'interval': None}
    scores = np.array([_score(trial, coefficients) for trial, (coefficients, _) in zip(trials, fits)])
    right, is_answered = np.array([trial.is_right for trial in trials]), scores >= MIN_SCORE
    limit = stats.chi2(5 if spins else 6).ppf(REGION)
    scales = [np.repeat([scale['translation'], scale['rotation']], 3) for _, scale in fits]
    inside = np.array([trial.squared_distance(scale=scale) <= limit for trial, scale in zip(trials, scales)])
    chance = np.clip(np.where(right, scores, 1 - scores), 1e-9, 1.0)
    interval = rate_interval(inside[is_answered], scenes[is_answered]) if is_answered.any() else None
    return {'coverage_90': round(float(inside[is_answered].mean()), 4) if is_answered.any() else None,
            'score_ece': round(expected_calibration_error(scores, right), 4),
            'score_log_loss': round(float(-np.log(chance).mean()), 4),
            'answered': int(is_answered.sum()),
            'interval': [round(end, 4) for end in interval] if interval else None}


def _score(trial: Trial, coefficients: Mapping[str, float]) -> float:
    return score(coefficients, trial.figures)
