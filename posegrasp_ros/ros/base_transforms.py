# SPDX-License-Identifier: Apache-2.0
"""BaseTransforms: where a message's frame is in the base frame, and how accurate a calibrated camera's pose is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from posegrasp_ros.geometry.transforms import mean_sigmas, move_covariance, rotate_covariance
from posegrasp_ros.handeye.calibration_file import MountedCamera
from posegrasp_ros.ros import messages
from posegrasp_ros.ros.optional import TransformListenerIfInstalled
from posegrasp_ros.ros.reporting import Refusal


class BaseView(NamedTuple):
    """Where a frame is in the base frame.

    :param base_from_frame: (4, 4)
    :param covariance: (6, 6) of it in the base frame; None where it counts as exact
    """

    base_from_frame: np.ndarray
    covariance: np.ndarray | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """What a report tells of a calibrated camera: standard deviations along and about each axis."""
        if self.covariance is None:
            return {}
        position, rotation = mean_sigmas(self.covariance)
        return {'mount_sigma_m': position, 'mount_sigma_rad': rotation}

    def of_pose(self, frame_from_object: np.ndarray) -> np.ndarray:
        """(6, 6) of an object's pose in the base frame by the errors of the frame alone."""
        if self.covariance is None:
            return np.zeros((6, 6))
        return move_covariance(self.covariance, self.base_from_frame[:3, :3] @ frame_from_object[:3, 3])


class BaseTransforms:
    """Looks up frames in the base frame: a given camera, a calibrated one, else TF.

    :param base_from_camera: (4, 4) of a fixed camera; None for none
    :param camera_frame: whose pose that is; empty: the frame of the first message
    :param mounted: calibrated camera, in place of ``base_from_camera``; None for none
    """

    def __init__(self, node: LifecycleNode, base_frame: str, base_from_camera: np.ndarray | None = None,
                 camera_frame: str = '', mounted: MountedCamera | None = None):
        self._node, self._base_frame = node, base_frame
        self._base_from_camera, self._camera_frame, self._mounted = base_from_camera, camera_frame, mounted
        self._transforms = TransformListenerIfInstalled(node)
        is_fixed = base_from_camera is not None or (mounted is not None and mounted.mounting == 'eye-to-hand')
        if not is_fixed and not self._transforms.available:
            node.get_logger().warning('base_from_camera is not set and tf2_ros is not installed: only poses in '
                                      f'{base_frame!r} can be planned for')

    def close(self) -> None:
        """Stop listening."""
        self._transforms.close()

    def base_from(self, header: Header) -> np.ndarray:
        """(4, 4) base_from_frame of the frame that a header names, at its stamp.

        :raises Refusal: when it is not known
        """
        return self.view(header).base_from_frame

    def view(self, header: Header) -> BaseView:
        """The same with its covariance.

        :raises Refusal: when it is not known
        """
        frame = header.frame_id
        if frame == self._base_frame:
            return BaseView(np.eye(4))
        if self._mounted is not None and frame == (self._camera_frame or self._mounted.camera_frame):
            return self._calibrated(self._mounted, header)
        if self._base_from_camera is not None:
            if not self._camera_frame:
                self._camera_frame = frame
                self._node.get_logger().info(f'base_from_camera is taken for that of {frame!r}, the frame of the '
                                             'first pose; the parameter camera_frame names another')
            if frame == self._camera_frame:
                return BaseView(self._base_from_camera)
        return BaseView(self._looked_up(frame, header))

    def _calibrated(self, mounted: MountedCamera, header: Header) -> BaseView:
        """The calibrated camera: fixed to the base, or carried by a frame that TF knows."""
        base_from_parent = np.eye(4)
        if mounted.mounting == 'eye-in-hand':
            base_from_parent = self._looked_up(mounted.parent_frame, header)
        return BaseView(base_from_parent @ mounted.parent_from_camera.transform,
                        rotate_covariance(mounted.camera_covariance, base_from_parent[:3, :3]))

    def _looked_up(self, frame: str, header: Header) -> np.ndarray:
        found, why_not = self._transforms.lookup(self._base_frame, frame, header.stamp)
        if found is None:
            given = 'set base_from_camera'
            if self._base_from_camera is not None:
                given = f'base_from_camera is that of {self._camera_frame!r}: set camera_frame'
            elif self._mounted is not None:
                given = (f'the calibrated camera is {self._camera_frame or self._mounted.camera_frame!r} in '
                         f'{self._mounted.parent_frame!r}: set camera_frame')
            raise Refusal('no_camera_pose', f'where {frame!r} lies in {self._base_frame!r} is not known '
                                            f'({why_not}): {given} or publish it to TF')
        return messages.matrix_from(found.transform)
