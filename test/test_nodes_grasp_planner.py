# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Path
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import invert, look_at, make_transform, perturb
from posegrasp_ros.grasping.planning.plan import REASONS
from posegrasp_ros.handeye.calibration_file import MountedCamera, save_mounted_camera
from posegrasp_ros.nodes.grasp_planner_node import GraspPlannerNode
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.base_transforms import BaseView
from posegrasp_ros.ros.parameters import pose_values
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World

MESH = load_mesh(resource_path('models/box/mesh.obj'))
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
    assert {m.header.frame_id for m in (grasps[0], best[0], paths[0])} == {'base_link'}
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
    (pose(3, 'camera', make_transform(None, (0, 0, 0.5)), 1e99 * COVARIANCE), 'bad_pose'),
    (pose(3, 'camera', make_transform(None, (0, 0, 1e300))), 'bad_pose'),
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
        for stamp, frame in ((1, 'camera'), (2, 'camera'), (3, 'base_link')):
            poses.publish(pose(stamp, frame, BASE_FROM_OBJECT))
        harness.spin_until(lambda: len(reports) == 3)
    assert [(report.ok, report.reason) for report in reports] == [
        (False, 'no_camera_pose'), (False, 'no_camera_pose'), (True, '')]
    lines = [line for line in capfd.readouterr().err.splitlines() if 'no_camera_pose' in line]
    assert len(lines) == 1 and 'set base_from_camera' in lines[0]


@pytest.mark.parametrize('camera_frame', ['', 'camera'])
def test_the_cameras_pose_counts_for_its_own_frame_alone(scripted_model, camera_frame):
    with running(GraspPlannerNode, model=str(scripted_model), camera_frame=camera_frame,
                 base_from_camera=list(pose_values(BASE_FROM_CAMERA))) as harness:
        harness.start()
        best, reports = harness.collect(PoseStamped, '/grasp_planner/best_grasp'), harness.reports()
        poses = harness.publisher(PoseWithCovarianceStamped, '/pose')
        in_camera = invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT
        for stamp, frame, transform in ((1, 'camera', in_camera), (2, 'base_link', BASE_FROM_OBJECT),
                                        (3, 'other_camera', in_camera)):
            poses.publish(pose(stamp, frame, transform))
        harness.spin_until(lambda: len(reports) == 3)
    assert [report.reason for report in reports] == ['', '', 'no_camera_pose']
    first, second = (messages.transform_from(message.pose) for message in best)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_corrections_of_an_evaluation_move_the_poses(scripted_model, tmp_path, capfd):
    """A node that states poses 20 mm to the side is planned for as one that does not; stamps stay."""
    off = make_transform(None, (0.02, 0, 0))
    path = tmp_path / 'corrections.yaml'
    path.write_text(yaml.safe_dump({'schema': 'posegrasp.corrections/1', 'source': '/pose', 'objects': {'': [
        {'kind': 'camera', 'camera_from_stated': invert(off).tolist()}, {'kind': 'time', 'shift_ms': -50.0}]}}))
    found = {}
    for corrections, transform in (('', np.eye(4)), (str(path), off)):
        with running(GraspPlannerNode, model=str(scripted_model), corrections=corrections,
                     base_from_camera=list(pose_values(BASE_FROM_CAMERA))) as harness:
            harness.start()
            best = harness.collect(PoseStamped, '/grasp_planner/best_grasp')
            harness.publisher(PoseWithCovarianceStamped, '/pose').publish(
                pose(7, 'camera', transform @ invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT))
            harness.spin_until(best.copy)
            assert messages.stamp_ns(best[0].header.stamp) == 7
            found[corrections] = messages.transform_from(best[0].pose)
    np.testing.assert_allclose(found[''], found[str(path)], atol=1e-9)
    assert 'time: not applied by nodes, fix the cause' in capfd.readouterr().err


