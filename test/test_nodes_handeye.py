# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from arm_views import CAMERA, Cell, photograph
from geometry_msgs.msg import PoseStamped
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from test_handeye_command import TARGET, charuco, view

from posegrasp_ros.geometry.transforms import rotation_angle
from posegrasp_ros.handeye.calibration_file import load_mounted_camera
from posegrasp_ros.handeye.sample import Mounting
from posegrasp_ros.nodes.handeye_node import HandEyeNode
from posegrasp_ros.ros import messages

MS = 1_000_000


class Person:
    """Moves the arm, and calls the services."""

    def __init__(self, harness):
        self.harness, self.stamp = harness, 1_000 * MS
        self.infos, self.images = harness.publisher(CameraInfo, '/camera_info'), harness.publisher(Image, '/image')
        self.arm = harness.publisher(PoseStamped, '/arm_pose')

    def call(self, name):
        client = self.harness.probe.create_client(Trigger, f'/handeye/{name}')
        self.harness.spin_until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.harness.spin_until(future.done)
        return future.result()

    def move(self, base_from_tool, image, arm_known=True):
        """The arm rests there, and the camera takes an image."""
        self.stamp += 1_000 * MS
        for around in (-100, 0, 100) if arm_known else ():
            header = messages.to_header(self.stamp + around * MS, 'base_link')
            self.arm.publish(messages.to_pose_stamped(header, base_from_tool))
        self.harness.spin_for(0.05)
        header = messages.to_header(self.stamp, 'cam')
        self.infos.publish(messages.to_camera_info(header, CAMERA))
        self.images.publish(messages.to_image(header, image))
        self.harness.spin_until(lambda: self.harness.node._newest is not None)


def test_a_person_takes_samples_is_told_what_is_missing_and_gets_the_calibration(tmp_path):
    rng = np.random.default_rng(0)
    cell = Cell.random(rng, Mounting.IN_HAND)
    _, picture, px_per_m, corner_m, y_down = charuco()

    def seen(pose):
        return photograph(picture, px_per_m, corner_m, y_down, cell.camera_from_target(pose))

    with running(HandEyeNode, target=TARGET, out=str(tmp_path / 'out')) as harness:
        harness.start()
        person = Person(harness)
        said = person.call('take_sample')
        assert not said.success and 'no image came' in said.message
        poses = [cell.base_from_tool(view(rng)) for _ in range(12)]
        person.move(poses[0], seen(poses[0]), arm_known=False)
        said = person.call('take_sample')
        assert not said.success and "arm's pose is not known" in said.message
        person.move(poses[0], np.full((480, 640, 3), 90, np.uint8))
        assert 'no marker of the board' in person.call('take_sample').message
        for place, pose in enumerate(poses):
            person.move(pose, seen(pose))
            said = person.call('take_sample')
            assert said.success and said.message.startswith(f'sample {place + 1};')
            if place == 0:
                assert 'next, turn the tool by' in said.message
                refused = person.call('compute')
                assert not refused.success and 'expected at least 4 samples' in refused.message
        assert 'the motions are sufficient' in said.message
        assert person.call('compute').success
        assert person.call('reset').message == '12 samples dropped'
    camera = load_mounted_camera(tmp_path / 'out' / 'handeye.yaml')
    found, true = camera.parent_from_camera.transform, cell.mount_from_camera
    assert camera.camera_frame == 'cam' and np.linalg.norm(found[:3, 3] - true[:3, 3]) < 2e-3
    assert rotation_angle(found[:3, :3].T @ true[:3, :3]) < np.radians(0.2)


@pytest.mark.parametrize(('parameters', 'said'), [
    ({}, 'parameter target: expected what the camera looks at'),
    ({'target': 'charuco:1x1'}, '--target: expected charuco:COLUMNSxROWS'),
    ({'target': TARGET, 'mounting': 'on the wall'}, 'expected one of eye-in-hand, eye-to-hand'),
])
def test_what_is_no_target_or_mounting_is_refused(parameters, said, capfd):
    with running(HandEyeNode, **parameters) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert said in capfd.readouterr().err
