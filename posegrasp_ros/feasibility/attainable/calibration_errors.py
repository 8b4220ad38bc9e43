"""What no estimator can mend: a focal length and a camera mounting that are known to so much only.

Both go into the pose in the base frame, and average out in no number of pictures: they are the same in each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.feasibility.attainable.view_sampling import CameraView
from posegrasp_ros.geometry.transforms import move_covariance


@dataclass(frozen=True)
class CalibrationErrors:
    """Standard deviations of a camera's calibration; the defaults are what a careful one reaches.

    :param focal_share: of the focal length, relative
    :param mount_m: of the camera's position in the base frame (hand-eye calibration), along each axis
    :param mount_rad: of its orientation, about each axis
    """

    focal_share: float = 0.002
    mount_m: float = 0.001
    mount_rad: float = float(np.radians(0.2))

    def covariance(self, view: CameraView) -> np.ndarray:
        """(6, 6) of the object's pose in the base frame, as seen in this view."""
        return self.focal(view) + self.mounting(view)

    def focal(self, view: CameraView) -> np.ndarray:
        """(6, 6) from the focal length, base frame.

        What looks so large is taken for farther by the focal length's relative error, along the optical axis. A
        point off the axis is seen in a wrong direction too, and the object's orientation is known relative to it.
        """
        position = view.camera_from_object[:3, 3]
        farther_m = self.focal_share * position[2]
        wrong = position + [0.0, 0.0, farther_m]
        turn = np.cross(position, wrong) / (np.linalg.norm(position) * np.linalg.norm(wrong))
        effect = np.concatenate([[0.0, 0.0, farther_m], turn])
        return view.in_base(np.outer(effect, effect))

    def mounting(self, view: CameraView) -> np.ndarray:
        """(6, 6) from where the camera is taken to be, base frame; a wrong turn moves what is far away more."""
        of_camera = np.diag(np.repeat([self.mount_m**2, self.mount_rad**2], 3))
        lever_m = view.base_from_object[:3, 3] - view.base_from_camera[:3, 3]
        return move_covariance(of_camera, lever_m)
