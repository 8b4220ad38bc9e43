# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import time

import cv2
import numpy as np
import pytest
from conftest import simulated_frames, write_card
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_harness import running
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import MIN_SCORE, Estimation
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.nodes import perception_node
from posegrasp_ros.nodes.perception_node import PerceptionNode
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.intrinsics import MOST_IN_VAIN, WAIT_S
from posegrasp_ros.runtime.resources import resource_path

CAMERA = Camera.from_field_of_view(64, 48, 1.0)
PIXELS = np.full((48, 64, 3), 90, np.uint8)
TRUTH = make_transform(rotation_from_vector([0.3, -0.2, 0.9]), (0.02, -0.01, 0.6))


def header(stamp_ns: int):
    return messages.to_header(stamp_ns, 'camera')


def image(stamp_ns: int, **changes) -> Image:
    message = messages.to_image(header(stamp_ns), PIXELS)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.fixture
def perception(scripted_model):
    """An active node of the mean_pose estimator."""
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose') as harness:
        harness.start()
        yield harness


def stage(harness) -> PerceptionStage:
    """The node's stage, whose estimator a test may replace."""
    return harness.node.perception.objects[''].stage


def send(harness, reports: list, message, info: CameraInfo | None) -> object:
    """Publish camera_info and an image; the report on it."""
    if info:
        harness.publisher(CameraInfo, '/camera_info').publish(info)
        harness.spin_for(0.2)
    harness.publisher(type(message), '/image').publish(message)
    harness.spin_until(lambda: reports)
    return reports[0]


def good_info() -> CameraInfo:
    return messages.to_camera_info(header(5), CAMERA)


def test_results_carry_stamp_and_frame_of_the_image(perception):
    poses = perception.collect(PoseWithCovarianceStamped, '/perception/pose')
    reports = perception.reports()
    report = send(perception, reports, image(1_500_000_007), good_info())
    perception.spin_until(lambda: poses)
    assert (report.stamp_ns, report.ok, report.reason) == (1_500_000_007, True, '')
    assert report.numbers['latency_ms'] > 0 and report.numbers['poses'] == 1
    assert messages.stamp_ns(poses[0].header.stamp) == 1_500_000_007
    assert poses[0].header.frame_id == 'camera'
    assert messages.covariance_from(poses[0]) is not None


@pytest.mark.parametrize(('message', 'info', 'reason'), [
    (image(7), None, 'no_camera_info'),
    (image(7), CameraInfo(width=64, height=48), 'bad_camera_info'),
    (image(7), messages.to_camera_info(header(5), CAMERA.resized(128, 96)), 'size_mismatch'),
    (image(7, data=b'\0' * 100), good_info(), 'bad_image'),
    (image(7, encoding='bayer_of_some_kind'), good_info(), 'bad_image'),
    (CompressedImage(header=header(7), format='jpeg', data=b'no jpeg'), good_info(), 'bad_image'),
])
def test_an_image_that_cannot_be_used_is_reported_with_the_reason(perception, capfd, message, info, reason):
    report = send(perception, perception.reports(), message, info)
    assert (report.stamp_ns, report.ok, report.reason) == (7, False, reason)
    assert len([line for line in capfd.readouterr().err.splitlines() if f'{reason}: ' in line]) == 1


def test_compressed_images_are_taken_as_they_come(perception):
    jpeg = cv2.imencode('.jpg', PIXELS)[1].tobytes()
    message = CompressedImage(header=header(9), format='jpeg', data=jpeg)
    assert send(perception, perception.reports(), message, good_info()).ok


def test_a_bug_in_the_estimator_costs_one_image_only(perception, monkeypatch):
    reports = perception.reports()
    works = stage(perception).estimator

    class Broken:
        def estimate(self, *_):
            stage(perception).estimator = works
            raise ZeroDivisionError('oops')

    stage(perception).estimator = Broken()
    assert send(perception, reports, image(1), good_info()).reason == 'internal_error'
    perception.publisher(Image, '/image').publish(image(2))
    perception.spin_until(lambda: len(reports) > 1)
    assert reports[1].ok


