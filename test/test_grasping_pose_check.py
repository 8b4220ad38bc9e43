# SPDX-License-Identifier: Apache-2.0
"""Whether a pose was good enough for its grasp, told from the plan's own words."""

from __future__ import annotations

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
)
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import Grasp, GraspSet
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.grasping.robustness.pose_check import PoseCheck, tcp_delta
from posegrasp_ros.grasping.robustness.tolerance import tcp_from_base_delta

GRIPPER = load_gripper()
DOWN = np.diag([1.0, -1.0, -1.0, 1.0])


def solid(shape):
    return Mesh(np.array(shape.vertices), np.array(shape.faces), None, np.zeros((1, 1, 3), np.uint8))


@pytest.fixture(scope='module')
def check():
    """A block of 60 x 120 x 40 mm, held across 60 mm by its middle: 10 mm are left to either side."""
    grasps = GraspSet([Grasp('top', DOWN, 0.9, 0.08, 0.06)], 'object', 'hand')
    return PoseCheck.fitted(solid(trimesh.creation.box((0.06, 0.12, 0.04))), GRIPPER, grasps)


@pytest.mark.parametrize(('shift_m', 'turn_deg', 'holds'), [
    ((0, 0, 0), (0, 0, 0), True), ((0.009, 0, 0), (0, 0, 0), True), ((0.011, 0, 0), (0, 0, 0), False),
    ((-0.011, 0, 0), (0, 0, 0), False), ((0, 0.02, 0), (0, 0, 0), True), ((0, 0, 0), (0, 0, 55), False)])
def test_an_error_is_held_against_the_room_that_the_fingers_leave(check, shift_m, turn_deg, holds):
    error = make_transform(rotation_from_vector(np.radians(turn_deg)), shift_m)
    assert check.holds('top', 0, error) is holds


@pytest.mark.parametrize(('grasp', 'symmetry_copy'), [('side', 0), ('top', 1), ('top', -1)])
def test_of_a_grasp_that_is_not_in_the_set_nothing_is_known(check, grasp, symmetry_copy):
    assert check.holds(grasp, symmetry_copy, np.eye(4)) is None


def test_small_errors_are_those_by_which_the_planner_weighs_its_grasps():
    rng = np.random.default_rng(0)
    for _ in range(50):
        base_from_object = make_transform(random_rotation(rng), rng.normal(0, 0.5, 3))
        object_from_tcp = make_transform(random_rotation(rng), rng.normal(0, 0.03, 3))
        delta = rng.normal(0, 1e-5, 6)
        estimate_from_truth = invert(base_from_object) @ perturb(base_from_object, delta)
        matrix = tcp_from_base_delta(base_from_object, (base_from_object @ object_from_tcp)[None])[0]
        np.testing.assert_allclose(tcp_delta(estimate_from_truth, object_from_tcp), matrix @ delta, atol=1e-9)


@pytest.mark.parametrize('symmetry', [
    Symmetry(), Symmetry.generated([make_transform(rotation_from_vector([0, 0, np.pi]))]),
    Symmetry.generated(axis=(0, 0, 1))])
def test_the_plan_says_which_grasp_it_is_and_by_which_symmetry_it_was_turned(symmetry):
    mesh = solid(trimesh.creation.cylinder(radius=0.03, height=0.1))
    grasp_set = sample_grasps(mesh, GRIPPER, np.random.default_rng(0), count=60)
    planner = GraspPlanner(GRIPPER, grasp_set, symmetry=symmetry)
    base_from_object = make_transform(rotation_from_vector([0, 0, 1.0]), (0.3, 0.1, 0.05))
    plan = planner.plan(base_from_object, None, Scene())
    grasp = next(grasp for grasp in grasp_set.grasps if grasp.name == plan.words['grasp'])
    place = symmetry.transforms(24)[int(plan.numbers['symmetry_copy'])]
    np.testing.assert_allclose(plan.grasps[0].base_from_tcp, base_from_object @ place @ grasp.object_from_tcp,
                               atol=1e-9)
    assert planner.pose_check.holds(plan.words['grasp'], int(plan.numbers['symmetry_copy']), np.eye(4))


def test_a_plan_without_a_grasp_names_none():
    grasps = GraspSet([Grasp('top', DOWN, 0.9, 0.08, 0.06)], 'object', 'hand')
    plan = GraspPlanner(GRIPPER, grasps).plan(make_transform(None, (0, 0, -1.0)), None, Scene())
    assert not plan.grasps and 'grasp' not in plan.words and 'symmetry_copy' not in plan.numbers
