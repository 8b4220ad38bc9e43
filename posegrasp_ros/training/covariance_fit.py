# SPDX-License-Identifier: Apache-2.0
"""Fits factors on the predicted variances, so that errors are as large as the covariance says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import optimize, stats
from scipy.special import digamma, gammaln

from posegrasp_ros.training.trial import Trial

LEAST_TRIALS = 20
REGION = 0.9
"""Probability content of the covariance region that is calibrated."""
LEAST_FACTOR, MOST_FACTOR = 0.01, 1e4
DEGREES = (0.0, 4.6)
"""Limits of the logarithm of a t law's degrees of freedom: from Cauchy's to almost the normal one."""
LEAST_VARIANCE = 1e-16


def covariance_scale(trials: Sequence[Trial], spins: bool) -> dict[str, float]:
    """Factors on the predicted variances of translation and rotation, with which the 90 % region contains 90 % of
    the ground truths.

    Both are fitted by maximum likelihood of a multivariate t law, whose long tails keep a few gross errors from
    deciding; then they are scaled by the quantile of the joint distance, because the region is that of a Gaussian.
    docs/how-to/calibrate_on_your_camera.md has the comparison with other ways.

    :param spins: the object has a continuous symmetry, and so one degree of freedom less
    """
    if len(trials) < LEAST_TRIALS:
        return {'translation': 1.0, 'rotation': 1.0}
    freedom = 5 if spins else 6
    balanced = np.exp(_Likelihood(trials, freedom).best()[:2])
    tail = _tail(trials, np.repeat(balanced, 3), freedom)
    return {name: round(float(factor * tail), 4) for name, factor in zip(('translation', 'rotation'), balanced)}


def variance_factors(scale: Mapping[str, float]) -> np.ndarray:
    """(6,) factors on the variances of a pose."""
    return np.repeat([scale['translation'], scale['rotation']], 3)


def log_likelihoods(trials: Sequence[Trial], scales: Sequence[Mapping[str, float]], spins: bool) -> np.ndarray:
    """(N,) log likelihoods of trials, each by its scale: of a t law of 4 degrees of freedom with its 90 % region.

    A normal law would be decided by a few gross errors, which all scales leave outside of the region.
    """
    freedom, degrees = 5 if spins else 6, 4.0
    quantile = freedom * stats.f(freedom, degrees).ppf(REGION) / stats.chi2(freedom).ppf(REGION)
    factors = np.array([variance_factors(scale) for scale in scales]).reshape(-1, 6)
    variances, squared = _Likelihood(trials, freedom).distances(factors / quantile)
    return -_t_loss(variances, squared, degrees, freedom)


class _Likelihood:
    """Of trials under a multivariate t law."""

    def __init__(self, trials: Sequence[Trial], freedom: int):
        self._freedom = freedom
        self._steps = np.array([trial.disturbance for trial in trials]).reshape(-1, 6)
        self._own = np.array([trial.covariance for trial in trials]).reshape(-1, 6, 6)
        self._of_truth = np.array([np.zeros((6, 6)) if trial.truth_covariance is None else trial.truth_covariance
                                   for trial in trials]).reshape(-1, 6, 6)

    def best(self) -> np.ndarray:
        """Log factors of translation and rotation, log degrees of freedom."""
        limits = (float(np.log(LEAST_FACTOR)), float(np.log(MOST_FACTOR)))
        return np.asarray(optimize.minimize(self._loss, np.array([1.0, 1.0, np.log(4.0)]), jac=True,
                                            method='L-BFGS-B', bounds=[limits, limits, DEGREES]).x)

    def distances(self, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) variances along the main axes, and (N,) squared distances; with (N, 6) factors on variances."""
        variances, axes, _ = self._decomposed(scale)
        return variances, (np.einsum('nij,ni->nj', axes, self._steps) ** 2 / variances).sum(axis=1)

    def _decomposed(self, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same variances, their axes (N, 6, F), and the estimate's part (N, 6, 6) of the covariance."""
        root = np.sqrt(scale)
        own = self._own * root[..., :, None] * root[..., None, :]
        variances, axes = np.linalg.eigh(own + self._of_truth)
        return np.maximum(variances[:, -self._freedom:], LEAST_VARIANCE), axes[:, :, -self._freedom:], own

    def _loss(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log likelihood and its gradient."""
        degrees, freedom = float(np.exp(parameters[2])), self._freedom
        variances, axes, own = self._decomposed(np.exp(np.repeat(parameters[:2], 3)))
        inverse = (axes / variances[:, None, :]) @ np.swapaxes(axes, 1, 2)
        along = np.einsum('nij,nj->ni', inverse, self._steps)
        squared = (along * self._steps).sum(axis=1)
        # by the log factor on one row and column of the estimate's part
        weight = (degrees + freedom) / (2 * (degrees + squared))
        by_row = (np.einsum('nij,nji->ni', inverse, own) / 2
                  - weight[:, None] * along * np.einsum('nij,nj->ni', own, along))
        by_degrees = (np.log1p(squared / degrees) - (degrees + freedom) * squared / (degrees * (degrees + squared))
                      - digamma((degrees + freedom) / 2) + digamma(degrees / 2) + freedom / degrees) / 2
        gradient = np.array([by_row[:, :3].sum(), by_row[:, 3:].sum(), degrees * by_degrees.sum()])
        return float(_t_loss(variances, squared, degrees, freedom).sum()), gradient


def _t_loss(variances: np.ndarray, squared: np.ndarray, degrees: float, freedom: int) -> np.ndarray:
    """(N,) negative log likelihoods (Kotz and Nadarajah, "Multivariate t distributions", 2004, equation 1.1).

    :param variances: (N, freedom) along the main axes
    :param squared: (N,) Mahalanobis distances
    """
    constant = gammaln((degrees + freedom) / 2) - gammaln(degrees / 2) - freedom / 2 * np.log(degrees * np.pi)
    return np.asarray(np.log(variances).sum(axis=1) / 2 + (degrees + freedom) / 2 * np.log1p(squared / degrees)
                      - constant)


def _tail(trials: Sequence[Trial], scale: np.ndarray, freedom: int) -> float:
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
