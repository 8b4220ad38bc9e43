# SPDX-License-Identifier: Apache-2.0
"""Tolerances follow from fingers and surface, and probabilities from tolerances."""

import numpy as np
import pytest
import trimesh
from scipy.special import ndtr

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    make_transform,
    perturb,
    random_rotation,
    rotation_from_vector,
    transform_points,
    vector_from_rotation,
)
from posegrasp_ros.grasping.grasp_set import Grasp, GraspSet
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.robustness.pinch import HELD_M
from posegrasp_ros.grasping.robustness.tolerance import DIRECTIONS, Tolerance, tcp_from_base_delta
from posegrasp_ros.grasping.robustness.tolerance_fit import fit_tolerance, tolerance_without_mesh

GRIPPER = load_gripper()
DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
CLOSING, SIDEWAYS, APPROACH, _, _, YAW = range(6)


def block(*sides_m):
    solid = trimesh.creation.box(sides_m)
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))


def grasps(*object_from_tcp, width_m=0.06, opening_m=0.08):
    return GraspSet([Grasp(f'{k}', pose, 0.9, opening_m, width_m) for k, pose in enumerate(object_from_tcp)],
                    'object', 'hand')


@pytest.fixture(scope='module')
def from_above():
    """A block of 60 x 120 x 40 mm, held across 60 mm by its middle."""
    return fit_tolerance(block(0.06, 0.12, 0.04), GRIPPER, grasps(DOWN))


def test_across_the_fingers_there_is_half_of_the_opening_that_is_left(from_above):
    assert from_above.along()[0, CLOSING] == pytest.approx([-0.01, 0.01], abs=1e-4)


def test_towards_the_palm_there_is_the_gap_to_it(from_above):
    palm_m = GRIPPER.finger_length_m - GRIPPER.finger_reach_m
    assert from_above.along()[0, APPROACH, 0] == pytest.approx(-(palm_m - 0.02), abs=5e-4)


def test_away_from_the_palm_the_fingertips_must_still_hold(from_above):
    assert from_above.along()[0, APPROACH, 1] == pytest.approx(0.02 + GRIPPER.finger_reach_m - HELD_M, abs=0.003)


def test_along_a_long_object_the_pads_may_be_far_off(from_above):
    low, high = from_above.along()[0, SIDEWAYS]
    assert min(high, -low) > 1.5 * GRIPPER.finger_width_m


def test_a_turn_about_the_approach_ends_where_a_corner_of_the_section_meets_a_finger(from_above):
    """To first order: the point beside the finger's edge, 8.75 mm along the pad, comes 10 mm nearer."""
    assert from_above.along()[0, YAW, 1] == pytest.approx(0.01 / (GRIPPER.finger_width_m / 2), rel=0.6)


def test_the_tolerance_belongs_to_grasp_and_object_wherever_the_object_frame_is(from_above):
    moved = make_transform(random_rotation(np.random.default_rng(2)), (0.01, 0.02, -0.03))
    mesh = block(0.06, 0.12, 0.04)
    shifted = Mesh(transform_points(moved, mesh.vertices), mesh.faces, None, mesh.texture)
    again = fit_tolerance(shifted, GRIPPER, grasps(moved @ DOWN))
    np.testing.assert_allclose(again.along()[0, :3], from_above.along()[0, :3], atol=0.004)


def test_narrower_objects_and_wider_openings_tolerate_more():
    wide, narrow, less_open = (
        fit_tolerance(block(width, 0.1, 0.04), GRIPPER, grasps(DOWN, width_m=width, opening_m=opening))
        for width, opening in ((0.06, 0.08), (0.03, 0.08), (0.03, 0.05)))
    covariance = np.diag([0.01**2] * 3 + [0.1**2] * 3)[None]
    probabilities = [float(each.probability_inside(covariance)[0]) for each in (narrow, less_open, wide)]
    assert probabilities[0] > probabilities[1] + 0.1 and probabilities[0] > probabilities[2] + 0.1


def test_without_a_mesh_the_width_alone_tells_the_same_across_the_fingers():
    coarse = tolerance_without_mesh(GRIPPER, grasps(DOWN, DOWN))
    assert coarse.along()[:, CLOSING] == pytest.approx(np.tile([-0.01, 0.01], (2, 1)), abs=1e-4)


@pytest.mark.parametrize('std_m, rows', [
    (0.01, [[1, 0, 0, 0, 0, 0]]),
    (0.02, [[1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0]]),
    (0.004, [[0, 1, 0, 0, 0, 0]]),
])
def test_probability_of_one_bounded_direction_is_the_normal_distributions(std_m, rows):
    tolerance = Tolerance(np.array([rows], dtype=float), np.full((1, len(rows)), 0.01))
    covariance = std_m**2 * np.eye(6)[None]
    expected = 1 - len(rows) * ndtr(-0.01 / std_m)
    assert tolerance.probability_inside(covariance)[0] == pytest.approx(expected, abs=0.04)


