# SPDX-License-Identifier: Apache-2.0
"""Reach: a sphere, and the inverse kinematics of a small arm whose poses are known by its forward kinematics."""

import importlib.util

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.grasping.planning.arm_length import ArmLength
from posegrasp_ros.grasping.planning.arm_model import load_arm
from posegrasp_ros.grasping.planning.arm_urdf import ReachError
from posegrasp_ros.grasping.planning.inverse_kinematics import kinematics, logarithm
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.grasping.planning.reach import ReachSphere
from posegrasp_ros.grasping.planning.reach_urdf import LOOKS, UrdfReach

needs_pinocchio = pytest.mark.skipif(importlib.util.find_spec('pinocchio') is None,
                                     reason='pinocchio (pip install pin) is not installed')
# Six turning joints: yaw, two pitches with links of 0.4 m, and a wrist.
AXES = ((0, 0, 1), (0, 1, 0), (0, 1, 0), (0, 0, 1), (0, 1, 0), (0, 0, 1))
OFFSETS = ((0, 0, 0.1), (0, 0, 0.1), (0, 0, 0.4), (0, 0, 0.2), (0, 0, 0.2), (0, 0, 0.05))
LIMIT_RAD = 2.5
TIP_FROM_TCP = make_transform(None, (0, 0, 0.1))


@pytest.fixture(scope='module')
def urdf(tmp_path_factory):
    links = ''.join(f'<link name="link{k}"><inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" '
                    f'iyz="0" izz="1"/></inertial></link>' for k in range(len(AXES) + 1))
    joints = ''.join(
        f'<joint name="joint{k}" type="revolute"><parent link="link{k}"/><child link="link{k + 1}"/>'
        f'<origin xyz="{" ".join(map(str, offset))}"/><axis xyz="{" ".join(map(str, axis))}"/>'
        f'<limit lower="{-LIMIT_RAD}" upper="{LIMIT_RAD}" effort="1" velocity="1"/></joint>'
        for k, (axis, offset) in enumerate(zip(AXES, OFFSETS)))
    path = tmp_path_factory.mktemp('arm') / 'arm.urdf'
    path.write_text(f'<robot name="arm">{links}{joints}</robot>', encoding='utf-8')
    return path


def base_from_tcp(posture):
    """Forward kinematics of the arm."""
    pose = np.eye(4)
    for angle, axis, offset in zip(posture, AXES, OFFSETS):
        pose = pose @ make_transform(rotation_from_vector(np.array(axis, dtype=float) * angle), offset)
    return pose @ TIP_FROM_TCP


def approach(grasp):
    """Before the grasp, at it, and lifted, 50 mm each."""
    before, lifted = grasp.copy(), grasp.copy()
    before[:3, 3] -= 0.05 * grasp[:3, 2]
    lifted[2, 3] += 0.05
    return np.array([before, grasp, lifted])


def test_the_sphere_holds_all_poses_of_an_approach():
    down = np.diag([1.0, -1.0, -1.0])
    poses = np.array([approach(make_transform(down, (x, 0, 0))) for x in (0.2, 0.5, 0.79, 0.9)])
    assert ReachSphere(max_m=0.8, min_m=0.25).reachable(poses).tolist() == [False, True, True, False]
    assert ReachSphere(max_m=0.8, shoulder=np.array([0.5, 0, 0])).reachable(poses).all()


@needs_pinocchio
def test_the_arm_reaches_where_its_joints_take_it(urdf):
    rng = np.random.default_rng(3)
    postures = rng.uniform(-1, 1, (12, 6)) * 0.3 + [0.0, 0.7, 0.9, 0.0, 0.8, 0.0]
    reach = UrdfReach(urdf, 'link6', TIP_FROM_TCP)
    assert reach.reachable(np.array([approach(base_from_tcp(posture)) for posture in postures])).all()


@needs_pinocchio
def test_the_arm_does_not_reach_beyond_its_length_nor_beyond_its_limits(urdf):
    reach = UrdfReach(urdf, 'link6', TIP_FROM_TCP)
    far = make_transform(np.diag([1.0, -1.0, -1.0]), (1.3, 0.0, 0.3))
    behind_the_limit = base_from_tcp([np.pi, 0.9, 0.9, 0.0, 1.0, 0.0])  # yaw ends at 2.5 rad, either way
    assert reach.reachable(np.array([approach(far)])).tolist() == [False]
    assert reach.reachable(np.array([approach(base_from_tcp([0.0, 0.9, 0.9, 0.0, 1.0, 0.0]))])).tolist() == [True]
    posture, _ = reach._solve(behind_the_limit @ np.linalg.inv(TIP_FROM_TCP), np.zeros(6))
    assert posture is None or np.abs(posture).max() <= LIMIT_RAD


