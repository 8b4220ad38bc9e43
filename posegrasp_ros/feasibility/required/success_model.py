# SPDX-License-Identifier: Apache-2.0
"""SuccessModel: success probability of a pick from the covariance of the pose that it is planned with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import ndtri

from posegrasp_ros.feasibility.required.success_curve import SuccessCurve, gauge
from posegrasp_ros.geometry.transforms import perturb
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene

ON_THE_TABLE = Scene(support_height_m=0.0)
# Given poses per true pose, disturbances evaluated per plan, and number of different sets of given poses.
GIVEN_POSES, DISTURBANCES, BLOCKS = 4, 128, 128
# Components of an error that change the object's height and tilt, and the others.
TIPPING, LEVEL = np.array([2, 3, 4]), np.array([0, 1, 5])
# Upper limits of the standard deviations: a larger uncertainty means no knowledge of the pose.
MOST_M, MOST_RAD = 0.5, np.pi


@dataclass(frozen=True, eq=False)
class SuccessModel:
    """Runs the planner with the covariance and integrates the success curve over the pose error.

    :param planner: for the object and the gripper
    :param curves: fitted to simulated picks, the most probable one first, then posterior draws; default is the
        prior
    """

    planner: GraspPlanner
    curves: tuple[SuccessCurve, ...] = (SuccessCurve(),)

    @property
    def curve(self) -> SuccessCurve:
        """The most probable curve."""
        return self.curves[0]

    def most_probable(self) -> SuccessModel:
        """The same model with only its most probable curve."""
        return replace(self, curves=self.curves[:1])

    def with_planner(self, planner: GraspPlanner) -> SuccessModel:
        """The same curves for other grasps or another gripper."""
        return replace(self, planner=planner)

    def success(self, base_from_object: np.ndarray, covariance: np.ndarray, scene: Scene = ON_THE_TABLE) -> float:
        """Probability of lifting the object.

        The given pose varies with the error and the plan with the given pose. Apart from obstacles, the plan
        depends only on height and tilt, so each of a few given poses represents all errors with the same height
        and tilt.

        :param base_from_object: (4, 4) true pose
        :param covariance: (6, 6) of the pose given to the planner, base frame; zeros for an exact pose
        """
        return float(self._successes(self.curves[:1], base_from_object, covariance, scene)[0])

    def by_curve(self, base_from_object: np.ndarray, covariance: np.ndarray,
                 scene: Scene = ON_THE_TABLE) -> np.ndarray:
        """(C,) the same for each of the curves."""
        return self._successes(self.curves, base_from_object, covariance, scene)

    def _successes(self, curves: Sequence[SuccessCurve], base_from_object: np.ndarray, covariance: np.ndarray,
                   scene: Scene) -> np.ndarray:
        covariance = bounded(covariance)
        factor = _factor(self.planner.symmetry.without_spin(covariance, base_from_object))
        planner, chances = patient(self.planner), []
        for given_unit in _given_units(base_from_object) if factor.any() else np.zeros((1, 6)):
            units = _level_units().copy()
            units[:, TIPPING] = given_unit[TIPPING]
            given = perturb(base_from_object, -factor @ given_unit)
            chances.append(_chances(curves, planner, given, covariance, units @ factor.T, scene))
        return np.mean(chances, axis=0)


def _chances(curves: Sequence[SuccessCurve], planner: GraspPlanner, given: np.ndarray, covariance: np.ndarray,
             deltas: np.ndarray, scene: Scene) -> np.ndarray:
    """(C,) mean success for each curve of the plan for one given pose, over disturbances (N, 6), base frame."""
    plan = planner.plan(given, covariance, scene)
    if not plan.grasps:
        return np.zeros(len(curves))
    grasps = np.full(len(deltas), grasp_number(planner, plan.grasps[0].name))
    in_tcp = tcp_deltas(given, plan.grasps[0].base_from_tcp, deltas)
    return np.array([curve.success(planner.tolerance, grasps, in_tcp).mean() for curve in curves])


def patient(planner: GraspPlanner) -> GraspPlanner:
    """Copy of the planner without a minimum success probability, so that it always returns its best grasp."""
    other = copy.copy(planner)
    other.options = replace(planner.options, min_success_probability=0.0)
    return other


def error_gauge(model: SuccessModel, base_from_object: np.ndarray, covariance: np.ndarray,
                delta: np.ndarray, scene: Scene = ON_THE_TABLE) -> float:
    """Ratio of an error (6,), base frame, to the tolerance of the grasp for the true pose; 1 without a grasp."""
    planner = patient(model.planner)
    grasps = planner.plan(base_from_object, covariance, scene).grasps
    if not grasps:
        return 1.0
    error = without_spin(planner, base_from_object) @ delta
    in_tcp = tcp_deltas(base_from_object, grasps[0].base_from_tcp, error[None]) * model.curve.scales
    return float(gauge(planner.tolerance, np.array([grasp_number(planner, grasps[0].name)]), in_tcp)[0])


def without_spin(planner: GraspPlanner, base_from_object: np.ndarray) -> np.ndarray:
    """(6, 6) projection that removes rotation about the symmetry axis from a disturbance, base frame."""
    spin = planner.symmetry.spin_direction(base_from_object)
    return np.eye(6) if spin is None else np.eye(6) - np.outer(spin, np.concatenate([np.zeros(3), spin[3:]]))


def grasp_number(planner: GraspPlanner, name: str) -> int:
    """Index of the grasp with this name in the planner's set."""
    return next(number for number, grasp in enumerate(planner.grasps) if grasp.name == name)


