# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from posegrasp_ros.feasibility.required.success_curve import GraspTrial, SuccessCurve, fit_curves, gauge
from posegrasp_ros.feasibility.required.success_model import (
    ON_THE_TABLE,
    SuccessModel,
    bounded,
    error_gauge,
    grasp_number,
    patient,
    tcp_deltas,
)
from posegrasp_ros.feasibility.required.success_model import _factor as factor
from posegrasp_ros.geometry.transforms import invert, perturb, random_rotation
from posegrasp_ros.grasping.gripper import DEFAULT_GRIPPER, load_gripper
from posegrasp_ros.grasping.robustness.pose_check import tcp_delta
from posegrasp_ros.grasping.robustness.tolerance import Tolerance
from posegrasp_ros.simulation.pick_objects import load_pick_object

UNITS = np.array([0.01, 0.01, 0.01, 0.1, 0.1, 0.1])


@pytest.fixture(scope='module')
def box():
    return load_pick_object('box', load_gripper(DEFAULT_GRIPPER))


@pytest.fixture(scope='module')
def standing():
    pose = np.eye(4)
    pose[2, 3] = 0.0225
    return pose


def isotropic(position_m: float, rotation_rad: float) -> np.ndarray:
    return np.diag(np.repeat((position_m, rotation_rad), 3) ** 2)


def cube_tolerance() -> Tolerance:
    """One grasp: every axis on its own may be off by one unit either way."""
    rows = np.concatenate([np.eye(6), -np.eye(6)]) / np.tile(UNITS, 2)[:, None]
    return Tolerance(rows[None], np.ones((1, 12)))


def test_the_gauge_is_one_on_the_border_and_grows_in_proportion():
    deltas = UNITS * np.array([[1, 0, 0, 0, 0, 0], [0, -2, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, -0.5]])
    assert gauge(cube_tolerance(), np.zeros(3, int), deltas) == pytest.approx([1.0, 2.0, 0.5])


def test_a_fit_finds_the_curve_that_the_picks_were_drawn_from():
    truth = SuccessCurve(0.97, 1.2, 12.0, np.array([1.4, 1.0, 1.0, 1.0, 0.8, 1.0]))
    tolerance, trials = cube_tolerance(), drawn_picks(truth, 600, np.random.default_rng(5))
    fitted, *_ = fit_curves(tolerance, trials)
    deltas = np.array([trial.tcp_delta for trial in trials])
    chances, predicted = (curve.success(tolerance, np.zeros(600, int), deltas) for curve in (truth, fitted))
    assert np.abs(predicted - chances).mean() < 0.03
    assert fitted.ceiling == pytest.approx(truth.ceiling, abs=0.02)


def drawn_picks(truth: SuccessCurve, count: int, rng: np.random.Generator) -> list[GraspTrial]:
    """Picks of one grasp with errors of some size in all directions, as a curve lifts them."""
    deltas = rng.normal(size=(count, 6)) * UNITS * rng.uniform(0.3, 1.2, (count, 1))
    chances = truth.success(cube_tolerance(), np.zeros(count, int), deltas)
    return [GraspTrial(0, delta, rng.random() < chance) for delta, chance in zip(deltas, chances)]


def test_the_truth_lies_within_the_draws_as_often_as_they_say():
    rng, tolerance = np.random.default_rng(7), cube_tolerance()
    errors = rng.normal(size=(400, 6)) * 0.35 * UNITS
    ranks = []
    for number in range(30):
        *_, truth = fit_curves(tolerance, [], draws=1, seed=number)  # from what is thought before any pick
        _, *draws = fit_curves(tolerance, drawn_picks(truth, 120, rng), draws=40, seed=number)
        lifted = [curve.success(tolerance, np.zeros(400, int), errors).mean() for curve in (truth, *draws)]
        ranks.append(np.mean(np.array(lifted[1:]) < lifted[0]))
    within = np.mean([0.05 <= rank <= 0.95 for rank in ranks])
    assert within >= 0.78  # 0.9, give or take two standard deviations of 30


@pytest.mark.slow
@pytest.mark.parametrize('ceiling', [0.99, 0.95, 0.9])
def test_a_gripper_that_often_fails_without_an_error_is_not_thought_better(ceiling):
    rng, tolerance, held = np.random.default_rng(4), cube_tolerance(), []
    truth = SuccessCurve(ceiling)
    for number in range(20):
        undisturbed = [GraspTrial(0, np.zeros(6), rng.random() < ceiling) for _ in range(64)]
        fitted, *draws = fit_curves(tolerance, undisturbed + drawn_picks(truth, 192, rng), 40, number)
        low, high = np.percentile([curve.ceiling for curve in draws], (2.5, 97.5))
        held.append((fitted.ceiling, low <= ceiling <= high))
    assert np.mean([found for found, _ in held]) == pytest.approx(ceiling, abs=0.01)
    assert sum(inside for _, inside in held) >= 16


