"""CovarianceFit: factors on the predicted variances, so that errors are as large as the covariance says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, stats
from scipy.special import digamma, gammaln

from posegrasp_ros.estimation.card_calibration import Slope, variance_scale
from posegrasp_ros.training.trial import Trial

LEAST_TRIALS = 20
REGION = 0.9
"""Probability content of the covariance region that is calibrated."""
LEAST_FACTOR, MOST_FACTOR = 0.01, 1e4
DEGREES = (0.0, 4.6)
"""Limits of the logarithm of a t law's degrees of freedom: from Cauchy's to almost the normal one."""
LEAST_VARIANCE = 1e-16
REACH = 2.5
"""Beyond so many standard deviations from its mean a figure counts as there: nothing is known farther out."""
RIDGE = 2.0


@dataclass(frozen=True)
class CovarianceFit:
    """Factors on variances.

    :param scale: of translation and rotation
    :param slopes: of the log variance by figures
    """

    scale: dict[str, float] = field(default_factory=lambda: {'translation': 1.0, 'rotation': 1.0})
    slopes: dict[str, Slope] = field(default_factory=dict)

    def of(self, trial: Trial) -> np.ndarray:
        """(6,) factors on the variances of a trial."""
        return variance_scale((self.scale['translation'], self.scale['rotation']), self.slopes, trial.figures)


def covariance_fit(trials: Sequence[Trial], spins: bool, by_figures: bool = False) -> CovarianceFit:
    """Factors with which the 90 % region contains 90 % of the ground truths.

    Translation, rotation and the slopes are fitted by maximum likelihood of a multivariate t law, whose long tails
    keep a few gross errors from deciding; then all is scaled by the quantile of the joint distance, because the
    region is that of a Gaussian. docs/how-to/calibrate_on_your_camera.md has the comparison with other ways.

    :param spins: the object has a continuous symmetry, and so one degree of freedom less
    :param by_figures: let the log variance depend on the trials' figures
    """
    if len(trials) < LEAST_TRIALS:
        return CovarianceFit()
    freedom = 5 if spins else 6
    names = list(trials[0].figures) if by_figures else []
    likelihood = _Likelihood(trials, names, freedom)
    found = likelihood.best()
    slopes = {name: Slope(*(round(float(each), 5) for each in (slope / spread, centre, REACH * spread)))
              for name, slope, centre, spread in zip(names, found[3:], likelihood.centre, likelihood.spread)}
    balanced = dict(zip(('translation', 'rotation'), np.exp(found[:2]).tolist()))
    tail = _tail(trials, [CovarianceFit(balanced, slopes).of(trial) for trial in trials], freedom)
    return CovarianceFit({name: round(factor * tail, 4) for name, factor in balanced.items()}, slopes)


def log_likelihoods(trials: Sequence[Trial], fits: Sequence[CovarianceFit], spins: bool) -> np.ndarray:
    """(N,) log likelihoods of trials, each by its fit: of a t law of 4 degrees of freedom with its 90 % region.

    A normal law would be decided by a few gross errors, which all fits leave outside of the region.
    """
    freedom, degrees = 5 if spins else 6, 4.0
    quantile = freedom * stats.f(freedom, degrees).ppf(REGION) / stats.chi2(freedom).ppf(REGION)
    likelihood = _Likelihood(trials, [], freedom)
    scales = np.array([fit.of(trial) for trial, fit in zip(trials, fits)]).reshape(-1, 6)
    variances, squared = likelihood.distances(scales / quantile)
    return -_t_loss(variances, squared, degrees, freedom)


class _Likelihood:
    """Of trials under a multivariate t law.

    :param names: of the figures that the log variance depends on
    """

    def __init__(self, trials: Sequence[Trial], names: Sequence[str], freedom: int):
        self._freedom = freedom
        self._steps = np.array([trial.disturbance for trial in trials])
        self._own = np.array([trial.covariance for trial in trials])
        self._of_truth = np.array([np.zeros((6, 6)) if trial.truth_covariance is None else trial.truth_covariance
                                   for trial in trials])
        figures = np.array([[trial.figures[name] for name in names] for trial in trials]).reshape(len(trials), -1)
        self.centre, self.spread = figures.mean(axis=0), figures.std(axis=0) + 1e-6
        self._figures = np.clip((figures - self.centre) / self.spread, -REACH, REACH)

    def best(self) -> np.ndarray:
        """Log factors of translation and rotation, log degrees of freedom, slopes by standard deviations."""
        limits = (float(np.log(LEAST_FACTOR)), float(np.log(MOST_FACTOR)))
        count = self._figures.shape[1]
        start = np.concatenate([[1.0, 1.0, np.log(4.0)], np.zeros(count)])
        return np.asarray(optimize.minimize(self._loss, start, jac=True, method='L-BFGS-B',
                                            bounds=[limits, limits, DEGREES, *[(-3.0, 3.0)] * count]).x)

    def distances(self, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) variances along the main axes, and (N,) squared distances; with (N, 6) factors on variances."""
        variances, axes, _ = self._decomposed(scale)
        return variances, (np.einsum('nij,ni->nj', axes, self._steps) ** 2 / variances).sum(axis=1)

    def _decomposed(self, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same variances, their axes (N, 6, F), and the estimate's part (N, 6, 6) of the covariance."""
        root = np.sqrt(scale)
        own = self._own * root[:, :, None] * root[:, None, :]
        variances, axes = np.linalg.eigh(own + self._of_truth)
        return np.maximum(variances[:, -self._freedom:], LEAST_VARIANCE), axes[:, :, -self._freedom:], own

    def _loss(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log likelihood with a ridge on the slopes, and its gradient."""
        slopes, degrees, freedom = parameters[3:], float(np.exp(parameters[2])), self._freedom
        scale = np.exp(np.repeat(parameters[:2], 3) + (self._figures @ slopes)[:, None])
        variances, axes, own = self._decomposed(scale)
        inverse = (axes / variances[:, None, :]) @ np.swapaxes(axes, 1, 2)
        along = np.einsum('nij,nj->ni', inverse, self._steps)
        squared = (along * self._steps).sum(axis=1)
        # by the log factor on one row and column of the estimate's part
        weight = (degrees + freedom) / (2 * (degrees + squared))
        by_row = (np.einsum('nij,nji->ni', inverse, own) / 2
                  - weight[:, None] * along * np.einsum('nij,nj->ni', own, along))
        by_degrees = (np.log1p(squared / degrees) - (degrees + freedom) * squared / (degrees * (degrees + squared))
                      - digamma((degrees + freedom) / 2) + digamma(degrees / 2) + freedom / degrees) / 2
        gradient = np.concatenate([[by_row[:, :3].sum(), by_row[:, 3:].sum(), degrees * by_degrees.sum()],
                                   self._figures.T @ by_row.sum(axis=1) + RIDGE * slopes])
        loss = _t_loss(variances, squared, degrees, freedom).sum() + RIDGE / 2 * slopes @ slopes
        return float(loss), gradient


def _t_loss(variances: np.ndarray, squared: np.ndarray, degrees: float, freedom: int) -> np.ndarray:
    """(N,) negative log likelihoods (Kotz and Nadarajah, "Multivariate t distributions", 2004, equation 1.1).

    :param variances: (N, freedom) along the main axes
    :param squared: (N,) Mahalanobis distances
    """
    constant = gammaln((degrees + freedom) / 2) - gammaln(degrees / 2) - freedom / 2 * np.log(degrees * np.pi)
    return np.asarray(np.log(variances).sum(axis=1) / 2 + (degrees + freedom) / 2 * np.log1p(squared / degrees)
                      - constant)


def _tail(trials: Sequence[Trial], scales: Sequence[np.ndarray], freedom: int) -> float:
    """The factor on top of scales (6,) with which the region holds its share of the truths; where the errors of
    the truth alone explain as much, :data:`LEAST_FACTOR`."""
    wanted = stats.chi2(freedom).ppf(REGION)

    def excess(log_factor: float) -> float:
        factor = np.exp(log_factor)
        squared = [trial.squared_distance(scale=scale * factor) for trial, scale in zip(trials, scales)]
        return float(np.log(max(np.quantile(squared, REGION), 1e-12) / wanted))

    if all(trial.truth_covariance is None for trial in trials):
        return max(float(np.exp(excess(0.0))), LEAST_FACTOR)  # distances are inverse to the factor
    low, high = float(np.log(LEAST_FACTOR)), float(np.log(MOST_FACTOR))
    if excess(low) <= 0:
        return LEAST_FACTOR
    return MOST_FACTOR if excess(high) >= 0 else float(np.exp(optimize.brentq(excess, low, high, xtol=1e-3)))
