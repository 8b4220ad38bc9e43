# SPDX-License-Identifier: Apache-2.0
"""The action ~/plan_grasps with its own message types: each goal ends in one result, none older than the goal."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
grasping = pytest.importorskip('grasping_msgs.action', reason='grasping_msgs is not installed (PyPI has none)')

from action_msgs.msg import GoalStatus  # noqa: E402
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from ros_harness import running  # noqa: E402
from test_nodes_grasp_planner import (  # noqa: E402
    BASE_FROM_CAMERA,
    BASE_FROM_OBJECT,
    COVARIANCE,
    MESH,
    pose,
)
from test_plan_requests import BELOW, IN_CAMERA  # noqa: E402

from posegrasp_ros.estimation.pose_estimate import PoseEstimate  # noqa: E402
from posegrasp_ros.geometry.transforms import invert, make_transform  # noqa: E402
from posegrasp_ros.grasping.gripper import load_gripper  # noqa: E402
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode  # noqa: E402
from posegrasp_ros.ros import messages, qos  # noqa: E402
from posegrasp_ros.ros.detections import Detected, to_detections  # noqa: E402
from posegrasp_ros.ros.parameters import pose_values  # noqa: E402

SECOND = invert(BASE_FROM_CAMERA) @ make_transform(None, (0.05, 0.32, 0.0225))
GOALS = int(os.environ.get('POSEGRASP_TEST_GOALS', '60'))
"""Of the test with everything at once."""
SERVICES = {f'{name}_service_qos_profile': qos.REQUESTS for name in ('goal', 'result', 'cancel')}


class Client:
    """An action client, and poses and detections of images taken now."""

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

    def detect(self, stamp, **instances):
        """All instances of an image, as perception publishes them."""
        vision = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed (PyPI has none)')
        header = messages.to_header(stamp, 'camera')
        estimates = [PoseEstimate(transform, 0.9, COVARIANCE) for transform in instances.values()]
        detected = Detected('box', MESH, estimates, list(instances))
        self.harness.publisher(PoseArray, '/poses').publish(
            messages.to_pose_array(header, list(instances.values())))
        self.harness.publisher(vision.Detection3DArray, '/detections').publish(
            to_detections(vision, header, [detected]))
        self.harness.spin_until(lambda: set(instances) == set(self.harness.node._seen.objects))

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


def test_a_goal_that_names_an_instance_gets_the_grasps_of_this_one(client):
    client.detect(client.now(), box=IN_CAMERA, box_1=SECOND)
    handle = client.accepted(client.send('box_1'))
    client.harness.spin_until(lambda: len(client.harness.node._requests))
    reports = client.harness.reports()
    stamp = client.see()
    client.detect(stamp, box=IN_CAMERA, box_1=SECOND)
    answer = client.result(handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    wanted = (BASE_FROM_CAMERA @ SECOND)[:3, 3]
    for grasp in answer.result.grasps:
        tcp = messages.transform_from(grasp.grasp_pose.pose) @ load_gripper().base_from_tcp(0.045)
        assert np.linalg.norm(tcp[:3, 3] - wanted) < 0.1 < np.linalg.norm(tcp[:3, 3] - BASE_FROM_OBJECT[:3, 3])
    client.harness.spin_until(lambda: reports)
    assert [(each.stamp_ns, each.ok, each.numbers['obstacles']) for each in reports] == [(stamp, True, 1.0)]


def test_an_instance_that_is_not_seen_is_refused_and_one_that_vanishes_ends_with_what_is_seen(client, capfd):
    client.detect(client.now(), box=IN_CAMERA, box_1=SECOND)
    refused = client.result(client.accepted(client.send('box_2')))
    assert refused.status == GoalStatus.STATUS_ABORTED and not refused.result.grasps
    said = capfd.readouterr().err
    assert "expected box or no name, or an instance that is seen (box, box_1), got 'box_2'" in said
    handle = client.accepted(client.send('box_1'))
    client.harness.spin_until(lambda: len(client.harness.node._requests))
    client.detect(client.see(), box=IN_CAMERA)
    assert client.result(handle).status == GoalStatus.STATUS_ABORTED
    assert 'box_1 is not among the newest detections: box' in capfd.readouterr().err


@pytest.mark.parametrize(('name', 'seen'), [('mug', IN_CAMERA), ('box', BELOW), ('', None)])
def test_a_goal_without_a_grasp_is_aborted_and_the_log_says_why(client, capfd, name, seen):
    handle = client.accepted(client.send(name))
    if seen is not None:
        client.see(seen)
    answer = client.result(handle)
    assert answer.status == GoalStatus.STATUS_ABORTED and not answer.result.grasps
    said = {'mug': "expected box or no name, ", 'box': 'no grasp: below_support', '': 'no pose of an'}
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
