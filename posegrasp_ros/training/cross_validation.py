"""How well a calibration holds on scenes that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from tqdm import tqdm

from posegrasp_ros.estimation.pose_estimate import MIN_SCORE
from posegrasp_ros.estimation.score import score
from posegrasp_ros.metrics.pose.calibration import expected_calibration_error
from posegrasp_ros.metrics.stats.intervals import rate_interval
from posegrasp_ros.training.covariance_fit import REGION, CovarianceFit, covariance_fit, log_likelihoods
from posegrasp_ros.training.fit_calibration import fit_score
from posegrasp_ros.training.trial import Trial

FOLDS = 5
SURE = 2.0
"""Slopes are kept if the gain of likelihood is more than so many of its standard errors."""


class Fitted(NamedTuple):
    """A calibration as it is fitted.

    :param score: coefficients
    """

    score: Mapping[str, float]
    covariance: CovarianceFit


class CrossValidated(NamedTuple):
    """What is known of a way to fit from scenes that a fit did not know.

    :param by_figures: whether covariances are better for depending on figures
    :param measured: {figure: {before, after}}: ``coverage_90`` (with ``interval`` after), ``log_likelihood`` of an
        answered frame's truth, ``score_ece``, ``score_log_loss``, ``answered``
    """

    by_figures: bool
    measured: dict[str, dict]


def fit(trials: Sequence[Trial], prior: Mapping[str, float], spins: bool, by_figures: bool = False) -> Fitted:
    """Score of all trials, and covariance of those that are answered with it.

    :param prior: coefficients that the score is pulled towards
    """
    fitted = fit_score(trials, prior or None)
    return Fitted(fitted, covariance_fit(answered(trials, fitted), spins, by_figures))


def answered(trials: Sequence[Trial], coefficients: Mapping[str, float]) -> list[Trial]:
    """The trials that the estimator would answer."""
    return [trial for trial in trials if score(coefficients, trial.figures) >= MIN_SCORE]


def cross_validated(trials: Sequence[Trial], scenes: Sequence[int], prior: Mapping[str, float], before: Fitted,
                    spins: bool, progress: bool = False) -> CrossValidated:
    """Fit with and without slopes on four fifths of the scenes and look at the rest, in turn.

    :param before: what was used before, and was fitted on none of these
    """
    numbers = np.asarray(scenes)
    names = np.unique(numbers)
    fold_of = dict(zip(names.tolist(), np.random.default_rng(0).permutation(len(names)) % FOLDS))
    folds = np.array([fold_of[number] for number in numbers.tolist()])
    plain, sloped = [], []
    for fold in tqdm(range(FOLDS), desc='cross-validating', disable=not progress):
        known = [trial for trial, number in zip(trials, folds) if number != fold]
        plain.append(fit(known, prior, spins))
        score_of_fold = plain[-1].score
        sloped.append(Fitted(score_of_fold, covariance_fit(answered(known, score_of_fold), spins, True)))
    by_figures = _is_better([sloped[fold] for fold in folds], [plain[fold] for fold in folds], trials, numbers,
                            spins)
    after = [(sloped if by_figures else plain)[fold] for fold in folds]
    old, new = (_figures(trials, fits, numbers, spins) for fits in ([before] * len(trials), after))
    interval = new.pop('interval')
    measured = {name: {'before': old[name], 'after': value} for name, value in new.items()}
    measured['coverage_90']['interval'] = interval
    return CrossValidated(by_figures, measured)


def _is_better(first: Sequence[Fitted], second: Sequence[Fitted], trials: Sequence[Trial], scenes: np.ndarray,
               spins: bool) -> bool:
    """Whether the first covariances make the answered trials likelier, surely."""
    places = [place for place, trial in enumerate(trials)
              if score(second[place].score, trial.figures) >= MIN_SCORE]
    if not places:
        return False
    chosen = [trials[place] for place in places]
    gain = (log_likelihoods(chosen, [first[place].covariance for place in places], spins)
            - log_likelihoods(chosen, [second[place].covariance for place in places], spins))
    _, index = np.unique(scenes[places], return_inverse=True)
    of_scenes = np.bincount(index, gain)  # frames of a scene gain together
    return bool(of_scenes.sum() > SURE * np.sqrt(np.sum((of_scenes - of_scenes.mean()) ** 2)))


def _figures(trials: Sequence[Trial], fits: Sequence[Fitted], scenes: np.ndarray, spins: bool) -> dict:
    """Of trials, each with the fit that does not know it."""
    scores = np.array([score(fitted.score, trial.figures) for trial, fitted in zip(trials, fits)])
    right, is_answered = np.array([trial.is_right for trial in trials]), scores >= MIN_SCORE
    limit = stats.chi2(5 if spins else 6).ppf(REGION)
    inside = np.array([trial.squared_distance(scale=fitted.covariance.of(trial)) <= limit
                       for trial, fitted in zip(trials, fits)])[is_answered]
    likelihoods = log_likelihoods(trials, [fitted.covariance for fitted in fits], spins)[is_answered]
    chance = np.clip(np.where(right, scores, 1 - scores), 1e-9, 1.0)
    interval = rate_interval(inside, scenes[is_answered]) if inside.size else None
    return {'coverage_90': round(float(inside.mean()), 4) if inside.size else None,
            'log_likelihood': round(float(likelihoods.mean()), 3) if inside.size else None,
            'score_ece': round(expected_calibration_error(scores, right), 4),
            'score_log_loss': round(float(-np.log(chance).mean()), 4),
            'answered': int(is_answered.sum()),
            'interval': [round(end, 4) for end in interval] if interval else None}
