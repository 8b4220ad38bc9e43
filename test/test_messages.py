# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Pose, Quaternion
from sensor_msgs.msg import CompressedImage, Image, JointState

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.geometry.transforms import make_transform, random_rotation, rotation_from_vector
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.ros import messages
from posegrasp_ros.sensing.packed_image import BitDepth, PackedImage, depth_of

RNG = np.random.default_rng(0)
POSES = [make_transform(random_rotation(RNG), RNG.normal(size=3)) for _ in range(20)]
HEADER = messages.to_header(1_700_000_000_123_456_789, 'camera')


@pytest.mark.parametrize('nanoseconds', [0, 1, 999_999_999, 1_000_000_000, 1_700_000_000_123_456_789])
def test_a_stamp_comes_back_to_the_nanosecond(nanoseconds):
    assert messages.stamp_ns(messages.to_stamp(nanoseconds)) == nanoseconds


def test_a_quarter_turn_about_z_is_x_y_z_w_on_the_wire():
    pose = messages.to_pose(make_transform(rotation_from_vector([0, 0, np.pi / 2]), (1, 2, 3)))
    assert (pose.position.x, pose.position.y, pose.position.z) == (1, 2, 3)
    q = pose.orientation
    np.testing.assert_allclose([q.x, q.y, q.z, q.w], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12)


@pytest.mark.parametrize('transform', POSES)
def test_a_pose_comes_back(transform):
    np.testing.assert_allclose(messages.transform_from(messages.to_pose(transform)), transform, atol=1e-12)


def test_tf_gives_back_what_it_was_given():
    message = messages.to_transform(HEADER, 'box', POSES[0])
    assert (message.header.frame_id, message.child_frame_id) == ('camera', 'box')
    np.testing.assert_allclose(messages.matrix_from(message.transform), POSES[0], atol=1e-12)


def test_covariance_keeps_its_order():
    covariance = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    covariance[0, 5] = covariance[5, 0] = 0.5
    message = messages.to_pose_with_covariance(HEADER, PoseEstimate(POSES[0], 0.9, covariance))
    assert message.pose.covariance[5] == 0.5 and message.pose.covariance[35] == 6.0
    np.testing.assert_array_equal(messages.covariance_from(message), covariance)


def test_a_covariance_of_zeros_says_unknown():
    message = messages.to_pose_with_covariance(HEADER, PoseEstimate(POSES[0], 0.9, np.zeros((6, 6))))
    assert messages.covariance_from(message) is None


@pytest.mark.parametrize('pose', [
    Pose(orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)),
    Pose(orientation=Quaternion(x=np.nan, y=0.0, z=0.0, w=1.0)),
    messages.to_pose(make_transform(None, (np.inf, 0, 0))),
])
def test_a_pose_that_is_none_is_refused(pose):
    with pytest.raises(messages.MessageError, match='pose: '):
        messages.transform_from(pose)


@pytest.mark.parametrize('camera', [
    Camera(640, 480, [[600, 0, 320], [0, 610, 240], [0, 0, 1]]),
    Camera(640, 480, [[600, 0, 320], [0, 610, 240], [0, 0, 1]], [0.1, -0.2, 0.001, 0.002, 0.05]),
    Camera(640, 480, [[300, 0, 320], [0, 300, 240], [0, 0, 1]], [0.1, 0.01, 0.0, 0.0], 'equidistant'),
])
def test_a_camera_comes_back(camera):
    back = StatedCamera.from_info(messages.to_camera_info(HEADER, camera)).raw
    assert (back.width, back.height, back.model) == (camera.width, camera.height, camera.model)
    np.testing.assert_array_equal(back.matrix, camera.matrix)
    np.testing.assert_array_equal(back.distortion, camera.distortion)


def test_an_image_comes_back_even_from_a_cut_of_another():
    image = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)[10:50, 5:70]
    np.testing.assert_array_equal(messages.image_from(messages.to_image(HEADER, image)), image)


def test_a_compressed_image_is_decoded():
    image = np.full((40, 30, 3), (10, 120, 240), np.uint8)
    message = CompressedImage(format='png', data=cv2.imencode('.png', image)[1].tobytes())
    np.testing.assert_array_equal(messages.image_from(message), image)


def test_colours_of_a_compressed_image_are_those_of_its_format():
    image = np.full((40, 30, 3), (10, 120, 240), np.uint8)
    message = CompressedImage(format='rgb8; png compressed rgb8', data=cv2.imencode('.png', image)[1].tobytes())
    np.testing.assert_array_equal(messages.image_from(message), image[..., ::-1])


def test_sixteen_bits_of_a_stream_are_scaled_alike_and_in_the_messages_order_of_bytes():
    said = []
    depth = BitDepth(said.append)
    stream = [Image(height=1, width=2, encoding='mono16', step=4, is_bigendian=1,
                    data=np.full(2, value, '>u2').tobytes()) for value in (4000, 160)]
    seen = [depth.noted(PackedImage.of(message)).decode()[0, 0, 0] for message in stream]
    assert seen == [250, 10] and len(said) == 1


def test_depth_comes_raw_or_compressed():
    data = bytes(12) + cv2.imencode('.png', np.full((3, 4), 700, np.uint16))[1].tobytes()
    message = CompressedImage(format='16UC1; compressedDepth png', data=data)
    np.testing.assert_allclose(depth_of(message), 0.7)
    assert set(messages.DEPTH.values()) == {Image, CompressedImage}


def test_a_path_keeps_order_and_stamp():
    path = messages.to_path(HEADER, POSES[:3])
    np.testing.assert_allclose(messages.transforms_from_path(path), POSES[:3], atol=1e-12)
    assert {messages.stamp_ns(pose.header.stamp) for pose in path.poses} == {messages.stamp_ns(HEADER.stamp)}


def test_opening_and_force_come_back():
    assert messages.gripper_from(messages.to_gripper(HEADER, 0.06, 70.0)) == (0.06, 70.0)


@pytest.mark.parametrize('message', [JointState(), JointState(name=['a', 'b'], position=[0.1, 0.2], effort=[1.0])])
def test_a_gripper_command_of_another_shape_is_refused(message):
    with pytest.raises(messages.MessageError, match='gripper: expected one joint'):
        messages.gripper_from(message)


@pytest.mark.parametrize('report', [
    StageReport(7, 'perception', True, '', {'latency_ms': 12.3456789012345, 'score': 0.5}),
    StageReport(1_700_000_000_123_456_789, 'planning', False, 'unreachable', {}),
    StageReport(7, 'execution', False, 'slipped', {'slip_m': float('inf')}),
    StageReport(7, 'planning', False, 'pose_too_uncertain', {'feasible': 0.0}, {'weakest_direction': 'tilt'}),
])
def test_a_report_comes_back(report):
    assert messages.report_from(messages.to_report(report)) == report


@pytest.mark.parametrize('statuses', [
    [],
    [DiagnosticStatus(name='posegrasp: cooking')],
    [DiagnosticStatus(name='camera driver')],
    [DiagnosticStatus(name='posegrasp: planning', values=[KeyValue(key='latency_ms', value='fast')])],
])
def test_what_is_no_report_is_refused(statuses):
    with pytest.raises(messages.MessageError, match='report: '):
        messages.report_from(DiagnosticArray(status=statuses))
