# SPDX-License-Identifier: Apache-2.0
"""The same bag gives the same numbers through perception and monitor node and through the offline evaluator."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import cv2
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image

from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import DEPTH_TOPIC, BagWriter
from posegrasp_ros.datasets.frame_sources import SourceOptions
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.tracking.pose_tracker import PoseTracker
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.metrics.track_states import STATES
from posegrasp_ros.nodes.monitor_node import MonitorNode
from posegrasp_ros.nodes.perception_node import PerceptionNode
from posegrasp_ros.ros import messages
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.record import record
from posegrasp_ros.simulation.sequence import SequencePlan, record_sequence, sequence_frames

ACCURACY = ('position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'add_recall_10pct', 'ar_mssd',
            'ar_mspd', 'mssd_median', 'projection_error_median')
ALONE = EvaluateOptions(compare_with=())
OF_MOTION = ('pose_flips', 'occlusion_recovery', 'recovery_time_median')
CALIBRATION = ('covariance_coverage_90', 'score_ece')


@pytest.fixture(scope='module')
def card():
    return load_model_card(resource_path('models/box'))


@pytest.fixture(scope='module')
def bag(card, tmp_path_factory):
    """One frame a scene, each of another size and so with intrinsics of its own."""
    path = tmp_path_factory.mktemp('agree')
    record(path / 'plain', card.mesh, scenes=5, seed=8, progress=False)
    with BagWriter(path / 'scenes') as writer:
        for index, frame in enumerate(read_frames(path / 'plain')):
            size = 640 - 32 * index, 480 - 24 * index
            writer.write(replace(frame, image=cv2.resize(frame.image, size), camera=frame.camera.resized(*size)))
    return path / 'scenes'


def live_summary(card, bag, folder, depth_topic: str | None = None, **parameters) -> dict:
    """What the monitor node writes when it and the perception node are shown the bag.

    The messages come in the bag's order: each image is in perception's hands before its camera_info is sent.
    """
    parameters |= {'use_depth': True, 'depth_slop_ms': 1000.0} if depth_topic else {}
    with running(PerceptionNode, model=str(card.folder), **parameters) as nodes:
        nodes.start()
        reports = nodes.reports()
        with nodes.beside('monitor', MonitorNode, model=str(card.folder), out=str(folder)):
            infos, images = nodes.publisher(CameraInfo, '/camera_info'), nodes.publisher(Image, '/image')
            truths = nodes.publisher(PoseStamped, '/ground_truth')
            shares = nodes.publisher(DiagnosticArray, '/ground_truth/visible_share')
            depths = nodes.publisher(Image, '/depth') if depth_topic else None
            nodes.spin_until(lambda: infos.get_subscription_count() == 2)
            for count, frame in enumerate(read_frames(bag, BagTopics(depth=depth_topic)), start=1):
                header = messages.to_header(frame.stamp_ns, 'camera')
                images.publish(messages.to_image(header, frame.image))
                nodes.spin_until(lambda count=count: nodes.node.is_waiting or len(reports) == count)
                infos.publish(messages.to_camera_info(header, frame.camera))
                if frame.camera_from_object is not None:
                    truths.publish(messages.to_pose_stamped(header, frame.camera_from_object))
                if frame.visible_share is not None:
                    shares.publish(messages.to_visible_share(header, frame.visible_share))
                if depths:
                    depths.publish(depth_message(header, frame.depth_m))
                nodes.spin_until(lambda count=count: len(reports) == count)
            nodes.spin_until(lambda: len(read_reports(folder)[0]) == count)
            nodes.spin_for(0.3)
    return json.loads((folder / 'summary.json').read_text())


def depth_message(header, depth_m) -> Image:
    height, width = depth_m.shape
    return Image(header=header, height=height, width=width, encoding='32FC1', step=4 * width,
                 data=depth_m.tobytes())


def test_nodes_and_evaluator_agree_on_a_bag(card, bag, tmp_path):
    assert_agree(live_summary(card, bag, tmp_path), evaluate_bags([bag], card, ALONE, progress=False))


@pytest.mark.slow
def test_nodes_and_evaluator_agree_with_depth(card, tmp_path):
    record(tmp_path / 'scenes', card.mesh, scenes=3, seed=8, progress=False, depth=True)
    offline = evaluate_bags([tmp_path / 'scenes'], card, replace(
        ALONE, source=SourceOptions(topics=BagTopics(depth=DEPTH_TOPIC))), progress=False)
    without = evaluate_bags([tmp_path / 'scenes'], card, ALONE, progress=False)
    assert_agree(live_summary(card, tmp_path / 'scenes', tmp_path / 'run', DEPTH_TOPIC), offline)
    error_m, error_without_m = (each['metrics']['position_error_median']['value'] for each in (offline, without))
    assert error_m < error_without_m, 'depth tells how far away the object is'


@pytest.mark.slow
@pytest.mark.parametrize('options', [TrackingOptions(), TrackingOptions(correction_hz=15.0, give_up_s=0.1)])
def test_nodes_and_evaluator_agree_while_tracking(card, tmp_path, options):
    plan = SequencePlan(seconds=1.2, rate_hz=15.0, covered_s=(0.5,), cover_s=0.2)
    record_sequence(tmp_path / 'moving', sequence_frames(card.mesh, plan, seed=3), 18, progress=False)
    how = replace(ALONE, track=True, tracking=options)
    offline = evaluate_bags([tmp_path / 'moving'], card, how, progress=False)
    live = live_summary(card, tmp_path / 'moving', tmp_path / 'run', tracking=True, **asdict(options))
    assert_agree(live, offline)
    assert live['states'] == offline['states'] and sum(live['states'].values()) == 18
    assert (live['states']['absent'] > 0) == (options.give_up_s == 0.1), 'after one image'
    for name in (*(f'state_{state}' for state in STATES), *OF_MOTION):
        assert offline['metrics'][name]['n'] > 0
        assert live['metrics'][name] == offline['metrics'][name]
    tracker, states = PoseTracker(PoseEstimator(card), options), {}
    for frame in read_frames(tmp_path / 'moving'):
        answer = tracker.estimate(frame.image, frame.camera, stamp_ns=frame.stamp_ns)
        states[frame.stamp_ns] = answer.tracks[0].state
    reports = [report for report in read_reports(tmp_path / 'run')[0] if report.stage == 'perception']
    assert {report.stamp_ns: report.words['state'] for report in reports} == states


def assert_agree(live: dict, offline: dict) -> None:
    assert live['stages']['perception']['answered'] == offline['stages']['perception']['answered'] > 0
    assert live['waterfall'] == offline['waterfall'] and live['failures'] == offline['failures']
    for name in (*ACCURACY, *CALIBRATION):
        assert offline['metrics'][name]['n'] > 0
        assert live['metrics'][name]['value'] == pytest.approx(offline['metrics'][name]['value'], rel=1e-6)
    assert offline['by_visible_share']['source'] == 'ground truth'
    slices = (summary['by_visible_share']['slices'] for summary in (live, offline))
    for ours, theirs in zip(*slices, strict=True):
        assert ours['frames'] == theirs['frames']
        assert [metric['n'] for metric in ours['metrics'].values()] == [
            metric['n'] for metric in theirs['metrics'].values()]
        assert live['metrics'][name]['n'] == offline['metrics'][name]['n']
