# SPDX-License-Identifier: Apache-2.0
"""Plans on request: the service answers with a pose newer than itself, in time, once, and says why not."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from ros_harness import running
from std_srvs.srv import Trigger
from test_nodes_grasp_planner import BASE_FROM_CAMERA, BASE_FROM_OBJECT, pose

from posegrasp_ros.geometry.transforms import invert, make_transform
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.parameters import pose_values

IN_CAMERA = invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT
BELOW = invert(BASE_FROM_CAMERA) @ make_transform(None, (0, 0, -1.0))


@pytest.fixture
def asked(scripted_model):
    """A planner that plans on request alone, active."""
    with running(GraspPlannerNode, model=str(scripted_model), continuous=False, request_timeout_s=1.5,
                 base_from_camera=list(pose_values(BASE_FROM_CAMERA))) as harness:
        harness.start()
        yield harness


class Asker:
    """A client of ~/plan, and poses of images taken now."""

    def __init__(self, harness):
        self.harness = harness
        self.client = harness.probe.create_client(Trigger, '/grasp_planner/plan', qos_profile=qos.REQUESTS)
        harness.spin_until(self.client.service_is_ready)
        self.poses = harness.publisher(PoseWithCovarianceStamped, '/pose')

    def ask(self):
        """A request that the planner has taken."""
        before = len(self.harness.node._requests)
        future = self.client.call_async(Trigger.Request())
        self.harness.spin_until(lambda: future.done() or len(self.harness.node._requests) > before)
        return future

    def see(self, transform=IN_CAMERA, later_s=0.0, covariance=None):
        """Publish the pose of an image; its stamp."""
        stamp = self.harness.node.get_clock().now().nanoseconds + int(later_s * 1e9)
        message = pose(stamp, 'camera', transform)
        if covariance is not None:
            message.pose.covariance = covariance.ravel()
        self.poses.publish(message)
        return stamp

    def answer(self, future):
        """The response."""
        self.harness.spin_until(future.done)
        return future.result()


def test_a_request_is_answered_with_the_next_image_after_its_topics_are_out(asked):
    asker, grasps = Asker(asked), asked.collect(PoseArray, '/grasp_planner/grasps')
    future = asker.ask()
    asker.see(later_s=-1.0)
    asked.spin_for(0.3)
    assert not future.done() and not grasps
    stamp = asker.see()
    response = asker.answer(future)
    assert response.success and f'stamp {stamp} ns' in response.message
    asked.spin_until(lambda: grasps)
    assert [messages.stamp_ns(each.header.stamp) for each in grasps] == [stamp]


def test_without_a_request_nothing_is_planned_and_the_report_says_so(asked):
    asker, reports = Asker(asked), asked.reports()
    asker.see()
    asked.spin_until(lambda: reports)
    assert (reports[0].ok, reports[0].reason) == (False, 'not_asked')


def test_two_clients_get_one_answer_each_of_the_same_plan(asked):
    first, second = Asker(asked), Asker(asked)
    futures = first.ask(), second.ask()
    stamp = first.see()
    assert [f'stamp {stamp} ns' in each.answer(future).message
            for each, future in zip((first, second), futures)] == [True, True]


@pytest.mark.parametrize(('seen', 'expected'), [
    (lambda asker: None, 'no pose of an object came'),
    (lambda asker: asker.see(later_s=-5.0), 'newer than the request: the newest image is'),
    (lambda asker: asker.see(BELOW), 'no grasp: below_support (below_support'),
    (lambda asker: asker.see(covariance=-np.eye(6)), 'covariance'),
])
def test_a_request_without_a_grasp_ends_with_the_reason(asked, seen, expected):
    asker = Asker(asked)
    future = asker.ask()
    seen(asker)
    response = asker.answer(future)
    assert not response.success and expected in response.message


def test_a_planner_that_is_deactivated_answers_those_who_wait_and_refuses_others(asked):
    asker = Asker(asked)
    future = asker.ask()
    asked.node.trigger_deactivate()
    assert asker.answer(future).message == 'the planner was deactivated'
    assert 'not_active' in asker.answer(asker.client.call_async(Trigger.Request())).message
    asked.node.trigger_activate()
    future = asker.ask()
    asker.see()
    assert asker.answer(future).success


def test_a_hundred_requests_each_end_once(asked):
    asker, rng = Asker(asked), np.random.default_rng(0)
    futures = []
    for place in range(100):
        futures.append(asker.client.call_async(Trigger.Request()))
        asked.spin_for(0.002)
        if rng.random() < 0.5:
            asker.see(IN_CAMERA if rng.random() < 0.7 else BELOW)
        if place % 40 == 20:
            asked.node.trigger_deactivate()
            asked.spin_for(0.01)
            asked.node.trigger_activate()
    asked.spin_until(lambda: all(future.done() for future in futures))
    assert len(asked.node._requests) == 0
    assert {bool(future.result().success) for future in futures} == {True, False}
