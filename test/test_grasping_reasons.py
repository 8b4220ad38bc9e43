# SPDX-License-Identifier: Apache-2.0
"""Scenes with one known obstacle to success: the plan's reason names it, not what most grasps fail for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import Symmetry, make_transform, rotation_from_vector
from posegrasp_ros.grasping.grasp_set import GraspSet, load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.grasping.planning.reach import ReachSphere
from posegrasp_ros.runtime.resources import resource_path

GRIPPER = load_gripper()
SYMMETRIES = {'box': None, 'can': Symmetry.generated(axis=(0, 0, 1))}
# Rotation vector, and half the object's size along x, y, z of a base turned about the vertical.
LYING = {'box': ((0, 0, 0), (0.06, 0.03, 0.0225)), 'box on its side': ((np.pi / 2, 0, 0), (0.06, 0.0225, 0.03)),
         'box on end': ((0, np.pi / 2, 0), (0.0225, 0.03, 0.06)), 'can': ((0, 0, 0), (0.03, 0.03, 0.055)),
         'can on its side': ((np.pi / 2, 0, 0), (0.03, 0.055, 0.03))}
YAWS = (0.0, 0.7, 2.5)
each_scene = pytest.mark.parametrize('yaw', YAWS)
each_object = pytest.mark.parametrize('lying', LYING)
BLOCKED = ('collides', 'approach_blocked')


@pytest.fixture(scope='module')
def planner_of():
    kept = {}

    def of(lying: str, reach=None) -> GraspPlanner:
        name = lying.split()[0]
        if (name, reach) not in kept:
            grasps = load_grasps(resource_path(f'models/{name}/grasps.yaml'), GRIPPER)
            symmetry = SYMMETRIES[name]
            kept[name, reach] = GraspPlanner(GRIPPER, grasps, reach=reach,
                                             **({'symmetry': symmetry} if symmetry else {}))
        return kept[name, reach]

    return of


def placed(lying, yaw, x=0.4):
    """base_from_object on the table, base_from_turned at its centre, half extents there."""
    vector, half = LYING[lying]
    turned = make_transform(rotation_from_vector([0, 0, yaw]), (x, 0.1, half[2]))
    return turned @ make_transform(rotation_from_vector(vector)), turned, np.array(half)


def walls(turned, half, axes, height_m, gap_m=0.001):
    """Boxes from the table up on both sides along each of the axes."""
    boxes = []
    for axis in axes:
        for side in (-1, 1):
            size = half + 0.1
            size[axis], size[2] = 0.03, height_m / 2
            middle = np.eye(3)[axis] * side * (half[axis] + 0.03 + gap_m)
            middle[2] = height_m / 2 - half[2]
            boxes.append(BoxObstacle(turned @ make_transform(None, middle), size))
    return boxes


def reason(plan):
    assert plan.grasps == [] and plan.rejected[plan.reason] > 0
    return plan.reason


@each_scene
@each_object
def test_walls_on_all_sides_are_what_blocks_an_object_on_a_table(planner_of, lying, yaw):
    pose, turned, half = placed(lying, yaw)
    scene = Scene(boxes=walls(turned, half, (0, 1), 2 * half[2] + 0.1))
    assert reason(planner_of(lying).plan(pose, None, scene)) in BLOCKED


@each_scene
def test_flush_neighbours_on_both_sides_are_what_blocks_a_lying_box(planner_of, yaw):
    pose, turned, half = placed('box', yaw)
    scene = Scene(boxes=walls(turned, half, (1,), 2 * half[2]))
    plan = planner_of('box').plan(pose, None, scene)
    assert reason(plan) in BLOCKED and plan.rejected['below_support'] > plan.rejected[plan.reason]


@each_scene
@each_object
def test_a_low_shelf_is_what_blocks_an_object_below_it(planner_of, lying, yaw):
    pose, turned, half = placed(lying, yaw)
    shelf = BoxObstacle(turned @ make_transform(None, (0, 0, half[2] + 0.03)), np.array([0.4, 0.4, 0.005]))
    assert reason(planner_of(lying).plan(pose, None, Scene(boxes=[shelf]))) in BLOCKED


ARM = ReachSphere(0.85)


@each_scene
@each_object
def test_an_object_far_away_is_out_of_reach(planner_of, lying, yaw):
    assert reason(planner_of(lying, ARM).plan(placed(lying, yaw, x=3.0)[0], None, Scene())) == 'unreachable'


@each_scene
@each_object
def test_an_object_sunk_into_the_support_is_below_it(planner_of, lying, yaw):
    pose, _, half = placed(lying, yaw)
    scene = Scene(support_height_m=2 * half[2] - 0.002)
    assert reason(planner_of(lying).plan(pose, None, scene)) == 'below_support'


@each_object
def test_a_pose_that_says_little_is_too_uncertain(planner_of, lying):
    vague = np.diag(np.repeat([0.05**2, 0.5**2], 3))
    assert reason(planner_of(lying).plan(placed(lying, 0.7)[0], vague, Scene())) == 'pose_too_uncertain'


@each_object
def test_an_object_too_wide_for_the_gripper_is_too_wide(planner_of, lying):
    wide = [replace(grasp, opening_m=0.1, width_m=0.09) for grasp in planner_of(lying).grasps]
    plan = GraspPlanner(GRIPPER, GraspSet(wide, 'object', 'hand')).plan(placed(lying, 0.7)[0], None, Scene())
    assert reason(plan) == 'too_wide'


def test_where_several_checks_reject_the_last_one_counts(planner_of):
    """Far away, between walls: without the walls the arm would still not reach, without the distance it would."""
    pose, turned, half = placed('box', 0.7, x=3.0)
    assert reason(planner_of('box', ARM).plan(pose, None, Scene(boxes=walls(turned, half, (1,), 0.2)))) in BLOCKED


@pytest.mark.parametrize('axis', [(1, 0, 0), (0, 1, 0)])
def test_on_a_tilted_support_the_gripper_keeps_off_it_and_lifts_against_gravity(planner_of, axis):
    turn = rotation_from_vector(np.radians(25.0) * np.array(axis))
    pose = make_transform(turn, (0.4, 0.1, 0.3)) @ make_transform(None, (0, 0, 0.0225))
    normal = turn @ (0.0, 0.0, 1.0)
    height_m = float(normal @ (0.4, 0.1, 0.3) / normal[2])
    plan = planner_of('box').plan(pose, None, Scene(height_m, support_normal=normal))
    assert plan.grasps and plan.rejected['below_support'] > 0
    for grasp in plan.grasps:
        np.testing.assert_allclose(grasp.approach[2][:3, 3] - grasp.approach[1][:3, 3], (0, 0, 0.1), atol=1e-12)
        corners = np.concatenate([box.corners() for box in GRIPPER.boxes(grasp.opening_m)])
        for each in grasp.approach:
            heights = (corners @ each[:3, :3].T + each[:3, 3] - (0.4, 0.1, 0.3)) @ normal
            assert heights.min() >= 0.003 - 1e-9


def test_a_tilted_support_moves_with_its_scene(planner_of):
    tilted = Scene(0.1, support_normal=rotation_from_vector([0.3, 0, 0]) @ (0.0, 0.0, 1.0))
    moved = make_transform(rotation_from_vector([0.5, -1.0, 2.0]), (0.4, 0.5, -0.6))
    on_it = np.array([0.2, 0.5, 0.0])
    on_it[2] = (tilted.support_offset_m - tilted.normal[:2] @ on_it[:2]) / tilted.normal[2]
    there = tilted.moved(moved)
    assert there.normal @ (moved[:3, :3] @ on_it + moved[:3, 3]) == pytest.approx(there.support_offset_m)
