# SPDX-License-Identifier: Apache-2.0
"""The monitor with several models: each object is measured, watched and picked by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from std_srvs.srv import SetBool, Trigger
from test_nodes_monitor import POSE, report, take_images

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.nodes.monitor_node import MonitorNode
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.qos import LATCHED
from posegrasp_ros.runs.rebuild import rebuild

SECOND = 1_000_000_000
PLACES = {'box': POSE, 'can': make_transform(None, (0.3, 0.0, 0.6))}


@pytest.fixture
def monitor(tmp_path):
    with running(MonitorNode, models=['box', 'can'], out=str(tmp_path / 'run'), silence_s=0.3) as harness:
        harness.start()
        yield harness


def send(harness, stamp: int, found: dict[str, np.ndarray]) -> None:
    """What a camera, a reference system and perception say of an image with both objects."""
    take_images(harness, [stamp])
    header = messages.to_header(stamp)
    for name, truth in PLACES.items():
        harness.publisher(PoseStamped, f'/{name}/ground_truth').publish(messages.to_pose_stamped(header, truth))
        if name in found:
            harness.publisher(PoseWithCovarianceStamped, f'/{name}/pose').publish(
                messages.to_pose_with_covariance(header, PoseEstimate(found[name], 1.0, 1e-5 * np.eye(6))))
    report(harness, [StageReport(stamp, 'perception', name in found, '' if name in found else 'no_detection',
                                 {'latency_ms': 20.0}, object=name) for name in PLACES])


def call(harness, kind, name, request):
    client = harness.probe.create_client(kind, name)
    harness.spin_until(client.service_is_ready)
    answer = client.call_async(request)
    harness.spin_until(answer.done)
    return answer.result()


def test_each_object_is_measured_and_what_it_was_taken_for(monitor, tmp_path):
    verdicts = monitor.collect(DiagnosticArray, '/monitor/verdict', LATCHED)
    send(monitor, SECOND, PLACES)
    send(monitor, 3 * SECOND, {'box': PLACES['can']})
    report(monitor, [StageReport(3 * SECOND, 'planning', True, '', {}, object='box'),
                     StageReport(3 * SECOND, 'perception', True, object='mug')])
    monitor.spin_for(0.5)
    picked = call(monitor, Trigger, '/monitor/box/begin_pick', Trigger.Request())
    ended = call(monitor, SetBool, '/monitor/box/end_pick', SetBool.Request(data=True))
    none = call(monitor, Trigger, '/monitor/can/begin_pick', Trigger.Request())
    assert picked.success and ended.success and f'{3 * SECOND} ns' in picked.message
    assert not none.success and none.message == 'no grasp was planned yet'
    health = monitor.collect(DiagnosticArray, '/diagnostics')
    monitor.spin_until(lambda: any('(box)' in status.name for array in verdicts for status in array.status))
    monitor.spin_until(lambda: {'monitor: perception (box)', 'monitor: perception (can)', 'monitor: camera'} <= {
        status.name for array in health for status in array.status})
    assert monitor.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    recalls = {name: part['metrics']['recall_1cm_5deg']['value'] for name, part in summary['objects'].items()}
    assert recalls == {'box': 0.5, 'can': 0.5}
    assert summary['confusion']['can'] == {'box': 1, 'can': 1, 'not found': 0}
    assert summary['objects']['box']['metrics']['grasp_success_rate']['value'] == 1.0
    assert summary['objects']['can']['metrics']['grasp_success_rate']['n'] == 0
    assert rebuild(tmp_path / 'run').summary == summary


def test_grasps_of_one_file_are_refused_with_several_models():
    with running(MonitorNode, models=['box', 'can'], grasps='mine.yaml', autostart=False) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