def test_a_slow_estimator_answers_the_newest_image_and_builds_no_backlog(perception):
    reports, quick = perception.reports(), stage(perception).estimator

    class Slow:
        def estimate(self, *arguments):
            time.sleep(0.3)
            return quick.estimate(*arguments)

    stage(perception).estimator = Slow()
    perception.publisher(CameraInfo, '/camera_info').publish(good_info())
    perception.spin_for(0.2)
    camera = perception.publisher(Image, '/image')
    for stamp in range(1, 9):
        camera.publish(image(stamp))
    perception.spin_until(lambda: any(report.stamp_ns == 8 for report in reports))
    assert len(reports) <= 3


@pytest.mark.parametrize(('given', 'expected'), [({}, MIN_SCORE), ({'min_score': 0.3}, 0.3)])
def test_the_least_score_is_the_estimators_own_or_as_given(scripted_model, monkeypatch, given, expected):
    asked = {}
    monkeypatch.setattr(perception_node, 'create_estimator', lambda *_, **options: asked.update(options))
    with running(PerceptionNode, model=str(scripted_model), **given) as harness:
        harness.start()
    assert asked == {'min_score': expected, 'threads': None}


class Cameras:
    """In place of an estimator: notes the width of the camera, and the depth, that each image came with."""

    def __init__(self):
        self.seen: list[int] = []
        self.depths: list[float | None] = []

    def estimate(self, image, camera, truth, depth_m, stamp_ns):
        self.seen.append(camera.width)
        self.depths.append(None if depth_m is None else float(depth_m[0, 0]))
        return Estimation(reason='no_detection')


def test_an_image_that_comes_before_its_camera_info_gets_it_all_the_same(perception):
    stage(perception).estimator = cameras = Cameras()
    reports = perception.reports()
    images, infos = perception.publisher(Image, '/image'), perception.publisher(CameraInfo, '/camera_info')
    widths = [64, 32, 48, 16]
    for stamp, width in enumerate(widths, start=1):
        images.publish(messages.to_image(header(stamp), np.ascontiguousarray(PIXELS[:, :width])))
        perception.spin_until(lambda stamp=stamp: perception.node.is_waiting or len(reports) == stamp)
        infos.publish(messages.to_camera_info(header(stamp), Camera.from_field_of_view(width, 48, 1.0)))
        perception.spin_until(lambda stamp=stamp: len(reports) == stamp)
    assert [report.reason for report in reports] == ['no_detection'] * len(widths)
    assert cameras.seen == widths


def test_camera_info_of_other_stamps_costs_a_wait_at_first_and_none_later(perception):
    reports = perception.reports()
    perception.publisher(CameraInfo, '/camera_info').publish(messages.to_camera_info(header(5000), CAMERA))
    perception.spin_for(0.2)
    images = perception.publisher(Image, '/image')
    for stamp in range(1, 8):
        images.publish(image(stamp))
        perception.spin_until(lambda stamp=stamp: len(reports) == stamp)
    assert all(report.ok for report in reports)
    latencies_ms = [report.numbers['latency_ms'] for report in reports]
    waited_ms, later_ms = latencies_ms[:MOST_IN_VAIN], latencies_ms[MOST_IN_VAIN:]
    assert min(waited_ms) > 1000 * WAIT_S / 2, 'the wait counts into the latency'
    assert min(later_ms) < min(waited_ms)


def test_the_oracle_waits_for_the_truth_of_its_image(scripted_model):
    with running(PerceptionNode, model=str(scripted_model), estimator='oracle') as harness:
        harness.start()
        poses, reports = harness.collect(PoseWithCovarianceStamped, '/perception/pose'), harness.reports()
        harness.publisher(CameraInfo, '/camera_info').publish(good_info())
        truth = harness.publisher(PoseStamped, '/ground_truth')
        harness.publisher(Image, '/image').publish(image(4))
        harness.spin_for(0.3)
        assert reports == []
        truth.publish(messages.to_pose_stamped(header(4), TRUTH))
        harness.spin_until(lambda: poses and reports)
        assert reports[0].ok
        np.testing.assert_allclose(messages.transform_from(poses[0].pose.pose), TRUTH, atol=1e-12)


