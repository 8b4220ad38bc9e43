from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from sensor_msgs.msg import JointState

from posegrasp_ros.estimation.estimate import PoseEstimate
from posegrasp_ros.geometry import invert, look_at, make_transform
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.parameters import pose_values

BASE_FROM_CAMERA = look_at((0.4, 0.0, 0.5), (0.0, 0.0, 0.0))
# The box lies on the table, which is at z = 0.
BASE_FROM_OBJECT = make_transform(None, (0.05, 0.02, 0.0225))
COVARIANCE = np.diag([1e-6] * 3 + [1e-4] * 3)


def pose(stamp_ns: int, frame: str, transform: np.ndarray, covariance=COVARIANCE) -> PoseWithCovarianceStamped:
    header = messages.to_header(stamp_ns, frame)
    return messages.to_pose_with_covariance(header, PoseEstimate(transform, 1.0, covariance))


def pose_without_rotation() -> PoseWithCovarianceStamped:
    message = pose(3, 'camera', np.eye(4))
    message.pose.pose.orientation.w = 0.0
    return message


@pytest.fixture
def planner(scripted_model):
    """An active node that knows where the camera is."""
    with running(GraspPlannerNode, model=str(scripted_model),
                 base_from_camera=list(pose_values(BASE_FROM_CAMERA))) as harness:
        harness.start()
        yield harness


def test_the_best_grasp_comes_with_approach_and_opening_of_the_same_stamp(planner):
    grasps, best = planner.collect(PoseArray, '/grasp_planner/grasps'), planner.collect(
        PoseStamped, '/grasp_planner/best_grasp')
    paths, openings = planner.collect(Path, '/grasp_planner/approach'), planner.collect(
        JointState, '/grasp_planner/gripper')
    reports = planner.reports()
    planner.publisher(PoseWithCovarianceStamped, '/pose').publish(
        pose(12, 'camera', invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT))
    planner.spin_until(lambda: grasps and best and paths and openings and reports)
    assert reports[0].ok and reports[0].stamp_ns == 12 and reports[0].numbers['feasible'] > 0
    assert {messages.stamp_ns(m.header.stamp) for m in (grasps[0], best[0], paths[0], openings[0])} == {12}
    assert {m.header.frame_id for m in (grasps[0], best[0], paths[0])} == {'base'}
    before, grasp, lifted = messages.transforms_from_path(paths[0])
    np.testing.assert_allclose(grasp, messages.transform_from(best[0].pose), atol=1e-12)
    np.testing.assert_allclose(grasp, messages.transform_from(grasps[0].poses[0]), atol=1e-12)
    np.testing.assert_allclose(lifted[:3, 3] - grasp[:3, 3], (0, 0, 0.1), atol=1e-9)
    np.testing.assert_allclose(grasp[:3, 3] - before[:3, 3], 0.1 * grasp[:3, 2], atol=1e-9)
    assert np.linalg.norm(grasp[:3, 3] - BASE_FROM_OBJECT[:3, 3]) < 0.08
    assert 0.045 <= messages.gripper_from(openings[0])[0] <= 0.08


@pytest.mark.parametrize(('message', 'reason'), [
    (pose(3, 'camera', make_transform(None, (0, 0, np.nan))), 'bad_pose'),
    (pose_without_rotation(), 'bad_pose'),
    (pose(3, 'camera', make_transform(None, (0, 0, 0.5)), -COVARIANCE), 'bad_pose'),
    (pose(3, 'camera', invert(BASE_FROM_CAMERA) @ make_transform(None, (0, 0, -1.0))), 'below_support'),
])
def test_a_pose_without_a_grasp_is_reported_with_the_reason(planner, message, reason):
    reports = planner.reports()
    planner.publisher(PoseWithCovarianceStamped, '/pose').publish(message)
    planner.spin_until(lambda: reports)
    assert (reports[0].stamp_ns, reports[0].ok, reports[0].reason) == (3, False, reason)


def test_without_the_cameras_pose_only_poses_in_the_base_frame_are_planned_for(scripted_model, capfd):
    with running(GraspPlannerNode, model=str(scripted_model)) as harness:
        harness.start()
        reports = harness.reports()
        poses = harness.publisher(PoseWithCovarianceStamped, '/pose')
        for stamp, frame in ((1, 'camera'), (2, 'camera'), (3, 'base')):
            poses.publish(pose(stamp, frame, BASE_FROM_OBJECT))
        harness.spin_until(lambda: len(reports) == 3)
    assert [(report.ok, report.reason) for report in reports] == [
        (False, 'no_camera_pose'), (False, 'no_camera_pose'), (True, '')]
    lines = [line for line in capfd.readouterr().err.splitlines() if 'no_camera_pose' in line]
    assert len(lines) == 1 and 'set base_from_camera' in lines[0]


@pytest.mark.parametrize(('parameters', 'expected'), [
    ({'model': '/nowhere'}, 'no such file'),
    ({'grasps': '/nowhere/grasps.yaml'}, '/nowhere/grasps.yaml'),
    ({'gripper': '/nowhere/gripper.yaml'}, '/nowhere/gripper.yaml'),
    ({'base_from_camera': [0.0, 0.0, 1.0]}, 'parameter base_from_camera: expected x, y, z'),
    ({'base_from_camera': [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]}, 'parameter base_from_camera: expected x, y, z'),
])
def test_a_file_or_parameter_that_cannot_be_used_fails_configure(scripted_model, capfd, parameters, expected):
    with running(GraspPlannerNode, **{'model': str(scripted_model), **parameters}) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert harness.state == 'unconfigured'
    lines = [line for line in capfd.readouterr().err.splitlines() if 'ERROR' in line]
    assert len(lines) == 1 and expected in lines[0]
