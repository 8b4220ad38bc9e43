# SPDX-License-Identifier: Apache-2.0
"""ArmLength: how far an arm reaches at most, from the lengths of its links."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.geometry.transforms import invert, transform_points
from posegrasp_ros.grasping.planning.arm_model import ArmModel
from posegrasp_ros.grasping.planning.inverse_kinematics import POSITION_M, ROTATION_RAD

# Postures that tell which joints stay where they are, in the base or as seen from the tip.
POSTURES, STILL_M = 8, 1e-6


class ArmLength:
    """How far apart two points of an arm can be at most, one that its base holds and one that its tip carries.

    The first is the last joint whose place no posture changes, the shoulder; the second is the first joint whose
    place as seen from the tip none changes, the wrist. What is farther is beyond reach, whatever inverse
    kinematics would try.

    :ivar most_m: sum of the lengths of the links between, with the strokes of joints that slide; infinite where
        one has no limits
    """

    def __init__(self, arm: ArmModel):
        postures = arm.postures(np.random.default_rng(2), POSTURES)
        in_root = np.array([arm.joint_origins(posture) for posture in postures])
        in_tip = np.array([transform_points(invert(arm.root_from_tip(posture)), origins)
                           for posture, origins in zip(postures, in_root)])
        still_in_root, still_in_tip = ((np.ptp(places, axis=0) < STILL_M).all(axis=1)
                                       for places in (in_root, in_tip))
        # The root itself is still, and so is the last joint as seen from the tip, unless it slides.
        shoulder = int(np.flatnonzero(still_in_root)[-1]) if still_in_root.any() else -1
        wrist = int(np.flatnonzero(still_in_tip)[0]) if still_in_tip.any() else len(still_in_tip)
        if wrist <= shoulder:
            shoulder, wrist = -1, len(still_in_tip)
        self._shoulder = in_root[0, shoulder] if shoulder >= 0 else np.zeros(3)
        self._wrist_in_tip = in_tip[0, wrist] if wrist < len(still_in_tip) else np.zeros(3)
        lengths_m = np.linalg.norm(arm.joints[:, :3, 3], axis=1)
        lengths_m[arm.slides] += np.abs(arm.limits[:, arm.slides]).max(axis=0)
        self.most_m = float(lengths_m[shoulder + 1:wrist + 1].sum())
        if wrist == len(still_in_tip):
            self.most_m += float(np.linalg.norm(arm.last_from_tip[:3, 3]))

    def needed_m(self, root_from_tip: np.ndarray) -> np.ndarray:
        """(...) least length for the tip at poses (..., 4, 4), within the tolerance of inverse kinematics."""
        wrists = root_from_tip[..., :3, :3] @ self._wrist_in_tip + root_from_tip[..., :3, 3]
        slack_m = POSITION_M + ROTATION_RAD * float(np.linalg.norm(self._wrist_in_tip))
        return np.linalg.norm(wrists - self._shoulder, axis=-1) - slack_m
