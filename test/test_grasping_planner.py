# SPDX-License-Identifier: Apache-2.0
"""Plans for a box on a table: from above, clear of the table, best first, and the reason when there is none."""

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import (
    Symmetry,
    invert,
    make_transform,
    random_rotation,
    rotate_covariance,
    rotation_from_vector,
)
from posegrasp_ros.grasping.grasp_set import Grasp, GraspSet, load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.joint_path import JointPath
from posegrasp_ros.grasping.planning.plan import PlannerOptions, PlanningError
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene, SphereObstacle
from posegrasp_ros.grasping.planning.reach import Reached, ReachSphere
from posegrasp_ros.runtime.resources import resource_path

GRIPPER = load_gripper()
DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
LYING = make_transform(None, (0.1, -0.2, 0.0225))
ON_ITS_SIDE = make_transform(rotation_from_vector([np.pi / 2, 0, 0.0]), (0, 0, 0.03))
STANDING = make_transform(rotation_from_vector([0, np.pi / 2, 0.0]), (0, 0, 0.06))


@pytest.fixture(scope='module')
def grasp_set(box_grasps):
    return box_grasps


@pytest.fixture(scope='module')
def planner(grasp_set):
    return GraspPlanner(GRIPPER, grasp_set)


def lowest_point_m(base_from_tcp, opening_m):
    boxes = GRIPPER.finger_boxes(opening_m) + GRIPPER.palm_boxes
    corners = np.concatenate([box.corners() for box in boxes])
    return (corners @ base_from_tcp[2, :3] + base_from_tcp[2, 3]).min()


@pytest.mark.parametrize('base_from_object', [LYING, ON_ITS_SIDE, STANDING])
def test_box_on_the_table_is_grasped_from_above(planner, base_from_object):
    plan = planner.plan(base_from_object, None, Scene())
    assert plan.reason == ''
    assert plan.grasps[0].base_from_tcp[2, 2] < -0.99
    scores = [grasp.score for grasp in plan.grasps]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)


@pytest.mark.parametrize('base_from_object', [LYING, ON_ITS_SIDE, STANDING])
def test_gripper_stays_clear_of_the_table_all_the_way(planner, base_from_object):
    for grasp in planner.plan(base_from_object, None, Scene()).grasps:
        for pose in grasp.approach:
            assert lowest_point_m(pose, grasp.opening_m) >= 0.003 - 1e-9


def test_standing_box_is_reached_from_the_side_as_well(planner):
    directions = [grasp.base_from_tcp[2, 2] for grasp in planner.plan(STANDING, None, Scene()).grasps]
    assert min(directions) < -0.99
    assert max(directions) > -0.1


def test_approach_is_back_along_z_then_the_grasp_then_straight_up(planner):
    grasp = planner.plan(STANDING, None, Scene()).grasps[-1]
    before, at_grasp, lifted = grasp.approach
    np.testing.assert_array_equal(at_grasp, grasp.base_from_tcp)
    np.testing.assert_allclose((invert(at_grasp) @ before)[:3, 3], [0, 0, -0.1], atol=1e-12)
    np.testing.assert_allclose(lifted[:3, 3] - at_grasp[:3, 3], [0, 0, 0.1], atol=1e-12)
    np.testing.assert_array_equal(lifted[:3, :3], at_grasp[:3, :3])


def test_every_candidate_counts_once(planner, grasp_set):
    plan = planner.plan(LYING, None, Scene())
    assert len(plan.grasps) + sum(plan.rejected.values()) == len(grasp_set) == plan.numbers['candidates']
    assert plan.rejected['below_support'] > 0
    assert plan.numbers['feasible'] == len(plan.grasps)
    assert plan.numbers['rejected_below_support'] == plan.rejected['below_support']


def test_support_above_the_object_leaves_nothing_and_says_why(planner):
    plan = planner.plan(LYING, None, Scene(support_height_m=0.5))
    assert (plan.grasps, plan.reason) == ([], 'below_support')


def test_without_support_only_the_direction_counts(planner):
    plan = planner.plan(LYING, None, Scene(support_height_m=None))
    assert plan.rejected['below_support'] == plan.rejected['approach_blocked'] == 0
    assert plan.rejected['unreachable'] > 0
    assert all(grasp.base_from_tcp[2, 2] <= 0.18 for grasp in plan.grasps)


