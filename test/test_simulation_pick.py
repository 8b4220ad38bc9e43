# SPDX-License-Identifier: Apache-2.0
"""Picks are decided by contact: a good grasp lifts, a bad one does not, and nothing else holds the object."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import Symmetry, make_transform, transform_points
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.mujoco_model import TIMESTEP_S
from posegrasp_ros.simulation.object_physics import ObjectPhysics
from posegrasp_ros.simulation.pick import _shake
from posegrasp_ros.simulation.placement import Distractor
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.textures import Texture
from posegrasp_ros.simulation.world import World

BOX = load_mesh(resource_path('models/box/mesh.obj'))
CAN = load_mesh(resource_path('models/can/mesh.obj'))
GRIPPER = load_gripper()
FORCE_N = 40.0
BODY = 1  # mjOBJ_BODY


def grasp_from_above(base_from_object, mesh, aside_m=0.0):
    """Approach straight down, closing across the narrower horizontal side, ``aside_m`` off along it."""
    up = np.argmax(np.abs(base_from_object[2, :3]))
    across = min((axis for axis in range(3) if axis != up), key=lambda axis: mesh.extents[axis])
    closing = base_from_object[:3, across] * (1, 1, 0)
    closing /= np.linalg.norm(closing)
    down = np.array([0.0, 0.0, -1.0])
    middle = transform_points(base_from_object, mesh.centre[None])[0]
    middle[2] += max(mesh.extents[up] / 2 - 0.03, 0.0)
    axes = np.column_stack([closing, np.cross(down, closing), down])
    grasp = make_transform(axes, middle + aside_m * closing)
    return [make_transform(grasp[:3, :3], grasp[:3, 3] + (0, 0, rise_m)) for rise_m in (0.08, 0.0, 0.1)]


def pick(scene, mesh=BOX, aside_m=0.0, force_n=FORCE_N):
    world = World(mesh, GRIPPER, scene)
    return world.pick(grasp_from_above(world.object_pose(), mesh, aside_m), GRIPPER.max_opening_m, force_n)


def scene_of(seed, mesh=BOX):
    return sample_scene(np.random.default_rng([11, seed]), mesh)


@pytest.mark.slow
def test_an_ideal_grasp_lifts_and_holds():
    outcomes = [pick(scene_of(seed)) for seed in range(20)]
    assert sum(outcome.ok for outcome in outcomes) >= 19
    for outcome in outcomes:
        if outcome.ok:
            assert outcome.reason == '' and outcome.numbers['lift_m'] > 0.095
            assert outcome.numbers['slip_m'] < 0.001
            assert outcome.numbers['approach_force_n'] == 0.0


@pytest.fixture(scope='module')
def can_planner():
    grasps = load_grasps(resource_path('models/can/grasps.yaml'), GRIPPER)
    return GraspPlanner(GRIPPER, grasps, symmetry=Symmetry.generated(axis=(0, 0, 1)))


@pytest.mark.parametrize('seed', range(6))
def test_a_planned_grasp_lifts_a_can_standing_or_lying(seed, can_planner):
    """It does not roll away from the fingers, nor out of them."""
    world = World(CAN, GRIPPER, scene_of(seed, CAN))
    best = can_planner.plan(world.object_pose(), None, Scene()).grasps[0]
    outcome = world.pick(best.approach, best.opening_m, best.force_n)
    assert outcome.ok and outcome.numbers['slip_m'] < 0.001


@pytest.mark.parametrize('seed', range(4))
def test_a_grasp_40_mm_aside_does_not(seed):
    assert pick(scene_of(seed), aside_m=0.04).result in ('missed', 'collided')


@pytest.mark.parametrize('seed', range(4))
def test_without_friction_nothing_is_lifted(seed):
    smooth = replace(scene_of(seed), physics=ObjectPhysics(friction=0.02))
    assert pick(smooth, force_n=20.0).result in ('slipped', 'missed')


def test_a_weak_grip_loses_the_object():
    outcome = pick(scene_of(0), force_n=0.6)
    assert outcome.result in ('slipped', 'missed') and outcome.reason == outcome.result


def test_closing_beside_the_object_misses():
    assert pick(scene_of(1), aside_m=0.3).numbers['lift_m'] < 0.001


def test_going_through_the_table_collides():
    world = World(BOX, GRIPPER, replace(scene_of(2), distractors=()))
    down = np.diag([1.0, -1.0, -1.0])
    path = [make_transform(down, (0.3, 0.3, height_m)) for height_m in (0.1, -0.02, 0.1)]
    outcome = world.pick(path, GRIPPER.max_opening_m, FORCE_N)
    assert (outcome.result, outcome.touched) == ('collided', 'table')
    assert outcome.numbers['approach_force_n'] > 2.0


def test_a_distractor_in_the_way_collides():
    scene = scene_of(3)
    place = scene.base_from_object[:2, 3] + (0.0, 0.07)
    tower = Distractor('box', np.array([0.03, 0.03, 0.12]), np.array([0.03, 0.03, 0.12]),
                       make_transform(None, (*place, 0.12)), Texture('plain', ((1, 1, 1), (1, 1, 1)), 0))
    lying = make_transform(None, (*scene.base_from_object[:2, 3], 0.0225))
    outcome = pick(replace(scene, base_from_object=lying, distractors=(tower,)))
    assert (outcome.result, outcome.touched) == ('collided', 'distractor')


def test_the_same_seed_gives_the_same_outcome():
    first, second = (pick(scene_of(4)).numbers for _ in range(2))
    first.pop('wall_ms'), second.pop('wall_ms')
    assert first == second


@pytest.mark.parametrize('solid', [
    trimesh.creation.cylinder(0.03, 0.11, sections=32),
    trimesh.creation.icosphere(2, 0.03),
    trimesh.creation.annulus(0.015, 0.03, 0.06),
], ids=['can', 'ball', 'ring'])
def test_other_shapes_are_picked_too(solid):
    mesh = Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.full((1, 1, 3), 128, np.uint8))
    outcomes = [pick(scene_of(seed, mesh), mesh) for seed in range(3)]
    assert [outcome.result for outcome in outcomes] == ['lifted'] * 3


def test_an_open_mesh_has_weight_too():
    solid = trimesh.creation.box((0.05, 0.05, 0.05))
    mesh = Mesh(np.array(solid.vertices), np.array(solid.faces[:-2]), None, np.full((1, 1, 3), 128, np.uint8))
    world = World(mesh, GRIPPER, scene_of(0, mesh))
    assert world._model.body('object').mass[0] == pytest.approx(0.05**3 * 400)


def test_nothing_but_contact_can_hold_the_object():
    model = World(BOX, GRIPPER, scene_of(0))._model
    tied_bodies = {int(body) for kind, *pair in zip(model.eq_objtype, model.eq_obj1id, model.eq_obj2id)
                   if kind == BODY for body in pair}
    assert tied_bodies == {model.body('hand_target').id, model.body('hand').id}
    assert model.body('object').mass[0] == pytest.approx(0.12 * 0.06 * 0.045 * 400)


def test_the_shake_exceeds_half_g_along_each_axis():
    positions = np.array([pose[:3, 3] for pose in _shake(np.eye(4), TIMESTEP_S)])
    acceleration = np.abs(np.diff(positions, 2, axis=0)).max(axis=0) / TIMESTEP_S**2
    assert (acceleration > 0.5 * 9.81).all()


def test_a_world_without_gripper_says_so():
    with pytest.raises(ValueError, match='no gripper'):
        World(BOX, None, scene_of(0)).pick([np.eye(4)] * 3, 0.08, FORCE_N)
