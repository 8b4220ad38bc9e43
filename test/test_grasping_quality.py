# SPDX-License-Identifier: Apache-2.0
"""Force closure and epsilon against what textbooks state."""

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import random_rotation, rotation_from_vector
from posegrasp_ros.grasping.generation.closing import Grip
from posegrasp_ros.grasping.generation.quality import (
    LENGTH_SCALE_M,
    best_epsilon,
    confidences,
    contact_wrenches,
    distance_from_line,
    epsilon,
    force_closure,
)
from posegrasp_ros.grasping.gripper import load_gripper

RADIUS_M = 0.009
ORIGIN = np.zeros(3)


def opposed(width_m=0.06, tilt_rad=0.0):
    """Two contacts along x; the second's normal is tilted about z."""
    points = np.array([[-width_m / 2, 0, 0], [width_m / 2, 0, 0]])
    normals = np.array([[1.0, 0, 0], rotation_from_vector([0, 0, tilt_rad]) @ [-1.0, 0, 0]])
    return points, normals


@pytest.mark.parametrize('friction', [0.2, 0.5, 0.9])
@pytest.mark.parametrize('share, closes', [(0.0, True), (0.98, True), (1.02, False), (3.0, False)])
def test_closure_needs_the_line_in_both_cones(friction, share, closes):
    points, normals = opposed(tilt_rad=share * np.arctan(friction))
    assert force_closure(points, normals, friction) == closes
    assert (epsilon(points, normals, friction, RADIUS_M, ORIGIN) > 1e-6) == closes


def test_normals_that_face_away_never_close():
    points, normals = opposed()
    assert not force_closure(points, -normals, 0.5)


def test_contacts_at_one_point_do_not_close():
    points, normals = opposed(width_m=0.0)
    assert not force_closure(points, normals, 0.5)


def test_closure_answers_for_many_pairs_at_once():
    pairs = [opposed(tilt_rad=angle) for angle in (0.0, 0.3, 1.0)]
    points, normals = (np.array(arrays) for arrays in zip(*pairs))
    np.testing.assert_array_equal(force_closure(points, normals, 0.5), [True, True, False])


@pytest.mark.parametrize('half_angle_deg, closes', [(10, True), (26, True), (27, False), (45, False)])
def test_wedge_is_held_up_to_the_friction_angle(half_angle_deg, closes):
    """Nguyen: two fingers on the sides of a wedge close when its half angle is below arctan(0.5) = 26.6°."""
    points, _ = opposed()
    angle = np.radians(half_angle_deg)
    normals = np.array([[np.cos(angle), np.sin(angle), 0], [-np.cos(angle), np.sin(angle), 0]])
    assert force_closure(points, normals, 0.5) == closes


@pytest.mark.parametrize('width_m', [0.02, 0.06, 0.15])
@pytest.mark.parametrize('friction', [0.3, 0.8])
def test_epsilon_of_opposed_contacts_in_closed_form(width_m, friction):
    """Torsion of both pads and tangential forces at their distance are the weakest, and resist together.

    With t = 2/3 friction radius / L and s = friction width/2 cos(pi/8) / L for an eight-sided pyramid, the hull's
    support along cos(a) about x and sin(a) about y or z is max(t cos(a), s sin(a)), the least of which is this.
    """
    torsion = 2 / 3 * friction * RADIUS_M / LENGTH_SCALE_M
    swing = friction * width_m / 2 * np.cos(np.pi / 8) / LENGTH_SCALE_M
    expected = 1 / np.hypot(1 / torsion, 1 / swing)
    assert epsilon(*opposed(width_m), friction, RADIUS_M, ORIGIN) == pytest.approx(expected, rel=1e-3)


def test_confidence_is_full_for_the_best_grip_and_none_without_two_contacts():
    gripper = load_gripper()
    points, normals = opposed(0.04)
    grip = Grip(np.stack([points, points, points]), np.stack([normals, normals, -normals]),
                np.array([[0.02, 0.02], [0.02, np.inf], [0.02, 0.02]]), np.ones((3, 2)))
    np.testing.assert_allclose(confidences(grip, gripper, ORIGIN), [1, 0, 0], atol=1e-3)