@pytest.mark.parametrize('grasp, base_from_object, reason', [
    (Grasp('wide', DOWN, 1.0, 0.10, 0.09), LYING, 'too_wide'),
    (Grasp('deep', DOWN, 1.0, 0.08, 0.06), make_transform(None, (0, 0, 0.012)), 'below_support'),
    (Grasp('up', np.eye(4), 1.0, 0.08, 0.06), make_transform(None, (0, 0, 1.0)), 'unreachable'),
    (Grasp('up', np.eye(4), 1.0, 0.08, 0.06), make_transform(None, (0, 0, 0.2)), 'approach_blocked'),
])
def test_reason_names_the_check_that_failed(grasp, base_from_object, reason):
    planner = GraspPlanner(GRIPPER, GraspSet([grasp], 'object', 'hand'))
    plan = planner.plan(base_from_object, None, Scene())
    assert (plan.reason, plan.rejected[reason]) == (reason, 1)


def test_empty_grasp_set_has_no_feasible_grasp():
    plan = GraspPlanner(GRIPPER, GraspSet([], 'object', 'hand')).plan(LYING, None, Scene())
    assert (plan.grasps, plan.reason) == ([], 'no_feasible_grasp')


def test_ranking_prefers_clearance_over_the_table():
    low, high = (Grasp(name, DOWN @ make_transform(None, (0, 0, -up)), 0.9, 0.08, 0.06)
                 for name, up in (('low', -0.008), ('high', 0.0)))
    planner = GraspPlanner(GRIPPER, GraspSet([low, high], 'object', 'hand'))
    assert [grasp.name for grasp in planner.plan(LYING, None, Scene()).grasps] == ['high', 'low']


def test_uncertain_direction_is_closed_along_only_with_room_to_spare():
    """Two equal grasps of a 60 x 45 mm top: which one wins follows from where the pose is uncertain."""
    turn = make_transform(rotation_from_vector([0, 0, np.pi / 2]))
    grasps = [Grasp('across_60', DOWN, 0.9, 0.08, 0.06), Grasp('across_45', turn @ DOWN, 0.8, 0.08, 0.045)]
    planner = GraspPlanner(GRIPPER, GraspSet(grasps, 'object', 'hand'))
    pose = make_transform(None, (0, 0, 0.06))
    sure, unsure_x = np.eye(6) * 1e-8, np.diag([0.01**2, *[1e-8] * 5])
    assert planner.plan(pose, sure, Scene()).grasps[0].name == 'across_60'
    assert planner.plan(pose, unsure_x, Scene()).grasps[0].name == 'across_45'


@pytest.mark.parametrize('seed', range(3))
def test_planning_commutes_with_any_rigid_motion_of_the_whole_scene(planner, seed):
    """Table, up, obstacles, pose, covariance and arm move together, and so do the grasps, nothing else changes."""
    rng = np.random.default_rng(seed)
    moved = make_transform(random_rotation(rng), rng.normal(size=3))
    scene = Scene(boxes=[BoxObstacle(make_transform(None, (0.12, 0.02, 0.05)), np.array([0.02, 0.1, 0.05]))],
                  spheres=[SphereObstacle(np.array([-0.03, 0.1, 0.12]), 0.02)],
                  points=rng.uniform(-0.2, 0.2, (20, 3)) + (0.0, 0.0, 0.4))
    root = rng.normal(size=(6, 6)) * np.repeat([0.002, 0.03], 3)[:, None]
    covariance = root @ root.T
    here = planner.plan(STANDING, covariance, scene)
    there = planner.plan(moved @ STANDING, rotate_covariance(covariance, moved[:3, :3]), scene.moved(moved))
    assert here.rejected['collides'] and here.rejected['approach_blocked']
    assert (there.rejected, there.reason, there.weakest_direction) == (here.rejected, here.reason,
                                                                       here.weakest_direction)
    by_name = {grasp.name: grasp for grasp in there.grasps}
    assert here.grasps and by_name.keys() == {grasp.name for grasp in here.grasps}
    for grasp in here.grasps:
        np.testing.assert_allclose(moved @ np.array(grasp.approach), by_name[grasp.name].approach, atol=1e-9)
        assert by_name[grasp.name].score == pytest.approx(grasp.score, abs=1e-5)
        assert by_name[grasp.name].success_probability == pytest.approx(grasp.success_probability, abs=1e-5)


@pytest.mark.parametrize('pose', [
    np.full((4, 4), np.nan), np.eye(3), 1000.0 * np.eye(4), np.diag([1.0, 1.0, -1.0, 1.0]),
])
def test_pose_that_is_no_rigid_transform_is_refused(planner, pose):
    with pytest.raises(PlanningError, match='pose of the object: expected a finite rigid 4x4') as caught:
        planner.plan(pose, None, Scene())
    assert '\n' not in str(caught.value)


