# SPDX-License-Identifier: Apache-2.0
"""Markers for rviz: object mesh, position uncertainty, gripper and rejected grasps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.geometry.transforms import make_transform, transform_points
from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.plan import REASONS, DiscardedGrasp, PlannedGrasp
from posegrasp_ros.ros.messages import to_pose
from posegrasp_ros.runtime.resources import PACKAGE

# Semi-axes of the ellipsoid in standard deviations; it is small on the screen and contains nearly all poses.
DEVIATIONS = 3.0
BEST, OTHER = (0.1, 0.7, 0.3, 0.9), (0.5, 0.5, 0.5, 0.25)
# Colours of the rejection reasons, from the colour-blind safe palette of Okabe and Ito.
REASON_COLOURS = {
    'too_wide': (0.60, 0.60, 0.60, 0.6),
    'below_support': (0.90, 0.62, 0.00, 0.6),
    'approach_blocked': (0.80, 0.47, 0.65, 0.6),
    'collides': (0.84, 0.37, 0.00, 0.6),
    'unreachable': (0.34, 0.71, 0.91, 0.6),
    'pose_too_uncertain': (0.94, 0.89, 0.26, 0.6),
    'path_limits': (0.00, 0.45, 0.70, 0.6),
    'self_collision': (0.00, 0.62, 0.45, 0.6),
    'arm_collision': (0.00, 0.00, 0.00, 0.6),
}
LINE_M = 0.001


def of_poses(header: Header, poses: Sequence[PoseEstimate], mesh_path: Path) -> MarkerArray:
    """The object's mesh at every pose, with the ellipsoid of its position uncertainty."""
    drawn = [_clear(header)]
    for index, estimate in enumerate(poses):
        drawn.append(object_mesh(header, estimate.camera_from_object, mesh_path, index))
        if np.any(estimate.covariance):
            drawn.append(covariance_ellipsoid(header, estimate.camera_from_object, estimate.covariance, index))
    return MarkerArray(markers=drawn)


def of_grasps(header: Header, gripper: EndEffector, grasps: Sequence[PlannedGrasp]) -> MarkerArray:
    """The gripper at every grasp: the best one in colour, the others faint."""
    drawn = [_clear(header)]
    for index, grasp in enumerate(grasps):
        colour = OTHER if index else BEST
        drawn += gripper_boxes(header, gripper, grasp.base_from_tcp, grasp.opening_m, index, colour)
    return MarkerArray(markers=drawn)


def of_discarded(header: Header, gripper: EndEffector, discarded: Sequence[DiscardedGrasp]) -> MarkerArray:
    """Rejected grasps as outlines of the gripper, with one colour and one namespace per reason."""
    outlines: dict[str, list[np.ndarray]] = {reason: [] for reason in REASONS}
    for grasp in discarded:
        outlines[grasp.reason].append(transform_points(grasp.base_from_tcp, gripper.outline(grasp.opening_m)))
    drawn = [_clear(header)]
    for number, (reason, lines) in enumerate(outlines.items()):
        if lines:
            points = [Point(x=x, y=y, z=z) for x, y, z in np.concatenate(lines).tolist()]
            drawn.append(Marker(header=header, ns=reason, id=number, type=Marker.LINE_LIST, points=points,
                                scale=Vector3(x=LINE_M), color=_colour(REASON_COLOURS[reason])))
    return MarkerArray(markers=drawn)


def _clear(header: Header) -> Marker:
    """A marker that deletes all previous markers of the topic."""
    return Marker(header=header, action=Marker.DELETEALL)


def object_mesh(header: Header, transform: np.ndarray, mesh_path: Path, index: int) -> Marker:
    """The mesh with its own material and texture, at a (4, 4) pose."""
    return Marker(header=header, ns='object', id=index, type=Marker.MESH_RESOURCE, pose=to_pose(transform),
                  scale=Vector3(x=1.0, y=1.0, z=1.0), mesh_resource=mesh_uri(mesh_path),
                  mesh_use_embedded_materials=True)


def mesh_uri(path: Path) -> str:
    """URI of a mesh for rviz, perhaps on another machine: ``package://`` for what ROS finds with the package."""
    path = path.resolve()
    try:
        share = Path(get_package_share_directory(PACKAGE)).resolve()
    except (PackageNotFoundError, OSError):  # the second where no ROS is sourced
        return path.as_uri()
    if not path.is_relative_to(share):
        return path.as_uri()
    return f'package://{PACKAGE}/{path.relative_to(share).as_posix()}'


def covariance_ellipsoid(header: Header, transform: np.ndarray, covariance: np.ndarray, index: int) -> Marker:
    """The position's uncertainty, :data:`DEVIATIONS` standard deviations in each direction.

    :param covariance: (6, 6) in the header's frame
    """
    variances, axes = np.linalg.eigh(covariance[:3, :3])
    axes *= np.sign(np.linalg.det(axes))
    # rviz reports an error for a sphere of size zero.
    sizes = np.maximum(2 * DEVIATIONS * np.sqrt(np.maximum(variances, 0.0)), 1e-4)
    return Marker(header=header, ns='position_uncertainty', id=index, type=Marker.SPHERE,
                  pose=to_pose(make_transform(axes, transform[:3, 3])), scale=_vector(sizes),
                  color=_colour((0.95, 0.75, 0.1, 0.4)))


def gripper_boxes(header: Header, gripper: EndEffector, base_from_tcp: np.ndarray, opening_m: float, index: int,
                  colour: tuple[float, float, float, float]) -> list[Marker]:
    """Its boxes as cubes, for a (4, 4) pose of the TCP."""
    return [_cube(header, base_from_tcp, box, 100 * index + number, colour)
            for number, box in enumerate(gripper.boxes(opening_m))]


def _cube(header: Header, base_from_tcp: np.ndarray, box: Box, number: int,
          colour: tuple[float, float, float, float]) -> Marker:
    pose = base_from_tcp @ make_transform(None, box.center)
    return Marker(header=header, ns='gripper', id=number, type=Marker.CUBE, pose=to_pose(pose),
                  scale=_vector(2 * np.asarray(box.half_extents)), color=_colour(colour))


def _vector(values: np.ndarray) -> Vector3:
    x, y, z = (float(v) for v in values)
    return Vector3(x=x, y=y, z=z)


def _colour(rgba: tuple[float, float, float, float]) -> ColorRGBA:
    r, g, b, a = rgba
    return ColorRGBA(r=r, g=g, b=b, a=a)
