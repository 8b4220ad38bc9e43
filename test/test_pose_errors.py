from __future__ import annotations

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry import (
    Symmetry,
    invert,
    make_transform,
    perturb,
    random_rotation,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.metrics.pose_errors import ErrorTarget, add, adi, mspd, mssd, position_error, rotation_error

HALF_TURN = Symmetry(np.stack([np.eye(4), make_transform(rotation_from_vector([0, 0, np.pi]))]))
MATRIX = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
POINTS = np.random.default_rng(0).uniform(-50, 50, (500, 3))


def random_pose(rng, depth=0.8):
    return make_transform(random_rotation(rng), rng.normal(size=3) * 0.05 + (0, 0, depth))


def test_values_computed_independently():
    truth = make_transform(None, (0, 0, 800))
    axis = np.array([1, 2, 3]) / np.sqrt(14)
    estimate = make_transform(rotation_from_vector(np.radians(5) * axis), (5, -3, 808))
    assert add(estimate, truth, POINTS) == pytest.approx(10.2320, abs=5e-5)
    assert adi(estimate, truth, POINTS) == pytest.approx(7.2347, abs=5e-5)
    assert mssd(estimate, truth, POINTS) == pytest.approx(14.9466, abs=5e-5)
    assert mspd(estimate, truth, POINTS, MATRIX) == pytest.approx(8.5581, abs=5e-5)
    assert rotation_error(estimate, truth) == pytest.approx(np.radians(5))
    assert position_error(estimate, truth) == pytest.approx(np.sqrt(98))


def test_all_agree_with_the_formulas_written_out():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.06, 0.06, (60, 3))
    for _ in range(25):
        estimate, truth = random_pose(rng), random_pose(rng)
        seen = transform_points(estimate, points)
        distances, pixel_distances = [], []
        for symmetry in HALF_TURN.discrete:
            true = transform_points(truth @ symmetry, points)
            distances.append(max(np.linalg.norm(a - b) for a, b in zip(seen, true)))
            pixel_distances.append(max(np.linalg.norm((MATRIX @ a)[:2] / a[2] - (MATRIX @ b)[:2] / b[2])
                                       for a, b in zip(seen, true)))
        true = transform_points(truth, points)
        nearest = [np.linalg.norm(seen - b, axis=1).min() for b in true]
        assert mssd(estimate, truth, points, HALF_TURN) == pytest.approx(min(distances), rel=1e-9)
        assert mspd(estimate, truth, points, MATRIX, HALF_TURN) == pytest.approx(min(pixel_distances), rel=1e-9)
        assert add(estimate, truth, points) == pytest.approx(np.linalg.norm(seen - true, axis=1).mean(), rel=1e-9)
        assert adi(estimate, truth, points) == pytest.approx(np.mean(nearest), rel=1e-9)


def test_a_perfect_estimate_has_no_error():
    pose = random_pose(np.random.default_rng(2))
    errors = ErrorTarget(POINTS / 1000, 0.17).errors(pose, pose)
    assert (errors.position_m, errors.rotation_rad, errors.add_m) == pytest.approx((0, 0, 0), abs=1e-9)
    assert mssd(pose, pose, POINTS) == 0
    assert mspd(pose, pose, POINTS / 1000, MATRIX) == 0


def test_a_symmetric_turn_is_no_error_but_an_error_without_the_symmetry():
    points = np.concatenate([POINTS, POINTS * (-1, -1, 1)]) / 1000
    truth = random_pose(np.random.default_rng(3))
    turned = truth @ HALF_TURN.discrete[1]
    symmetric = ErrorTarget(points, 0.17, HALF_TURN).errors(turned, truth)
    assert (symmetric.rotation_rad, symmetric.add_m) == pytest.approx((0, 0), abs=1e-7)
    plain = ErrorTarget(points, 0.17).errors(turned, truth)
    assert plain.rotation_rad == pytest.approx(np.pi)
    assert plain.add_m > 0.03


def test_a_symmetry_off_the_origin_moves_the_position_with_the_rotation():
    about_edge = make_transform(None, (0.1, 0, 0)) @ HALF_TURN.discrete[1] @ make_transform(None, (-0.1, 0, 0))
    target = ErrorTarget(POINTS / 1000, 0.17, Symmetry(np.stack([np.eye(4), about_edge])))
    truth = random_pose(np.random.default_rng(4))
    errors = target.errors(truth @ about_edge, truth)
    assert (errors.position_m, errors.rotation_rad) == pytest.approx((0, 0), abs=1e-7)


def test_errors_do_not_depend_on_where_the_camera_is():
    rng = np.random.default_rng(5)
    estimate, truth, other = random_pose(rng), random_pose(rng), random_pose(rng)
    for error in (add, adi, mssd):
        here = error(estimate, truth, POINTS)
        assert error(other @ estimate, other @ truth, POINTS) == pytest.approx(here, rel=1e-9)