def test_bad_option_is_refused():
    with pytest.raises(PlanningError, match='lift_m: expected a number of 0 or more, got -1'):
        PlannerOptions(lift_m=-1)


def test_a_covariance_that_was_not_filled_in_is_unknown_not_exact(planner):
    unknown, zero = (planner.plan(LYING, covariance, Scene()) for covariance in (None, np.zeros((6, 6))))
    assert [grasp.name for grasp in unknown.grasps] == [grasp.name for grasp in zero.grasps]


CAN = Symmetry.generated(axis=(0, 0, 1))
CAN_STANDING = make_transform(None, (0.05, 0.1, 0.055))
CAN_LYING = make_transform(rotation_from_vector([np.pi / 2, 0, 0.0]), (0.05, 0.1, 0.03))


@pytest.fixture(scope='module')
def can_grasps():
    return load_grasps(resource_path('models/can/grasps.yaml'), GRIPPER)


@pytest.fixture(scope='module')
def can_planner(can_grasps):
    return GraspPlanner(GRIPPER, can_grasps, symmetry=CAN)


@pytest.mark.parametrize('spin_deg', [0, 3, 7.5, 100, 181])
def test_a_can_is_grasped_as_well_however_it_is_spun(can_planner, can_grasps, spin_deg):
    """What no camera sees, the spin, changes the best score by a hundredth at most; without symmetry by much."""
    reference = can_planner.plan(CAN_LYING, None, Scene())
    spun = can_planner.plan(CAN_LYING @ CAN.turn(np.radians(spin_deg)), None, Scene())
    assert spun.grasps[0].score == pytest.approx(reference.grasps[0].score, abs=0.01)
    assert spun.grasps[0].base_from_tcp[2, 2] < -0.98, 'from above'
    few = GraspSet(can_grasps.grasps[50:54], 'object', 'hand')
    found = [len(GraspPlanner(GRIPPER, few, symmetry=CAN).plan(pose, None, Scene()).grasps)
             for pose in (CAN_LYING, CAN_LYING @ CAN.turn(np.radians(spin_deg)))]
    assert found[0] == found[1] > 0


def test_each_grasp_of_a_can_counts_once_in_its_best_place(can_planner, can_grasps):
    plan = can_planner.plan(CAN_LYING, None, Scene())
    names = [grasp.name for grasp in plan.grasps]
    assert len(set(names)) == len(names)
    assert len(plan.grasps) + sum(plan.rejected.values()) == len(can_grasps) == plan.numbers['candidates']
    assert len(plan.grasps) > 5 * len(GraspPlanner(GRIPPER, can_grasps).plan(CAN_LYING, None, Scene()).grasps)


def test_every_place_of_a_grasp_holds_the_can_the_same_way(can_planner, can_grasps):
    by_name = {grasp.name: grasp for grasp in can_grasps.grasps}
    for planned in can_planner.plan(CAN_STANDING, None, Scene()).grasps[:50]:
        object_from_tcp = invert(CAN_STANDING) @ planned.base_from_tcp
        original = by_name[planned.name].object_from_tcp
        assert object_from_tcp[2] == pytest.approx(original[2], abs=1e-9)
        radii = [np.linalg.norm(pose[:2, 3]) for pose in (object_from_tcp, original)]
        assert radii[0] == pytest.approx(radii[1], abs=1e-9)


