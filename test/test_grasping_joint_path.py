# SPDX-License-Identifier: Apache-2.0
"""Joint paths of approaches: straight lines within limits, no leaps, no collisions of the arm, shortest way."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from small_arms import NAMES, UR_BODIES, ur

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.planning import arm_bodies
from posegrasp_ros.grasping.planning.arm_bodies import load_bodies
from posegrasp_ros.grasping.planning.arm_model import load_arm
from posegrasp_ros.grasping.planning.arm_urdf import ReachError
from posegrasp_ros.grasping.planning.joint_path import LEAP_RAD, STEP_M, follow, travelled
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.grasping.planning.reach_urdf import MOST_REFUSED, UrdfReach
from posegrasp_ros.grasping.planning.short_travel import shortest_first

pytestmark = pytest.mark.skipif(importlib.util.find_spec('pinocchio') is None,
                                reason='pinocchio (pip install pin) is not installed')
TCP = np.eye(4)
@pytest.fixture(scope='module')
def urdf(tmp_path_factory):
    return ur(tmp_path_factory.mktemp('ur') / 'ur.urdf')


@pytest.fixture(scope='module')
def reach(urdf):
    return UrdfReach(urdf, 'tool', TCP)


def approach(x, y, z, turn=0.0, metres=0.1):
    """From above, the pre-grasp and the lift so far away."""
    grasp = make_transform(np.diag([1.0, -1.0, -1.0]) @ rotation_from_vector([0, 0, turn]), (x, y, z))
    before, lifted = grasp.copy(), grasp.copy()
    before[:3, 3] -= metres * grasp[:3, 2]
    lifted[2, 3] += metres
    return np.array([before, grasp, lifted])


ABOVE = np.array([approach(x, y, 0.1, turn) for x in (0.4, 0.5) for y in (-0.2, 0.2) for turn in (0.0, 1.5, 3.0)])
# Between the arm and what it is to grasp.
WALL = BoxObstacle(make_transform(None, (0.22, 0.0, 0.0)), np.array([0.01, 1.5, 1.5]))


def test_a_path_is_a_straight_line_in_small_steps_from_pre_grasp_to_lift(reach, urdf):
    arm = load_arm(urdf, 'tool')
    answer = reach.search(ABOVE, 99, Scene(None))
    assert answer.reached.all() and set(answer.paths) == set(range(len(ABOVE)))
    for index, path in answer.paths.items():
        assert path.names == NAMES and path.travel is None
        tips = np.array([arm.root_from_tip(posture) for posture in path.positions])
        np.testing.assert_allclose(tips[list(path.at), :3, 3], ABOVE[index][:, :3, 3], atol=1.1e-3)
        np.testing.assert_allclose(tips[:, :2, 3], np.tile(ABOVE[index][1, :2, 3], (len(tips), 1)), atol=1.1e-3)
        assert np.linalg.norm(np.diff(tips[:, :3, 3], axis=0), axis=1).max() < STEP_M + 2.1e-3
        assert np.abs(np.diff(path.positions, axis=0)).max() <= LEAP_RAD
        np.testing.assert_array_equal(path.waypoints, path.positions[list(path.at)])


def test_without_pre_grasp_distance_and_lift_the_path_is_the_grasp(reach):
    answer = reach.search(np.array([approach(0.4, 0.2, 0.1, metres=0.0)]), 1, Scene(None))
    assert answer.paths[0].at == (0, 0, 0) and answer.paths[0].positions.shape == (1, 6)


def test_a_joint_that_would_leave_its_limit_on_the_way_ends_the_path(reach, urdf):
    arm, target = load_arm(urdf, 'tool'), approach(0.4, 0.2, 0.1)
    path = reach.search(target[None], 1, Scene(None)).paths[0]
    grasp = path.waypoints[1]
    beyond = (path.positions - grasp).max(axis=0)
    joint_number = int(np.argmax(beyond))
    limits = arm.limits.copy()
    limits[1, joint_number] = grasp[joint_number] + beyond[joint_number] / 2
    assert follow(arm, target, grasp) is not None and beyond.max() > 0.1
    assert follow(replace(arm, limits=limits), target, grasp) is None


def test_a_leap_of_the_joints_is_refused():
    class Flips:
        names, slides = ('a', 'b'), np.array([False, True])

        def __init__(self, leap):
            self.leap, self.calls = np.array(leap), 0

        def solve(self, _target, start):
            self.calls += 1
            return start + (self.leap if self.calls == 3 else 0.0), 0.0

    for leap, refused in (((0.9 * LEAP_RAD, 0.0), False), ((1.1 * LEAP_RAD, 0.0), True), ((0.0, 0.05), True)):
        assert (follow(Flips(leap), approach(0, 0, 0), np.zeros(2)) is None) == refused


def test_poses_that_are_reached_but_not_the_way_between_count_as_path_limits(urdf, monkeypatch):
    reach = UrdfReach(urdf, 'tool', TCP)
    monkeypatch.setattr('posegrasp_ros.grasping.planning.reach_urdf.follow', lambda *_: None)
    many = np.concatenate([ABOVE] * 5)
    answer = reach.search(many, 3, Scene(None))
    assert not answer.reached.any() and answer.ruled_out.all()
    assert set(answer.reasons.values()) == {'path_limits'} and len(answer.reasons) == len(many)
    asked = MOST_REFUSED  # a multiple of how many are asked at a time
    assert answer.remark == f'none of the best {asked} grasps has a free joint path: path_limits {asked}'


def test_present_joints_choose_the_posture_and_whole_turns(reach, urdf):
    present = {name: value for name, value in zip(NAMES, (0.3, -1.4, 1.6, -1.7, -1.57, 6.0))}
    with_present = reach.search(ABOVE, 99, Scene(None), present)
    without = reach.search(ABOVE, 99, Scene(None))
    arm = load_arm(urdf, 'tool')
    values = np.array(list(present.values()))
    for index, path in with_present.paths.items():
        assert path.travel == pytest.approx(np.linalg.norm(path.positions[0] - values))
        assert (np.abs(path.positions) <= 6.28).all()
        tip = arm.root_from_tip(path.waypoints[1])
        np.testing.assert_allclose(tip[:3, 3], ABOVE[index][1, :3, 3], atol=1.1e-3)
    others = [travelled(path, arm, values).travel for path in without.paths.values()]
    assert np.mean([path.travel for path in with_present.paths.values()]) < np.mean(others)


@pytest.mark.parametrize('present', [{}, dict.fromkeys(NAMES[:5], 0.0), dict.fromkeys(NAMES, np.nan)])
def test_present_joints_that_are_missing_or_not_finite_are_refused(reach, present):
    with pytest.raises(ReachError, match='present joints: expected finite positions of joint0, joint1'):
        reach.search(ABOVE[:1], 1, Scene(None), present)


def test_equals_are_ordered_by_travel_and_differences_do_not_add_up():
    scores = np.array([0.90, 0.89, 0.885, 0.875, 0.87])
    travels = np.array([3.0, 2.0, 1.0, 0.5, 0.1])
    assert shortest_first(scores, scores, travels, 0.02).tolist() == [2, 1, 0, 4, 3]
    assert shortest_first(scores, scores, travels, 0.0).tolist() == [0, 1, 2, 3, 4]
    likelier = np.array([0.9, 0.9, 0.9, 0.5, 0.5])
    assert shortest_first(np.full(5, 0.4), likelier, travels, 0.02).tolist() == [2, 1, 0, 4, 3]
    assert shortest_first(np.zeros(0), np.zeros(0), np.zeros(0), 0.02).tolist() == []


def test_the_arm_keeps_off_boxes_points_and_the_support_near_the_grasp(reach):
    free = reach.search(ABOVE, 99, Scene(None))
    grid = np.arange(-1.5, 1.5, 0.03)
    points = np.array([(0.22, y, z) for y in grid for z in grid])
    for scene, what in ((Scene(None, boxes=[WALL]), 'obstacle box 0'),
                        (Scene(None, points=points), 'sphere or point'),
                        (Scene(0.25), 'the support')):
        answer = reach.search(ABOVE, 99, scene)
        assert free.reached.all() and not answer.reached.any(), what
        assert set(answer.reasons.values()) == {'arm_collision'} and what in answer.remark
    assert reach.search(ABOVE, 99, Scene(-0.2)).reached.all()


def test_where_the_arm_stands_counts_for_obstacles_too(urdf):
    moved = make_transform(rotation_from_vector([0, 0, 1.0]), (3.0, -2.0, 0.7))
    there = UrdfReach(urdf, 'tool', TCP, base_from_root=moved)
    wall_there = BoxObstacle(moved @ WALL.base_from_box, WALL.half_extents)
    assert there.search(moved @ ABOVE, 99, Scene(None, boxes=[WALL])).reached.all()
    assert not there.search(moved @ ABOVE, 99, Scene(None, boxes=[wall_there])).reached.any()


def test_links_that_meet_are_found_and_neighbours_are_not(urdf):
    arm = load_arm(urdf, 'tool')
    bodies, lines = load_bodies(urdf, 'tool', arm)
    nothing = UrdfReach(urdf, 'tool', TCP)._obstacles
    stretched, folded = np.zeros(6), np.array([0.0, -1.57, 3.1, 0.0, 0.0, 0.0])
    assert bodies.contact(stretched[None], nothing, np.zeros(3)) is None
    found = bodies.contact(np.array([stretched, folded]), nothing, np.zeros(3))
    assert found is not None and found.reason == 'self_collision'
    assert any('other joints than those of the arm move them: left' in line for line in lines)


def test_links_that_touch_by_design_and_those_of_an_srdf_are_left_out(tmp_path):
    overlapping = (*UR_BODIES[:5], UR_BODIES[5], '0.3 0.3 0.3|0 0 0')  # the last one reaches to the forearm
    path = ur(tmp_path / 'wide.urdf', overlapping)
    bodies, lines = load_bodies(path, 'tool', load_arm(path, 'tool'))
    assert any('link4 and link6' in line for line in lines) and 'link4 and link6' in bodies.touching
    srdf = tmp_path / 'ur.srdf'
    srdf.write_text('<robot name="ur"><disable_collisions link1="link6" link2="link4" reason="x"/></robot>')
    assert 'link4 and link6' not in load_bodies(path, 'tool', load_arm(path, 'tool'), srdf_path=srdf)[0].touching
    srdf.write_text('<robot')
    with pytest.raises(ReachError, match='expected an SRDF that can be read'):
        load_bodies(path, 'tool', load_arm(path, 'tool'), srdf_path=srdf)


def test_the_gripper_must_not_touch_the_arm(urdf):
    arm = load_arm(urdf, 'tool')
    long = [Box(np.array([0.0, 0.0, 0.25]), np.array([0.02, 0.02, 0.25]))]
    nothing = UrdfReach(urdf, 'tool', TCP)._obstacles
    postures = arm.postures(np.random.default_rng(3), 200)
    without, with_gripper = ([bodies.contact(posture[None], nothing, np.zeros(3)) for posture in postures]
                             for bodies in (load_bodies(urdf, 'tool', arm)[0],
                                            load_bodies(urdf, 'tool', arm, gripper_boxes=long)[0]))
    added = [after.what for before, after in zip(without, with_gripper) if before is None and after is not None]
    assert len(added) > 10 and all('gripper' in what for what in added)


def test_what_cannot_be_checked_is_said(urdf, tmp_path, monkeypatch):
    bare = ur(tmp_path / 'bare.urdf', bodies=())
    reach = UrdfReach(bare, 'tool', TCP)
    assert any('its links have no collision bodies' in line for line in reach.left_out)
    assert reach.search(ABOVE, 99, Scene(0.25)).reached.all()
    meshes = tmp_path / 'meshes.urdf'
    meshes.write_text(urdf.read_text().replace('<box size="0.05 0.05 0.42"/>', '<mesh filename="package://no/a.stl"/>'))
    assert any('package://no/a.stl' in line for line in UrdfReach(meshes, 'tool', TCP).left_out)

    def missing(name):
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    monkeypatch.setattr(arm_bodies, 'import_module', missing)
    assert UrdfReach(urdf, 'tool', TCP).left_out == [
        "collisions of the arm are not checked: this needs coal: pip install '.[reach]' in the checkout; where "
        'ROS is installed, pip install pin']


def test_continuous_joints_take_the_shortest_turn_and_fixed_ones_are_none(tmp_path):
    reach = UrdfReach(ur(tmp_path / 'continuous.urdf', kind='continuous'), 'tool', TCP)
    assert reach.joint_names == NAMES
    far = dict.fromkeys(NAMES, 40.0)
    answer = reach.search(ABOVE, 99, Scene(None), far)
    assert answer.reached.all()
    for path in answer.paths.values():
        assert np.abs(path.positions[0] - 40.0).max() <= np.pi + 1e-9


def test_a_joint_of_the_arm_that_mimics_another_is_refused_by_its_name(tmp_path):
    path = ur(tmp_path / 'mimic.urdf')
    text = path.read_text()
    at = text.index('</joint>', text.index('name="joint3"'))
    path.write_text(text[:at] + '<mimic joint="joint2"/>' + text[at:])
    with pytest.raises(ReachError, match="joint 'joint3': expected joints of the arm that move by themselves, got "
                                         "one that mimics 'joint2'"):
        load_arm(path, 'tool')