def test_projection_of_a_pose_behind_the_camera_is_infinitely_wrong():
    truth = make_transform(None, (0, 0, 0.8))
    assert mspd(make_transform(None, (0, 0, -0.8)), truth, POINTS / 1000, MATRIX) == np.inf


def test_a_coarse_mesh_is_judged_along_its_edges_too():
    corners = np.array([[x, y, z] for x in (-0.06, 0.06) for y in (-0.03, 0.03) for z in (-0.02, 0.02)])
    faces = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
                      [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])
    target = ErrorTarget.from_mesh(Mesh(corners, faces, None, np.zeros((1, 1, 3), np.uint8)))
    assert len(target.points) > 200
    assert target.diameter_m == pytest.approx(2 * np.linalg.norm([0.06, 0.03, 0.02]))
    estimate, truth = random_pose(np.random.default_rng(6)), random_pose(np.random.default_rng(7))
    at_corners = mssd(estimate, truth, corners)
    assert mssd(estimate, truth, target.points) == pytest.approx(at_corners), 'the worst point is a corner'


def test_estimate_and_truth_may_change_places():
    estimate, truth = random_pose(np.random.default_rng(8)), random_pose(np.random.default_rng(9))
    assert rotation_error(estimate, truth) == pytest.approx(rotation_error(truth, estimate))
    assert mssd(estimate, truth, POINTS) == pytest.approx(mssd(invert(truth) @ estimate, np.eye(4), POINTS))


def can_points() -> np.ndarray:
    """(N, 3) on both rims of a can of 60 x 110 mm, dense enough that no turn moves a point far from the next."""
    angles = np.arange(720) * 2 * np.pi / 720
    rim = 0.03 * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.vstack([np.column_stack([rim, np.full(720, z)]) for z in (-0.055, 0.055)])


CAN = Symmetry.generated(axis=(0, 0, 1))


@pytest.mark.parametrize('spin_deg', [0.0, 1.3, 2.8125, 90.0, 179.0, -77.7])
@pytest.mark.parametrize('tilt_deg', [0.0, 1.0, 5.0, 120.0])
def test_turning_about_a_continuous_axis_is_no_error_at_any_angle(spin_deg, tilt_deg):
    """Halfway between two of 64 steps too; what tilts the axis counts in full."""
    truth = random_pose(np.random.default_rng(10))
    tilt = make_transform(rotation_from_vector(np.radians(tilt_deg) * np.array([0.6, 0.8, 0])), (1e-3, 2e-3, 2e-3))
    estimate = truth @ tilt @ CAN.turn(np.radians(spin_deg))
    errors = ErrorTarget(can_points(), 0.125, CAN).errors(estimate, truth)
    assert errors.rotation_rad == pytest.approx(np.radians(tilt_deg), abs=1e-7)
    assert errors.position_m == pytest.approx(0.003)


def test_position_error_about_an_axis_off_the_origin_is_that_of_the_nearest_spin():
    off_centre = Symmetry.generated(axis=(0, 0, 1), offset=(0.05, 0, 0))
    truth = random_pose(np.random.default_rng(11))
    estimate = truth @ off_centre.turn(2.0)
    assert position_error(estimate, truth) > 0.05
    errors = ErrorTarget(can_points() + (0.05, 0, 0), 0.125, off_centre).errors(estimate, truth)
    assert (errors.position_m, errors.rotation_rad) == pytest.approx((0, 0), abs=1e-7)


def test_surface_and_projection_errors_find_the_turn_between_the_steps():
    truth, points = random_pose(np.random.default_rng(12)), can_points()
    turned = truth @ CAN.turn(np.radians(2.8))
    assert mssd(turned, truth, points, CAN) < 1e-4
    assert mspd(turned, truth, points, MATRIX, CAN) < 0.1
    shifted = make_transform(None, (0, 0, 0.004)) @ turned
    assert mssd(shifted, truth, points, CAN) == pytest.approx(0.004, abs=1e-4)


def test_a_fine_mesh_is_judged_at_a_few_thousand_points_with_the_outermost_among_them():
    solid = trimesh.creation.cylinder(0.03, 0.11, sections=96)
    target = ErrorTarget.from_mesh(Mesh(np.array(solid.vertices), np.array(solid.faces), None,
                                        np.zeros((1, 1, 3), np.uint8)), CAN)
    assert 1000 < len(target.points) < 6000
    truth = random_pose(np.random.default_rng(13))
    estimate = perturb(truth, np.array([1e-3, 2e-3, -2e-3, 0.05, 0.02, -0.04]))
    assert mssd(estimate, truth, target.points) == pytest.approx(mssd(estimate, truth, solid.vertices), abs=1e-6)
    spun = truth @ CAN.turn(1.0)
    assert target.errors(spun, truth).add_m == pytest.approx(0, abs=1e-6)
    assert target.errors(perturb(spun, np.array([0, 0, 5e-3, 0, 0, 0])), truth).add_m < 5e-3 + 1e-6
