from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import Harness, running
from sensor_msgs.msg import CameraInfo

from posegrasp_ros.camera import Camera
from posegrasp_ros.estimation.estimate import PoseEstimate
from posegrasp_ros.geometry import make_transform
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.nodes.monitor_node import MonitorNode
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.qos import LATCHED

POSE = make_transform(None, (0.0, 0.0, 0.5))
CAMERA = Camera.from_field_of_view(64, 48, 1.0)


@pytest.fixture
def monitor(scripted_model, tmp_path):
    """An active node that loses patience after 0.3 s."""
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), silence_s=0.3,
                 summary_every_s=1.0) as harness:
        harness.start()
        yield harness


def take_images(harness: Harness, stamps: list[int]) -> None:
    cameras = harness.publisher(CameraInfo, '/camera_info')
    for stamp in stamps:
        cameras.publish(messages.to_camera_info(messages.to_header(stamp), CAMERA))


def report(harness: Harness, reports: list[StageReport]) -> None:
    topics = {each.stage: harness.publisher(DiagnosticArray, f'/{each.stage}_report') for each in reports}
    for each in reports:
        topics[each.stage].publish(messages.to_report(each))


def statuses(arrays: list[DiagnosticArray]) -> dict[str, DiagnosticStatus]:
    """The newest status of each task."""
    return {status.name: status for array in arrays for status in array.status}


def test_everything_is_joined_by_stamp_and_kept_in_the_run_folder(monitor, tmp_path):
    second = 1_000_000_000
    take_images(monitor, [second, 2 * second])
    truths = monitor.publisher(PoseStamped, '/ground_truth')
    poses = monitor.publisher(PoseWithCovarianceStamped, '/pose')
    for stamp, offset_m in ((second, 0.002), (2 * second, 0.02)):
        header = messages.to_header(stamp)
        truths.publish(messages.to_pose_stamped(header, POSE))
        estimate = make_transform(None, POSE[:3, 3] + (offset_m, 0.0, 0.0))
        poses.publish(messages.to_pose_with_covariance(header, PoseEstimate(estimate, 1.0, np.eye(6))))
    report(monitor, [StageReport(second, 'perception', True, '', {'latency_ms': 20.0}),
                     StageReport(2 * second, 'perception', True, '', {'latency_ms': 40.0}),
                     StageReport(second, 'planning', True, '', {'latency_ms': 2.0}),
                     StageReport(second, 'execution', False, 'slipped', {})])
    monitor.spin_for(0.5)
    assert monitor.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    metrics = {name: metric['value'] for name, metric in summary['metrics'].items()}
    assert metrics['recall_1cm_5deg'] == 0.5
    assert metrics['position_error_median'] == pytest.approx(0.011, abs=1e-6)
    assert metrics['grasp_success_rate'] == 0.0 and summary['failures']['slipped'] == 1
    assert metrics['image_to_pose_p50'] == 30.0
    lines = (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()
    assert sorted(json.loads(line)['reason'] for line in lines) == ['', '', '', 'slipped']
    assert (tmp_path / 'run' / 'report.html').stat().st_size > 1000


def test_the_verdict_is_published_for_those_who_come_late_too(monitor):
    report(monitor, [StageReport(1, 'perception', True, '', {'latency_ms': 20.0})])
    monitor.spin_for(1.6)
    verdicts = monitor.collect(DiagnosticArray, '/monitor/verdict', LATCHED)
    monitor.spin_until(lambda: verdicts and verdicts[-1].status, 3.0)
    names = {status.name.split(':')[0] for status in verdicts[-1].status}
    assert 'image_to_pose_p50' in names


def test_a_silent_stage_is_an_error_and_a_talking_one_is_not(monitor):
    arrays = monitor.collect(DiagnosticArray, '/diagnostics')
    take_images(monitor, [1])
    report(monitor, [StageReport(1, 'perception', True)])
    take_images(monitor, [2])
    monitor.spin_until(lambda: any('silent' in status.message for status in statuses(arrays).values()), 4.0)
    assert statuses(arrays)['monitor: perception'].level == DiagnosticStatus.ERROR
    assert statuses(arrays)['monitor: planning'].level == DiagnosticStatus.ERROR
    assert statuses(arrays)['monitor: execution'].level == DiagnosticStatus.STALE
    report(monitor, [StageReport(2, 'perception', False, 'no_detection')])
    monitor.spin_until(lambda: statuses(arrays)['monitor: perception'].level == DiagnosticStatus.WARN, 3.0)
    assert statuses(arrays)['monitor: perception'].message == 'no_detection'


@pytest.mark.parametrize('obstacle', ['from_the_start', 'while_running'])
def test_an_unwritable_run_folder_is_reported_and_the_node_goes_on(scripted_model, tmp_path, capfd, obstacle):
    folder = tmp_path / 'run'
    if obstacle == 'from_the_start':
        folder.write_text('in the way')
    with running(MonitorNode, model=str(scripted_model), out=str(folder), summary_every_s=1.0) as harness:
        harness.start()
        arrays = harness.collect(DiagnosticArray, '/diagnostics')
        if obstacle == 'while_running':
            lose(folder)
            folder.write_text('in the way')
        report(harness, [StageReport(1, 'perception', True, '', {'latency_ms': 1.0})])
        harness.spin_until(lambda: level_of_folder(arrays) == DiagnosticStatus.ERROR, 5.0)
        assert str(folder) in statuses(arrays)['monitor: run folder'].message
        assert statuses(arrays)['monitor: perception'].values[1].value == '1'
    assert str(folder) in capfd.readouterr().err


def test_a_lost_run_folder_is_made_anew_and_told(scripted_model, tmp_path, caplog):
    folder = tmp_path / 'run'
    with running(MonitorNode, model=str(scripted_model), out=str(folder), summary_every_s=1.0) as harness:
        harness.start()
        arrays = harness.collect(DiagnosticArray, '/diagnostics')
        lose(folder)
        report(harness, [StageReport(1, 'perception', True)])
        harness.spin_until(lambda: level_of_folder(arrays) == DiagnosticStatus.OK, 5.0)
        harness.spin_until(lambda: (folder / 'metrics.jsonl').is_file())
        assert json.loads((folder / 'metrics.jsonl').read_text())['stamp_ns'] == 1
    assert (folder / 'summary.json').is_file()
    assert 'was removed during the run and is made anew' in caplog.text


def lose(folder: Path) -> None:
    (folder / 'metrics.jsonl').unlink()
    folder.rmdir()


def level_of_folder(arrays: list[DiagnosticArray]) -> bytes | None:
    return getattr(statuses(arrays).get('monitor: run folder'), 'level', None)


def test_the_summary_says_what_was_measured(scripted_model, tmp_path):
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), estimator='oracle',
                 seed=7) as harness:
        harness.start()
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert (summary['estimator'], summary['provenance']['seed']) == ('oracle', 7)