def test_probability_matches_counting_of_samples(from_above):
    rng = np.random.default_rng(0)
    covariance = np.diag([0.008, 0.01, 0.012, 0.1, 0.1, 0.2]) ** 2
    deltas = rng.normal(size=(20000, 6)) @ np.sqrt(covariance)
    share = from_above.contains(deltas, np.zeros(len(deltas), int)).mean()
    assert from_above.probability_inside(covariance[None])[0] == pytest.approx(share, abs=0.04)


def test_a_singular_covariance_is_one_all_the_same(from_above):
    known = np.zeros((1, 6, 6))
    assert from_above.probability_inside(known)[0] == pytest.approx(1.0, abs=1e-6)
    known[0, 0, 0] = 1.0
    assert from_above.probability_inside(known)[0] < 0.1


@pytest.mark.parametrize('axis', [CLOSING, APPROACH])
def test_the_weakest_direction_is_the_one_that_is_uncertain(from_above, axis):
    variances = np.full(6, 1e-6)
    variances[axis] = 0.02**2
    assert from_above.weakest_direction(np.diag(variances), 0) == axis
    assert len(DIRECTIONS) == 6


def test_a_disturbance_is_the_same_in_both_frames():
    """A point of the object at the TCP moves by the shift, one beside it by the turn as well."""
    rng = np.random.default_rng(4)
    base_from_object = make_transform(random_rotation(rng), rng.normal(size=3))
    base_from_tcp = base_from_object @ make_transform(random_rotation(rng), 0.1 * rng.normal(size=3))
    delta = 1e-5 * rng.normal(size=6)
    tcp_delta = tcp_from_base_delta(base_from_object, base_from_tcp[None])[0] @ delta
    before, after = base_from_object, perturb(base_from_object, delta)
    tcp_before = np.linalg.inv(base_from_tcp) @ after @ np.linalg.inv(before) @ base_from_tcp
    np.testing.assert_allclose(tcp_before[:3, 3], tcp_delta[:3], atol=1e-8)
    np.testing.assert_allclose(vector_from_rotation(tcp_before[:3, :3]), tcp_delta[3:], atol=1e-8)


def test_disturbances_inside_leave_the_way_in_free_and_those_outside_do_not():
    """Moved for real, not to first order, and small enough for that to be nearly the same."""
    mesh, rng = block(0.06, 0.03, 0.04), np.random.default_rng(1)
    tolerance = fit_tolerance(mesh, GRIPPER, grasps(DOWN))
    points, _ = trimesh.sample.sample_surface(mesh.solid, 4000, seed=1)
    boxes = GRIPPER.finger_boxes(0.08) + GRIPPER.palm_boxes
    right = []
    for _ in range(300):
        delta = rng.normal(size=6) * [0.008, 0.001, 0.001, 0.02, 0.02, 0.15]
        seen = transform_points(DOWN, points) @ rotation_from_vector(delta[3:]).T + delta[:3]
        hit = any(((np.abs(seen[:, :2] - box.center[:2]) < box.half_extents[:2]).all(axis=1)
                   & (seen[:, 2] < box.center[2] + box.half_extents[2])).any() for box in boxes)
        right.append(tolerance.contains(delta[None], np.zeros(1, int))[0] != hit)
    assert np.mean(right) > 0.95


def random_tolerance(rng: np.random.Generator, grasps: int) -> Tolerance:
    """Polytopes of 4 to 20 planes, some of them pairs of the same direction."""
    rows = rng.normal(size=(grasps, 20, 6)) * np.exp(rng.normal(size=(grasps, 20, 6)))
    rows[:, 1::4] = -rows[:, ::4]
    rows[np.arange(20) >= rng.integers(4, 21, grasps)[:, None]] = 0.0
    return Tolerance(rows, np.exp(rng.normal(1.0, 0.7, (grasps, 20))))


def random_covariance(rng: np.random.Generator) -> np.ndarray:
    """Of any shape: as wide in all directions, in a few of them, along the axes or across."""
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0] if rng.random() < 0.7 else np.eye(6)
    scales = np.exp(rng.uniform(-3.0, 1.0, 6)) if rng.random() < 0.7 else np.where(
        np.arange(6) < rng.integers(1, 3), rng.uniform(0.1, 2.0), 1e-3)
    return (turn * scales**2) @ turn.T


def test_probability_is_that_of_counted_samples_to_3_percent_whatever_the_shapes():
    rng = np.random.default_rng(3)
    tolerance = random_tolerance(rng, 200)
    covariances = np.array([random_covariance(rng) for _ in range(200)])
    samples = rng.normal(size=(6_000, 6))
    samples = np.concatenate([samples, -samples])
    counted = [tolerance.contains(samples @ np.linalg.cholesky(covariance + 1e-10 * np.eye(6)).T,
                                  np.full(len(samples), grasp)).mean()
               for grasp, covariance in enumerate(covariances)]
    errors = tolerance.probability_inside(covariances) - counted
    assert np.abs(errors).max() < 0.03 and np.sqrt((errors**2).mean()) < 0.008
    assert np.std(counted) > 0.2
