# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import trimesh

pytest.importorskip('rclpy', reason='rclpy is not installed')
vision = pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed (PyPI has none)')

from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402

from posegrasp_ros.estimation.pose_estimate import PoseEstimate  # noqa: E402
from posegrasp_ros.geometry.mesh import load_mesh  # noqa: E402
from posegrasp_ros.geometry.transforms import make_transform  # noqa: E402
from posegrasp_ros.ros import messages  # noqa: E402
from posegrasp_ros.ros.detections import Detected, to_detections  # noqa: E402


def test_detections_state_class_score_pose_covariance_and_box(tmp_path):
    box = trimesh.creation.box((0.12, 0.06, 0.045))
    box.apply_translation((0.01, 0, 0))
    box.export(tmp_path / 'box.obj')
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    covariance = np.diag([1e-6, 2e-6, 3e-6, 4e-6, 5e-6, 6e-6])
    estimates = [PoseEstimate(make_transform(turn, (0.1, 0.2, 0.5)), 0.9, covariance),
                 PoseEstimate(make_transform(None, (0, 0, 0.7)), 0.6, covariance)]
    header = messages.to_header(7, 'camera')
    sent = to_detections(vision, header, [
        Detected('box', load_mesh(tmp_path / 'box.obj'), estimates, ['robot1/box', 'robot1/box_1'])])
    message = deserialize_message(serialize_message(sent), vision.Detection3DArray)
    assert message.header == header and len(message.detections) == 2
    first = message.detections[0]
    result = first.results[0]
    assert [each.id for each in message.detections] == ['robot1/box', 'robot1/box_1']
    assert first.header == header
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('box', 0.9)
    found = messages.transform_from(result.pose.pose)
    np.testing.assert_allclose(found, estimates[0].camera_from_object, atol=1e-9)
    np.testing.assert_allclose(np.reshape(result.pose.covariance, (6, 6)), covariance)
    # The box's centre lies 10 mm along the object's x, which points along the camera's y.
    np.testing.assert_allclose(messages.transform_from(first.bbox.center)[:3, 3], (0.1, 0.21, 0.5), atol=1e-6)
    size = first.bbox.size
    np.testing.assert_allclose((size.x, size.y, size.z), (0.12, 0.06, 0.045), atol=1e-6)
