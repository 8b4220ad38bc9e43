# SPDX-License-Identifier: Apache-2.0
"""StatedPose: a pose as some node or file states it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.true_pose import check_covariance
from posegrasp_ros.runtime.errors import InvalidInputError


class StatedPose(NamedTuple):
    """One pose of one object.

    :param frame_from_object: (4, 4); NaN where the message holds none that can be used, which is a wrong answer
    :param stamp_ns: of the message's header
    :param frame_id: empty for the camera's
    :param arrived_ns: recording time; None where it is not known
    :param covariance: (6, 6) in the frame, as geometry_msgs has it; None or zeros where it is not known
    :param score: NaN where none is stated
    :param class_id: of the object; empty where the message does not name one
    """

    frame_from_object: np.ndarray
    stamp_ns: int
    frame_id: str = ''
    arrived_ns: int | None = None
    covariance: np.ndarray | None = None
    score: float = math.nan
    class_id: str = ''

    @property
    def usable_covariance(self) -> np.ndarray | None:
        """The covariance; None also where it is not one, such as NaN or -1, which often mean unknown."""
        try:
            if self.covariance is not None:
                check_covariance(self.covariance)
        except InvalidInputError:
            return None
        return self.covariance