def test_without_picks_the_fit_is_what_was_thought_before():
    curve, *_ = fit_curves(cube_tolerance(), [GraspTrial(None, UNITS, False)])
    assert curve.to_dict() == SuccessCurve().to_dict()


def test_disturbances_seen_from_the_tcp_are_those_that_the_pose_check_sees():
    rng = np.random.default_rng(1)
    told, base_from_tcp = np.eye(4), np.eye(4)
    told[:3, :3], base_from_tcp[:3, :3] = random_rotation(rng), random_rotation(rng)
    told[:3, 3], base_from_tcp[:3, 3] = rng.normal(size=3), rng.normal(size=3)
    deltas = 0.5 * rng.normal(size=(5, 6))
    expected = [tcp_delta(invert(told) @ perturb(told, delta), invert(told) @ base_from_tcp) for delta in deltas]
    assert tcp_deltas(told, base_from_tcp, deltas) == pytest.approx(np.array(expected))


@pytest.mark.parametrize('rank', [6, 3, 1, 0])
def test_the_factor_has_the_covariance_and_lets_three_numbers_decide_on_height_and_tilt(rank):
    half = np.random.default_rng(rank).normal(size=(6, rank))
    found = factor(half @ half.T)
    assert found @ found.T == pytest.approx(half @ half.T, abs=1e-9)
    assert np.abs(found[np.ix_([2, 3, 4], [0, 1, 5])]).max() < 1e-9


def test_success_falls_from_nearly_all_to_nearly_none(box, standing):
    model = SuccessModel(box.planner)
    chances = [model.success(standing, isotropic(scale * 0.005, scale * 0.05)) for scale in (0, 1, 2, 4, 50)]
    assert chances[0] > 0.98
    assert chances[-1] < 0.02
    assert np.diff(chances).max() < 0.0


@pytest.mark.slow
def test_the_model_is_the_mean_over_many_told_poses_of_what_the_curve_says(box, standing):
    """Straight Monte Carlo: disturb, plan, ask the curve; the model needs four plans for what this takes 400."""
    model, covariance, rng = SuccessModel(box.planner), isotropic(0.009, 0.09), np.random.default_rng(2)
    planner, chances = patient(box.planner), []
    for delta in rng.multivariate_normal(np.zeros(6), covariance, 400):
        told = perturb(standing, -delta)
        grasps = planner.plan(told, covariance, ON_THE_TABLE).grasps
        if not grasps:
            chances.append(0.0)
            continue
        seen = tcp_delta(invert(told) @ standing, invert(told) @ grasps[0].base_from_tcp)
        number = np.array([grasp_number(planner, grasps[0].name)])
        chances.append(model.curve.success(planner.tolerance, number, seen[None])[0])
    elsewhere = np.repeat(standing[None], 30, axis=0)
    elsewhere[:, 0, 3] = 0.001 * np.arange(30)  # it lies the same way there; other errors are drawn
    modelled = np.mean([model.success(pose, covariance) for pose in elsewhere])
    assert modelled == pytest.approx(np.mean(chances), abs=0.05)


@pytest.mark.parametrize('covariance', [np.diag([np.inf] * 6), 1e4 * np.eye(6), np.full((6, 6), np.nan)])
def test_no_covariance_is_too_large(box, standing, covariance):
    assert 0.0 <= SuccessModel(box.planner).success(standing, covariance) <= 1.0
    assert np.isfinite(bounded(covariance)).all()


def test_what_rounding_leaves_below_zero_is_no_error(box, standing):
    rounded = isotropic(0.002, 0.02)
    rounded[5, 5] = -3e-27
    assert np.diag(bounded(rounded)).min() == 0.0
    assert SuccessModel(box.planner).success(standing, rounded) > 0.95


def test_half_of_the_picks_fail_where_the_gauge_reaches_the_midpoint(box, standing):
    model, covariance, shift = SuccessModel(box.planner), isotropic(0.005, 0.05), np.array([0, 0, -0.004, 0, 0, 0])
    near = error_gauge(model, standing, covariance, shift)
    assert error_gauge(model, standing, covariance, 2.5 * shift) == pytest.approx(2.5 * near)
    at_midpoint = shift * model.curve.midpoint / near
    best = patient(box.planner).plan(standing, covariance, ON_THE_TABLE).grasps[0]
    seen = tcp_deltas(standing, best.base_from_tcp, at_midpoint[None])
    number = np.array([grasp_number(box.planner, best.name)])
    assert model.curve.success(box.planner.tolerance, number, seen) == pytest.approx(model.curve.ceiling / 2)
