"""Reach: a sphere, and the inverse kinematics of a small arm whose poses are known by its forward kinematics."""

import importlib.util

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.grasping.planning.arm_urdf import ReachError
from posegrasp_ros.grasping.planning.reach import ReachSphere
from posegrasp_ros.grasping.planning.reach_urdf import UrdfReach

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