def tcp_deltas(base_from_object: np.ndarray, base_from_tcp: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """(N, 6) disturbances of a pose, as in :func:`perturb`, expressed at the TCP.

    See :class:`posegrasp_ros.grasping.robustness.tolerance.Tolerance`; exact for rotations of any size.

    :param base_from_object: (4, 4) the disturbed pose; ``base_from_tcp`` (4, 4) is the grasp
    :param deltas: (N, 6) base frame
    """
    arm, axes = base_from_tcp[:3, 3] - base_from_object[:3, 3], base_from_tcp[:3, :3]
    shifts = Rotation.from_rotvec(deltas[:, 3:]).apply(arm) - arm + deltas[:, :3]
    return np.concatenate([shifts @ axes, deltas[:, 3:] @ axes], axis=1)


def _factor(covariance: np.ndarray) -> np.ndarray:
    """(6, 6) factor that maps standard normal numbers to errors of this covariance, which may be singular.

    Height and tilt depend only on the numbers of :data:`TIPPING`, the other components on all numbers.
    """
    order = np.concatenate([TIPPING, LEVEL])
    variances, axes = np.linalg.eigh(covariance[np.ix_(order, order)])
    # Triangular factor by QR of a matrix square root: like Cholesky, but valid for singular matrices.
    _, triangle = np.linalg.qr((axes * np.sqrt(variances.clip(0.0))).T)
    factor = np.empty((6, 6))
    factor[np.ix_(order, order)] = triangle.T
    return factor


def bounded(covariance: np.ndarray) -> np.ndarray:
    """The nearest positive semidefinite covariance (6, 6), as rounding may leave negative variances.

    Standard deviations are limited to :data:`MOST_M` and :data:`MOST_RAD`.
    """
    finite = np.nan_to_num(np.asarray(covariance, dtype=float), nan=0.0, posinf=1e6, neginf=-1e6)
    spreads, most = np.sqrt(np.diag(finite).clip(0.0)), np.repeat((MOST_M, MOST_RAD), 3)
    shrink = np.minimum(1.0, most / np.maximum(spreads, 1e-12))
    shrunk = finite * np.outer(shrink, shrink)
    variances, axes = np.linalg.eigh((shrunk + shrunk.T) / 2)
    nearest = axes * variances.clip(0.0) @ axes.T
    np.fill_diagonal(nearest, np.diag(nearest).clip(0.0))
    return nearest


def unit_normals(count: int, seed: int) -> np.ndarray:
    """(count, 6) quasi-random standard normal numbers (scrambled Sobol); ``count`` should be a power of two."""
    from scipy.stats import qmc  # slow to import

    options: dict[str, Any] = {'scramble': True, 'seed': seed}  # called rng in the stubs for SciPy 1.15
    points = qmc.Sobol(6, **options).random_base2(int(np.ceil(np.log2(count))))
    return ndtri(points[:count].clip(1e-6, 1 - 1e-6))


def _given_units(base_from_object: np.ndarray) -> np.ndarray:
    """(GIVEN_POSES, 6) standard normal numbers, which vary with the pose, as results are averaged over poses."""
    block = int(1e6 * np.abs(base_from_object).sum()) % BLOCKS
    return _given_blocks()[block]


@lru_cache(maxsize=1)
def _given_blocks() -> np.ndarray:
    """(BLOCKS, GIVEN_POSES, 6) standard normal numbers, fixed seed."""
    return unit_normals(BLOCKS * GIVEN_POSES, seed=1).reshape(BLOCKS, GIVEN_POSES, 6)


@lru_cache(maxsize=1)
def _level_units() -> np.ndarray:
    """(DISTURBANCES, 6) standard normal numbers, fixed seed."""
    return unit_normals(DISTURBANCES, seed=2)
