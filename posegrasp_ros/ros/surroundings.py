# SPDX-License-Identifier: Apache-2.0
"""Surroundings: what the planner must keep off at the time of an image, joined from topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from geometry_msgs.msg import Pose, PoseArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle
from posegrasp_ros.grasping.planning.planning_stage import DepthView
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.intrinsics import Intrinsics
from posegrasp_ros.ros.messages import MessageError, stamp_ns
from posegrasp_ros.ros.parameters import ParameterError
from posegrasp_ros.ros.planning_parameters import GraspPlannerParameters
from posegrasp_ros.ros.reporting import Refusal
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.sensing.depth_buffer import DepthImages
from posegrasp_ros.sensing.images import ImageError
from posegrasp_ros.sensing.joined_camera import UnusableCameraError
from posegrasp_ros.sensing.packed_image import depth_of

DEPTHS_KEPT = 10


class Surroundings:
    """Gathers what belongs to a pose's stamp.

    :param meshes: of the objects by name; None for grasps without a model, for which only parameters can tell of
        obstacles
    :param camera_info_topic: and
    :param depth_topic: fully resolved, for messages to a person and to tell whether images are rectified
    :ivar sees_instances: whether the topic ``poses`` counts
    :ivar sees_depth: whether the topics ``depth`` and ``camera_info`` count
    :raises ParameterError: when depth is wanted without a mesh
    """

    def __init__(self, chosen: GraspPlannerParameters, meshes: Mapping[str, Mesh | None], camera_info_topic: str,
                 depth_topic: str):
        self._meshes = {name: mesh for name, mesh in meshes.items() if mesh is not None}
        self.sees_instances = chosen.other_instances and bool(self._meshes)
        self.sees_depth = chosen.depth_obstacles
        self._instances: dict[str, PoseArray] = {}
        self._depths = DepthImages(int(chosen.depth_slop_ms * 1e6), DEPTHS_KEPT)
        self._intrinsics = Intrinsics(camera_info_topic, depth_topic, chosen.rectified)
        if self.sees_depth and not self._meshes:
            raise ParameterError('parameter depth_obstacles: expected a model, whose mesh tells which points are '
                                 'the object itself, got grasps alone; set model')

    def add_poses(self, name: str, message: PoseArray) -> None:
        """Keep all instances of an object in an image, the one to be grasped first."""
        self._instances[name] = message

    def add_depth(self, message: Image) -> None:
        self._depths.add(stamp_ns(message.header.stamp), message)

    def add_camera_info(self, message: CameraInfo, received_ns: int) -> InvalidInputError | None:
        """Keep the intrinsics; what is wrong with them."""
        return self._intrinsics.add(message, received_ns)

    def has_instances(self, name: str, stamp: int) -> bool:
        """Whether the instances of an object in an image are here, or not asked for."""
        return not self.sees_instances or self._instances_of(name, stamp) is not None

    def has_depth(self, stamp: int) -> bool:
        """Whether the depth of an image's time is here, or not asked for, or no better one will come."""
        return not self.sees_depth or not self._depths.may_come(stamp)

    def others(self, target: str, stamp: int, base_from: Callable[[Header], np.ndarray],
               grasped: Pose | None = None) -> list[BoxObstacle]:
        """Everything else that was found in one image, in the base frame.

        :param target: name of the object of which an instance is to be grasped
        :param grasped: where that instance is, as the message says; None for the first
        :param base_from: gives (4, 4) base_from_frame of a header's frame, or raises Refusal
        :raises Refusal: when one of the poses is none
        """
        boxes = []
        for name, mesh in self._meshes.items() if self.sees_instances else ():
            message = self._instances_of(name, stamp)
            if message is None:
                continue
            poses = _without(message.poses, grasped) if name == target else message.poses
            if not poses:
                continue
            base_from_camera = base_from(message.header)
            try:
                boxes += [BoxObstacle.around(mesh, base_from_camera @ messages.transform_from(pose))
                          for pose in poses]
            except MessageError as error:
                raise Refusal('bad_pose', f'poses: {error}') from error
        return boxes

    def depth(self, stamp: int, received_ns: int, base_from: Callable[[Header], np.ndarray]) -> DepthView | None:
        """The depth of one image; None where depth is not asked for.

        :param received_ns: when its pose came
        :raises Refusal: when it is wanted and there is none that can be used
        """
        if not self.sees_depth:
            return None
        message = self._depths.nearest(stamp)
        if message is None:
            raise Refusal('no_depth', 'depth_obstacles is set and no depth of the time of the pose has come: see '
                                      'the topic depth and the parameter depth_slop_ms')
        try:
            depth_m = depth_of(message)
        except ImageError as error:
            raise Refusal('bad_depth', str(error)) from error
        height, width = depth_m.shape
        try:
            camera = self._intrinsics.of(stamp, received_ns, message.header.frame_id).of_image(width, height)
        except UnusableCameraError as error:
            raise Refusal(error.reason, str(error)) from error
        return DepthView(depth_m, camera, base_from(message.header))

    def _instances_of(self, name: str, stamp: int) -> PoseArray | None:
        found = self._instances.get(name)
        return found if found is not None and stamp_ns(found.header.stamp) == stamp else None


def _without(poses: Sequence[Pose], grasped: Pose | None) -> Sequence[Pose]:
    """All instances but the one to be grasped, which is the first where it is not told."""
    return poses[1:] if grasped is None else [pose for pose in poses if pose != grasped]
