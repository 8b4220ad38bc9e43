# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import (
    PoseArray,
    PoseStamped,
    PoseWithCovarianceStamped,
    Transform,
    TransformStamped,
    Vector3,
)
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import Harness, running
from sensor_msgs.msg import CameraInfo
from std_srvs.srv import SetBool, Trigger

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.prometheus_endpoint import AVAILABLE
from posegrasp_ros.nodes.monitor_node import MonitorNode
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.node_processes import NodeProcesses
from posegrasp_ros.ros.qos import LATCHED
from posegrasp_ros.runs.folder import read_reports

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


def kept(tmp_path: Path) -> list[StageReport]:
    """The reports in the run folder."""
    return read_reports(tmp_path / 'run')[0] if (tmp_path / 'run' / 'metrics.jsonl').is_file() else []


def summary_in(tmp_path: Path) -> dict:
    return json.loads((tmp_path / 'run' / 'summary.json').read_text())


def report(harness: Harness, reports: list[StageReport]) -> None:
    topics = {each.stage: harness.publisher(DiagnosticArray, f'/{each.stage}_report') for each in reports}
    for each in reports:
        topics[each.stage].publish(messages.to_report(each))


def statuses(arrays: list[DiagnosticArray]) -> dict[str, DiagnosticStatus]:
    """The newest status of each task."""
    return {status.name: status for array in arrays for status in array.status}


@pytest.mark.parametrize(('parameters', 'expected'), [
    ({}, 1.0), ({'truth_sigma_mm': [0.0]}, 0.0),
    ({'truth_sigma_mm': [4.0, 4.0, 4.0], 'truth_sigma_deg': [1.0]}, 1.0)])
def test_a_truth_with_covariance_is_heard_and_stated_sigmas_win(scripted_model, tmp_path, parameters, expected):
    second = 1_000_000_000
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), **parameters) as harness:
        harness.start()
        take_images(harness, [second])
        header = messages.to_header(second)
        for topic, pose, covariance in (('/ground_truth', POSE, 1.6e-5), ('/pose', POSE, 1e-8)):
            offset = make_transform(None, (0.004 if topic == '/pose' else 0.0, 0, 0)) @ pose
            harness.publisher(PoseWithCovarianceStamped, topic).publish(messages.to_pose_with_covariance(
                header, PoseEstimate(offset, 1.0, covariance * np.eye(6))))
        report(harness, [StageReport(second, 'perception', True, '', {})])
        harness.spin_for(0.5)
        harness.node.trigger_deactivate()
    summary = summary_in(tmp_path)
    assert summary['metrics']['covariance_coverage_90']['value'] == expected
    assert 'note' not in summary['metrics']['covariance_coverage_90']
    assert ('configuration' in summary['provenance']) is bool(parameters)


def test_how_much_is_visible_is_heard(monitor, tmp_path):
    second = 1_000_000_000
    take_images(monitor, [second, 2 * second])
    shares = monitor.publisher(DiagnosticArray, '/ground_truth/visible_share')
    truths = monitor.publisher(PoseStamped, '/ground_truth')
    for stamp, share in ((second, 0.8), (2 * second, 0.0)):
        shares.publish(messages.to_visible_share(messages.to_header(stamp), share))
        truths.publish(messages.to_pose_stamped(messages.to_header(stamp), POSE))
    report(monitor, [StageReport(each * second, 'perception', False, 'low_score', {}) for each in (1, 2)])
    monitor.spin_for(0.5)
    monitor.node.trigger_deactivate()
    summary = summary_in(tmp_path)
    assert [each['frames'] for each in summary['by_visible_share']['slices']] == [0, 1, 0, 0, 1]
    assert summary['metrics']['recall_1cm_5deg']['n'] == 1, 'no pose is asked for of what is hidden'


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
    assert sorted(each.reason for each in kept(tmp_path)) == ['', '', '', 'slipped']
    assert (tmp_path / 'run' / 'report.html').stat().st_size > 1000


