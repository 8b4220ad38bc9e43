"""UrdfReach: reachability by inverse kinematics with joint limits, based on Pinocchio (``pip install pin``)."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from posegrasp_ros.runtime.errors import InvalidInputError, quoted

# Number of initial postures at the grasp; pre-grasp and lift start from its solution.
STARTS = 6
ITERATIONS = 80
POSITION_M, ROTATION_RAD = 0.001, 0.01
DAMPING = 1e-4
STEP_RAD = 0.5  # largest change of a joint per iteration, the range of the linearisation


class ReachError(InvalidInputError):
    """An arm model that cannot be used."""


class UrdfReach:
    """Reachability of an approach: a posture within the joint limits at the grasp, from which inverse kinematics
    also converges at the pre-grasp and the lift. See :class:`posegrasp_ros.grasping.planning.reach.Reach`.

    :param urdf_path: of the arm
    :param tip: link or frame of the URDF that the gripper is mounted on
    :param tip_from_tcp: (4, 4); ``gripper_base_from_tcp`` for a gripper whose base is that link
    :param base_from_root: (4, 4) pose of the URDF's root in the base frame; None for identity
    :raises ReachError: when Pinocchio is missing, the URDF cannot be read or has no such frame
    """

    at_once: int | None = 8

    def __init__(self, urdf_path: str | Path, tip: str, tip_from_tcp: np.ndarray,
                 base_from_root: np.ndarray | None = None):
        self._pin = _pinocchio()
        if not Path(urdf_path).is_file():
            raise ReachError(f'{urdf_path}: no such URDF file')
        try:
            self._model = self._pin.buildModelFromUrdf(str(urdf_path))
        except (RuntimeError, ValueError) as error:
            raise ReachError(f'{urdf_path}: expected a URDF that can be read: {error}') from error
        if not self._model.existFrame(tip):
            names = ', '.join(frame.name for frame in self._model.frames if frame.name != 'universe')
            raise ReachError(f'{urdf_path}: tip: expected one of its frames ({names}), got {quoted(tip)}')
        self._data = self._model.createData()
        self._frame = self._model.getFrameId(tip)
        self._tcp_from_tip = np.linalg.inv(tip_from_tcp)
        self._root_from_base = np.eye(4) if base_from_root is None else np.linalg.inv(base_from_root)
        self._starts = self._starting_postures()

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """(N,) whether the arm reaches all poses of each approach (N, 3, 4, 4)."""
        targets = self._root_from_base @ approaches @ self._tcp_from_tip
        return np.array([self._reaches(*approach) for approach in targets], dtype=bool)

    def _reaches(self, before: np.ndarray, grasp: np.ndarray, lifted: np.ndarray) -> bool:
        """Whether a posture at the grasp can be continued to pre-grasp and lift."""
        for start in self._starts:
            posture = self._solve(grasp, start)
            if posture is not None and all(self._solve(pose, posture) is not None for pose in (before, lifted)):
                return True
        return False

    def _solve(self, root_from_tip: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """Joint positions within limits that reach the pose, by damped least squares; None if not found."""
        pin, model, data = self._pin, self._model, self._data
        target, posture = pin.SE3(root_from_tip), start
        for _ in range(ITERATIONS):
            pin.framesForwardKinematics(model, data, posture)
            tip_from_target = data.oMf[self._frame].actInv(target)
            error = pin.log6(tip_from_target).vector
            if np.linalg.norm(error[:3]) < POSITION_M and np.linalg.norm(error[3:]) < ROTATION_RAD:
                return posture
            jacobian = pin.computeFrameJacobian(model, data, posture, self._frame, pin.LOCAL)
            jacobian = pin.Jlog6(tip_from_target.inverse()) @ jacobian
            step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + DAMPING * np.eye(6), error)
            step *= min(1.0, STEP_RAD / max(np.abs(step).max(), 1e-12))
            posture = pin.integrate(model, posture, step)
            posture = np.clip(posture, model.lowerPositionLimit, model.upperPositionLimit)
        return None

    def _starting_postures(self) -> list[np.ndarray]:
        """The centre of the joint limits, and random postures within them; deterministic."""
        low, high = self._model.lowerPositionLimit, self._model.upperPositionLimit
        neutral = self._pin.neutral(self._model)
        bounded = np.isfinite(low) & np.isfinite(high) & (high - low < 100.0)
        rng = np.random.default_rng(0)
        shares = [np.full(len(low), 0.5), *rng.random((STARTS - 1, len(low)))]
        return [np.where(bounded, low + share * (high - low), neutral) if bounded.any() else neutral
                for share in shares]


def _pinocchio() -> ModuleType:
    """Import Pinocchio, which is an optional dependency."""
    try:
        import pinocchio
    except ModuleNotFoundError as error:
        raise ReachError(
            'reach by URDF: expected the package pinocchio, which is not installed: pip install pin') from error
    return pinocchio
