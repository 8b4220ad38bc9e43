# SPDX-License-Identifier: Apache-2.0
"""Calibration errors of focal length and camera mounting, which no estimator can correct.

Both affect the pose in the base frame. They are the same in every image, so averaging does not reduce them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.feasibility.attainable.view_sampling import CameraView
from posegrasp_ros.geometry.transforms import move_covariance


@dataclass(frozen=True)
class CalibrationErrors:
    """Standard deviations of a camera calibration; the defaults are for a careful calibration.

    :param focal_share: of the focal length, relative
    :param mount_m: of the camera's position in the base frame (hand-eye calibration), along each axis
    :param mount_rad: of its orientation, about each axis
    """

    focal_share: float = 0.002
    mount_m: float = 0.001
    mount_rad: float = float(np.radians(0.2))

    def covariance(self, view: CameraView) -> np.ndarray:
        """(6, 6) covariance of the object's pose in this view, base frame."""
        return self.focal(view) + self.mounting(view)

    def focal(self, view: CameraView) -> np.ndarray:
        """(6, 6) covariance due to the focal length, base frame.

        The depth along the optical axis is wrong by the relative error of the focal length. For a point off the
        axis the viewing direction is wrong too, and with it the object's orientation, which is estimated relative
        to it.
        """
        position = view.camera_from_object[:3, 3]
        farther_m = self.focal_share * position[2]
        wrong = position + [0.0, 0.0, farther_m]
        turn = np.cross(position, wrong) / (np.linalg.norm(position) * np.linalg.norm(wrong))
        effect = np.concatenate([[0.0, 0.0, farther_m], turn])
        return view.in_base(np.outer(effect, effect))

    def mounting(self, view: CameraView) -> np.ndarray:
        """(6, 6) covariance due to the camera pose, base frame; an orientation error grows with distance."""
        of_camera = np.diag(np.repeat([self.mount_m**2, self.mount_rad**2], 3))
        lever_m = view.base_from_object[:3, 3] - view.base_from_camera[:3, 3]
        return move_covariance(of_camera, lever_m)