def test_the_overlay_is_drawn_for_whoever_listens(perception):
    shown = perception.collect(Image, '/perception/overlay')
    assert send(perception, perception.reports(), image(3), good_info()).ok
    perception.spin_until(lambda: shown)
    assert (messages.image_from(shown[0]) != PIXELS).any()


def test_a_node_can_be_deactivated_and_activated_again(perception):
    assert perception.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert perception.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert send(perception, perception.reports(), image(3), good_info()).ok
    assert perception.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert perception.node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    perception.start()


def test_quality_of_service_is_overridden_for_one_topic_alone(scripted_model):
    override = {'qos_overrides./image.subscription.reliability': 'best_effort'}
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose', **override) as harness:
        harness.start()
        for message_type, topic in ((Image, '/image'), (CameraInfo, '/camera_info')):
            harness.publisher(message_type, topic)
        offered = {topic: harness.probe.get_subscriptions_info_by_topic(topic)[0].qos_profile.reliability
                   for topic in ('/image', '/camera_info')}
    assert offered == {'/image': ReliabilityPolicy.BEST_EFFORT, '/camera_info': ReliabilityPolicy.RELIABLE}


def test_a_best_effort_camera_is_heard_too(perception):
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    perception.publisher(CameraInfo, '/camera_info', best_effort).publish(good_info())
    perception.spin_for(0.2)
    reports = perception.reports()
    perception.publisher(Image, '/image', best_effort).publish(image(6))
    perception.spin_until(lambda: reports)
    assert reports[0].ok


@pytest.mark.parametrize(('change', 'expected'), [
    (lambda folder: (folder / 'model.yaml').unlink(), 'no such file'),
    (lambda folder: (folder / 'none.onnx').write_bytes(b'changed'), 'the hash of'),
    (lambda folder: (folder / 'none.onnx').unlink(), 'a file in'),
    (lambda folder: write_card(folder, name=''), 'name: expected'),
    (lambda folder: (folder / 'mesh.obj').write_text('nothing'), 'mesh.obj'),
    (lambda folder: None, 'none.onnx'),
])
def test_a_model_that_cannot_be_used_fails_configure_with_one_line(
        scripted_model, tmp_path, capfd, change, expected):
    folder = tmp_path / 'model'
    shutil.copytree(scripted_model, folder)
    change(folder)
    with running(PerceptionNode, model=str(folder), estimator='onnx') as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert harness.state == 'unconfigured'
    lines = [line for line in capfd.readouterr().err.splitlines() if 'ERROR' in line]
    assert len(lines) == 1 and expected in lines[0]


def test_an_estimator_that_does_not_exist_fails_configure(scripted_model, capfd):
    with running(PerceptionNode, model=str(scripted_model), estimator='magic') as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert 'expected one of onnx, network, feature_match, mean_pose, oracle' in capfd.readouterr().err


MS = 1_000_000
SLOP_MS = 1000


def depth(stamp_ns: int, millimetres: int, width: int = 64, encoding: str = '16UC1') -> Image:
    data = np.full((48, width), millimetres, '<u2').tobytes()
    return Image(header=header(stamp_ns), height=48, width=width, encoding=encoding, step=2 * width, data=data)


@pytest.fixture
def with_depth(scripted_model, request):
    """An active node that uses depth, with an estimator that notes it, and what talks to it."""
    parameters = {'use_depth': True, 'depth_slop_ms': float(getattr(request, 'param', SLOP_MS))}
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose', **parameters) as harness:
        harness.start()
        stage(harness).estimator = Cameras()
        harness.publisher(CameraInfo, '/camera_info').publish(good_info())
        harness.spin_for(0.2)
        yield harness, harness.publisher(Image, '/image'), harness.publisher(Image, '/depth'), harness.reports()