def test_confidence_falls_with_what_the_pads_touch():
    gripper = load_gripper()
    points, normals = (np.tile(array, (3, 1, 1)) for array in opposed(0.04))
    coverage = np.array([[1.0, 1.0], [0.3, 0.3], [0.1, 0.1]])
    values = confidences(Grip(points, normals, np.full((3, 2), 0.02), coverage), gripper, ORIGIN)
    assert (np.diff(values) < -0.1).all()


def test_epsilon_grows_with_friction_and_with_the_pad():
    by_friction = [epsilon(*opposed(), friction, RADIUS_M, ORIGIN) for friction in (0.1, 0.3, 0.5, 0.9)]
    by_radius = [epsilon(*opposed(), 0.5, radius, ORIGIN) for radius in (0.002, 0.005, 0.01)]
    assert (np.diff(by_friction) > 1e-3).all()
    assert (np.diff(by_radius) > 1e-3).all()


def test_epsilon_without_a_patch_vanishes():
    """Two point contacts cannot resist a torque about the line between them."""
    assert epsilon(*opposed(), 0.5, 0.0, ORIGIN) == pytest.approx(0.0, abs=1e-6)


def test_epsilon_falls_with_the_distance_from_the_centre_of_mass():
    values = [epsilon(*opposed(), 0.5, RADIUS_M, np.array([0, offset, 0])) for offset in (0.0, 0.02, 0.05)]
    assert (np.diff(values) < -1e-4).all()
    assert values[0] == pytest.approx(best_epsilon(0.06, 0.5, RADIUS_M), rel=1e-4)


@pytest.mark.parametrize('seed', range(5))
def test_epsilon_is_invariant_to_rigid_motion(seed):
    rng = np.random.default_rng(seed)
    rotation, shift = random_rotation(rng), rng.normal(size=3)
    points, normals = opposed(tilt_rad=0.2)
    center = np.array([0.005, 0.02, 0.01])
    moved = epsilon(points @ rotation.T + shift, normals @ rotation.T, 0.5, RADIUS_M, rotation @ center + shift)
    assert moved == pytest.approx(epsilon(points, normals, 0.5, RADIUS_M, center), rel=1e-4)


def test_wrenches_stay_on_the_friction_cone_and_torsion_on_its_bound():
    wrenches = contact_wrenches(np.array([0.01, 0.02, 0.03]), np.array([0, 0, 1.0]), 0.5, 0.009)
    np.testing.assert_allclose(np.linalg.norm(wrenches[:8, :2], axis=1), 0.5)
    np.testing.assert_allclose(wrenches[:, 2], 1.0)
    # 2/3 * 0.5 * 0.009 m each way, over the length scale of 0.1 m
    assert wrenches[-2, 5] - wrenches[-1, 5] == pytest.approx(2 * 0.03)


def test_distance_from_line():
    points, _ = opposed()
    assert distance_from_line(np.array([0.4, 0.03, 0.04]), points) == pytest.approx(0.05)


@pytest.mark.parametrize('coverage', [0.05, 0.3])
def test_the_same_poor_grip_is_worth_about_the_same_on_a_sheet_and_on_a_block(coverage):
    gripper, widths = load_gripper(), np.array([0.0001, 0.0004, 0.0006, 0.001, 0.002, 0.005, 0.01, 0.02, 0.06])
    points, normals = (np.stack(arrays) for arrays in zip(*(opposed(width) for width in widths)))
    grip = Grip(points, normals, np.full((len(widths), 2), 0.02), np.full((len(widths), 2), coverage))
    values = confidences(grip, gripper, ORIGIN)
    assert np.ptp(values) < 0.15 * values.max() and values.max() < 0.75


def test_quality_does_not_jump_with_the_width():
    gripper, widths = load_gripper(), np.linspace(0.0002, 0.04, 200)
    points, normals = (np.stack(arrays) for arrays in zip(*(opposed(width) for width in widths)))
    grip = Grip(points, normals, np.full((200, 2), 0.02), np.full((200, 2), 0.2))
    assert np.abs(np.diff(confidences(grip, gripper, ORIGIN))).max() < 0.01
