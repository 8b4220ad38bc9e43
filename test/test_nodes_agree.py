"""The same bag gives the same numbers through the perception node and through the offline evaluator."""

from __future__ import annotations

from dataclasses import replace

import cv2
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image

from posegrasp_ros.bag_writer import DEPTH_TOPIC
from posegrasp_ros.bags import BagTopics, BagWriter, read_frames
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.evaluate import evaluate_bags
from posegrasp_ros.metrics.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.nodes.perception_node import PerceptionNode
from posegrasp_ros.resources import resource_path
from posegrasp_ros.ros import messages
from posegrasp_ros.simulation.record import record

ACCURACY = ('position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'add_recall_10pct')
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


def live_metrics(card, bag, depth_topic: str | None = None) -> dict:
    """Metrics of what the node publishes when it is shown the bag, joined by stamp as the monitor does.

    The messages come in the bag's order: each image is in the node's hands before its camera_info is sent.
    """
    metrics = RunMetrics(ErrorTarget.from_mesh(card.mesh, card.symmetry))
    parameters = {'use_depth': True, 'depth_slop_ms': 1000.0} if depth_topic else {}
    with running(PerceptionNode, model=str(card.folder), **parameters) as node:
        node.start()
        poses = node.collect(PoseWithCovarianceStamped, '/perception/pose')
        reports = node.reports()
        infos, images = node.publisher(CameraInfo, '/camera_info'), node.publisher(Image, '/image')
        depths = node.publisher(Image, '/depth') if depth_topic else None
        for count, frame in enumerate(read_frames(bag, BagTopics(depth=depth_topic)), start=1):
            header = messages.to_header(frame.stamp_ns, 'camera')
            images.publish(messages.to_image(header, frame.image))
            node.spin_until(lambda count=count: node.node._held or len(reports) == count)
            infos.publish(messages.to_camera_info(header, frame.camera))
            if depths:
                depths.publish(depth_message(header, frame.depth_m))
            node.spin_until(lambda count=count: len(reports) == count)
            metrics.add_truth(frame.stamp_ns, frame.camera_from_object)
        node.spin_until(lambda: len(poses) == sum(report.ok for report in reports))
    for report in reports:
        metrics.add_report(report)
    for pose in poses:
        metrics.add_estimate(messages.stamp_ns(pose.header.stamp), messages.transform_from(pose.pose.pose),
                             messages.covariance_from(pose))
    return metrics.summary()


def depth_message(header, depth_m) -> Image:
    height, width = depth_m.shape
    return Image(header=header, height=height, width=width, encoding='32FC1', step=4 * width,
                 data=depth_m.tobytes())


def test_node_and_evaluator_agree_on_a_bag(card, bag):
    assert_agree(live_metrics(card, bag), evaluate_bags([bag], card, beside=(), progress=False))


def test_node_and_evaluator_agree_with_depth(card, tmp_path):
    record(tmp_path / 'scenes', card.mesh, scenes=3, seed=8, progress=False, depth=True)
    offline = evaluate_bags([tmp_path / 'scenes'], card, beside=(), progress=False,
                            topics=BagTopics(depth=DEPTH_TOPIC))
    without = evaluate_bags([tmp_path / 'scenes'], card, beside=(), progress=False)
    assert_agree(live_metrics(card, tmp_path / 'scenes', DEPTH_TOPIC), offline)
    error_m, error_without_m = (each['metrics']['position_error_median']['value'] for each in (offline, without))
    assert error_m < error_without_m, 'depth tells how far away the object is'


def assert_agree(live: dict, offline: dict) -> None:
    assert live['stages']['perception']['answered'] == offline['stages']['perception']['answered'] > 0
    for name in (*ACCURACY, *CALIBRATION):
        assert offline['metrics'][name]['n'] > 0
        assert live['metrics'][name]['value'] == pytest.approx(offline['metrics'][name]['value'], rel=1e-6)
        assert live['metrics'][name]['n'] == offline['metrics'][name]['n']