ARM = """<robot name="arm"><link name="root"/><link name="upper"/><link name="tool"/>
<joint name="turn" type="revolute"><parent link="root"/><child link="upper"/><axis xyz="0 0 1"/>
<limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
<joint name="lift" type="prismatic"><parent link="upper"/><child link="tool"/><axis xyz="0 0 1"/>
<limit lower="0" upper="0.1" effort="1" velocity="1"/></joint></robot>"""


@pytest.mark.parametrize('given', ['{folder}/arm.urdf', 'robot_description', 'package://nowhere/arm.urdf',
                                   '{folder}/none.urdf'])
def test_the_arm_comes_from_a_file_a_package_or_the_topic(scripted_model, tmp_path, capfd, given):
    pytest.importorskip('pinocchio', reason='pinocchio is not installed')
    (tmp_path / 'arm.urdf').write_text(ARM)
    with running(GraspPlannerNode, model=str(scripted_model), urdf=given.format(folder=tmp_path),
                 tip_frame='tool', base_from_camera=list(pose_values(BASE_FROM_CAMERA))) as harness:
        latched = harness.probe.create_publisher(String, '/robot_description', qos.LATCHED)
        latched.publish(String(data=ARM))
        configured = harness.node.trigger_configure()
    if 'none.urdf' in given or 'nowhere' in given:
        assert configured == TransitionCallbackReturn.FAILURE
        assert ('no such URDF file' if 'none' in given else "'nowhere' is none") in capfd.readouterr().err
    else:
        assert configured == TransitionCallbackReturn.SUCCESS


def calibrated_camera(path, mounting='eye-to-hand', sigma_m=1e-6):
    """A calibration file of a camera where BASE_FROM_CAMERA says."""
    covariance = np.diag(np.tile([sigma_m**2] * 3 + [(2 * sigma_m)**2] * 3, 2))
    place = {'position_m': BASE_FROM_CAMERA[:3, 3].tolist(),
             'quaternion_xyzw': list(pose_values(BASE_FROM_CAMERA)[3:])}
    frames = ('base_link', 'tool0') if mounting == 'eye-to-hand' else ('tool0', 'base_link')
    save_mounted_camera(path, MountedCamera(
        format='posegrasp.handeye/1', mounting=mounting, parent_frame=frames[0], camera_frame='camera',
        held_frame=frames[1], target='board', parent_from_camera=place, held_from_target=place,
        covariance=covariance.tolist(), scatter=1.0, samples=12), {})
    return str(path)


def plan_with_handeye(model, path):
    """Best grasp and report with a calibrated camera."""
    with running(GraspPlannerNode, model=str(model), handeye=path, min_success_probability=0.0) as harness:
        harness.start()
        best, reports = harness.collect(PoseStamped, '/grasp_planner/best_grasp'), harness.reports()
        harness.publisher(PoseWithCovarianceStamped, '/pose').publish(
            pose(1, 'camera', invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT))
        harness.spin_until(lambda: reports)
    return best, reports[0]


def test_a_calibrated_camera_says_where_it_is_and_widens_the_pose(scripted_model, tmp_path):
    exact, report = plan_with_handeye(scripted_model, calibrated_camera(tmp_path / 'exact.yaml'))
    assert report.ok and np.linalg.norm(
        messages.transform_from(exact[0].pose)[:3, 3] - BASE_FROM_OBJECT[:3, 3]) < 0.08
    _, coarse = plan_with_handeye(scripted_model, calibrated_camera(tmp_path / 'coarse.yaml', sigma_m=0.01))
    assert coarse.numbers['mount_sigma_m'] == pytest.approx(0.01)
    assert coarse.numbers['success_probability'] < report.numbers['success_probability'] - 0.1


