# SPDX-License-Identifier: Apache-2.0
"""The action ~/plan_grasps with its own message types: each goal ends in one result, none older than the goal."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
grasping = pytest.importorskip('grasping_msgs.action', reason='grasping_msgs is not installed (PyPI has none)')

from action_msgs.msg import GoalStatus  # noqa: E402
from geometry_msgs.msg import PoseWithCovarianceStamped  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from ros_harness import running  # noqa: E402
from test_nodes_grasp_planner import BASE_FROM_CAMERA, BASE_FROM_OBJECT, pose  # noqa: E402
from test_plan_requests import BELOW, IN_CAMERA  # noqa: E402

from posegrasp_ros.grasping.gripper import load_gripper  # noqa: E402
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode  # noqa: E402
from posegrasp_ros.ros import messages, qos  # noqa: E402
from posegrasp_ros.ros.parameters import pose_values  # noqa: E402

GOALS = int(os.environ.get('POSEGRASP_TEST_GOALS', '60'))
"""Of the test with everything at once."""
SERVICES = {f'{name}_service_qos_profile': qos.REQUESTS for name in ('goal', 'result', 'cancel')}


class Client:
    """An action client, and poses of images taken now."""

    def __init__(self, harness):
        self.harness = harness
        self.actions = ActionClient(harness.probe, grasping.GraspPlanning, '/grasp_planner/plan_grasps',
                                    **SERVICES)
        harness.spin_until(self.actions.server_is_ready)
        self.poses = harness.publisher(PoseWithCovarianceStamped, '/pose')

    def now(self):
        return self.harness.node.get_clock().now().nanoseconds

    def send(self, name=''):
        goal = grasping.GraspPlanning.Goal()
        goal.object.name = name
        return self.actions.send_goal_async(goal)

    def see(self, transform=IN_CAMERA):
        stamp = self.now()
        self.poses.publish(pose(stamp, 'camera', transform))
        return stamp

    def accepted(self, future):
        self.harness.spin_until(future.done)
        assert future.result().accepted
        return future.result()

    def result(self, handle):
        future = handle.get_result_async()
        self.harness.spin_until(future.done)
        return future.result()


@pytest.fixture
def client(scripted_model):
    with running(GraspPlannerNode, model=str(scripted_model), continuous=False, request_timeout_s=1.0,
                 base_from_camera=list(pose_values(BASE_FROM_CAMERA))) as harness:
        harness.start()
        yield Client(harness)


def test_a_goal_gets_all_grasps_of_the_next_image(client):
    handle = client.accepted(client.send('box'))
    client.harness.spin_until(lambda: len(client.harness.node._requests))
    stamp = client.see()
    answer = client.result(handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    grasps = answer.result.grasps
    assert [grasp.id for grasp in grasps] == [f'{stamp}_{rank}' for rank in range(len(grasps))] and grasps
    qualities = [grasp.grasp_quality for grasp in grasps]
    assert all(0 <= quality <= 1 for quality in qualities)
    best, gripper = grasps[0], load_gripper()
    width = 0.045
    tcp = messages.transform_from(best.grasp_pose.pose) @ gripper.base_from_tcp(width)
    assert np.linalg.norm(tcp[:3, 3] - BASE_FROM_OBJECT[:3, 3]) < 0.1
    assert best.grasp_pose.header.frame_id == 'base_link'
    assert best.pre_grasp_posture.joint_names and best.post_grasp_retreat.desired_distance > 0


@pytest.mark.parametrize(('name', 'seen'), [('mug', IN_CAMERA), ('box', BELOW), ('', None)])
def test_a_goal_without_a_grasp_is_aborted_and_the_log_says_why(client, capfd, name, seen):
    handle = client.accepted(client.send(name))
    if seen is not None:
        client.see(seen)
    answer = client.result(handle)
    assert answer.status == GoalStatus.STATUS_ABORTED and not answer.result.grasps
    said = {'mug': "expected box or no name, got 'mug'", 'box': 'no grasp: below_support', '': 'no pose of an'}
    assert said[name] in capfd.readouterr().err


def test_goals_of_an_inactive_planner_are_rejected_and_those_that_wait_are_aborted(client):
    handle = client.accepted(client.send())
    client.harness.spin_until(lambda: len(client.harness.node._requests))
    client.harness.node.trigger_deactivate()
    assert client.result(handle).status == GoalStatus.STATUS_ABORTED
    future = client.send()
    client.harness.spin_until(future.done)
    assert not future.result().accepted


def test_goals_of_two_clients_with_cancels_lost_poses_and_restarts_each_end_once(client):
    """POSEGRASP_TEST_GOALS sets how many."""
    rng, clients = np.random.default_rng(0), (client, Client(client.harness))
    ends: dict[int, list] = {}
    asked_ns: dict[int, int] = {}
    rejected = 0
    for number in range(GOALS):
        asked = clients[number % 2]
        asked_ns[number] = asked.now()
        sent = asked.send('box' if rng.random() < 0.5 else '')
        client.harness.spin_until(sent.done)
        handle = sent.result()
        if not handle.accepted:
            rejected += 1
            continue
        ends[number] = []
        handle.get_result_async().add_done_callback(
            lambda future, number=number: ends[number].append(future.result()))
        if rng.random() < 0.3:
            handle.cancel_goal_async()
        if rng.random() < 0.7:
            asked.see(IN_CAMERA if rng.random() < 0.8 else BELOW)
        client.harness.spin_for(float(rng.uniform(0, 0.02)))
        if number % 50 == 25:
            client.harness.node.trigger_deactivate()
            client.harness.spin_for(0.02)
            client.harness.node.trigger_activate()
    client.harness.spin_until(lambda: all(ends.values()), 30.0)
    assert len(ends) + rejected == GOALS and all(len(each) == 1 for each in ends.values())
    statuses = [each[0].status for each in ends.values()]
    assert set(statuses) <= {GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED}
    for number, (answer,) in ends.items():
        assert bool(answer.result.grasps) == (answer.status == GoalStatus.STATUS_SUCCEEDED)
        for grasp in answer.result.grasps:
            assert int(grasp.id.split('_')[0]) > asked_ns[number]
    print({name: statuses.count(value) for name, value in (('succeeded', 4), ('canceled', 5), ('aborted', 6))})
