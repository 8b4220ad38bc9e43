# SPDX-License-Identifier: Apache-2.0
"""ViewChange: which frames show a new view of an object, and which repeat the same view."""

from __future__ import annotations

import math

import numpy as np

from posegrasp_ros.geometry.transforms import rotation_angle

TURN_RAD = math.radians(5.0)
SHIFT = 0.05
"""As a fraction of the distance. Nearer views show the same pixels: their errors are as good as one."""


class ViewChange:
    """Tells whether the camera sees the object from elsewhere than before.

    A view lasts until the object has turned by more than :data:`TURN_RAD` or moved by more than :data:`SHIFT` of
    its distance, as the camera sees it, since the view's first frame.
    """

    def __init__(self) -> None:
        self._first: np.ndarray | None = None

    def is_new(self, camera_from_object: np.ndarray) -> bool:
        """Whether a new view begins with this pose (4, 4)."""
        first = self._first
        if first is not None:
            shift = np.linalg.norm(camera_from_object[:3, 3] - first[:3, 3])
            turn = rotation_angle(camera_from_object[:3, :3] @ first[:3, :3].T)
            if shift <= SHIFT * np.linalg.norm(first[:3, 3]) and turn <= TURN_RAD:
                return False
        self._first = camera_from_object
        return True