def test_the_errors_of_a_camera_move_the_object_with_their_lever():
    rng = np.random.default_rng(0)
    sigmas = np.array([1e-3, 2e-3, 1e-3, 3e-3, 2e-3, 4e-3])
    in_camera = invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT
    stated = BaseView(BASE_FROM_CAMERA, np.diag(sigmas**2)).of_pose(in_camera)
    moved = np.array([(perturb(BASE_FROM_CAMERA, rng.normal(0, sigmas)) @ in_camera)[:3, 3] for _ in range(4000)])
    np.testing.assert_allclose(np.cov(moved.T), stated[:3, :3], atol=3e-7)


def test_a_camera_in_the_hand_needs_the_tools_pose(scripted_model, tmp_path):
    _, report = plan_with_handeye(scripted_model, calibrated_camera(tmp_path / 'hand.yaml', 'eye-in-hand'))
    assert (report.ok, report.reason) == (False, 'no_camera_pose')


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


def answer_to(harness, transform=BASE_FROM_OBJECT, covariance=COVARIANCE):
    """The report on one pose in the base frame."""
    reports = harness.reports()
    harness.publisher(PoseWithCovarianceStamped, '/pose').publish(pose(12, 'base_link', transform, covariance))
    harness.spin_until(lambda: reports)
    return reports[0]


LID = [0.05, 0.02, 0.25, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.05]


@pytest.mark.parametrize(('parameters', 'expected'), [
    ({'obstacle_boxes': LID[:9]}, 'parameter obstacle_boxes: expected 10 finite numbers each'),
    ({'obstacle_boxes': [*LID, *LID[:6], 2.0, *LID[7:]]}, 'obstacle_boxes: box 1: expected a quaternion'),
    ({'obstacle_boxes': [*LID[:9], 0.0]}, 'parameter obstacle_boxes: box 0: expected sides above 0'),
    ({'obstacle_spheres': [0.0, 0.0, 0.1]}, 'parameter obstacle_spheres: expected 4 finite numbers each'),
    ({'obstacle_spheres': [0.0, 0.0, 0.1, -0.1]}, 'parameter obstacle_spheres: sphere 0: expected a radius'),
    ({'urdf': '/nowhere/arm.urdf'}, 'parameter tip_frame: with urdf given, expected the frame'),
    ({'urdf': '/nowhere/arm.urdf', 'tip_frame': 'hand'}, 'parameter urdf or tip_frame: '),
    ({'reach_max_m': 0.5, 'reach_min_m': 0.6}, 'parameter reach_min_m: expected less than'),
    ({'reach_max_m': 0.5, 'reach_shoulder': [0.0, 0.0]}, 'parameter reach_shoulder: expected 3 finite numbers'),
    ({'depth_obstacles': True, 'model': ''}, 'parameter depth_obstacles: expected a model'),
])
def test_surroundings_or_an_arm_that_cannot_be_fail_configure_by_name(scripted_model, capfd, parameters, expected):
    grasps = {'grasps': str(scripted_model / 'grasps.yaml')} if parameters.get('model') == '' else {}
    with running(GraspPlannerNode, **{'model': str(scripted_model), **grasps, **parameters}) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    lines = [line for line in capfd.readouterr().err.splitlines() if 'ERROR' in line]
    assert len(lines) == 1 and expected in lines[0]


@pytest.mark.parametrize(('parameters', 'reason'), [
    ({'obstacle_boxes': LID}, 'approach_blocked'),
    ({'obstacle_spheres': [0.05, 0.02, 0.3, 0.2]}, 'collides'),
    ({'reach_max_m': 0.3, 'reach_shoulder': [1.0, 0.0, 0.0]}, 'unreachable'),
])
def test_obstacles_and_reach_come_from_parameters(scripted_model, parameters, reason):
    with running(GraspPlannerNode, model=str(scripted_model), **parameters) as harness:
        harness.start()
        report = answer_to(harness)
    assert report.numbers[f'rejected_{reason}'] > 50
    assert report.numbers['obstacles'] == ('reach_max_m' not in parameters)


