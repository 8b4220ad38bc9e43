# SPDX-License-Identifier: Apache-2.0
"""Adaptive psychometric sampling: the next pick uses the error with the largest expected information gain.

The psi method (Kontsevich and Tyler, "Bayesian adaptive estimation of psychometric slope and threshold", Vision
Research 1999): a posterior on a grid of thresholds and slopes; the next error minimises the expected entropy of
the posterior. Success over error e is ``ceiling / (1 + (e / threshold) ** slope)``.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtri

SLOPES = np.geomspace(1.5, 20.0, 9)
THRESHOLDS, ERRORS = 61, 41
# Range of errors and thresholds as factors of the largest error; thresholds above it represent objects that are
# lifted at any error.
LEAST_SHARE, MOST_SHARE = 0.01, 4.0
# Prior: standard deviations in the logarithm, and the median slope.
THRESHOLD_SD, USUAL_SLOPE, SLOPE_SD = 0.7, 6.0, 0.5
CEILING = 0.99
_LEVELS = ndtri((np.arange(400) + 0.5) / 400)


class AdaptiveCurve:
    """Posterior of success over error size, updated pick by pick.

    :param expected_threshold: prior estimate of the error that halves the success; ``inf`` where unknown
    :param largest_error: largest error to try
    :param ceiling: success without an error
    """

    _tried: np.ndarray  # (E, T, S), set with the posterior (T, S)
    _posterior: np.ndarray

    def __init__(self, expected_threshold: float, largest_error: float, ceiling: float = CEILING):
        self._largest = largest_error
        self.errors = largest_error * np.geomspace(LEAST_SHARE, 1.0, ERRORS)
        self._thresholds = largest_error * np.geomspace(LEAST_SHARE, MOST_SHARE, THRESHOLDS)
        expected = np.clip(expected_threshold, self._thresholds[0], self._thresholds[-1])
        log_prior = (-0.5 * (np.log(self._thresholds / expected) / THRESHOLD_SD)[:, None] ** 2
                     - 0.5 * (np.log(SLOPES / USUAL_SLOPE) / SLOPE_SD) ** 2)
        self._prior = np.exp(log_prior - log_prior.max())
        self.trials: list[tuple[float, bool]] = []
        self._ceiling = ceiling
        self._restart()

    def next_error(self) -> float:
        """The error to try next."""
        success = self._tried
        chance = (success * self._posterior).sum(axis=(1, 2))
        after_lift = success * self._posterior / chance[:, None, None].clip(1e-12)
        after_loss = (1 - success) * self._posterior / (1 - chance)[:, None, None].clip(1e-12)
        entropies = chance * _entropies(after_lift) + (1 - chance) * _entropies(after_loss)
        return float(self.errors[np.argmin(entropies)])

    def add(self, error: float, lifted: bool) -> None:
        """Update the posterior with one pick."""
        self.trials.append((error, lifted))
        success = self._success(np.array([error]))[0]
        self._posterior = self._posterior * (success if lifted else 1.0 - success)
        self._posterior /= self._posterior.sum()

    def with_ceiling(self, ceiling: float) -> None:
        """Change the ceiling and recompute the posterior from all picks."""
        self._ceiling = ceiling
        self._restart()

    def curve(self) -> list[tuple[float, float, float, float]]:
        """(error, success, low, high) with a 95 % interval."""
        points = []
        for error, each in zip(self.errors, self._tried):
            low, high = self._quantiles(each, (0.025, 0.975))
            points.append((float(error), float((each * self._posterior).sum()), low, high))
        return points

    def limit(self, wanted: float) -> tuple[float, tuple[float, float]]:
        """The largest standard deviation of a normal error with the required success, and its 95 % interval.

        At most the largest error that was tried; 0 where the ceiling is not above the required success.
        """
        shares = np.array([_spread_per_threshold(slope, wanted / self._ceiling) for slope in SLOPES])
        limits = np.minimum(self._thresholds[:, None] * shares, self._largest)
        low, middle, high = self._quantiles(limits, (0.025, 0.5, 0.975))
        return middle, (low, high)

    def _restart(self) -> None:
        self._tried = self._success(self.errors)
        trials, self.trials = self.trials, []
        self._posterior = self._prior / self._prior.sum()
        for error, lifted in trials:
            self.add(error, lifted)

    def _success(self, errors: np.ndarray) -> np.ndarray:
        """(E, T, S) success for each error, threshold and slope."""
        return self._ceiling * _logistic(errors[:, None, None] / self._thresholds[:, None], SLOPES)

    def _quantiles(self, values: np.ndarray, levels: tuple[float, ...]) -> tuple[float, ...]:
        """Posterior quantiles of a function (T, S) of threshold and slope."""
        order = np.argsort(values, axis=None)
        below = np.cumsum(self._posterior.ravel()[order])
        return tuple(float(values.ravel()[order[min(int(np.searchsorted(below, level)), len(order) - 1)]])
                     for level in levels)


def _logistic(ratio: np.ndarray, slope: np.ndarray | float) -> np.ndarray:
    """1 / (1 + ratio ** slope) without overflow."""
    return expit(-slope * np.log(np.maximum(ratio, 1e-9)))


def _entropies(distributions: np.ndarray) -> np.ndarray:
    """(E,) entropies of (E, T, S) distributions."""
    return -(distributions * np.log(distributions.clip(1e-30))).sum(axis=(1, 2))


def _spread_per_threshold(slope: float, wanted: float) -> float:
    """Standard deviation of a normal error, in thresholds, at which the mean of the logistic equals ``wanted``."""
    if wanted >= 1.0:
        return 0.0

    def surplus(log_spread: float) -> float:
        return float(_logistic(np.exp(log_spread) * np.abs(_LEVELS), slope).mean()) - wanted

    return float(np.exp(brentq(surplus, -15.0, 10.0)))