def test_depth_of_the_images_stamp_is_waited_for(with_depth):
    harness, images, depths, reports = with_depth
    depths.publish(depth(1000 * MS, 100))
    harness.spin_for(0.05)
    images.publish(image(1010 * MS))
    harness.spin_for(0.1)
    assert reports == [], 'one that is near is here, a nearer one may come'
    depths.publish(depth(1010 * MS, 200))
    harness.spin_until(lambda: reports)
    assert stage(harness).estimator.depths == [pytest.approx(0.2)] and reports[0].numbers['depth_used'] == 1


def test_the_nearest_depth_is_taken_at_once_when_no_nearer_one_can_come(with_depth):
    harness, images, depths, reports = with_depth
    for stamp_ms, millimetres in ((980, 100), (1025, 200)):
        depths.publish(depth(stamp_ms * MS, millimetres))
    harness.spin_for(0.05)
    images.publish(image(1000 * MS))
    harness.spin_until(lambda: reports)
    assert stage(harness).estimator.depths == [pytest.approx(0.1)]
    assert reports[0].numbers['latency_ms'] < SLOP_MS / 2


@pytest.mark.parametrize('with_depth', [200], indirect=True)
def test_an_image_is_held_back_for_the_slop_and_then_goes_on_without_the_depth_that_does_not_come(with_depth):
    harness, images, depths, reports = with_depth
    depths.publish(depth(100 * MS, 100))
    images.publish(image(1000 * MS))
    harness.spin_until(lambda: reports)
    assert stage(harness).estimator.depths == [None] and reports[0].numbers['depth_used'] == 0
    assert reports[0].numbers['latency_ms'] > 100


@pytest.mark.parametrize(('wrong', 'words'), [
    ({'width': 32}, 'expected 64x48 pixels, registered to the camera image, got 32x48'),
    ({'encoding': 'rgb8'}, "in metres, got 'rgb8'")])
def test_a_depth_that_cannot_be_used_is_said_once_and_the_image_answered_without(with_depth, capfd, wrong, words):
    harness, images, depths, reports = with_depth
    for stamp in (1000 * MS, 2000 * MS):
        depths.publish(depth(stamp, 100, **wrong))
        harness.spin_for(0.05)
        images.publish(image(stamp))
        harness.spin_until(lambda stamp=stamp: any(report.stamp_ns == stamp for report in reports))
    assert stage(harness).estimator.depths == [None, None]
    said = [line for line in capfd.readouterr().err.splitlines() if 'depth: ' in line]
    assert len(said) == 1 and words in said[0] and 'WARN' in said[0]


def test_without_use_depth_nobody_listens_to_depth(perception):
    assert perception.probe.get_subscriptions_info_by_topic('/depth') == []
    report = send(perception, perception.reports(), image(5), good_info())
    assert report.numbers['depth_used'] == 0


def test_tracking_says_once_what_it_cannot_follow(scripted_model, capfd):
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose', tracking=True) as harness:
        harness.start()
        harness.node.trigger_deactivate()
        harness.node.trigger_cleanup()
        harness.start()
        assert send(harness, harness.reports(), image(5), good_info()).ok
    said = [line for line in capfd.readouterr().err.splitlines() if 'tracking: ' in line]
    assert len(said) == 1 and 'MeanPoseEstimator' in said[0]


