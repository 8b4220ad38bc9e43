# SPDX-License-Identifier: Apache-2.0
"""Only what can be a pose and its covariance gets past the planner's gate."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.planning.given_pose import LEAST_SIGMA, checked_covariance, checked_pose
from posegrasp_ros.grasping.planning.plan import PlanningError

GOOD = np.diag([1e-6, 2e-6, 4e-6, 1e-4, 1e-4, 2e-4])


def changed(index, value):
    covariance = GOOD.copy()
    covariance[index] = value
    return covariance


@pytest.mark.parametrize('covariance', [
    np.eye(3), np.full((6, 6), np.nan), -GOOD, 1e99 * GOOD, 1e-30 * GOOD, changed((0, 0), 0.0),
    changed((0, 1), 1e-6), changed(([0, 1], [1, 0]), 4e-6), changed((5, 5), np.inf),
], ids=['shape', 'nan', 'negative', 'huge', 'tiny', 'zero', 'asymmetric', 'indefinite', 'infinite'])
def test_what_is_no_covariance_is_refused_with_the_numbers(covariance):
    with pytest.raises(PlanningError, match='covariance of the object: expected') as refusal:
        checked_covariance(covariance, LEAST_SIGMA)
    assert '\n' not in str(refusal.value)


def test_a_covariance_passes_as_it_is():
    root = np.random.default_rng(0).normal(size=(6, 6)) * np.repeat([0.002, 0.03], 3)[:, None]
    np.testing.assert_allclose(checked_covariance(root @ root.T), root @ root.T, rtol=1e-9, atol=1e-15)


def test_what_is_exactly_known_along_an_axis_may_be_stated_by_who_knows_it():
    certain = np.diag([1e-4, 1e-4, 0.0, 0.0, 0.0, 1e-4])
    np.testing.assert_allclose(checked_covariance(certain), certain, atol=1e-18)
    certain[0, 2] = certain[2, 0] = 1e-3
    with pytest.raises(PlanningError, match='positive definite'):
        checked_covariance(certain)


def test_what_six_decimals_make_of_a_covariance_is_mended():
    root = np.random.default_rng(1).normal(size=(6, 2)) * np.repeat([0.02, 0.3], 3)[:, None]
    printed = np.round(root @ root.T + 1e-9 * np.eye(6), 6)
    assert np.linalg.eigvalsh(printed)[0] < 0
    mended = checked_covariance(printed)
    assert np.linalg.eigvalsh(mended)[0] > -1e-12
    np.testing.assert_allclose(mended, printed, atol=1e-3 * np.abs(printed).max())


def printed(rank, seed):
    """A covariance of low rank with a hair on its diagonal, of millimetres and hundredths, with six decimals."""
    root = np.random.default_rng(seed).normal(size=(6, rank)) * np.repeat([0.004, 0.03], 3)[:, None]
    return np.round(root @ root.T + 4e-6 * np.eye(6), 6)


@pytest.mark.parametrize('seed', range(10))
@pytest.mark.parametrize('rank', [1, 2, 3, 6])
def test_a_covariance_of_millimetres_written_with_six_decimals_is_accepted(rank, seed):
    given = printed(rank, seed)
    mended = checked_covariance(given, LEAST_SIGMA)
    assert np.linalg.eigvalsh(mended)[0] > -1e-12
    assert np.abs(mended - given).max() <= 1e-6


def test_the_same_errors_in_a_covariance_with_all_its_digits_are_refused():
    given = GOOD.copy()
    given[0, 1] = given[1, 0] = 1.6543e-6
    with pytest.raises(PlanningError, match='expected a positive definite matrix'):
        checked_covariance(given, LEAST_SIGMA)
    assert np.linalg.eigvalsh(checked_covariance(given.round(6), LEAST_SIGMA))[0] > -1e-12


@pytest.mark.parametrize('position', [(0, 0, 1e300), (np.nan, 0, 0), (0, -200.0, 0)])
def test_a_pose_that_no_arm_reaches_is_none(position):
    with pytest.raises(PlanningError, match='pose of the object: expected'):
        checked_pose(make_transform(None, position))
