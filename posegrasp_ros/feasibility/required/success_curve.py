# SPDX-License-Identifier: Apache-2.0
"""SuccessCurve: success probability of a pick as a function of the error relative to the grasp's tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from posegrasp_ros.grasping.robustness.tolerance import Tolerance

# Priors, means and standard deviations: fitted to about 900 simulated picks of a box and a can. The tolerance
# polytope is accurate overall; rotations about the closing direction are more critical than it predicts.
PRIOR_CEILING_LOGIT, PRIOR_CEILING_SD = float(logit(0.994)), 2.0
PRIOR_LOG_MIDPOINT, PRIOR_MIDPOINT_SD = float(np.log(1.0)), 0.1
PRIOR_LOG_STEEPNESS, PRIOR_STEEPNESS_SD = float(np.log(15.0)), 0.25
PRIOR_LOG_SCALES, PRIOR_SCALE_SD = np.log((1.0, 0.97, 0.9, 1.22, 0.96, 0.97)), 0.1
# Share of picks that succeed by chance, so that a single outlier far outside does not distort the fit.
BY_CHANCE = 0.02
LEAST_GAUGE = 1e-6
# Number of posterior draws, and step of the numerical derivatives.
DRAWS, STEP = 24, 1e-4


@dataclass(frozen=True, eq=False)
class GraspTrial:
    """Result of one pick with a known error.

    :param grasp: index of the grasp in its set; None where the planner found none
    :param tcp_delta: (6,) error of the object pose, see :class:`Tolerance`
    """

    grasp: int | None
    tcp_delta: np.ndarray
    lifted: bool


@dataclass(frozen=True, eq=False)
class SuccessCurve:
    """Probability of lifting, ``ceiling / (1 + (gauge / midpoint) ** steepness)``: a logistic in log gauge.

    The gauge of a disturbance is 1 on the border of the grasp's tolerance and grows in proportion to it.

    :param ceiling: success without disturbance
    :param midpoint: gauge that halves the success
    :param scales: (6,) factors on the disturbance's axes in the TCP frame; below 1 where the simulation tolerates
        more than the polytope predicts, above 1 where it tolerates less
    """

    ceiling: float = float(expit(PRIOR_CEILING_LOGIT))
    midpoint: float = float(np.exp(PRIOR_LOG_MIDPOINT))
    steepness: float = float(np.exp(PRIOR_LOG_STEEPNESS))
    scales: np.ndarray = field(default_factory=lambda: np.exp(PRIOR_LOG_SCALES))

    def success(self, tolerance: Tolerance, grasps: np.ndarray, tcp_deltas: np.ndarray) -> np.ndarray:
        """(N,) probability that grasp number ``grasps[n]`` lifts under disturbance ``tcp_deltas[n]`` (6,)."""
        return self.at(gauge(tolerance, grasps, tcp_deltas * self.scales))

    def at(self, gauges: np.ndarray) -> np.ndarray:
        """(N,) the same for gauges (N,) of disturbances already multiplied by :attr:`scales`."""
        return self.ceiling * np.asarray(expit(-self.steepness * np.log(gauges / self.midpoint)))

    def to_dict(self) -> dict:
        """Plain values."""
        return {'ceiling': self.ceiling, 'midpoint': self.midpoint, 'steepness': self.steepness,
                'scales': self.scales.tolist()}


def gauge(tolerance: Tolerance, grasps: np.ndarray, tcp_deltas: np.ndarray) -> np.ndarray:
    """(N,) ratio of each disturbance (N, 6) to the tolerance of ``grasps[n]``; close to 0 if nothing limits it."""
    return _gauge(tolerance.rows[grasps], tolerance.limits[grasps], tcp_deltas)


def _gauge(rows: np.ndarray, limits: np.ndarray, tcp_deltas: np.ndarray) -> np.ndarray:
    """(N,) the same with the rows (N, K, 6) and limits (N, K) of each disturbance's grasp."""
    return np.maximum((np.einsum('nkd,nd->nk', rows, tcp_deltas) / limits).max(axis=1), LEAST_GAUGE)


def fit_curves(tolerance: Tolerance, trials: Sequence[GraspTrial], draws: int = DRAWS,
               seed: int = 0) -> tuple[SuccessCurve, ...]:
    """Fit the curve to picks.

    :return: the maximum a posteriori curve (independent normal priors), followed by posterior draws (Laplace
        approximation with the expected information of the picks)
    """
    tried = [trial for trial in trials if trial.grasp is not None]
    grasps = np.array([trial.grasp for trial in tried], dtype=int)
    deltas = np.array([trial.tcp_delta for trial in tried]).reshape(-1, 6)
    lifted = np.array([trial.lifted for trial in tried], dtype=bool)
    rows, limits = tolerance.rows[grasps], tolerance.limits[grasps]  # once: the curve is evaluated many times
    means = np.array([PRIOR_CEILING_LOGIT, PRIOR_LOG_MIDPOINT, PRIOR_LOG_STEEPNESS, *PRIOR_LOG_SCALES])
    spreads = np.array([PRIOR_CEILING_SD, PRIOR_MIDPOINT_SD, PRIOR_STEEPNESS_SD, *np.full(6, PRIOR_SCALE_SD)])

    def predicted(parameters: np.ndarray) -> np.ndarray:
        curve = _curve(parameters)
        return BY_CHANCE + (1 - BY_CHANCE) * curve.at(_gauge(rows, limits, deltas * curve.scales))

    def surprise(parameters: np.ndarray) -> float:
        """Negative log posterior density, up to a constant."""
        chances = predicted(parameters)
        unlikely = -np.log(np.where(lifted, chances, 1.0 - chances)).sum()
        return float(unlikely + 0.5 * (((parameters - means) / spreads) ** 2).sum())

    best = minimize(surprise, means, method='L-BFGS-B').x
    chances, steps = predicted(best), STEP * np.eye(len(best))
    slopes = np.array([predicted(best + step) - predicted(best - step) for step in steps]).T / (2 * STEP)
    information = np.diag(spreads**-2.0) + (slopes.T / (chances * (1 - chances))) @ slopes
    drawn = np.random.default_rng(seed).multivariate_normal(best, np.linalg.inv(information), draws)
    return tuple(_curve(parameters) for parameters in (best, *drawn))


def _curve(parameters: np.ndarray) -> SuccessCurve:
    """The curve of (9,) logit of the ceiling, logarithms of midpoint, steepness and the six scales."""
    midpoint, steepness = np.exp(parameters[1:3]).tolist()
    return SuccessCurve(float(expit(parameters[0])), midpoint, steepness, np.exp(parameters[3:]))