@needs_pinocchio
def test_where_the_arm_stands_counts(urdf):
    grasp = base_from_tcp([0.0, 0.9, 0.9, 0.0, 1.0, 0.0])
    moved = make_transform(None, (3.0, 0.0, 0.0))
    there = UrdfReach(urdf, 'link6', TIP_FROM_TCP, base_from_root=moved)
    assert there.reachable(np.array([approach(grasp), approach(moved @ grasp)])).tolist() == [False, True]


@needs_pinocchio
def test_an_arm_that_cannot_be_asked_says_why(urdf, tmp_path):
    (tmp_path / 'bad.urdf').write_text('<robot', encoding='utf-8')
    for path, tip, what in ((urdf, 'hand', "expected one of its frames .*link6.*, got 'hand'"),
                            (tmp_path / 'none.urdf', 'link6', 'no such URDF file'),
                            (tmp_path / 'bad.urdf', 'link6', 'expected a URDF that can be read')):
        with pytest.raises(ReachError, match=what):
            UrdfReach(path, tip, TIP_FROM_TCP)


@needs_pinocchio
def test_compiled_kinematics_and_logarithm_are_those_of_pinocchio(urdf):
    import pinocchio
    arm, model = load_arm(urdf, 'link6'), pinocchio.buildModelFromUrdf(str(urdf))
    data, frame, rng = model.createData(), model.getFrameId('link6'), np.random.default_rng(4)
    for posture in arm.postures(rng, 20):
        pinocchio.framesForwardKinematics(model, data, posture)
        tip, jacobian, error = np.eye(4), np.empty((6, 6)), np.empty(6)
        kinematics(arm.joints, arm.slides, arm.last_from_tip, posture, tip, jacobian)
        np.testing.assert_allclose(tip, data.oMf[frame].homogeneous, atol=1e-12)
        np.testing.assert_allclose(
            jacobian, pinocchio.computeFrameJacobian(model, data, posture, frame, pinocchio.LOCAL), atol=1e-12)
        logarithm(np.ascontiguousarray(tip[:3, :3]), np.ascontiguousarray(tip[:3, 3]), error)
        np.testing.assert_allclose(error, pinocchio.log6(pinocchio.SE3(tip)).vector, atol=1e-9)


def around(middle, count=60):
    """Approaches to an object from all directions above, (N, 3, 4, 4)."""
    rng = np.random.default_rng(5)
    tilts = [rotation_from_vector([*rng.uniform(-1, 1, 2), 0]) @ np.diag([1.0, -1.0, -1.0])
             @ rotation_from_vector([0, 0, rng.uniform(-3, 3)]) for _ in range(count)]
    return np.array([approach(make_transform(tilt, np.array(middle) + rng.uniform(-0.03, 0.03, 3)))
                     for tilt in tilts])


@needs_pinocchio
@pytest.mark.parametrize('metres', [0.95, 1.5, 3.0])
def test_what_lies_beyond_the_arms_length_takes_no_inverse_kinematics(urdf, metres):
    answer = UrdfReach(urdf, 'link6', TIP_FROM_TCP).search(around((metres, 0, 0.1)), 20, Scene(None))
    assert not answer.reached.any() and answer.ruled_out.all()
    assert answer.numbers == {'ik_starts': 0.0, 'within_arm_length': 0.0}
    assert 'the arm is 0.80 m long from shoulder to wrist' in answer.remark


@needs_pinocchio
def test_no_posture_puts_the_tip_beyond_the_arms_length(urdf):
    arm = load_arm(urdf, 'link6')
    length = ArmLength(arm)
    tips = np.array([arm.root_from_tip(posture) for posture in arm.postures(np.random.default_rng(6), 300)])
    assert length.needed_m(tips).max() <= length.most_m < 1.1 * length.needed_m(tips).max()