def test_a_pose_that_is_too_uncertain_is_answered_with_the_direction_that_costs_most(scripted_model):
    with running(GraspPlannerNode, model=str(scripted_model), min_success_probability=0.9) as harness:
        harness.start()
        report = answer_to(harness, covariance=np.diag([9e-4, 9e-4, 1e-8, 1e-6, 1e-6, 1e-6]))
    assert (report.ok, report.reason) == (False, 'pose_too_uncertain')
    assert report.words['weakest_direction'] == 'shift along the closing direction'
    assert report.numbers['rejected_pose_too_uncertain'] > 0


def test_the_other_instances_of_the_same_image_are_obstacles(scripted_model):
    """The pose comes first and waits; the instances of another image do not count."""
    beside = make_transform(None, (0.05, 0.11, 0.0225))
    with running(GraspPlannerNode, model=str(scripted_model)) as harness:
        harness.start()
        reports, poses = harness.reports(), harness.publisher(PoseWithCovarianceStamped, '/pose')
        instances = harness.publisher(PoseArray, '/poses')
        for stamp, among, of in ((1, [BASE_FROM_OBJECT], 1), (2, [BASE_FROM_OBJECT, beside], 2),
                                 (3, [BASE_FROM_OBJECT, beside], 2)):
            poses.publish(pose(stamp, 'base_link', BASE_FROM_OBJECT))
            harness.spin_for(0.02)
            instances.publish(messages.to_pose_array(messages.to_header(of, 'base_link'), among))
            harness.spin_until(lambda stamp=stamp: len(reports) == stamp)
    assert [report.numbers['obstacles'] for report in reports] == [0, 1, 0]
    alone, beside_another, _ = (report.numbers['feasible'] for report in reports)
    assert 0 < beside_another < alone


def test_what_the_depth_image_shows_is_an_obstacle_but_not_the_object(scripted_model):
    spec = sample_scene(np.random.default_rng(3), MESH)
    with World(MESH, None, spec, image_size=(320, 240)) as world:
        frame = world.frame(depth=True)
    header = messages.to_header(9, 'camera')
    depth = Image(header=header, height=240, width=320, encoding='32FC1', step=1280, data=frame.depth_m.tobytes())
    with running(GraspPlannerNode, model=str(scripted_model), depth_obstacles=True,
                 base_from_camera=list(pose_values(frame.base_from_camera))) as harness:
        harness.start()
        reports, poses = harness.reports(), harness.publisher(PoseWithCovarianceStamped, '/pose')
        infos, depths = harness.publisher(CameraInfo, '/camera_info'), harness.publisher(Image, '/depth')
        poses.publish(pose(5, 'camera', frame.camera_from_object))
        harness.spin_until(lambda: len(reports) == 1)
        poses.publish(pose(9, 'camera', frame.camera_from_object))
        harness.spin_for(0.02)
        depths.publish(depth)
        harness.spin_until(lambda: len(reports) == 2)
        infos.publish(messages.to_camera_info(header, frame.camera))
        harness.spin_for(0.1)
        poses.publish(pose(9, 'camera', frame.camera_from_object))
        harness.spin_until(lambda: len(reports) == 3)
    assert [report.reason for report in reports] == ['no_depth', 'no_camera_info', '']
    assert reports[2].ok and 0 < reports[2].numbers['obstacle_points'] < 5000


def test_what_fell_is_drawn_for_who_looks(planner):
    drawn, reports = planner.collect(MarkerArray, '/grasp_planner/discarded'), planner.reports()
    planner.publisher(PoseWithCovarianceStamped, '/pose').publish(
        pose(12, 'camera', invert(BASE_FROM_CAMERA) @ BASE_FROM_OBJECT))
    planner.spin_until(lambda: drawn and reports)
    counts = {marker.ns: len(marker.points) / 8 for marker in drawn[0].markers if marker.ns}
    assert counts == {reason: reports[0].numbers[f'rejected_{reason}'] for reason in REASONS
                      if reports[0].numbers[f'rejected_{reason}']}
