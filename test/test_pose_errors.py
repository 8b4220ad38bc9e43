# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import time

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    Symmetry,
    invert,
    make_transform,
    perturb,
    random_rotation,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.metrics.pose import nearest_points
from posegrasp_ros.metrics.pose.pose_errors import (
    ErrorTarget,
    add,
    adi,
    mspd,
    mssd,
    position_error,
    projection_error,
    rotation_error,
)
from posegrasp_ros.metrics.pose.worst_point import least_worst_distance, least_worst_pixels, mean_pixels

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


HALF_TURN_ABOUT_X = make_transform(rotation_from_vector([np.pi, 0, 0]))
QUARTER_TURN_ABOUT_Z = make_transform(rotation_from_vector([0, 0, np.pi / 2]))
OFFSET = np.array([0.01, -0.02, 0.005])


def turned_about(point, transform):
    return make_transform(None, point) @ transform @ make_transform(None, -np.asarray(point))


# What is declared as BOP's models_info.json does: all discrete ones but the identity; axis and offset.
DECLARED = {
    'none': ([], None, np.zeros(3)),
    'half turn': ([HALF_TURN.discrete[1]], None, np.zeros(3)),
    'square box': ([np.linalg.matrix_power(QUARTER_TURN_ABOUT_Z, k) for k in (1, 2, 3)]
                   + [np.linalg.matrix_power(QUARTER_TURN_ABOUT_Z, k) @ HALF_TURN_ABOUT_X for k in range(4)],
                   None, np.zeros(3)),
    'bottle': ([], np.array([0.0, 0.0, 1.0]), np.zeros(3)),
    'off centre': ([], np.array([0.6, 0.0, 0.8]), OFFSET),
    'can': ([HALF_TURN_ABOUT_X], np.array([0.0, 0.0, 1.0]), np.zeros(3)),
    'off centre can': ([turned_about(OFFSET, HALF_TURN_ABOUT_X)], np.array([0.0, 0.0, 1.0]), OFFSET),
}


def turn_matrix(axis, angle):
    """(3, 3), Rodrigues' formula."""
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def symmetries_written_out(discrete, axis, offset):
    """All (R, t) as BOP combines them: turns in ceil(pi / 0.01) steps, after each discrete one."""
    listed = [(np.eye(3), np.zeros(3))] + [(each[:3, :3], each[:3, 3]) for each in discrete]
    if axis is None:
        return listed
    steps = math.ceil(math.pi / 0.01)
    turns = [turn_matrix(axis, 2 * math.pi * k / steps) for k in range(steps)]
    return [(turn @ R, turn @ t + offset - turn @ offset) for R, t in listed for turn in turns]


def errors_written_out(estimate, truth, points, symmetries):
    """ADD, ADI, MSSD, MSPD and projection error."""
    (R_e, t_e), (R_t, t_t) = ((pose[:3, :3], pose[:3, 3]) for pose in (estimate, truth))

    def pixels(placed):
        seen = placed @ MATRIX.T
        return seen[..., :2] / seen[..., 2:]

    est, gt = points @ R_e.T + t_e, points @ R_t.T + t_t
    turns, shifts = (np.array(each) for each in zip(*symmetries))
    all_gt = (points @ np.swapaxes(turns, 1, 2) + shifts[:, None]) @ R_t.T + t_t
    return (np.linalg.norm(est - gt, axis=1).mean(),
            np.linalg.norm(est[None] - gt[:, None], axis=2).min(axis=1).mean(),
            np.linalg.norm(est - all_gt, axis=2).max(axis=1).min(),
            np.linalg.norm(pixels(est) - pixels(all_gt), axis=2).max(axis=1).min(),
            np.linalg.norm(pixels(est) - pixels(gt), axis=1).mean())


@pytest.mark.parametrize('name', DECLARED)
def test_all_agree_with_the_formulas_written_out(name):
    """1,050 pairs of poses in all: small errors at any turn about the axis, and any two poses at all."""
    discrete, axis, offset = DECLARED[name]
    symmetry = Symmetry.generated(discrete, axis, offset)
    symmetries = symmetries_written_out(discrete, axis, offset)
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.06, 0.06, (60, 3))
    target = ErrorTarget(points, 0.17, symmetry)
    for pair in range(150):
        truth, estimate = random_pose(rng), random_pose(rng)
        if pair % 3:
            equivalent = truth @ symmetry.discretised[rng.integers(len(symmetry.discretised))]
            estimate = perturb(equivalent, rng.normal(size=6) * 0.01)
        expected = errors_written_out(estimate, truth, points, symmetries)
        found = (add(estimate, truth, points), adi(estimate, truth, points),
                 mssd(estimate, truth, points, symmetry), mspd(estimate, truth, points, MATRIX, symmetry),
                 projection_error(estimate, truth, points, MATRIX))
        assert found == pytest.approx(expected, rel=1e-9)
        errors = target.errors(estimate, truth, MATRIX)
        assert (errors.adi_m, errors.mssd_m, errors.mspd_px) == pytest.approx(expected[1:4], rel=1e-9)
        if not target.is_symmetric:
            assert (errors.add_m, errors.projection_px) == pytest.approx(expected[::4], rel=1e-9)


def test_the_projection_error_of_a_can_does_not_count_its_spin():
    truth = random_pose(np.random.default_rng(21))
    shifted, target = perturb(truth, np.array([0.002, 0, 0, 0, 0, 0])), ErrorTarget(can_points(), 0.125, CAN)
    plain = target.errors(shifted, truth, MATRIX).projection_px
    assert plain == pytest.approx(0.002 * 600 / 0.8, rel=0.1)
    assert target.errors(shifted @ CAN.turn(2.0), truth, MATRIX).projection_px == pytest.approx(plain, rel=0.05)


