# SPDX-License-Identifier: Apache-2.0
"""What is seen, as moveit_msgs/CollisionObject, where that is installed: the object's mesh and its support."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.ros.messages import to_pose
from posegrasp_ros.ros.optional import import_optional

SUPPORT = 'support'


class CollisionMessages(NamedTuple):
    """The message types that a CollisionObject is made of."""

    CollisionObject: type
    Mesh: type
    MeshTriangle: type
    Plane: type


def collision_messages() -> CollisionMessages | None:
    """None where moveit_msgs, which brings shape_msgs, is not installed."""
    moveit, shape = (import_optional(f'{package}.msg') for package in ('moveit_msgs', 'shape_msgs'))
    if moveit is None or shape is None:
        return None
    return CollisionMessages(moveit.CollisionObject, shape.Mesh, shape.MeshTriangle, shape.Plane)


def object_mesh_message(types: CollisionMessages, mesh: Mesh) -> Any:
    """A shape_msgs/Mesh; it goes with the message, so that whoever plans needs no file."""
    message = types.Mesh()
    message.vertices = [Point(x=x, y=y, z=z) for x, y, z in mesh.vertices.tolist()]
    for face in mesh.faces.tolist():
        triangle = types.MeshTriangle()
        triangle.vertex_indices = np.asarray(face, dtype=np.uint32)
        message.triangles.append(triangle)
    return message


def seen_object(types: CollisionMessages, header: Header, name: str, mesh: Any,
                base_from_object: np.ndarray) -> Any:
    """The object at its pose; with the same name it replaces the former one in MoveIt's scene.

    :param header: of the base frame
    :param mesh: of :func:`object_mesh_message`
    """
    message = _added(types, header, name, base_from_object)
    message.type.key = name
    message.meshes, message.mesh_poses = [mesh], [to_pose(np.eye(4))]
    return message


def support_plane(types: CollisionMessages, header: Header, scene: Scene) -> Any:
    """The plane that the object stands on; None where there is none."""
    if scene.support_height_m is None:
        return None
    plane = types.Plane()
    a, b, c = (float(value) for value in scene.normal)
    # The plane goes through the point at this height along up.
    plane.coef = [a, b, c, -float(scene.normal @ scene.up) * scene.support_height_m]
    message = _added(types, header, SUPPORT, np.eye(4))
    message.planes, message.plane_poses = [plane], [to_pose(np.eye(4))]
    return message


def _added(types: CollisionMessages, header: Header, name: str, pose: np.ndarray) -> Any:
    message = types.CollisionObject()
    message.header, message.id, message.pose = header, name, to_pose(pose)
    message.operation = message.ADD
    return message
