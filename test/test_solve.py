# SPDX-License-Identifier: Apache-2.0
"""Poses from correspondences: right when they are, robust when some are not, honest about the rest."""

import numpy as np
import pytest

from posegrasp_ros.estimation.refinement.reproject import reproject
from posegrasp_ros.estimation.solve import ViewDirection, refine_pose, solve_pose
from posegrasp_ros.geometry.transforms import (
    make_transform,
    perturb,
    project,
    random_rotation,
    rotation_angle,
    rotation_from_vector,
    transform_points,
    vector_from_rotation,
)

MATRIX = np.array([[500.0, 0, 63.5], [0, 500.0, 63.5], [0, 0, 1]])
HALF_EXTENTS_M = np.array([0.06, 0.03, 0.0225])


def scene(rng, count=300, sigma_m=0.0):
    """Points as a network gives them: the truth is scattered about its answers, not the other way round."""
    pose = make_transform(random_rotation(rng), (0.01, -0.02, 0.6))
    points = rng.uniform(-1, 1, (count, 3)) * HALF_EXTENTS_M
    pixels = project(transform_points(pose, points + rng.normal(0, sigma_m, points.shape)), MATRIX)
    return pose, points, pixels


def test_exact_points_give_the_exact_pose():
    pose, points, pixels = scene(np.random.default_rng(0))
    solution = solve_pose(points, pixels, np.full(len(points), 0.001), MATRIX)
    np.testing.assert_allclose(solution.pose, pose, atol=1e-6)
    assert solution.inlier_share == 1.0


def test_a_third_of_wrong_points_moves_the_pose_little():
    rng = np.random.default_rng(1)
    pose, points, pixels = scene(rng, sigma_m=0.001)
    wrong = rng.random(len(points)) < 1 / 3
    points[wrong] = rng.uniform(-1, 1, (wrong.sum(), 3)) * HALF_EXTENTS_M
    solution = solve_pose(points, pixels, np.full(len(points), 0.001), MATRIX)
    assert np.linalg.norm(solution.pose[:3, 3] - pose[:3, 3]) < 0.005
    assert rotation_angle(solution.pose[:3, :3] @ pose[:3, :3].T) < np.radians(1)
    assert solution.inlier_share == pytest.approx(2 / 3, abs=0.1)


def test_the_view_tells_apart_what_a_face_alone_does_not():
    """Points of one face, scattered as by a network: mirrored about the line of sight they fit nearly as well."""
    rng, errors = np.random.default_rng(5), {True: [], False: []}
    for _ in range(40):
        tilt = rotation_from_vector(np.append(rng.uniform(-0.5, 0.5, 2), 0.0))
        pose = make_transform(tilt @ rotation_from_vector((np.pi, 0, 0)), (0.0, 0.0, 0.6))
        points = rng.uniform(-1, 1, (150, 3)) * (0.04, 0.04, 0.0)
        pixels = project(transform_points(pose, points), MATRIX) + rng.normal(0, 1.0, (150, 2))
        to_camera = -pose[:3, :3].T @ pose[:3, 3]
        seen = to_camera / np.linalg.norm(to_camera) + rng.normal(0, 0.05, 3)
        for told in errors:
            view = ViewDirection(np.zeros(3), seen / np.linalg.norm(seen), 0.05) if told else None
            found = solve_pose(points, pixels, np.full(150, 0.0015), MATRIX, view)
            errors[told].append(rotation_angle(found.pose[:3, :3] @ pose[:3, :3].T))
    assert np.quantile(errors[True], 0.9) < np.radians(5) < np.quantile(errors[False], 0.9)


def test_a_view_makes_the_pose_surer_and_never_singular():
    rng = np.random.default_rng(6)
    pose, points, pixels = scene(rng, count=60, sigma_m=0.002)
    to_camera = -pose[:3, :3].T @ pose[:3, 3]
    view = ViewDirection(np.zeros(3), to_camera / np.linalg.norm(to_camera), 0.02)
    sigma = np.full(60, 0.002)
    alone, told = (solve_pose(points, pixels, sigma, MATRIX, each, points_an_error=30) for each in (None, view))
    assert np.trace(told.covariance[3:, 3:]) < np.trace(alone.covariance[3:, 3:])
    assert (np.linalg.eigvalsh(told.covariance) > 0).all()


def test_covariance_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    distances = []
    for _ in range(200):
        pose, points, pixels = scene(rng, count=100, sigma_m=0.002)
        found = refine_pose(points, pixels, np.full(100, 0.002), MATRIX, pose)
        error = np.append(pose[:3, 3] - found.pose[:3, 3],
                          vector_from_rotation(pose[:3, :3] @ found.pose[:3, :3].T))
        distances.append(error @ np.linalg.solve(found.covariance, error))
    inside = np.mean(np.array(distances) < 10.645)  # 90 % point of chi-square with 6 degrees of freedom
    assert 0.84 < inside < 0.98


def test_reprojection_derivative_is_that_of_perturb():
    rng = np.random.default_rng(3)
    pose, points, _ = scene(rng, count=5)
    seen, jacobian, _ = reproject(points, pose, MATRIX)
    for axis in range(6):
        step = np.zeros(6)
        step[axis] = 1e-6
        moved, _, _ = reproject(points, perturb(pose, step), MATRIX)
        np.testing.assert_allclose((moved - seen) / 1e-6, jacobian[:, :, axis], atol=1e-2)


@pytest.mark.parametrize('count', [0, 5])
def test_too_few_points_give_no_pose(count):
    _, points, pixels = scene(np.random.default_rng(4), count=max(count, 1))
    assert solve_pose(points[:count], pixels[:count], np.full(count, 0.001), MATRIX) is None


def test_points_in_one_place_give_no_pose():
    points, pixels = np.zeros((50, 3)), np.full((50, 2), 60.0)
    assert solve_pose(points, pixels, np.full(50, 0.001), MATRIX) is None
