# SPDX-License-Identifier: Apache-2.0
"""ArmModel: the joints between the root of a URDF and the gripper, read by Pinocchio (``pip install pin``)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from posegrasp_ros.grasping.planning.arm_urdf import ReachError, checked_urdf
from posegrasp_ros.grasping.planning.inverse_kinematics import ITERATIONS, kinematics, solve
from posegrasp_ros.runtime.errors import quoted

LOGGER = logging.getLogger(__name__)
# Larger ranges of a joint count as none.
WIDEST_RANGE = 100.0


@dataclass(frozen=True, eq=False)
class ArmModel:
    """The joints that move the tip, in order.

    :param joints: (J, 4, 4) of each joint at zero in the frame of the one before; the last row is its axis
    :param slides: (J,) whether it slides, rather than turns
    :param limits: (2, J) radians or metres, infinite where there are none
    :param last_from_tip: (4, 4) of the tip in the frame of the last joint
    :param numbers: (J,) of the joints' positions among all of the URDF, which are ``count``
    :param names: (J,) of the joints
    """

    joints: np.ndarray
    slides: np.ndarray
    limits: np.ndarray
    last_from_tip: np.ndarray
    numbers: np.ndarray
    count: int
    names: tuple[str, ...]

    def postures(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count + 1, J) the middle of the joints' ranges, then random postures within them."""
        shares = np.concatenate([np.full((1, self.count), 0.5), rng.random((count, self.count))])[:, self.numbers]
        low, high = self.limits
        bounded = np.isfinite(low) & np.isfinite(high) & (high - low < WIDEST_RANGE)
        low, high = np.where(bounded, low, -np.pi), np.where(bounded, high, np.pi)
        return low + shares * (high - low)

    def joint_origins(self, posture: np.ndarray) -> np.ndarray:
        """(J, 3) where the joints are, in the root's frame."""
        poses = [_forward(self.joints[:count], self.slides[:count], np.eye(4), posture[:count])
                 for count in range(1, len(posture) + 1)]
        return np.array(poses)[:, :3, 3]

    def root_from_tip(self, posture: np.ndarray) -> np.ndarray:
        """(4, 4) by forward kinematics."""
        return _forward(self.joints, self.slides, self.last_from_tip, posture)

    def solve(self, root_from_tip: np.ndarray, start: np.ndarray,
              patience: int = ITERATIONS) -> tuple[np.ndarray | None, float]:
        """Joint positions that put the tip at a pose, None when none were found, and the least error on the way.

        See :func:`posegrasp_ros.grasping.planning.inverse_kinematics.solve`.
        """
        found, posture, error = solve(self.joints, self.slides, self.limits, self.last_from_tip, root_from_tip,
                                      start, patience)
        return (posture if found else None), error


def _forward(joints: np.ndarray, slides: np.ndarray, last_from_tip: np.ndarray, posture: np.ndarray) -> np.ndarray:
    tip = np.eye(4)
    kinematics(joints, slides, last_from_tip, posture, tip, np.empty((6, len(posture))))
    return tip


def load_arm(urdf_path: str | Path, tip: str) -> ArmModel:
    """Read an arm. A floating or planar joint between the root and the arm is locked at zero, with a warning.

    :param tip: link or frame of the URDF that the gripper is mounted on
    :raises ReachError: when Pinocchio is missing, the URDF cannot be read, has no such frame, no joint moves it,
        or its joints cannot be
    """
    pin = pinocchio()
    model, locked = read_model(urdf_path, tip)
    if locked:
        LOGGER.warning('%s: the arm counts as fixed to the root: %s is locked', urdf_path, ', '.join(locked))
        model = pin.buildReducedModel(model, [model.getJointId(name) for name in locked], pin.neutral(model))
    frame, data = model.frames[model.getFrameId(tip)], model.createData()
    chain = chain_of(model, tip)
    if not chain:
        raise ReachError(f'{urdf_path}: tip: expected a frame that a joint moves, got {quoted(tip)}')
    pin.computeJointJacobians(model, data, pin.neutral(model))
    joints, slides, limits, numbers = np.zeros((len(chain), 4, 4)), [], [], []
    for index, number in enumerate(chain):
        joint = model.joints[number]
        motion = pin.getJointJacobian(model, data, number, pin.ReferenceFrame.LOCAL)[:, joint.idx_v]
        slides.append(not motion[3:].any())
        joints[index] = model.jointPlacements[number].homogeneous
        joints[index, 3, :3] = motion[:3] if slides[-1] else motion[3:]
        has_limits = joint.nq == 1  # one without has sine and cosine for its position
        limits.append([model.lowerPositionLimit[joint.idx_q], model.upperPositionLimit[joint.idx_q]]
                      if has_limits else [-np.inf, np.inf])
        numbers.append(joint.idx_q)
    return ArmModel(joints, np.array(slides), np.ascontiguousarray(np.transpose(limits)),
                    np.ascontiguousarray(frame.placement.homogeneous), np.array(numbers), model.nq,
                    tuple(model.names[number] for number in chain))


def read_model(urdf_path: str | Path, tip: str) -> tuple[Any, list[str]]:
    """Pinocchio's model of a URDF, and the names of the joints before the arm that are to be locked.

    :raises ReachError: as :func:`load_arm`
    """
    pin = pinocchio()
    locked = checked_urdf(Path(urdf_path), tip)
    try:
        model = pin.buildModelFromUrdf(str(urdf_path))
    except (RuntimeError, ValueError) as error:
        raise ReachError(f'{urdf_path}: expected a URDF that can be read: {error}') from error
    if not model.existFrame(tip):
        names = ', '.join(frame.name for frame in model.frames if frame.name != 'universe')
        raise ReachError(f'{urdf_path}: tip: expected one of its frames ({names}), got {quoted(tip)}')
    return model, locked


def chain_of(model: Any, tip: str) -> list[int]:
    """Numbers of the joints in Pinocchio's model that move a frame, from the root on."""
    return [joint for joint in model.supports[model.frames[model.getFrameId(tip)].parentJoint] if joint]


def pinocchio() -> ModuleType:
    """Import Pinocchio, which is an optional dependency.

    :raises ReachError: when it is not installed
    """
    try:
        import pinocchio as pin
    except ModuleNotFoundError as error:
        raise ReachError(
            'reach by URDF: expected the package pinocchio, which is not installed: pip install pin') from error
    return pin
