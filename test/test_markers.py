# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from visualization_msgs.msg import Marker

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.ros import markers, messages
from posegrasp_ros.runtime.resources import resource_path

HEADER = messages.to_header(5, 'camera')
POSE = make_transform(rotation_from_vector([0.1, 0.2, 0.3]), (0.1, 0.0, 0.5))


def test_the_mesh_is_drawn_at_the_pose_with_its_own_texture():
    path = resource_path('models/box/mesh.obj')
    clear, mesh = markers.of_poses(HEADER, [PoseEstimate(POSE, 1.0, np.zeros((6, 6)))], path).markers
    assert clear.action == Marker.DELETEALL
    assert mesh.mesh_resource == f'file://{path}' and mesh.mesh_use_embedded_materials
    np.testing.assert_allclose(messages.transform_from(mesh.pose), POSE, atol=1e-12)


def test_the_ellipsoid_points_where_the_position_is_uncertain():
    direction = np.array([1.0, 2.0, 2.0]) / 3.0
    covariance = np.eye(6) * 1e-6
    covariance[:3, :3] += 4e-4 * np.outer(direction, direction)
    ellipsoid = markers.covariance_ellipsoid(HEADER, POSE, covariance, 0)
    axes, size = messages.transform_from(ellipsoid.pose)[:3, :3], ellipsoid.scale
    longest = int(np.argmax([size.x, size.y, size.z]))
    assert abs(axes[:, longest] @ direction) > 0.999999
    np.testing.assert_allclose(max(size.x, size.y, size.z), 6 * np.sqrt(4.01e-4), rtol=1e-6)


def test_the_gripper_closes_on_the_grasp_from_both_sides():
    gripper = load_gripper()
    grasp = PlannedGrasp('a', POSE, 0.9, 0.06, 70.0, [POSE] * 3)
    _, left, right, *palm = markers.of_grasps(HEADER, gripper, [grasp]).markers
    places = np.array([messages.transform_from(finger.pose)[:3, 3] for finger in (left, right)])
    across = (places[1] - places[0]) @ POSE[:3, 0]
    np.testing.assert_allclose(across, 0.06 + gripper.finger_thickness_m, atol=1e-9)
    assert len(palm) == len(gripper.palm_boxes)
    assert len({marker.id for marker in (left, right, *palm)}) == 2 + len(palm)


def test_the_best_grasp_stands_out():
    gripper = load_gripper()
    grasps = [PlannedGrasp(name, POSE, 0.9, 0.06, 70.0, [POSE] * 3) for name in 'ab']
    drawn = markers.of_grasps(HEADER, gripper, grasps).markers
    assert drawn[1].color.a > drawn[-1].color.a


def test_a_mesh_of_the_installed_package_is_found_from_another_machine(tmp_path, monkeypatch):
    share = tmp_path / 'share' / 'posegrasp_ros'
    (share / 'models').mkdir(parents=True)
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'posegrasp_ros').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert markers.mesh_uri(share / 'models' / 'mesh.obj') == 'package://posegrasp_ros/models/mesh.obj'
    assert markers.mesh_uri(tmp_path / 'mine.obj') == (tmp_path / 'mine.obj').resolve().as_uri()
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    assert markers.mesh_uri(share / 'models' / 'mesh.obj').startswith('file:///')