def test_the_verdict_is_published_for_those_who_come_late_too(monitor):
    report(monitor, [StageReport(second * 1_000_000_000, 'perception', True, '', {'latency_ms': 20.0})
                     for second in range(1, 4)])
    monitor.spin_for(2.5)
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
    del arrays[:]
    take_images(monitor, [3])
    report(monitor, [StageReport(3, 'perception', False, 'no_detection')])
    monitor.spin_until(lambda: 'no_detection' in
                       [status.message for array in arrays for status in array.status], 3.0)


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
        harness.spin_until(lambda: level_of_folder(arrays) == DiagnosticStatus.ERROR, 60.0)
        assert str(folder) in statuses(arrays)['monitor: run folder'].message
        assert statuses(arrays)['monitor: perception'].values[1].value == '1'
    assert str(folder) in capfd.readouterr().err


def test_a_monitor_that_cannot_be_configured_begins_no_run(scripted_model, tmp_path):
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), gripper='tongs') as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert not (tmp_path / 'run').exists()
        harness.node.set_parameters([Parameter('gripper', value='franka_hand')])
        harness.start()
        assert harness.probe.count_publishers('/monitor/verdict') == 1
    assert [path.name for path in tmp_path.glob('run*')] == ['run']


def test_a_lost_run_folder_is_made_anew_and_told(scripted_model, tmp_path, caplog):
    folder = tmp_path / 'run'
    with running(MonitorNode, model=str(scripted_model), out=str(folder), summary_every_s=1.0) as harness:
        harness.start()
        arrays = harness.collect(DiagnosticArray, '/diagnostics')
        lose(folder)
        report(harness, [StageReport(1, 'perception', True)])
        harness.spin_until(lambda: level_of_folder(arrays) == DiagnosticStatus.OK, 60.0)
        harness.spin_until(lambda: kept(tmp_path))
        assert [each.stamp_ns for each in kept(tmp_path)] == [1]
    assert (folder / 'summary.json').is_file()
    assert 'was removed during the run and is created again' in caplog.text


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


def level_of_folder(arrays: list[DiagnosticArray]) -> bytes | None:
    return getattr(statuses(arrays).get('monitor: run folder'), 'level', None)


def test_the_summary_says_what_was_measured(scripted_model, tmp_path):
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), estimator='oracle',
                 seed=7) as harness:
        harness.start()
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert (summary['estimator'], summary['provenance']['seed']) == ('oracle', 7)


def test_a_robots_own_report_on_a_pick_counts(monitor, tmp_path):
    values = [KeyValue(key='latency_ms', value='5230.0')]
    outcome = DiagnosticStatus(level=DiagnosticStatus.ERROR, name='posegrasp: execution', message='slipped',
                               values=values)
    topic = monitor.publisher(DiagnosticArray, '/execution_report')
    topic.publish(DiagnosticArray(header=messages.to_header(7), status=[outcome]))
    monitor.spin_until(lambda: kept(tmp_path))
    monitor.node.trigger_deactivate()
    assert summary_in(tmp_path)['failures']['slipped'] == 1


def test_a_message_that_is_no_report_is_named_and_nothing_stops(monitor, capfd, tmp_path):
    topic = monitor.publisher(DiagnosticArray, '/perception_report')
    topic.publish(DiagnosticArray(status=[DiagnosticStatus(name='somebody else')]))
    topic.publish(messages.to_report(StageReport(5, 'perception', True)))
    monitor.spin_until(lambda: (tmp_path / 'run' / 'metrics.jsonl').read_text())
    assert "got ['somebody else']" in capfd.readouterr().err


def call(harness: Harness, service_type: type, name: str, **request):
    """A service's answer."""
    client = harness.probe.create_client(service_type, name)
    harness.spin_until(client.service_is_ready)
    future = client.call_async(service_type.Request(**request))
    return harness.spin_until(lambda: future.done() and future.result())