@pytest.mark.parametrize('pose', [CAN_STANDING, CAN_LYING])
@pytest.mark.parametrize('offset', [(0, 0, 0), (0.04, 0, 0)])
def test_uncertainty_about_the_symmetry_axis_changes_nothing(can_grasps, pose, offset):
    """Also where the object's origin lies beside the axis and swings about it."""
    symmetry = Symmetry.generated(axis=(0, 0, 1), offset=offset)
    shifted = [Grasp(grasp.name, make_transform(None, offset) @ grasp.object_from_tcp, grasp.confidence,
                     grasp.opening_m, grasp.width_m) for grasp in can_grasps.grasps]
    planner = GraspPlanner(GRIPPER, GraspSet(shifted, 'object', 'hand'), symmetry=symmetry)
    pose = pose @ make_transform(None, -np.array(offset, dtype=float))
    known = np.diag([1e-6] * 3 + [1e-5] * 3)
    spin = symmetry.spin_direction(pose)
    sure, unsure = (planner.plan(pose, known + variance * np.outer(spin, spin), Scene()) for variance in (0, 1e4))
    assert [grasp.name for grasp in sure.grasps] == [grasp.name for grasp in unsure.grasps]
    scores = [[grasp.score for grasp in plan.grasps] for plan in (sure, unsure)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert sure.grasps[0].score > 0.5


def test_a_standing_can_is_reached_from_above_and_from_the_side(can_planner):
    plan = can_planner.plan(CAN_STANDING, None, Scene())
    directions = np.array([grasp.base_from_tcp[2, 2] for grasp in plan.grasps])
    assert (directions < -0.99).any()
    assert (np.abs(directions) < 0.1).any()


def cov(*stds):
    """Covariance of given standard deviations, metres and radians."""
    return np.diag(np.square(stds).astype(float))


def test_a_pose_too_uncertain_for_any_grasp_is_answered_with_none_and_the_direction_that_costs_most(grasp_set):
    planner = GraspPlanner(GRIPPER, grasp_set, PlannerOptions(min_success_probability=0.6))
    plan = planner.plan(LYING, cov(0.03, 0.03, 1e-4, 1e-3, 1e-3, 1e-3), Scene())
    assert (plan.grasps, plan.reason) == ([], 'pose_too_uncertain')
    assert plan.weakest_direction == 'shift along the closing direction'
    sure = planner.plan(LYING, cov(*[1e-3] * 6), Scene())
    assert sure.grasps and sure.grasps[0].success_probability > 0.95
    assert sure.numbers['success_probability'] == sure.grasps[0].success_probability


@pytest.mark.parametrize('covariance, options', [
    (None, PlannerOptions(min_success_probability=1.0)),
    (cov(*[0.05] * 6), PlannerOptions(use_covariance=False, min_success_probability=1.0)),
    (cov(*[0.05] * 6), PlannerOptions(min_success_probability=0.0)),
])
def test_it_does_not_abstain_where_nothing_is_known_or_asked(grasp_set, covariance, options):
    assert GraspPlanner(GRIPPER, grasp_set, options).plan(LYING, covariance, Scene()).grasps


def test_without_the_covariance_the_ranking_does_not_depend_on_it_but_the_probabilities_do(grasp_set):
    planner = GraspPlanner(GRIPPER, grasp_set, PlannerOptions(use_covariance=False))
    sure, unsure = (planner.plan(LYING, cov(*[std] * 6), Scene()).grasps for std in (1e-3, 0.02))
    assert [grasp.name for grasp in sure] == [grasp.name for grasp in unsure]
    assert sure[0].success_probability > unsure[0].success_probability + 0.1


def test_probabilities_fall_as_the_pose_gets_less_certain(planner):
    best = [planner.plan(LYING, cov(*[std] * 3, *[10 * std] * 3), Scene()).grasps for std in (0.001, 0.004, 0.007)]
    likeliest = [max(grasp.success_probability for grasp in grasps) for grasps in best]
    assert likeliest == sorted(likeliest, reverse=True) and likeliest[0] > likeliest[-1]


def test_a_box_beside_the_object_leaves_the_grasps_that_keep_off_it(planner):
    beside = BoxObstacle(make_transform(None, (0.1, -0.2 + 0.1, 0.03)), np.array([0.1, 0.03, 0.03]))
    free, tight = (planner.plan(LYING, None, Scene(boxes=boxes)) for boxes in ((), (beside,)))
    assert 0 < len(tight.grasps) < len(free.grasps)
    assert tight.rejected['collides'] > 0
    for grasp in tight.grasps:
        for pose in grasp.approach:
            for box in GRIPPER.finger_boxes(grasp.opening_m) + GRIPPER.palm_boxes:
                corners = box.corners() @ pose[:3, :3].T + pose[:3, 3]
                inside = np.abs(corners - beside.base_from_box[:3, 3]) < beside.half_extents
                assert not inside.all(axis=1).any()


def test_a_lid_over_the_object_blocks_the_way_from_above(planner):
    lid = BoxObstacle(make_transform(None, (0.1, -0.2, 0.22)), np.array([0.3, 0.3, 0.01]))
    plan = planner.plan(LYING, None, Scene(boxes=[lid]))
    assert plan.rejected['approach_blocked'] > 0
    assert not any(grasp.base_from_tcp[2, 2] < -0.7 for grasp in plan.grasps)


def test_a_can_is_grasped_in_another_place_where_one_is_taken(can_planner):
    """A wall on one side of a standing can: its grasps turn away from it rather than fall."""
    wall = BoxObstacle(make_transform(None, (0.05 + 0.07, 0.1, 0.1)), np.array([0.02, 0.2, 0.1]))
    free, beside = (can_planner.plan(CAN_STANDING, None, Scene(boxes=boxes)) for boxes in ((), (wall,)))
    assert len(beside.grasps) > 0.5 * len(free.grasps)


def test_what_was_rejected_is_there_to_be_drawn(planner, grasp_set):
    plan = planner.plan(LYING, None, Scene())
    assert len(plan.discarded) + len(plan.grasps) == len(grasp_set)
    counts = {reason: sum(grasp.reason == reason for grasp in plan.discarded) for reason in plan.rejected}
    assert counts == plan.rejected


def test_the_arms_reach_counts(grasp_set):
    near, far = (GraspPlanner(GRIPPER, grasp_set, reach=ReachSphere(max_m=max_m)).plan(LYING, None, Scene())
                 for max_m in (0.1, 2.0))
    assert (near.grasps, near.rejected['unreachable'] > 0) == ([], True)
    assert far.grasps


class SlowReach:
    """An arm that reaches what lies at y < -0.2 and stops when it has found enough."""

    def search(self, approaches, enough, scene, present=None):
        reached = approaches[:, 1, 1, 3] < -0.2
        asked = np.cumsum(reached) - reached < enough
        return Reached(reached & asked, ~reached & asked, {'asked': float(asked.sum())})


def test_an_arm_that_takes_time_is_asked_best_first_until_there_are_enough(grasp_set):
    everything = GraspPlanner(GRIPPER, grasp_set).plan(LYING, None, Scene()).grasps
    planner = GraspPlanner(GRIPPER, grasp_set, PlannerOptions(enough_reachable=3), reach=SlowReach())
    plan = planner.plan(LYING, None, Scene())
    reached = [grasp.name for grasp in everything if grasp.base_from_tcp[1, 3] < -0.2]
    assert [grasp.name for grasp in plan.grasps] == reached[:3]
    assert plan.numbers['asked'] < len(everything) and plan.rejected['unreachable'] < len(everything)


class JointsKnown:
    """An arm that reaches everything but the first, whose joints go farther for worse grasps, or less far."""

    def __init__(self, sign):
        self.sign, self.present = sign, 'not asked'

    def search(self, approaches, enough, scene, present=None):
        self.present, count = present, len(approaches)
        reached = np.arange(count) > 0
        paths = {index: JointPath(('a',), np.zeros((3, 1)), (0, 1, 2), None if present is None else
                                  self.sign * index) for index in range(1, count)}
        return Reached(reached, ~reached, {}, '', {0: 'self_collision'}, paths)


def test_among_equals_the_shortest_way_of_the_joints_comes_first(grasp_set):
    options = PlannerOptions(equal_success=0.05)
    by_score = GraspPlanner(GRIPPER, grasp_set, options, reach=JointsKnown(1.0)).plan(LYING, None, Scene()).grasps
    arm = JointsKnown(-1.0)
    planner = GraspPlanner(GRIPPER, grasp_set, options, reach=arm)
    assert [each.name for each in planner.plan(LYING, None, Scene()).grasps] == [each.name for each in by_score]
    plan = planner.plan(LYING, None, Scene(), {'a': 0.1})
    assert arm.present == {'a': 0.1} and plan.rejected['self_collision'] == 1
    best = max(by_score, key=lambda each: each.score)
    assert plan.grasps[0].name != best.name and plan.grasps[0].score >= best.score - 0.05
    assert plan.numbers['joint_travel'] == plan.grasps[0].joints.travel
    assert sorted(each.name for each in plan.grasps) == sorted(each.name for each in by_score)


@pytest.mark.parametrize(('reasons', 'expected'), [
    ((), 'unreachable'), (('path_limits',), 'path_limits'), (('arm_collision', 'path_limits'), 'arm_collision')])
def test_the_reason_of_a_plan_is_the_last_check_of_the_arm(grasp_set, reasons, expected):
    class Refuses:
        def search(self, approaches, enough, scene, present=None):
            nothing = np.zeros(len(approaches), dtype=bool)
            return Reached(nothing, ~nothing, {}, 'why', dict(enumerate(reasons)))

    plan = GraspPlanner(GRIPPER, grasp_set, reach=Refuses()).plan(LYING, None, Scene())
    assert (plan.reason, plan.out_of_reach) == (expected, 'why')
    assert all(plan.rejected[reason] == 1 for reason in reasons)
