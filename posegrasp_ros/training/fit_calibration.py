"""Fits of score and covariance to trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize, stats
from scipy.special import gammaln

from posegrasp_ros.estimation.score import BIAS
from posegrasp_ros.metrics.calibration_guard import EXPECTED
from posegrasp_ros.training.trial import Trial

LEAST_TRIALS = 20
REGION = 0.9
"""Probability content of the covariance region that is calibrated."""
LEAST_FACTOR, MOST_FACTOR = 0.01, 1e4
DEGREES = (0.0, 4.6)
"""Limits of the logarithm of a t law's degrees of freedom: from Cauchy's to almost the normal one."""
LEAST_VARIANCE = 1e-16


def fit_score(trials: Sequence[Trial], prior: Mapping[str, float] | None = None) -> dict[str, float]:
    """Coefficients of a logistic regression, so regularised that separable data stay finite.

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

    found = optimize.minimize(loss, target).x
    slopes = found[1:] / spread
    return {BIAS: round(float(found[0] - slopes @ centre), 5),
            **{name: round(float(slope), 5) for name, slope in zip(names, slopes)}}


def covariance_scale(trials: Sequence[Trial], spins: bool) -> dict[str, float]:
    """Factors on the predicted variances, such that the 90 % region contains 90 % of the ground truths.

    Translation and rotation are balanced by maximum likelihood of a multivariate t law, whose long tails keep a
    few gross errors from deciding; then both are scaled by the quantile of the joint distance, because the region
    is that of a Gaussian. docs/how-to/calibrate_on_your_camera.md has the comparison with other ways.

    :param spins: the object has a continuous symmetry, and so one degree of freedom less
    """
    if len(trials) < LEAST_TRIALS:
        return {'translation': 1.0, 'rotation': 1.0}
    freedom = 5 if spins else 6
    balanced = _balance(trials, freedom)
    tail = _factor(trials, np.repeat(balanced, 3), freedom)
    return {name: round(float(factor * tail), 4) for name, factor in zip(('translation', 'rotation'), balanced)}


def _balance(trials: Sequence[Trial], freedom: int) -> np.ndarray:
    """(2,) factors on the variances of translation and rotation, by maximum likelihood of a t law."""
    steps = np.array([trial.disturbance for trial in trials])
    own = np.array([trial.covariance for trial in trials])
    of_truth = np.array([np.zeros((6, 6)) if trial.truth_covariance is None else trial.truth_covariance
                         for trial in trials])

    def loss(parameters: np.ndarray) -> float:
        """Negative log likelihood (Kotz and Nadarajah, "Multivariate t distributions", 2004, equation 1.1)."""
        root, degrees = np.exp(np.repeat(parameters[:2], 3) / 2), np.exp(parameters[2])
        variances, axes = np.linalg.eigh(own * np.outer(root, root) + of_truth)
        variances, axes = np.maximum(variances[:, -freedom:], LEAST_VARIANCE), axes[:, :, -freedom:]
        squared = (np.einsum('nij,ni->nj', axes, steps) ** 2 / variances).sum(axis=1)
        constant = gammaln((degrees + freedom) / 2) - gammaln(degrees / 2) - freedom / 2 * np.log(degrees)
        return float((np.log(variances).sum(axis=1) / 2 + (degrees + freedom) / 2 * np.log1p(squared / degrees)
                      - constant).sum())

    limits = (float(np.log(LEAST_FACTOR)), float(np.log(MOST_FACTOR)))
    found = optimize.minimize(loss, np.array([1.0, 1.0, np.log(4.0)]), method='L-BFGS-B',
                              bounds=[limits, limits, DEGREES]).x
    return np.exp(found[:2])


def usual_figures(trials: Sequence[Trial], views: int) -> dict[str, list[float]]:
    """5 %, 50 % and 95 % quantile of each figure, and of how many independent views, for the card; none of few
    trials."""
    if len(trials) < LEAST_TRIALS:
        return {}
    names = list(trials[0].figures)
    values = [[trial.figures[name] for name in names] for trial in trials]
    quantiles = np.quantile(values, (EXPECTED, 0.5, 1 - EXPECTED), axis=0)
    return {name: [*(round(float(each), 5) for each in column), views] for name, column in zip(names, quantiles.T)}


def _factor(trials: Sequence[Trial], scale: np.ndarray, freedom: int) -> float:
    """The factor on top of a scale (6,) with which the region holds its share of the truths; where the errors of
    the truth alone explain as much, :data:`LEAST_FACTOR`."""
    wanted = stats.chi2(freedom).ppf(REGION)

    def excess(log_factor: float) -> float:
        squared = [trial.squared_distance(scale=scale * np.exp(log_factor)) for trial in trials]
        return float(np.log(max(np.quantile(squared, REGION), 1e-12) / wanted))

    if all(trial.truth_covariance is None for trial in trials):
        return max(float(np.exp(excess(0.0))), LEAST_FACTOR)  # distances are inverse to the factor
    low, high = float(np.log(LEAST_FACTOR)), float(np.log(MOST_FACTOR))
    if excess(low) <= 0:
        return LEAST_FACTOR
    return MOST_FACTOR if excess(high) >= 0 else float(np.exp(optimize.brentq(excess, low, high, xtol=1e-3)))