def test_a_robot_may_tell_of_a_pick_by_services(monitor, tmp_path):
    outcomes = monitor.collect(DiagnosticArray, '/monitor/execution_report')
    refused = call(monitor, SetBool, '/monitor/end_pick', data=True)
    assert (refused.success, refused.message) == (False, 'no grasp was planned yet')
    report(monitor, [StageReport(7, 'planning', True)])
    begun = call(monitor, Trigger, '/monitor/begin_pick')
    assert begun.message == 'grasp 7_0, the best of the image with stamp 7 ns'
    report(monitor, [StageReport(8, 'planning', True)])
    assert call(monitor, SetBool, '/monitor/end_pick', data=False).success
    monitor.spin_until(lambda: outcomes)
    told = messages.report_from(outcomes[0])
    assert (told.stamp_ns, told.ok, told.reason) == (7, False, 'failed') and told.numbers['latency_ms'] > 0
    monitor.node.trigger_deactivate()
    assert summary_in(tmp_path)['metrics']['grasp_success_rate']['n'] == 1


@pytest.mark.parametrize('field', ['position', 'orientation'])
def test_a_pose_that_is_none_is_said_and_nothing_stops(monitor, tmp_path, capfd, field):
    arrays = monitor.collect(DiagnosticArray, '/diagnostics')
    poses = monitor.publisher(PoseWithCovarianceStamped, '/pose')
    message = messages.to_pose_with_covariance(messages.to_header(5), PoseEstimate(POSE, 1.0, np.eye(6)))
    if field == 'position':
        message.pose.pose.position.x = float('nan')
    else:
        message.pose.pose.orientation.w = 0.0
    poses.publish(message)
    monitor.spin_until(lambda: 'messages' in ' '.join(statuses(arrays)) and
                       statuses(arrays)['monitor: messages'].level == DiagnosticStatus.WARN)
    assert 'unusable pose' in statuses(arrays)['monitor: messages'].message
    assert 'pose: ' in capfd.readouterr().err
    report(monitor, [StageReport(6, 'perception', True)])
    monitor.spin_until(lambda: kept(tmp_path))


def test_two_perception_nodes_on_one_topic_are_said(monitor):
    arrays = monitor.collect(DiagnosticArray, '/diagnostics')
    publishers = [monitor.publisher(DiagnosticArray, '/perception_report') for _ in range(2)]
    for publisher in publishers:
        publisher.publish(messages.to_report(StageReport(3, 'perception', True)))
    monitor.spin_until(lambda: any('2 nodes publish /perception_report' in status.message and 'duplicate messages'
                                   in status.message for array in arrays for status in array.status))


def test_reports_that_never_come_are_said_with_their_number(monitor, tmp_path):
    arrays = monitor.collect(DiagnosticArray, '/diagnostics')
    topic = monitor.publisher(DiagnosticArray, '/perception_report', 100)
    for stamp in set(range(20)) - {5, 6, 12}:
        topic.publish(messages.to_report(StageReport(stamp, 'perception', True, sequence=stamp, publisher='one')))
    monitor.spin_until(lambda: any('lost in transit: 3;' in each.message for each in statuses(arrays).values()))
    values = {item.key: item.value for item in statuses(arrays)['monitor: messages'].values}
    assert values == {'lost perception report': '3'}
    monitor.node.trigger_deactivate()
    assert len(kept(tmp_path)) + 3 == 20
    assert summary_in(tmp_path)['provenance']['lost_reports'] == {'perception': 3}


