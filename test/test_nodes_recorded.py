# SPDX-License-Identifier: Apache-2.0
"""The monitor live and a recording of what it heard, measured again: one code, the same numbers."""

from __future__ import annotations

import json

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.serialization import deserialize_message
from ros_harness import running
from sensor_msgs.msg import CameraInfo
from test_recorded import record_stages

from posegrasp_ros.datasets.bag_messages import BagMessages
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.evaluation.recorded import evaluate_recorded
from posegrasp_ros.nodes.monitor_node import MonitorNode
from posegrasp_ros.runs.folder import read_reports

TOPICS = {'/cam/camera_info': (CameraInfo, '/camera_info'), '/ground_truth': (PoseStamped, '/ground_truth'),
          '/perception/pose': (PoseWithCovarianceStamped, '/pose'),
          '/perception/report': (DiagnosticArray, '/perception_report'),
          '/grasp_planner/report': (DiagnosticArray, '/planning_report'),
          '/robot/report': (DiagnosticArray, '/execution_report')}
SAME = ('headline', 'stages', 'metrics', 'verdicts', 'failures', 'frames', 'distributions', 'calibration',
        'waterfall', 'next')


def play(node, bag) -> int:
    """Publish the messages of a recording, in its order and byte by byte; how many reports there were."""
    publishers = {topic: node.publisher(*where) for topic, where in TOPICS.items()}
    reports = 0
    for message in BagMessages(bag).messages(TOPICS):
        kind = TOPICS[message.topic][0]
        publishers[message.topic].publish(deserialize_message(bytes(message.data), kind))
        reports += kind is DiagnosticArray
        node.spin_for(0.02)
    return reports


def test_monitor_and_recording_agree(scripted_model, tmp_path):
    bag = record_stages(tmp_path / 'bag')
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'live')) as node:
        node.start()
        reports = play(node, bag)
        log = tmp_path / 'live' / 'metrics.jsonl'
        node.spin_until(lambda: log.is_file() and len(read_reports(log.parent)[0]) == reports)
        node.spin_for(0.2)
        assert node.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    live = json.loads((tmp_path / 'live' / 'summary.json').read_text())
    evaluate_recorded([bag], load_model_card(scripted_model), out=tmp_path / 'offline', progress=False)
    offline = json.loads((tmp_path / 'offline' / 'summary.json').read_text())
    assert offline['metrics']['recall_1cm_5deg']['n'] == 3
    assert {key: live[key] for key in SAME} == {key: offline[key] for key in SAME}
