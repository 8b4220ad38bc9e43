# SPDX-License-Identifier: Apache-2.0
"""Motion: a Kalman filter of a pose with constant velocity, which predicts the pose in the next image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.estimation.refinement.motion import difference
from posegrasp_ros.geometry.transforms import perturb

SPEED_M_S, SPEED_RAD_S = 0.3, 1.0
"""Standard deviation of a velocity of which nothing is known yet, each axis."""
ACCELERATION_M_S2, ACCELERATION_RAD_S2 = 1.0, 5.0
"""Process noise: standard deviation of the acceleration, each axis, constant from image to image; of a hand."""
CHI_SQUARE = 22.46
"""99.9 % of squared distances between measured and predicted poses are smaller: 6 degrees of freedom."""
POSE, VELOCITY = slice(0, 6), slice(6, 12)


def each_axis(shift: float, turn: float) -> np.ndarray:
    """(6,) variances of a pose from the standard deviations of its shift and turn about each axis."""
    return np.repeat([shift ** 2, turn ** 2], 3)


@dataclass(frozen=True)
class Motion:
    """Where an object is, and how it moves, at one time.

    Velocities and covariances are about the object's centre, in the camera's frame: a turn does not move it.

    :param pose: (4, 4) camera_from_centre, a frame in the object's centre that is turned as the object
    :param velocity: (6,) metres and radians a second
    :param covariance: (12, 12) of pose and velocity
    """

    pose: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray
    stamp_ns: int

    @classmethod
    def begun(cls, pose: np.ndarray, covariance: np.ndarray, stamp_ns: int) -> Motion:
        """From a first pose; its velocity is not known.

        :param covariance: (6, 6) of the pose
        """
        both = np.zeros((12, 12))
        both[POSE, POSE] = covariance
        both[VELOCITY, VELOCITY] = np.diag(each_axis(SPEED_M_S, SPEED_RAD_S))
        return cls(pose, np.zeros(6), both, stamp_ns)

    @property
    def pose_covariance(self) -> np.ndarray:
        """(6, 6) of the pose."""
        return self.covariance[POSE, POSE]

    def at(self, stamp_ns: int) -> Motion:
        """The motion at a later time, constant in velocity but for unknown accelerations.

        Unseen, the deviation grows: by the velocity's linearly, by that of the acceleration with the square.
        """
        seconds = (stamp_ns - self.stamp_ns) / 1e9
        transition = np.eye(12)
        transition[POSE, VELOCITY] = seconds * np.eye(6)
        variance = np.diag(each_axis(ACCELERATION_M_S2, ACCELERATION_RAD_S2))
        effect = np.vstack([seconds ** 2 / 2 * np.eye(6), seconds * np.eye(6)])
        covariance = transition @ self.covariance @ transition.T + effect @ variance @ effect.T
        return Motion(perturb(self.pose, seconds * self.velocity), self.velocity, covariance, stamp_ns)

    def explains(self, pose: np.ndarray, covariance: np.ndarray) -> bool:
        """Whether a pose measured at its time is within what the prediction allows, see :meth:`corrected`."""
        step = difference(self.pose, pose)
        return bool(step @ np.linalg.solve(self.pose_covariance + covariance, step) <= CHI_SQUARE)

    def corrected(self, pose: np.ndarray, covariance: np.ndarray) -> Motion:
        """The motion once the pose was measured at its time.

        :param pose: (4, 4) camera_from_centre, less than half a turn from the predicted one
        :param covariance: (6, 6)
        """
        gain = np.linalg.solve(self.pose_covariance + covariance, self.covariance[POSE]).T
        step = gain @ difference(self.pose, pose)
        rest = np.eye(12)
        rest[:, POSE] -= gain
        # Joseph's form stays symmetric and positive in spite of rounding.
        both = rest @ self.covariance @ rest.T + gain @ covariance @ gain.T
        return Motion(perturb(self.pose, step[POSE]), self.velocity + step[VELOCITY], both, self.stamp_ns)