def test_a_publisher_that_does_not_get_through_is_said(monitor):
    arrays = monitor.collect(DiagnosticArray, '/diagnostics')
    monitor.probe.create_publisher(DiagnosticArray, '/perception_report',
                                   QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    monitor.spin_until(lambda: any('best effort' in status.message for array in arrays for status in array.status))


def test_silence_is_an_error(scripted_model, tmp_path):
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run')) as harness:
        harness.start()
        arrays = harness.collect(DiagnosticArray, '/diagnostics')
        take_images(harness, [1])
        harness.spin_until(lambda: statuses(arrays).get('monitor: perception') and
                           statuses(arrays)['monitor: perception'].level == DiagnosticStatus.ERROR)


def test_diagnostics_follow_the_convention(monitor):
    arrays = monitor.collect(DiagnosticArray, '/diagnostics')
    monitor.spin_until(lambda: len(arrays) == 4)
    stamps_s = [messages.stamp_ns(array.header.stamp) / 1e9 for array in arrays]
    assert np.median(np.diff(stamps_s)) == pytest.approx(1.0, abs=0.3)
    for status in arrays[-1].status:
        assert status.name.startswith('monitor: ') and status.message
        assert all(isinstance(item.value, str) for item in status.values)


def test_messages_in_the_queue_at_the_end_still_count(monitor, tmp_path):
    report(monitor, [StageReport(stamp, 'perception', True) for stamp in range(1, 101)])
    time.sleep(0.3)
    monitor.node.trigger_deactivate()
    assert len(kept(tmp_path)) == 100


@pytest.mark.skipif(not AVAILABLE, reason='prometheus_client is not installed')
def test_a_port_that_is_taken_is_said_and_the_node_goes_on(scripted_model, tmp_path, capfd):
    import socket
    with socket.create_server(('127.0.0.1', 0)) as taken, running(
            MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'),
            prometheus_port=taken.getsockname()[1]) as harness:
        harness.start()
        assert harness.state == 'active'
    assert 'the node goes on without it' in capfd.readouterr().err


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_logged(scripted_model, tmp_path):
    with running(MonitorNode) as harness:
        domain = harness.probe.context.get_domain_id()
        with NodeProcesses(tmp_path / 'logs', domain) as processes:
            processes.start('monitor', {'model': str(scripted_model), 'out': str(tmp_path / 'run')})
            publisher = harness.probe.create_publisher(DiagnosticArray, '/perception/report', 1000)
            # On a machine that has not compiled the metrics yet it takes a while.
            harness.spin_until(publisher.get_subscription_count, 90.0)
            stamps = list(range(1, 301))
            for stamp in stamps:
                publisher.publish(messages.to_report(StageReport(stamp, 'perception', True)))
            harness.spin_until(lambda: len(kept(tmp_path)) >= 100)
            os.kill(processes._processes['monitor'].pid, signal.SIGKILL)
    logged, warnings = read_reports(tmp_path / 'run')
    assert [each.stamp_ns for each in logged] == stamps[:len(logged)] and len(logged) >= 100 and not warnings


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='processor time is read from /proc')
def test_thirty_images_a_second_with_three_stages_cost_little_more_than_to_send_them(scripted_model, tmp_path):
    numbers = {f'step_{index}_ms': 1.5 for index in range(12)} | {'latency_ms': 20.0, 'score': 0.9}
    with running(MonitorNode) as harness, NodeProcesses(
            tmp_path / 'logs', harness.probe.context.get_domain_id()) as processes:
        processes.start('monitor', {'model': str(scripted_model), 'out': str(tmp_path / 'run')})
        types = {'camera_info': CameraInfo, 'ground_truth': PoseStamped,
                 'perception/pose': PoseWithCovarianceStamped,
                 **{f'{node}/report': DiagnosticArray for node in ('perception', 'grasp_planner', 'simulator')}}
        outs = {topic: harness.probe.create_publisher(kind, f'/{topic}', 100) for topic, kind in types.items()}
        harness.spin_until(lambda: all(out.get_subscription_count() for out in outs.values()), 90.0)
        pid, used_s, begun_s = processes._processes['monitor'].pid, [], time.monotonic()
        for index in range(180):
            header = messages.to_header(1_000_000_000 + index * 33_333_333, 'camera')
            outs['camera_info'].publish(messages.to_camera_info(header, CAMERA))
            outs['ground_truth'].publish(messages.to_pose_stamped(header, POSE))
            outs['perception/pose'].publish(
                messages.to_pose_with_covariance(header, PoseEstimate(POSE, 0.9, 1e-5 * np.eye(6))))
            for topic, stage in (('perception', 'perception'), ('grasp_planner', 'planning'),
                                 ('simulator', 'execution')):
                outs[f'{topic}/report'].publish(messages.to_report(
                    StageReport(messages.stamp_ns(header.stamp), stage, True, '', numbers)))
            if index in (60, 179):
                used_s.append((cpu_s(pid), time.thread_time()))
            time.sleep(max(0.0, begun_s + (index + 1) / 30 - time.monotonic()))
    assert len(kept(tmp_path)) == 540
    monitor_s, sender_s = np.diff(used_s, axis=0)[0]
    assert monitor_s < 3 * sender_s


