# SPDX-License-Identifier: Apache-2.0
"""CollisionObject of what is seen, with MoveIt's own message types."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('moveit_msgs.msg', reason='moveit_msgs is not installed (PyPI has none)')

from rclpy.serialization import deserialize_message, serialize_message

from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import look_at
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.collision_objects import (
    collision_messages,
    object_mesh_message,
    seen_object,
    support_plane,
)

TYPES = collision_messages()
HEADER = messages.to_header(7, 'base_link')


def through_the_wire(message):
    return deserialize_message(serialize_message(message), TYPES.CollisionObject)


def test_the_object_has_its_mesh_name_and_pose(tmp_path):
    trimesh.creation.box((0.1, 0.06, 0.04)).export(tmp_path / 'box.obj')
    mesh, pose = load_mesh(tmp_path / 'box.obj'), look_at((0.3, 0.1, 0.2), (0, 0, 0))
    message = through_the_wire(seen_object(TYPES, HEADER, 'box', object_mesh_message(TYPES, mesh), pose))
    assert (message.id, message.type.key, message.header) == ('box', 'box', HEADER)
    assert message.operation == message.ADD
    np.testing.assert_allclose(messages.transform_from(message.pose), pose, atol=1e-9)
    shape, = message.meshes
    vertices = np.array([(point.x, point.y, point.z) for point in shape.vertices])
    faces = np.array([triangle.vertex_indices for triangle in shape.triangles])
    solid = trimesh.Trimesh(vertices, faces)
    assert solid.volume == pytest.approx(0.1 * 0.06 * 0.04, rel=1e-6)


def test_the_support_is_a_plane_at_its_height():
    scene = Scene(support_height_m=0.2, support_normal=np.array([0.0, 0.6, 0.8]))
    message = through_the_wire(support_plane(TYPES, HEADER, scene))
    normal, offset = np.array(message.planes[0].coef[:3]), message.planes[0].coef[3]
    assert normal @ (0.0, 0.0, 0.2) + offset == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(normal, (0.0, 0.6, 0.8))
    assert support_plane(TYPES, HEADER, Scene(support_height_m=None)) is None
