# SPDX-License-Identifier: Apache-2.0
"""The stages as node, evaluation and benchmark call them, without ROS."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from posegrasp_ros.datasets.frame import PackedFrame
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.grasping.planning.planning_stage import DepthView, PlanningStage
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.sensing.joined_camera import JoinedCamera
from posegrasp_ros.sensing.packed_image import PackedImage

CAMERA = Camera.from_field_of_view(64, 48, 1.0)
STATED = StatedCamera(CAMERA, None, 'camera', '', '', '')
PIXELS = PackedImage(bytes(3 * 64 * 48), 'bgr8', 64, 48, 192, frame_id='camera')
TRUTH = make_transform(None, (0, 0, 0.5))


class Fixed:
    """An estimator that always gives the same answer, and keeps what it was asked."""

    def __init__(self, estimation: Estimation):
        self.estimation, self.asked = estimation, []

    def estimate(self, *arguments) -> Estimation:
        self.asked.append(arguments)
        return self.estimation


def found() -> Fixed:
    return Fixed(Estimation([PoseEstimate(TRUTH, 0.75, np.eye(6) * 1e-6)], numbers={'network_ms': 3.0}))


def packed(image=PIXELS, stated=STATED, **others) -> PackedFrame:
    return PackedFrame(7, image, JoinedCamera(stated, False, 'camera', '/image', '/camera_info'), **others)


def test_perception_decodes_estimates_and_says_what_is_to_be_reported():
    estimator = found()
    stage = PerceptionStage(estimator, 'box 0123')
    frame, estimation, outcome, _ = stage.perceive(packed(truths=(TruePose(TRUTH),)))
    image, camera, truth, depth_m, stamp_ns = estimator.asked[0]
    assert image.shape == (48, 64, 3) and camera is CAMERA and truth is TRUTH and (depth_m, stamp_ns) == (None, 7)
    report = outcome.report('perception', frame.stamp_ns)
    assert report.ok and report.words == {'model': 'box 0123'} and len(estimation.poses) == 1
    assert report.numbers.pop('latency_ms') >= frame.decode_ms > 0
    assert report.numbers == {'network_ms': 3.0, 'poses': 1.0, 'depth_used': 0.0, 'score': 0.75}


@pytest.mark.parametrize(('undecoded', 'reason', 'problem'), [
    (packed(image=ValueError('cut off')), 'bad_image', 'cut off'),
    (packed(image=PIXELS._replace(data=b'')), 'bad_image', 'image: '),
    (packed(stated=None), 'no_camera_info', 'no camera_info on /camera_info'),
    (packed(stated=CameraError('camera_info: K: no')), 'bad_camera_info', '/camera_info: camera_info: K: no'),
    (packed(stated=StatedCamera(CAMERA.resized(128, 96), None, '', '', '', '')), 'size_mismatch', 'got 64x48')])
def test_an_image_that_cannot_be_used_never_reaches_the_estimator(undecoded, reason, problem):
    estimator = found()
    _, estimation, outcome, _ = PerceptionStage(estimator, 'box').perceive(undecoded)
    assert estimator.asked == [] and estimation.poses == []
    assert outcome.reason == reason and problem in outcome.problem and outcome.words['problem'] == outcome.problem


def test_an_estimator_without_a_reason_has_detected_nothing():
    assert PerceptionStage(Fixed(Estimation()), 'box').perceive(packed()).outcome.reason == 'no_detection'


def test_depth_of_another_size_is_left_out_with_a_warning():
    depth = PackedImage(bytes(2 * 32 * 24), '16UC1', 32, 24, 64, frame_id='camera')
    frame, _, outcome, _ = PerceptionStage(found(), 'box').perceive(packed(depth=depth))
    assert not outcome.reason and outcome.numbers['depth_used'] == 0.0
    assert 'expected 64x48 pixels, registered to the camera image, got 32x24' in frame.warning


def test_camera_info_of_another_frame_is_a_warning():
    other = StatedCamera(CAMERA, None, 'left', '', '', '')
    frame, _, outcome, _ = PerceptionStage(found(), 'box').perceive(packed(stated=other))
    assert not outcome.reason and "frame 'left', the images have 'camera'" in frame.warning


@pytest.fixture(scope='module')
def card():
    return load_model_card(resource_path('models/box'))


@pytest.fixture(scope='module')
def planning(card):
    gripper = load_gripper()
    planner = GraspPlanner(gripper, load_grasps(card.grasps_path, gripper, card.mesh), symmetry=card.symmetry,
                           mesh=card.mesh)
    return PlanningStage(planner, Scene(), card.identity, keep_off_depth=card.mesh)


ON_TABLE = make_transform(None, (0.05, 0.02, 0.0225))


def test_planning_keeps_off_other_objects_and_counts_them(card, planning):
    alone, beside = (planning.plan(ON_TABLE, others=others) for others in (
        (), [BoxObstacle.around(card.mesh, make_transform(None, (0.05, 0.15, 0.0225)))]))
    assert (alone.outcome.numbers['obstacles'], beside.outcome.numbers['obstacles']) == (0.0, 1.0)
    assert 0 < len(beside.plan.grasps) < len(alone.plan.grasps)
    assert alone.outcome.words['model'] == card.identity and alone.outcome.words['grasp']


def test_planning_keeps_off_what_depth_shows(planning):
    wall_m = np.full((480, 640), 0.45, np.float32)
    looking_down = make_transform(np.diag([1.0, -1.0, -1.0]), (0.05, 0.02, 0.6))
    view = DepthView(wall_m, CAMERA.resized(640, 480), looking_down)
    numbers = planning.plan(ON_TABLE, depth=view).outcome.numbers
    assert numbers['obstacle_points'] > 100


@pytest.mark.parametrize(('pose', 'covariance'), [
    (np.full((4, 4), np.nan), None), (ON_TABLE, -np.eye(6)), (make_transform(None, (0, 0, 1e9)), None)])
def test_a_pose_that_cannot_be_planned_for_has_reason_and_problem_and_no_grasps(planning, pose, covariance):
    plan, outcome = planning.plan(pose, covariance)
    assert plan.grasps == [] and outcome.reason == 'bad_pose' and 'expected' in outcome.problem
    assert outcome.words == {**planning.named, 'problem': outcome.problem}
    assert not outcome.report('planning', 3).ok


def test_what_the_estimator_raises_is_the_callers_to_judge():
    def fail(*_):
        raise ZeroDivisionError('oops')
    perceived = PerceptionStage(SimpleNamespace(estimate=fail), 'box').perceive(packed())
    assert isinstance(perceived.error, ZeroDivisionError) and perceived.outcome.reason == 'internal_error'
