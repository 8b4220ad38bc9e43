# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('tf2_ros', reason='tf2_ros is not installed (PyPI has none)')

import rclpy
from tf2_ros import TransformBroadcaster

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.ros import messages, optional
from posegrasp_ros.ros.node_processes import free_domain
from posegrasp_ros.ros.optional import TransformListenerIfInstalled

SECOND = 1_000_000_000


@pytest.fixture
def owner():
    """A node that nobody spins, as while it is at work."""
    with free_domain() as domain:
        rclpy.init(domain_id=domain, args=['--ros-args', '-r', '__node:=planner'])
        node = rclpy.create_node('planner')
        yield node
        node.destroy_node()
        rclpy.try_shutdown()


@pytest.fixture
def transforms(owner):
    listener = TransformListenerIfInstalled(owner)
    yield listener
    listener.close()


def send(broadcaster: TransformBroadcaster, stamp_ns: int, x: float) -> None:
    header = messages.to_header(stamp_ns, 'base_link')
    broadcaster.sendTransform(messages.to_transform(header, 'camera', make_transform(None, (x, 0, 0))))


def stated(owner) -> TransformBroadcaster:
    """Transforms at 1 s and 2 s, the camera having moved by 1 m."""
    broadcaster = TransformBroadcaster(owner)
    while not owner.count_subscribers('/tf'):
        time.sleep(0.01)
    for seconds in (1, 2):
        send(broadcaster, seconds * SECOND, float(seconds))
    return broadcaster


def wait_for(transforms: TransformListenerIfInstalled, stamp_ns: int):
    until_s = time.monotonic() + 10.0
    while (found := transforms.lookup('base_link', 'camera', messages.to_stamp(stamp_ns)))[0] is None:
        assert time.monotonic() < until_s, found[1]
        time.sleep(0.01)
    return messages.matrix_from(found[0].transform)


def test_the_pose_of_the_stamp_is_found_while_the_owner_is_at_work(owner, transforms):
    stated(owner)
    np.testing.assert_allclose(wait_for(transforms, 2 * SECOND)[:3, 3], (2.0, 0, 0))
    np.testing.assert_allclose(wait_for(transforms, SECOND * 3 // 2)[:3, 3], (1.5, 0, 0))


def test_a_transform_that_is_late_is_waited_for(owner, transforms, monkeypatch):
    monkeypatch.setattr(optional, 'PATIENCE_S', 5.0)
    broadcaster = stated(owner)
    wait_for(transforms, 2 * SECOND)
    late = threading.Timer(0.1, send, (broadcaster, 3 * SECOND, 3.0))
    late.start()
    found, why_not = transforms.lookup('base_link', 'camera', messages.to_stamp(3 * SECOND))
    late.join()
    assert found is not None, why_not
    assert found.transform.translation.x == pytest.approx(3.0)


@pytest.mark.parametrize(('frame', 'stamp_ns', 'why'), [
    ('nowhere', 2 * SECOND, 'nowhere'), ('camera', SECOND // 2, 'past')])
def test_what_cannot_come_is_not_waited_for(owner, transforms, monkeypatch, frame, stamp_ns, why):
    stated(owner)
    wait_for(transforms, 2 * SECOND)
    monkeypatch.setattr(optional, 'PATIENCE_S', 60.0)
    found, why_not = transforms.lookup('base_link', frame, messages.to_stamp(stamp_ns))
    assert found is None and why in why_not


def test_the_hidden_node_keeps_a_name_of_its_own_and_goes_with_the_listener(owner):
    threads = threading.active_count()
    listener = TransformListenerIfInstalled(owner)
    assert listener._node.get_name() == '_planner_tf'
    listener.close()
    assert threading.active_count() == threads
    assert '_planner_tf' not in owner.get_node_names()