def test_a_robots_own_report_on_a_pick_counts(monitor):
    values = [KeyValue(key='latency_ms', value='5230.0')]
    outcome = DiagnosticStatus(level=DiagnosticStatus.ERROR, name='posegrasp: execution', message='slipped',
                               values=values)
    topic = monitor.publisher(DiagnosticArray, '/execution_report')
    topic.publish(DiagnosticArray(header=messages.to_header(7), status=[outcome]))
    monitor.spin_until(lambda: monitor.node._summary()['failures'].get('slipped') == 1)


def test_summaries_take_a_twentieth_of_the_time_at_most(monitor, monkeypatch):
    node, calls, cost_s = monitor.node, [], 0.02

    def slow(*_) -> dict:
        calls.append(time.monotonic())
        time.sleep(cost_s)
        return summary

    summary = node._summary()
    monkeypatch.setattr(node, '_summary', slow)
    while len(calls) < 3:
        node.publish_verdict()
        time.sleep(0.001)
    assert min(np.diff(calls)) >= 20 * cost_s


def test_a_message_that_is_no_report_is_named_and_nothing_stops(monitor, capfd, tmp_path):
    topic = monitor.publisher(DiagnosticArray, '/perception_report')
    topic.publish(DiagnosticArray(status=[DiagnosticStatus(name='somebody else')]))
    topic.publish(messages.to_report(StageReport(5, 'perception', True)))
    monitor.spin_until(lambda: (tmp_path / 'run' / 'metrics.jsonl').read_text())
    assert "got ['somebody else']" in capfd.readouterr().err