@needs_pinocchio
def test_a_no_within_the_arms_length_takes_a_bounded_number_of_tries_and_says_so(urdf):
    reach = UrdfReach(urdf, 'link6', TIP_FROM_TCP)
    below_the_shoulder = around((0.02, 0.0, 0.0), count=300)
    answer = reach.search(below_the_shoulder, 20, Scene(None))
    assert not answer.reached.any() and answer.ruled_out.all() and answer.numbers['within_arm_length'] > 100
    assert 0 < answer.numbers['ik_starts'] <= 4 * LOOKS and 'tries of inverse kinematics' in answer.remark
    assert not reach.reachable(below_the_shoulder[:20]).any()


@needs_pinocchio
def test_the_search_finds_what_asking_for_each_approach_finds(urdf):
    reach, asked = UrdfReach(urdf, 'link6', TIP_FROM_TCP), around((0.45, 0.1, 0.1))
    answer = reach.search(asked, len(asked), Scene(None))
    np.testing.assert_array_equal(answer.reached, reach.reachable(asked))
    assert answer.reached.any() and answer.remark == '' and answer.numbers['ik_starts'] > 0
    few = reach.search(asked, 3, Scene(None))
    assert 3 <= few.reached.sum() < answer.reached.sum() and not (few.reached & ~answer.reached).any()
    assert not (few.reached & few.ruled_out).any() and not few.ruled_out.all()


JOINT = ('<joint name="{name}" type="{type}"><parent link="{parent}"/><child link="{child}"/>{axis}'
         '<limit lower="{lower}" upper="{upper}" effort="1" velocity="1"/></joint>')


def written(path, *joints):
    """A URDF of joints in a row, each given by what differs from one that turns about z by up to 1 rad."""
    parts = ['<link name="l0"/>']
    for index, changes in enumerate(joints):
        values = {'name': f'j{index}', 'type': 'revolute', 'axis': '<axis xyz="0 0 1"/>', 'lower': -1, 'upper': 1,
                  'parent': f'l{index}', 'child': f'l{index + 1}', **changes}
        parts.append(f'<link name="l{index + 1}"/>{JOINT.format(**values)}')
    path.write_text(f'<robot name="arm">{"".join(parts)}</robot>', encoding='utf-8')
    return path


@needs_pinocchio
@pytest.mark.parametrize(('changes', 'what'), [
    ({'lower': 1, 'upper': -1}, "joint 'j1': expected a lower limit not above the upper one, got 1 and -1"),
    ({'axis': '<axis xyz="0 0 0"/>'}, "joint 'j1': axis: expected a direction, got 0 0 0"),
    ({'axis': '<axis xyz="0 0 nan"/>'}, "joint 'j1': axis: expected finite numbers, got '0 0 nan'"),
    ({'lower': 'inf'}, "joint 'j1': lower: expected finite numbers, got 'inf'"),
    ({'type': 'floating'}, "joint 'j1': expected joints that turn or slide from the first of the arm on"),
])
def test_a_joint_of_the_arm_that_cannot_be_is_refused_by_its_name(tmp_path, changes, what):
    with pytest.raises(ReachError, match=what):
        load_arm(written(tmp_path / 'arm.urdf', {}, changes, {}), 'l3')


@needs_pinocchio
@pytest.mark.parametrize('kind', ['floating', 'planar'])
def test_a_free_joint_between_root_and_arm_is_locked_with_a_warning(tmp_path, caplog, kind):
    arm = load_arm(written(tmp_path / 'arm.urdf', {'type': kind}, {}, {'type': 'prismatic'}), 'l3')
    assert arm.slides.tolist() == [False, True] and arm.limits.tolist() == [[-1, -1], [1, 1]]
    assert 'the arm counts as fixed to the root: j0 is locked' in caplog.text


@needs_pinocchio
def test_a_xacro_file_is_named_as_such(tmp_path):
    path = tmp_path / 'arm.urdf.xacro'
    path.write_text('<robot xmlns:xacro="http://www.ros.org/wiki/xacro" name="arm"><xacro:arm/></robot>')
    with pytest.raises(ReachError, match='expected a URDF, got a xacro file: run xacro first'):
        load_arm(path, 'hand')


@needs_pinocchio
def test_a_tip_that_no_joint_moves_is_refused(urdf):
    with pytest.raises(ReachError, match="expected a frame that a joint moves, got 'link0'"):
        load_arm(urdf, 'link0')
