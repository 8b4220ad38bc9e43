"""Fits of score and covariance to trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize, stats

from posegrasp_ros.estimation.score import BIAS
from posegrasp_ros.training.trial import Trial

LEAST_TRIALS = 20
REGION = 0.9
"""Probability content of the covariance region that is calibrated."""


def fit_score(trials: Sequence[Trial]) -> dict[str, float]:
    """Coefficients of a logistic regression with weak ridge regularisation, so that separable data stay finite."""
    if len(trials) < LEAST_TRIALS:
        return {}
    names = list(trials[0].figures)
    figures = np.array([[trial.figures[name] for name in names] for trial in trials])
    centre, spread = figures.mean(axis=0), figures.std(axis=0) + 1e-6
    design = np.column_stack([np.ones(len(trials)), (figures - centre) / spread])
    sign = np.where([trial.is_right for trial in trials], 1.0, -1.0)

    def loss(coefficients: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (design @ coefficients)).sum() + 0.5 * np.sum(coefficients[1:] ** 2)
                     + 0.01 * coefficients[0] ** 2)

    found = optimize.minimize(loss, np.zeros(design.shape[1])).x
    slopes = found[1:] / spread
    return {BIAS: round(float(found[0] - slopes @ centre), 5),
            **{name: round(float(slope), 5) for name, slope in zip(names, slopes)}}


def covariance_scale(trials: Sequence[Trial], spins: bool) -> dict[str, float]:
    """Factors on the predicted variances, such that the 90 % region contains 90 % of the ground truths.

    Translation and rotation are first balanced by the medians of their squared distances; then both are scaled by
    the quantile of the joint distance, because errors have longer tails than a Gaussian.

    :param spins: the object has a continuous symmetry, and so one degree of freedom less
    """
    if len(trials) < LEAST_TRIALS:
        return {'translation': 1.0, 'rotation': 1.0}
    parts = {'translation': (slice(0, 3), 3), 'rotation': (slice(3, 6), 2 if spins else 3)}
    ratios = {name: np.median([trial.squared_distance(part) for trial in trials]) / stats.chi2(freedom).median()
              for name, (part, freedom) in parts.items()}
    balanced = np.repeat([max(ratios['translation'], 0.01), max(ratios['rotation'], 0.01)], 3)
    joint = [trial.squared_distance(scale=balanced) for trial in trials]
    tail = np.quantile(joint, REGION) / stats.chi2(5 if spins else 6).ppf(REGION)
    return {name: round(float(max(ratio, 0.01) * tail), 4) for name, ratio in ratios.items()}
