"""Plans for a box on a table: from above, clear of the table, best first, and the reason when there is none."""

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry import Symmetry, invert, make_transform, rotation_from_vector
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.library import Grasp, GraspSet, load_grasps
from posegrasp_ros.grasping.planner import GraspPlanner, PlannerOptions, PlanningError, Scene
from posegrasp_ros.grasping.sampling import sample_grasps
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.resources import resource_path

GRIPPER = load_gripper(resource_path('config/gripper.yaml'))
DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
LYING = make_transform(None, (0.1, -0.2, 0.0225))
ON_ITS_SIDE = make_transform(rotation_from_vector([np.pi / 2, 0, 0.0]), (0, 0, 0.03))
STANDING = make_transform(rotation_from_vector([0, np.pi / 2, 0.0]), (0, 0, 0.06))


@pytest.fixture(scope='module')
def grasp_set():
    solid = trimesh.creation.box((0.12, 0.06, 0.045))
    mesh = Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))
    return sample_grasps(mesh, GRIPPER, np.random.default_rng(0), count=300)


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
    assert len(plan.grasps) + sum(plan.fell.values()) == len(grasp_set) == plan.numbers['candidates']
    assert plan.fell['below_support'] > 0
    assert plan.numbers['feasible'] == len(plan.grasps)
    assert plan.numbers['fell_below_support'] == plan.fell['below_support']


def test_support_above_the_object_leaves_nothing_and_says_why(planner):
    plan = planner.plan(LYING, None, Scene(support_height_m=0.5))
    assert (plan.grasps, plan.reason) == ([], 'below_support')


def test_without_support_only_the_direction_counts(planner):
    plan = planner.plan(LYING, None, Scene(support_height_m=None))
    assert plan.fell['below_support'] == plan.fell['approach_blocked'] == 0
    assert plan.fell['unreachable'] > 0
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
    assert (plan.reason, plan.fell[reason]) == (reason, 1)


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
    sure, unsure_x = np.eye(6) * 1e-8, np.diag([0.01**2, 1e-8, 1e-8, 0, 0, 0])
    assert planner.plan(pose, sure, Scene()).grasps[0].name == 'across_60'
    assert planner.plan(pose, unsure_x, Scene()).grasps[0].name == 'across_45'


def test_plan_moves_with_the_scene(planner):
    """A turn about the vertical, a shift, and a table at another height change nothing but the frame."""
    moved = make_transform(rotation_from_vector([0, 0, 1.1]), (0.3, -0.4, 0.25))
    here = planner.plan(STANDING, None, Scene())
    there = planner.plan(moved @ STANDING, None, Scene(support_height_m=0.25))
    assert [grasp.name for grasp in here.grasps[:20]] == [grasp.name for grasp in there.grasps[:20]]
    np.testing.assert_allclose(moved @ here.grasps[0].base_from_tcp, there.grasps[0].base_from_tcp, atol=1e-9)


@pytest.mark.parametrize('pose', [
    np.full((4, 4), np.nan), np.eye(3), 1000.0 * np.eye(4), np.diag([1.0, 1.0, -1.0, 1.0]),
])
def test_pose_that_is_no_rigid_transform_is_refused(planner, pose):
    with pytest.raises(PlanningError, match='pose of the object: expected a finite rigid 4x4') as caught:
        planner.plan(pose, None, Scene())
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('covariance', [np.eye(3), np.full((6, 6), np.nan), -np.eye(6)])
def test_bad_covariance_is_refused(planner, covariance):
    with pytest.raises(PlanningError, match='covariance of the object: expected 6x6') as caught:
        planner.plan(LYING, covariance, Scene())
    assert '\n' not in str(caught.value)


def test_bad_option_is_refused():
    with pytest.raises(PlanningError, match='lift_m: expected a number of 0 or more, got -1'):
        PlannerOptions(lift_m=-1)


def test_planning_takes_milliseconds(planner):
    times_ms = [planner.plan(STANDING, np.eye(6) * 1e-6, Scene()).numbers['plan_ms'] for _ in range(15)]
    assert np.median(times_ms) < 5.0


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
    assert len(plan.grasps) + sum(plan.fell.values()) == len(can_grasps) == plan.numbers['candidates']
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


def test_planning_for_a_can_takes_milliseconds(can_planner):
    times_ms = [can_planner.plan(CAN_STANDING, np.eye(6) * 1e-6, Scene()).numbers['plan_ms'] for _ in range(15)]
    assert np.median(times_ms) < 20.0