def test_tracking_says_which_object_is_found_tracked_lost_or_absent_and_only_measured_poses_are_published():
    frame, = simulated_frames(load_mesh(resource_path('models/box/mesh.obj')), 1, seed=3)
    empty = np.full_like(frame.image, 128)
    shown = {1000: frame.image, 1033: frame.image, 1066: frame.image, 1100: empty, 1900: empty, 2200: empty}
    with running(PerceptionNode, tracking=True, give_up_s=1.0) as harness:
        harness.start()
        reports, images = harness.reports(), harness.publisher(Image, '/image')
        poses = harness.collect(PoseWithCovarianceStamped, '/perception/pose')
        statuses = harness.collect(DiagnosticArray, '/perception/status')
        harness.publisher(CameraInfo, '/camera_info').publish(messages.to_camera_info(header(5), frame.camera))
        harness.spin_for(0.2)
        for count, (stamp_ms, picture) in enumerate(shown.items(), start=1):
            images.publish(messages.to_image(header(stamp_ms * MS), picture))
            harness.spin_until(lambda count=count: len(reports) == len(statuses) == count)
    expected = ['found', 'tracked', 'tracked', 'lost', 'lost', 'absent']
    assert [report.words['state'] for report in reports] == expected
    assert [report.reason for report in reports] == ['', '', '', 'lost', 'lost', 'no_detection']
    assert [(each.status[0].name, each.status[0].message) for each in statuses] == [('box', state)
                                                                                    for state in expected]
    assert [messages.stamp_ns(each.header.stamp) // MS for each in statuses] == list(shown)
    lost = {each.key: float(each.value) for each in statuses[4].status[0].values}
    assert lost['unseen_s'] == pytest.approx(0.834) and lost['sigma_m'] > 0.05
    assert [messages.stamp_ns(pose.header.stamp) // MS for pose in poses] == [1000, 1033, 1066]


def test_without_tracking_there_is_no_status():
    with running(PerceptionNode) as harness:
        harness.start()
        assert harness.probe.get_publishers_info_by_topic('/perception/status') == []


def test_tracking_begins_anew_when_stamps_go_back():
    frame, = simulated_frames(load_mesh(resource_path('models/box/mesh.obj')), 1, seed=3)
    with running(PerceptionNode, tracking=True) as harness:
        harness.start()
        reports, images = harness.reports(), harness.publisher(Image, '/image')
        harness.publisher(CameraInfo, '/camera_info').publish(messages.to_camera_info(header(5), frame.camera))
        harness.spin_for(0.2)
        for count, stamp_ms in enumerate((1000, 1033, 1066, 900), start=1):
            images.publish(messages.to_image(header(stamp_ms * MS), frame.image))
            harness.spin_until(lambda count=count: len(reports) == count)
    assert all(report.ok for report in reports)
    assert [report.numbers['tracked'] for report in reports] == [0, 1, 1, 0]


def test_a_node_without_images_says_so_with_what_else_there_is(scripted_model, monkeypatch, capfd):
    monkeypatch.setattr(perception_node, 'SILENCE_S', 0.5)
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose') as harness:
        publisher = harness.probe.create_publisher(Image, '/camera/color/image_raw', 1)
        harness.spin_until(lambda: harness.node.count_publishers(publisher.topic_name))
        harness.start()
        harness.spin_for(1.0)
    lines = [line for line in capfd.readouterr().err.splitlines() if 'no publisher; other topics' in line]
    assert len(lines) == 1 and '/image: ' in lines[0]
    assert '/camera/color/image_raw (sensor_msgs/msg/Image)' in lines[0]


def test_a_camera_info_that_was_sent_once_before_the_node_started_is_heard(scripted_model):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose') as harness:
        harness.probe.create_publisher(CameraInfo, '/camera_info', latched).publish(good_info())
        harness.start()
        reports = harness.reports()
        assert send(harness, reports, image(7), None).ok


@pytest.mark.parametrize(('rectified', 'expected_mm'), [('auto', 0.0), ('yes', 25.0)])
def test_for_rectified_images_p_counts(scripted_model, monkeypatch, rectified, expected_mm):
    """An estimator that answers the principal point tells which camera it was given."""
    info = good_info()
    info.p[2] += 25.0
    with running(PerceptionNode, model=str(scripted_model), estimator='mean_pose', rectified=rectified) as harness:
        harness.start()
        seen = []
        original = stage(harness).estimator.estimate
        monkeypatch.setattr(stage(harness).estimator, 'estimate', lambda *arguments: (
            seen.append(arguments[1]), original(*arguments))[1])
        send(harness, harness.reports(), image(7), info)
    assert seen[0].cx - CAMERA.cx == pytest.approx(expected_mm)
