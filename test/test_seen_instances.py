# SPDX-License-Identifier: Apache-2.0
"""Instances by name, without vision_msgs: what is seen, whom a request means, and which plan answers it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from geometry_msgs.msg import PoseWithCovariance

from posegrasp_ros.ros.messages import to_header
from posegrasp_ros.ros.plan_requests import NO_SUCH_OBJECT, PlanRequests
from posegrasp_ros.ros.seen_instances import SeenInstances

TWO_CLASSES = {'box': 'box', 'tin can': 'tin_can'}
SEEN = {'box': 'box', 'box_1': 'box', 'tin can': 'tin_can'}


def detections(stamp, *found):
    """A Detection3DArray of (id, class, x)."""
    message = SimpleNamespace(header=to_header(stamp, 'camera'), detections=[])
    for name, class_id, x in found:
        pose = PoseWithCovariance()
        pose.pose.position.x = x
        result = SimpleNamespace(hypothesis=SimpleNamespace(class_id=class_id), pose=pose)
        message.detections.append(SimpleNamespace(id=name, results=[result]))
    return message


def plan(grasps=1):
    return SimpleNamespace(grasps=[None] * grasps, rejected={}, reason='' if grasps else 'collides')


def test_instances_are_known_by_their_ids_and_only_of_the_newest_image():
    seen = SeenInstances(TWO_CLASSES)
    assert not seen.has(0) and seen.objects == {}
    seen.add(detections(5, ('box', 'box', 0.1), ('box_1', 'box', 0.2), ('', 'box', 0.3), ('mug', 'mug', 0.4),
                        ('tin can', 'tin can', 0.5)))
    assert seen.objects == SEEN and seen.has(5) and seen.has(4) and not seen.has(6)
    found = seen.pose_of('box_1', 5)
    assert (found.pose.pose.position.x, found.header.frame_id) == (0.2, 'camera')
    assert seen.pose_of('box_1', 4) is None and seen.pose_of('mug', 5) is None
    seen.add(SimpleNamespace(header=to_header(6, 'camera'), detections=[SimpleNamespace(id='box', results=[])]))
    assert seen.objects == {}


@pytest.mark.parametrize(('wanted', 'name', 'instance'), [
    ('', None, ''), ('box', 'box', ''), ('box_1', 'box', 'box_1'), ('tin can', 'tin_can', '')])
def test_a_name_means_an_object_before_an_instance(wanted, name, instance):
    request = PlanRequests(('box', 'tin_can'), TWO_CLASSES).ask(wanted, 0, 1.0, SEEN)
    assert (request.object_name, request.instance) == (name, instance) and not request.reply.done()


@pytest.mark.parametrize(('instances', 'said'), [
    (SEEN, 'or an instance that is seen (box, box_1, tin can)'),
    ({}, 'or an instance that is seen (the newest detections show none)'),
    (None, 'and no instance, for detections (vision_msgs) are not heard')])
def test_an_unknown_name_is_refused_with_the_names_that_are_known(instances, said):
    reply = PlanRequests(('box', 'tin_can'), TWO_CLASSES).ask('mug', 0, 1.0, instances).reply.result()
    assert reply.reason == NO_SUCH_OBJECT
    assert reply.text == f"expected box, tin can or no name, {said}, got 'mug'"


def test_an_instance_of_an_object_that_is_not_planned_for_is_unknown():
    assert PlanRequests(('box',), TWO_CLASSES).ask('can_1', 0, 1.0, {'can_1': 'tin_can'}).reply.done()


@pytest.mark.parametrize(('objects', 'known_as', 'name'), [
    (('box', 'tin_can'), TWO_CLASSES, 'box'), (('',), {'box': ''}, '')])
def test_a_plan_answers_whom_it_is_for(objects, known_as, name):
    requests = PlanRequests(objects, known_as)
    seen = {'box_1': name, 'box_2': name}
    anyone, best, first, second = (requests.ask(wanted, 10, 1.0, seen) for wanted in ('', 'box', 'box_1', 'box_2'))
    assert requests.instances_for(name, 11) == ['box_1', 'box_2'] and requests.instances_for(name, 10) == []
    requests.answer(name, to_header(11, 'base'), 11, plan(), 'box_1')
    assert [each.reply.done() for each in (anyone, best, first, second)] == [True, False, True, False]
    requests.fail(name, 12, 'bad_pose', 'of the second', 'box_2')
    requests.answer(name, to_header(12, 'base'), 12, plan())
    assert best.reply.done() and not second.reply.done()
    requests.expire(1.0)
    assert second.reply.result().text == 'of the second'
