"""Surroundings: what the planner must keep off at the time of an image, from parameters and from topics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import PoseArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.planning.depth_obstacles import POINT_RADIUS_M, DepthObstacles
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.intrinsics import Intrinsics
from posegrasp_ros.ros.messages import MessageError, stamp_ns
from posegrasp_ros.ros.parameters import ParameterError
from posegrasp_ros.ros.planning_parameters import GraspPlannerParameters, fixed_scene
from posegrasp_ros.ros.reporting import Refusal
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.sensing.depth_buffer import DepthImages
from posegrasp_ros.sensing.images import ImageError
from posegrasp_ros.sensing.packed_image import depth_of

DEPTHS_KEPT = 10


class Surroundings:
    """Gathers what belongs to a pose's stamp.

    :param mesh: of the object; None for grasps without a model, for which only parameters can tell of obstacles
    :param camera_info_topic: and
    :param depth_topic: fully resolved, for messages to a person and to tell whether images are rectified
    :ivar sees_instances: whether the topic ``poses`` counts
    :ivar sees_depth: whether the topics ``depth`` and ``camera_info`` count
    :raises ParameterError: when an obstacle cannot be, or depth is wanted without a mesh
    """

    def __init__(self, chosen: GraspPlannerParameters, mesh: Mesh | None, camera_info_topic: str,
                 depth_topic: str):
        self._fixed, self._mesh = fixed_scene(chosen), mesh
        self.sees_instances, self.sees_depth = chosen.other_instances and mesh is not None, chosen.depth_obstacles
        self._instances: PoseArray | None = None
        self._depths = DepthImages(int(chosen.depth_slop_ms * 1e6), DEPTHS_KEPT)
        self._intrinsics = Intrinsics(camera_info_topic, depth_topic, chosen.rectified)
        if self.sees_depth:
            if mesh is None:
                raise ParameterError('parameter depth_obstacles: expected a model, whose mesh tells which points '
                                     'are the object itself, got grasps alone; set model')
            self._depth_obstacles = DepthObstacles(mesh)

    def add_poses(self, message: PoseArray) -> None:
        """Keep all instances of an image, the one to be grasped first."""
        self._instances = message

    def add_depth(self, message: Image) -> None:
        self._depths.add(stamp_ns(message.header.stamp), message)

    def add_camera_info(self, message: CameraInfo, received_ns: int) -> InvalidInputError | None:
        """Keep the intrinsics; what is wrong with them."""
        return self._intrinsics.add(message, received_ns)

    def has_instances(self, stamp: int) -> bool:
        """Whether the instances of an image are here, or not asked for."""
        return not self.sees_instances or self._instances_of(stamp) is not None

    def has_depth(self, stamp: int) -> bool:
        """Whether the depth of an image's time is here, or not asked for, or no better one will come."""
        return not self.sees_depth or not self._depths.may_come(stamp)

    def scene(self, stamp: int, received_ns: int, base_from: Callable[[Header], np.ndarray],
              base_from_object: np.ndarray) -> Scene:
        """Everything around the object of one image.

        :param received_ns: when its pose came
        :param base_from: gives (4, 4) base_from_frame of a header's frame, or raises Refusal
        :raises Refusal: when depth is wanted and there is none, or one of the poses is none
        """
        scene = self._fixed
        message = self._instances_of(stamp) if self.sees_instances else None
        if message is not None and len(message.poses) > 1:
            scene = scene.with_others(self._mesh, self._others(message, base_from(message.header)))
        if self.sees_depth:
            points = self._points(stamp, received_ns, base_from, base_from_object)
            scene = replace(scene, points=points, point_radius_m=POINT_RADIUS_M)
        return scene

    def _instances_of(self, stamp: int) -> PoseArray | None:
        found = self._instances
        return found if found is not None and stamp_ns(found.header.stamp) == stamp else None

    @staticmethod
    def _others(message: PoseArray, base_from_camera: np.ndarray) -> list[np.ndarray]:
        """base_from_object (4, 4) of all but the first."""
        try:
            return [base_from_camera @ messages.transform_from(pose) for pose in message.poses[1:]]
        except MessageError as error:
            raise Refusal('bad_pose', f'poses: {error}') from error

    def _points(self, stamp: int, received_ns: int, base_from: Callable[[Header], np.ndarray],
                base_from_object: np.ndarray) -> np.ndarray:
        message = self._depths.nearest(stamp)
        if message is None:
            raise Refusal('no_depth', 'depth_obstacles is set and no depth of the time of the pose has come: see '
                                      'the topic depth and the parameter depth_slop_ms')
        try:
            depth_m = depth_of(message)
        except ImageError as error:
            raise Refusal('bad_depth', str(error)) from error
        height, width = depth_m.shape
        camera = self._intrinsics.of(stamp, received_ns, width, height, message.header.frame_id)
        return self._depth_obstacles.points(depth_m, camera, base_from(message.header), base_from_object,
                                            self._fixed.support_height_m)
