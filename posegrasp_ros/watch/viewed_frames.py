# SPDX-License-Identifier: Apache-2.0
"""ViewedFrames: watched frames as files for viewers."""

from __future__ import annotations

import math

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import Symmetry
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.metrics.pose.instance_matching import nearest_instance
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.viewer_files.shown_frame import ShownFrame, ShownObject, shown_grasps
from posegrasp_ros.viewer_files.viewer_files import Shows
from posegrasp_ros.watch.watch_stages import LOOKING_DOWN
from posegrasp_ros.watch.watched_frame import WatchedFrame


class ViewedFrames:
    """Hands watched frames on as an evaluation does.

    :param show: writes them
    :param symmetry: of the object, for its errors
    :param gripper: of the grasps; None for none
    """

    def __init__(self, show: Shows, mesh: Mesh, symmetry: Symmetry, gripper: EndEffector | None):
        self._show, self._mesh, self._gripper = show, mesh, gripper
        self._target = ErrorTarget.without_mesh(symmetry)

    def take(self, frame: WatchedFrame) -> None:
        """Write a frame."""
        seen, outcome = frame.frame, frame.perceived.outcome
        # Where nobody tells the camera's pose, grasps are planned with one that is good for nothing else.
        base_from_camera = None if frame.base_from_camera is LOOKING_DOWN else frame.base_from_camera
        self._show(ShownFrame(seen.stamp_ns + frame.shift_ns, seen.image, seen.camera, base_from_camera, [
            ShownObject('', self._mesh, frame.poses, seen.truths,
                        shown_grasps(frame.grasps, self._gripper, frame.base_from_camera), outcome.reason,
                        {'score': outcome.numbers.get('score', math.nan), 'latency_ms': outcome.latency_ms,
                         **self._errors(frame)})]))

    def _errors(self, frame: WatchedFrame) -> dict[str, float]:
        if not frame.poses or not frame.frame.truths:
            return {}
        estimate = frame.poses[0].camera_from_object
        errors = self._target.errors(estimate, nearest_instance(estimate, frame.frame.true_poses).pose)
        return {'position_error_mm': 1000 * errors.position_m,
                'rotation_error_deg': math.degrees(errors.rotation_rad)}
