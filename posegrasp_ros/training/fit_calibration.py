# SPDX-License-Identifier: Apache-2.0
"""Fits of the score and of the usual figures to trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize

from posegrasp_ros.estimation.score import BIAS
from posegrasp_ros.metrics.calibration_guard import EXPECTED, WORSE
from posegrasp_ros.training.covariance_fit import LEAST_TRIALS
from posegrasp_ros.training.trial import Trial

BOUNDS = {'below': (0.0, np.inf), 'above': (-np.inf, 0.0), '': (-np.inf, np.inf)}
"""Of a slope, by the side on which its figure is worse."""
UNRELATED_TO_CAMERA = ('log_disagreement', 'hidden_share')
"""Figures that do not depend on camera and light: how far the initial pose was off, which differs with tracking,
and how much of the object is hidden."""


def fit_score(trials: Sequence[Trial], prior: Mapping[str, float] | None = None) -> dict[str, float]:
    """Coefficients of a logistic regression, so regularised that separable data stay finite.

    No figure raises the score on the side on which it is worse: one that hardly varies at home, such as
    ``inlier_share``, may otherwise get a large slope of the wrong sign, and decide the score elsewhere.
    The ridge is weak, of one standard normal for a slope by a figure's spread. With a prior it pulls towards that
    one's coefficients, and the bias too: few trials change them little.

    :param prior: coefficients fitted on more trials of another kind; None for none
    """
    if len(trials) < LEAST_TRIALS:
        return dict(prior or {})
    names = [name for name in prior if name != BIAS] if prior else list(trials[0].figures)
    figures = np.array([[trial.figures[name] for name in names] for trial in trials])
    centre, spread = figures.mean(axis=0), figures.std(axis=0) + 1e-6
    design = np.column_stack([np.ones(len(trials)), (figures - centre) / spread])
    sign = np.where([trial.is_right for trial in trials], 1.0, -1.0)
    target, bias_ridge = np.zeros(design.shape[1]), 0.02
    if prior:
        slopes = np.array([prior[name] for name in names])
        target, bias_ridge = np.array([prior[BIAS] + slopes @ centre, *(slopes * spread)]), 1.0
    ridge = np.array([bias_ridge, *np.ones(len(names))])

    def loss(coefficients: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (design @ coefficients)).sum()
                     + 0.5 * ridge @ (coefficients - target) ** 2)

    bounds = [BOUNDS[''], *(BOUNDS[WORSE.get(name, '')] for name in names)]
    start = [np.clip(value, low, high) for value, (low, high) in zip(target, bounds)]
    found = optimize.minimize(loss, start, method='L-BFGS-B', bounds=bounds).x
    slopes = found[1:] / spread
    return {BIAS: round(float(found[0] - slopes @ centre), 5),
            **{name: round(float(slope), 5) for name, slope in zip(names, slopes)}}


def usual_figures(trials: Sequence[Trial], views: int) -> dict[str, list[float]]:
    """5 %, 50 % and 95 % quantile of each figure, and of how many independent views, for the card; none of few
    trials, and none of :data:`UNRELATED_TO_CAMERA`."""
    if len(trials) < LEAST_TRIALS:
        return {}
    names = [name for name in trials[0].figures if name not in UNRELATED_TO_CAMERA]
    values = [[trial.figures[name] for name in names] for trial in trials]
    quantiles = np.quantile(values, (EXPECTED, 0.5, 1 - EXPECTED), axis=0)
    return {name: [*(round(float(each), 5) for each in column), views] for name, column in zip(names, quantiles.T)}
