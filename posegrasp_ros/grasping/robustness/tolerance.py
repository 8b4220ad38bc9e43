# SPDX-License-Identifier: Apache-2.0
"""Tolerance: pose errors under which grasps succeed, and the probability that an error is within them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

# Names of the six axes of a disturbance in the TCP frame, for reports.
DIRECTIONS = ('shift along the closing direction', 'shift sideways, along the pads', 'shift along the approach',
              'turn about the closing direction', 'tilt between the pads', 'turn about the approach')
# Number of directions for integrating the error's distribution; each is used both ways.
RAYS, FEW_RAYS = 180, 36
# Number of a grasp's narrowest limits that are used as control variates with their exact probability.
CONTROLS = 3
# Added to the variances, m² and rad², so that a singular covariance can be factorised.
_LEAST_VARIANCE = 1e-10
# The limit of a grasp that fails without any disturbance.
NEVER_M = 1e-9


@dataclass(frozen=True, eq=False)
class Tolerance:
    """The disturbances under which each grasp of a set succeeds: to first order a polytope around zero.

    A disturbance ``tcp_delta`` (6,) is the shift of the object's point that should be at the TCP's origin, in
    metres, then the object's rotation in radians, along and about the axes of the TCP frame. The grasp succeeds if
    ``rows @ tcp_delta <= limits``.

    :param rows: (G, K, 6); a row of zeros is no constraint
    :param limits: (G, K) all positive; at most :data:`NEVER_M` in every direction where a grasp never succeeds
    """

    rows: np.ndarray
    limits: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def contains(self, tcp_deltas: np.ndarray, grasps: np.ndarray) -> np.ndarray:
        """(N,) whether grasp number ``grasps[n]`` succeeds under disturbance ``tcp_deltas[n]`` (6,)."""
        reached = np.einsum('nkd,nd->nk', self.rows[grasps], tcp_deltas)
        return ((reached <= self.limits[grasps]) & (self.limits[grasps] > NEVER_M)).all(axis=1)

    def along(self) -> np.ndarray:
        """(G, 6, 2) limits of a disturbance along each axis alone, negative and positive; inf if unlimited."""
        gauges = np.swapaxes(self.rows / self.limits[..., None], 1, 2)
        with np.errstate(divide='ignore'):
            negative = -1.0 / np.maximum(-gauges.min(axis=2), 0.0)
            return np.stack([negative, 1.0 / np.maximum(gauges.max(axis=2), 0.0)], axis=2)

    def probability_inside(self, covariances_in_tcp: np.ndarray, grasps: np.ndarray | None = None,
                           rays: int = RAYS) -> np.ndarray:
        """Probability that a grasp succeeds under a zero-mean normal disturbance.

        The squared length of a standard normal vector of six numbers is chi-square distributed with six degrees of
        freedom, independently of its direction. The probability is therefore the mean, over all rays, of the
        chi-square distribution function where the ray leaves the polytope. The error of the same mean for the
        narrowest limits alone, whose probability is known exactly, is subtracted in proportion to their
        correlation (control variates). Deterministic; the error is 0.007 (root mean square) and at most 0.035 over
        800 covariances and tolerances of all shapes, with :data:`FEW_RAYS` 0.02 and 0.09.

        :param covariances_in_tcp: (N, 6, 6) of ``tcp_delta``
        :param grasps: (N,) the grasp of each; None for all grasps
        :param rays: :data:`RAYS`, or fewer for a fast estimate without correction
        :return: (N,)
        """
        chosen = slice(None) if grasps is None else grasps
        gauges = self.rows[chosen] / self.limits[chosen][..., None]
        factors = np.linalg.cholesky(covariances_in_tcp + _LEAST_VARIANCE * np.eye(6))
        scaled = (gauges @ factors).astype(np.float32)
        along_rays = scaled @ _rays(rays)
        together = np.concatenate([along_rays.max(axis=1), -along_rays.min(axis=1)], axis=1)
        if rays < RAYS:
            return _chi_square_6(together).mean(axis=1)
        tightness = np.linalg.norm(scaled, axis=2)
        controls = min(CONTROLS, tightness.shape[1])
        narrowest = np.argpartition(-tightness, controls - 1, axis=1)[:, :controls]
        alone = np.take_along_axis(along_rays, narrowest[..., None], axis=1)
        alone = np.concatenate([alone, -alone], axis=2)
        inside = _chi_square_6(np.concatenate([together[:, None], alone], axis=1))
        exact = ndtr(1.0 / np.maximum(np.take_along_axis(tightness, narrowest, axis=1), 1e-9))
        return np.clip(_corrected(inside, exact), 0.0, 1.0)

    def weakest_direction(self, covariance_in_tcp: np.ndarray, grasp: int) -> int:
        """The axis, index into :data:`DIRECTIONS`, whose uncertainty alone gives the lowest probability."""
        alone = np.einsum('ij,ai,aj->aij', covariance_in_tcp, np.eye(6), np.eye(6))
        return int(np.argmin(self.probability_inside(alone, np.full(6, grasp))))


def _chi_square_6(inverse_ways: np.ndarray) -> np.ndarray:
    """Cumulative distribution of chi-square with six degrees of freedom at squared distances (...), float32.

    :param inverse_ways: inverse distances; a value not above 0 means infinity
    """
    half = np.minimum(np.maximum(inverse_ways, np.float32(1e-6)) ** -2 / 2, np.float32(80))
    return 1 - np.exp(-half) * (1 + half + half**2 / 2)


def _corrected(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(N,) means of values over rays, corrected by control variates with known means.

    :param values: (N, 1 + C, R) the values, then the control variates
    :param exact: (N, C) means of the control variates
    """
    means = values.mean(axis=2, dtype=float)
    scatter = values - means[..., None].astype(np.float32)
    products = (scatter @ np.swapaxes(scatter, 1, 2)).astype(float)
    # Regularisation for limits that are never reached and for identical limits.
    others = products[:, 1:, 1:] + 1e-3 * np.eye(exact.shape[1])
    weights = np.linalg.solve(others, products[:, 1:, :1])[..., 0]
    return means[:, 0] + (weights * (exact - means[:, 1:])).sum(axis=1)


@lru_cache(maxsize=4)
def _rays(count: int) -> np.ndarray:
    """(6, count) unit vectors, evenly distributed, deterministic."""
    return spread_directions(count).T.astype(np.float32)


def spread_directions(count: int) -> np.ndarray:
    """(count, 6) unit vectors, deterministic, evenly distributed with their opposites: random orthogonal bases."""
    rng = np.random.default_rng(6)
    return np.concatenate([np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(-(-count // 6))])[:count]


def tcp_from_base_delta(base_from_object: np.ndarray, base_from_tcp: np.ndarray) -> np.ndarray:
    """Matrices that map a disturbance of the object's pose to ``tcp_delta`` (see :class:`Tolerance`).

    :func:`perturb` shifts the object's origin and rotates the object about it, so the rotation also shifts the
    point at the TCP.

    :param base_from_object: (4, 4)
    :param base_from_tcp: (N, 4, 4)
    :return: (N, 6, 6)
    """
    axes = np.swapaxes(base_from_tcp[:, :3, :3], 1, 2)
    arms = base_from_tcp[:, :3, 3] - base_from_object[:3, 3]
    matrices = np.zeros((len(base_from_tcp), 6, 6))
    matrices[:, :3, :3] = matrices[:, 3:, 3:] = axes
    matrices[:, :3, 3:] = np.cross(arms[:, None], axes)  # axis . (turn x arm) = turn . (arm x axis)
    return matrices
