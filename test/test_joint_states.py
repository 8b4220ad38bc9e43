# SPDX-License-Identifier: Apache-2.0
"""The planner node and the arm's joints: which joint_states count, and what follows from them."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped
from ros_harness import running
from sensor_msgs.msg import JointState
from small_arms import NAMES, ur
from std_msgs.msg import Header
from test_nodes_grasp_planner import pose

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.joint_states import JointStates

NOW_NS = 50_000_000_000
HOME = (0.3, -1.4, 1.6, -1.7, -1.57, 0.5)
BEFORE_THE_ARM = make_transform(None, (0.45, 0.1, 0.0225))


def message(names=('a', 'b'), positions=(0.5, -1.0), stamp_ns=NOW_NS):
    return JointState(header=Header(stamp=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)), name=list(names),
                      position=[float(each) for each in positions])


@pytest.mark.parametrize(('given', 'expected'), [
    ([message()], {'a': 0.5, 'b': -1.0}),
    ([message(('b', 'finger', 'a'), (1, 2, 3))], {'a': 3.0, 'b': 1.0}),
    ([message(('a',), (4,)), message(('b',), (5,))], {'a': 4.0, 'b': 5.0}),
    ([message(stamp_ns=0)], {'a': 0.5, 'b': -1.0}),
    ([message(positions=(np.nan, 1)), message()], {'a': 0.5, 'b': -1.0}),
])
def test_the_newest_position_of_each_joint_counts_whoever_tells_it(given, expected):
    states = JointStates(('a', 'b'), 1.0, '/joint_states')
    for each in given:
        states.add(each, NOW_NS)
    assert states.present(NOW_NS) == (expected, '')


@pytest.mark.parametrize(('given', 'what'), [
    ([], '/joint_states: nothing has come'),
    ([message(('a', 'finger'), (1, 2))], 'expected the joints of the arm, got a, finger without b'),
    ([message(positions=(np.nan, 1))], 'expected finite positions, got others for a'),
    ([message(positions=(np.inf, -np.inf))], 'expected finite positions, got others for a, b'),
    ([message(stamp_ns=NOW_NS - 1_100_000_000)], 'expected positions stamped within 1 s of now'),
    ([message(stamp_ns=NOW_NS + 10**12)], 'expected positions stamped within 1 s of now'),
    ([message(('a',), (4,), NOW_NS - 10**10), message(('b',), (5,))], 'expected positions stamped within 1 s'),
    ([message(positions=())], 'expected a position for each name, got 0 for 2'),
    ([message(), message(positions=(1,))], 'expected a position for each name, got 1 for 2'),
])
def test_joints_that_cannot_be_used_say_why(given, what):
    states = JointStates(('a', 'b'), 1.0, '/joint_states')
    for each in given:
        states.add(each, NOW_NS)
    present, problem = states.present(NOW_NS)
    assert present is None and what in problem and problem.endswith('are not ordered by the way of the joints')


def plan(harness, stamp):
    reports = harness.reports()
    harness.publisher(PoseWithCovarianceStamped, '/pose').publish(pose(stamp, 'base_link', BEFORE_THE_ARM))
    harness.spin_until(lambda: [each for each in reports if each.stamp_ns == stamp])
    return reports[-1]


def test_the_node_orders_by_the_joints_and_says_once_when_it_cannot(scripted_model, tmp_path, capfd):
    pytest.importorskip('pinocchio', reason='pinocchio is not installed')
    with running(GraspPlannerNode, model=str(scripted_model), urdf=str(ur(tmp_path / 'ur.urdf')),
                 tip_frame='tool', joint_states_max_age_s=30.0) as harness:
        harness.start()
        without = [plan(harness, stamp) for stamp in (1, 2)]
        publisher = harness.publisher(JointState, '/joint_states')
        harness.spin_until(lambda: harness.node._joint_states._known or publisher.publish(
            JointState(name=list(NAMES), position=list(HOME))))
        known = plan(harness, 3)
        planned = harness.node.stages[''].plan(BEFORE_THE_ARM, np.diag([1e-6] * 3 + [1e-4] * 3),
                                               present=dict(zip(NAMES, HOME)))
        grasps = planned.plan.grasps
    assert all(report.ok and 'joint_travel' not in report.numbers for report in without)
    assert known.ok and known.numbers['joint_travel'] > 0
    assert grasps[0].joints.names == NAMES and grasps[0].joints.waypoints.shape == (3, 6)
    equals = [each.joints.travel for each in grasps
              if abs(each.score - grasps[0].score) <= 0.01 and each.success_probability > 0.99]
    assert equals[0] == min(equals)
    said = capfd.readouterr().err
    assert said.count('/joint_states: nothing has come') == 1
    assert said.count('other joints than those of the arm move them: left') == 1


def test_without_an_arm_nothing_is_subscribed(scripted_model):
    with running(GraspPlannerNode, model=str(scripted_model)) as harness:
        harness.start()
        assert not harness.node.count_subscribers('/joint_states')
    assert messages.JOINT_STATES
