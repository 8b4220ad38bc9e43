# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('mujoco', reason='MuJoCo is not installed')

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from ros_harness import Harness, running
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from posegrasp_ros.datasets.visible_shares import visible_share_of
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.nodes.simulator_node import SimulatorNode
from posegrasp_ros.ros import messages

DOWN = np.diag([1.0, -1.0, -1.0])


class Robot:
    """What the simulator expects around it: somebody who looks, somebody who plans."""

    def __init__(self, harness: Harness):
        self.images = harness.collect(Image, '/image_raw')
        self.infos = harness.collect(CameraInfo, '/camera_info')
        self.truths = harness.collect(PoseStamped, '/ground_truth')
        self.reports = harness.reports()
        self.perception = harness.publisher(DiagnosticArray, '/perception_report')
        self.gripper = harness.publisher(JointState, '/gripper')
        self.approach = harness.publisher(Path, '/approach')

    def plan(self, stamp: int, height_m: float) -> None:
        """Ask for a grasp straight from above, where nothing is."""
        header = messages.to_header(stamp, 'base_link')
        poses = [make_transform(DOWN, (0.5, 0.5, z)) for z in (height_m + 0.1, height_m, height_m + 0.1)]
        self.gripper.publish(messages.to_gripper(header, 0.08, 70.0))
        self.approach.publish(messages.to_path(header, poses))


PATIENCE_S = 4.0
gives_up = pytest.mark.parametrize('simulator', [PATIENCE_S], indirect=True)


@pytest.fixture
def simulator(scripted_model, request):
    """A simulator that waits for a plan as long as it takes, or so many seconds."""
    with running(SimulatorNode, model=str(scripted_model), seed=3, picks=2, rate_hz=2.0, exit_when_done=False,
                 timeout_s=getattr(request, 'param', 600.0)) as harness:
        harness.start()
        yield harness


def test_image_intrinsics_and_truth_share_a_stamp(simulator):
    clocks = simulator.collect(Clock, '/clock')
    robot = Robot(simulator)
    simulator.spin_until(lambda: robot.images and robot.infos and robot.truths and clocks)
    assert len({messages.stamp_ns(m[0].header.stamp) for m in (robot.images, robot.infos, robot.truths)}) == 1
    camera, truth = StatedCamera.from_info(robot.infos[0]).raw, messages.transform_from(robot.truths[0].pose)
    pixel = camera.project(truth[:3, 3][None])[0]
    assert messages.image_from(robot.images[0]).shape == (480, 640, 3)
    assert (pixel > 0).all() and (pixel < (640, 480)).all()


def test_it_tells_how_much_of_the_object_is_visible(simulator):
    shares, robot = simulator.collect(DiagnosticArray, '/ground_truth/visible_share'), Robot(simulator)
    simulator.spin_until(lambda: robot.images and shares)
    assert messages.stamp_ns(shares[0].header.stamp) == messages.stamp_ns(robot.images[0].header.stamp)
    assert 0.5 < visible_share_of(shares[0]) <= 1.0


def test_a_grasp_beside_the_object_is_missed_by_physics(simulator):
    robot = Robot(simulator)
    simulator.spin_until(lambda: robot.images)
    stamp = messages.stamp_ns(robot.images[0].header.stamp)
    robot.plan(stamp, height_m=0.3)
    simulator.spin_until(lambda: robot.reports, 60.0)
    assert (robot.reports[0].stamp_ns, robot.reports[0].reason) == (stamp, 'missed')
    assert robot.reports[0].numbers['sim_s'] > 1.0


@gives_up
def test_without_a_plan_the_attempt_ends_after_the_timeout(simulator):
    robot = Robot(simulator)
    simulator.spin_until(lambda: robot.reports, 60.0)
    assert robot.reports[0].reason == 'no_grasp'
    assert robot.reports[0].numbers['waited_ms'] >= 1000 * PATIENCE_S
    assert len(robot.images) >= 2, 'a camera goes on while nobody answers'


def test_a_failure_of_perception_ends_the_attempt_before_the_timeout(simulator):
    robot = Robot(simulator)
    simulator.spin_until(lambda: robot.images)
    stamp = messages.stamp_ns(robot.images[0].header.stamp)
    robot.perception.publish(messages.to_report(StageReport(stamp, 'perception', False, 'no_detection')))
    simulator.spin_until(lambda: robot.reports)
    assert (robot.reports[0].stamp_ns, robot.reports[0].reason) == (stamp, 'no_grasp')


def test_perception_that_lacks_the_camera_info_gets_another_image_of_the_scene(simulator):
    robot = Robot(simulator)
    simulator.spin_until(lambda: robot.images)
    stamp = messages.stamp_ns(robot.images[0].header.stamp)
    robot.perception.publish(messages.to_report(StageReport(stamp, 'perception', False, 'no_camera_info')))
    simulator.spin_until(lambda: len(robot.images) >= 3)
    assert not robot.reports


@gives_up
def test_a_plan_for_an_old_image_is_not_carried_out(simulator):
    robot = Robot(simulator)
    simulator.spin_until(lambda: robot.images)
    robot.plan(stamp=1, height_m=0.3)
    simulator.spin_until(lambda: robot.reports, 60.0)
    assert robot.reports[0].reason == 'no_grasp'


def test_the_same_seed_gives_the_same_picture(scripted_model):
    pictures = []
    for _ in range(2):
        with running(SimulatorNode, model=str(scripted_model), seed=11, picks=1) as harness:
            harness.start()
            robot = Robot(harness)
            harness.spin_until(lambda: robot.images)  # noqa: B023
            pictures.append(messages.image_from(robot.images[0]))
    np.testing.assert_array_equal(*pictures)


def test_objects_of_several_models_take_turns_and_have_their_own_truths():
    with running(SimulatorNode, models=['box', 'can'], seed=3, picks=2, timeout_s=600.0, rate_hz=2.0,
                 exit_when_done=False) as harness:
        harness.start()
        truths = {name: harness.collect(PoseStamped, f'/{name}/ground_truth') for name in ('box', 'can')}
        images, _ = harness.collect(Image, '/image_raw'), harness.collect(CameraInfo, '/camera_info')
        reports = harness.reports()
        failures = harness.publisher(DiagnosticArray, '/perception_report')
        for name in truths:
            for kind, topic in ((Path, 'approach'), (JointState, 'gripper')):
                harness.publisher(kind, f'/{name}/{topic}')
        for target, other in (('box', 'can'), ('can', 'box')):
            images.clear()
            harness.spin_until(lambda: images)
            stamp, before = messages.stamp_ns(images[-1].header.stamp), len(reports)
            # That the other object is not found does not end the attempt.
            for name in (other, target):
                harness.spin_for(0.3)
                assert len(reports) == before
                failures.publish(messages.to_report(StageReport(stamp, 'perception', False, 'no_detection',
                                                                object=name)))
            harness.spin_until(lambda before=before: len(reports) > before)
            assert (reports[-1].object, reports[-1].reason) == (target, 'no_grasp')
            assert all(messages.stamp_ns(each[-1].header.stamp) >= stamp for each in truths.values())
