# SPDX-License-Identifier: Apache-2.0
"""Sample: where the arm was and how the camera saw the target; Mounting: what the camera is mounted on.

Whatever the mounting, one equation holds for each sample (AX = ZB in Tsai's words):
``camera_from_target = inv(mount_from_camera) @ mount_from_hold @ hold_from_target``. With the camera in the hand
the mount is the arm's tool and the target is held by the base; with the camera beside the arm it is the other way
round. Both ``mount_from_camera`` and ``hold_from_target`` are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from posegrasp_ros.geometry.transforms import invert


class Mounting(Enum):
    """What the camera is mounted on."""

    IN_HAND = 'eye-in-hand'
    TO_HAND = 'eye-to-hand'

    @property
    def mount(self) -> str:
        """The part of the robot that carries the camera: ``tool`` or ``base``."""
        return 'tool' if self is Mounting.IN_HAND else 'base'

    @property
    def hold(self) -> str:
        """The part that carries the target."""
        return 'base' if self is Mounting.IN_HAND else 'tool'


@dataclass(frozen=True, eq=False)
class Sample:
    """One look at the target.

    :param base_from_tool: (4, 4) of the arm
    :param camera_from_target: (4, 4) as seen
    :param covariance: (6, 6) of the latter, camera frame, see :func:`posegrasp_ros.geometry.transforms.perturb`
    :param stamp_ns: of the image
    """

    base_from_tool: np.ndarray
    camera_from_target: np.ndarray
    covariance: np.ndarray
    stamp_ns: int = 0

    def mount_from_hold(self, mounting: Mounting) -> np.ndarray:
        """(4, 4) the arm's pose, or its inverse."""
        return invert(self.base_from_tool) if mounting is Mounting.IN_HAND else self.base_from_tool