def test_a_continuous_symmetry_has_315_steps_in_which_no_vertex_moves_more_than_a_hundredth():
    assert len(CAN.discretised) == 315
    points, diameter = can_points(), 2 * np.hypot(0.03, 0.055)
    moved = np.linalg.norm(transform_points(CAN.discretised[1], points) - points, axis=1).max()
    assert moved < 0.01 * diameter


def test_a_perfect_estimate_has_no_error():
    pose = random_pose(np.random.default_rng(2))
    errors = ErrorTarget(POINTS / 1000, 0.17).errors(pose, pose)
    assert (errors.position_m, errors.rotation_rad, errors.add_m) == pytest.approx((0, 0, 0), abs=1e-9)
    assert (errors.adi_m, errors.mssd_m) == pytest.approx((0, 0), abs=1e-9)
    assert np.isnan([errors.mspd_px, errors.projection_px]).all(), 'nothing is known of the camera'
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


@pytest.mark.parametrize('error', [mspd, projection_error])
@pytest.mark.parametrize('depths', [(0.8, -0.8), (-0.8, 0.8), (-0.8, -0.8), (0.02, 0.8)])
def test_projection_of_a_pose_behind_the_camera_is_infinitely_wrong(error, depths):
    estimate, truth = (make_transform(None, (0, 0, depth)) for depth in depths)
    assert error(estimate, truth, POINTS / 1000, MATRIX) == np.inf


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


def test_surface_and_projection_errors_know_the_turns_of_the_benchmark_and_none_between():
    truth, points, step = random_pose(np.random.default_rng(12)), can_points(), 2 * np.pi / 315
    assert mssd(truth @ CAN.turn(7 * step), truth, points, CAN) < 1e-9
    assert mspd(truth @ CAN.turn(7 * step), truth, points, MATRIX, CAN) < 1e-6
    halfway = truth @ CAN.turn(7.5 * step)
    assert mssd(halfway, truth, points, CAN) == pytest.approx(2 * 0.03 * np.sin(step / 4), rel=1e-6)


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


def sphere(count: int) -> np.ndarray:
    """(N, 3) on a ball of 10 cm, each on its convex hull: the slowest there is."""
    directions = np.random.default_rng(14).normal(size=(count, 3))
    return 0.05 * directions / np.linalg.norm(directions, axis=1)[:, None]


@pytest.mark.parametrize('offset', [(1e-3, 2e-3, -2e-3, 0.05, 0.02, -0.04), (0.03, 0.02, -0.1, 0.5, 1.2, -0.4)],
                         ids=['near', 'far'])
def test_adi_and_mssd_of_5000_vertices_and_315_steps_take_at_most_50_ms(offset):
    target = ErrorTarget(sphere(5000), 0.1, CAN)
    target.compile()
    truth = random_pose(np.random.default_rng(15))
    estimate = perturb(truth @ CAN.turn(1.0), np.array(offset))
    assert len(target.outermost) == 5000
    began = time.process_time()
    for _ in range(10):
        adi(estimate, truth, target.points, target.cloud)
        mssd(estimate, truth, target.outermost, CAN)
    assert (time.process_time() - began) / 10 < 0.05


def test_a_mesh_as_fine_as_the_benchmarks_is_judged_at_its_vertices():
    solid = trimesh.creation.icosphere(subdivisions=4, radius=0.05)
    target = ErrorTarget.from_mesh(Mesh(np.array(solid.vertices), np.array(solid.faces), None,
                                        np.zeros((1, 1, 3), np.uint8)))
    assert len(target.points) == len(solid.vertices) == 2562
    estimate, truth = random_pose(np.random.default_rng(16)), random_pose(np.random.default_rng(17))
    assert target.errors(estimate, truth).add_m == pytest.approx(add(estimate, truth, solid.vertices), rel=1e-12)


def test_a_flat_object_has_errors_too():
    flat = np.random.default_rng(18).uniform(-0.05, 0.05, (40, 3)) * (1, 1, 0)
    estimate, truth = random_pose(np.random.default_rng(19)), random_pose(np.random.default_rng(20))
    assert ErrorTarget(flat, 0.14).errors(estimate, truth).mssd_m == pytest.approx(mssd(estimate, truth, flat))


def test_whatever_the_arrays_are_like_nothing_is_compiled_twice():
    """That would take seconds, in front of an image: messages and cameras give arrays that nobody may write to."""
    target = ErrorTarget(POINTS / 1000, 0.17, CAN)
    target.compile()
    estimate = random_pose(np.random.default_rng(22))
    truth = np.asfortranarray(random_pose(np.random.default_rng(23)))
    single, matrix = estimate.astype(np.float32), MATRIX.astype(int)
    for array in (estimate, truth, single, matrix):
        array.setflags(write=False)
    assert target.errors(estimate, truth, matrix).mspd_px == pytest.approx(
        target.errors(single, truth, matrix).mspd_px, rel=1e-4)
    for function in (least_worst_distance, least_worst_pixels, mean_pixels, nearest_points._mean_distance):
        assert len(function.signatures) == 1


def test_a_pose_that_is_not_a_number_has_errors_that_are_none_either():
    nowhere, truth, points = np.full((4, 4), np.nan), random_pose(np.random.default_rng(24)), POINTS / 1000
    for errors in ((nowhere, truth), (truth, nowhere)):
        assert np.isnan([add(*errors, points), adi(*errors, points), mssd(*errors, points),
                         mspd(*errors, points, MATRIX), projection_error(*errors, points, MATRIX)]).all()