@pytest.mark.parametrize('kind', [PoseStamped, PoseArray, TransformStamped, Odometry])
def test_any_node_that_states_poses_is_monitored(scripted_model, tmp_path, kind):
    """It sends no reports: an image without a pose is silence, a late answer is counted with its time."""
    second = 1_000_000_000
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), any_poses=True) as harness:
        harness.start()
        poses = harness.publisher(kind, '/pose')
        harness.spin_for(0.6)
        take_images(harness, [second, 2 * second, 3 * second])
        truths = harness.publisher(PoseStamped, '/ground_truth')
        for stamp in (second, 2 * second, 3 * second):
            truths.publish(messages.to_pose_stamped(messages.to_header(stamp), POSE))
        for stamp in (second, 2 * second):
            found = messages.to_pose_stamped(messages.to_header(stamp), make_transform(None, (0.002, 0, 0)) @ POSE)
            message = kind(header=found.header)
            if kind is PoseArray:
                message.poses = [found.pose]
            elif kind is TransformStamped:
                p = found.pose.position
                message.transform = Transform(translation=Vector3(x=p.x, y=p.y, z=p.z),
                                              rotation=found.pose.orientation)
            elif kind is Odometry:
                message.pose.pose = found.pose
            else:
                message.pose = found.pose
            poses.publish(message)
        harness.spin_for(0.6)
        harness.node.trigger_deactivate()
    summary = summary_in(tmp_path)
    assert summary['metrics']['position_error_median']['value'] == pytest.approx(0.002, abs=1e-6)
    assert summary['metrics']['recall_1cm_5deg']['n'] == 3
    assert summary['stages']['perception']['coverage'] == pytest.approx(2 / 3)
    assert summary['failures'] == {'perception_silent': 1}


def test_a_pose_in_a_frame_that_nothing_connects_is_noted(scripted_model, tmp_path):
    second = 1_000_000_000
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), any_poses=True) as harness:
        harness.start()
        poses = harness.publisher(PoseStamped, '/pose')
        cameras = harness.publisher(CameraInfo, '/camera_info')
        diagnostics = harness.collect(DiagnosticArray, '/diagnostics')
        harness.spin_for(0.6)
        header = messages.to_header(second)
        header.frame_id = 'optical'
        cameras.publish(messages.to_camera_info(header, CAMERA))
        harness.spin_for(0.3)
        header.frame_id = 'map'
        poses.publish(messages.to_pose_stamped(header, POSE))
        harness.spin_for(1.5)
        said = statuses(diagnostics)
    assert any("where 'map' lies in 'optical'" in status.message + str(status.values)
               for status in said.values())


def test_one_class_for_each_object_is_expected(scripted_model, tmp_path):
    with running(MonitorNode, model=str(scripted_model), out=str(tmp_path / 'run'), any_poses=True,
                 pose_classes=['a', 'b']) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
