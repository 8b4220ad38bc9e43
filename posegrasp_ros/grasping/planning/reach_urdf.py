# SPDX-License-Identifier: Apache-2.0
"""UrdfReach: reachability by inverse kinematics with joint limits, for the arm of a URDF."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posegrasp_ros.grasping.planning.arm_length import ArmLength
from posegrasp_ros.grasping.planning.arm_model import load_arm
from posegrasp_ros.grasping.planning.inverse_kinematics import ITERATIONS
from posegrasp_ros.grasping.planning.reach import Reached

# Number of initial postures at the grasp; pre-grasp and lift start from its solution.
STARTS, NEAR_STARTS = 6, 6
# So many approaches are asked at a time, best first, until enough are found.
AT_ONCE = 8
# The first look: of many postures, those whose tip is nearest are tried, and each is given up after so many
# iterations without progress.
SEEDS, SEEDS_TRIED, PATIENCE = 1000, 3, 10
# After so many looks, far from each other, no more are taken; after few when all ended this far off, metres and
# radians alike. Where there are only few approaches, all are asked without a look.
LOOKS, FEW, FAR_OFF = 64, 16, 0.2
# What counts as much as one radian between two poses.
RADIAN_M = 0.3


class UrdfReach:
    """Reachability of an approach: a posture within the joint limits at the grasp, from which inverse kinematics
    also converges at the pre-grasp and the lift. See :class:`posegrasp_ros.grasping.planning.reach.Reach`.

    That nothing is reached is found as quickly as that something is. What is beyond the arm's length is refused
    without inverse kinematics. Of the others, at most :data:`LOOKS` are looked at first, spread over all; if the
    arm reaches none of them, the answer is none.

    :param urdf_path: of the arm
    :param tip: link or frame of the URDF that the gripper is mounted on
    :param tip_from_tcp: (4, 4); ``gripper_base_from_tcp`` for a gripper whose base is that link
    :param base_from_root: (4, 4) pose of the URDF's root in the base frame; None for identity
    :raises ReachError: as :func:`posegrasp_ros.grasping.planning.arm_model.load_arm` does
    """

    def __init__(self, urdf_path: str | Path, tip: str, tip_from_tcp: np.ndarray,
                 base_from_root: np.ndarray | None = None):
        self._arm = load_arm(urdf_path, tip)
        self._length = ArmLength(self._arm)
        self._tcp_from_tip = np.linalg.inv(tip_from_tcp)
        self._root_from_base = np.eye(4) if base_from_root is None else np.linalg.inv(base_from_root)
        self._starts = self._arm.postures(np.random.default_rng(0), STARTS - 1)
        self._seeds = self._arm.postures(np.random.default_rng(1), SEEDS - 1)
        seed_tips = np.array([self._arm.root_from_tip(seed) for seed in self._seeds])
        self._seed_features = _features(seed_tips)
        self._seed_squares = (self._seed_features**2).sum(axis=1)
        self._starts_used = 0
        self._solve(seed_tips[0], self._seeds[0])  # compile now instead of during the first plan

    def search(self, approaches: np.ndarray, enough: int) -> Reached:
        """See :class:`posegrasp_ros.grasping.planning.reach.Reach`."""
        self._starts_used = 0
        targets = self._targets(approaches)
        needed_m = self._length.needed_m(targets).max(axis=1)
        within = np.flatnonzero(needed_m <= self._length.most_m)
        reached, ruled_out = np.zeros(len(targets), dtype=bool), np.ones(len(targets), dtype=bool)
        if not len(within):
            return Reached(reached, ruled_out, self._numbers(0), (
                f'the arm is {self._length.most_m:.2f} m long from shoulder to wrist, the nearest grasp needs '
                f'{needed_m.min():.2f} m'))
        found = self._look(targets[within]) if len(within) > FEW else None
        if len(within) > FEW and found is None:
            return Reached(reached, ruled_out, self._numbers(len(within)), (
                f'none of up to {LOOKS} grasps, spread over the {len(within)} within the length of the arm, is '
                f'reached by {self._starts_used} tries of inverse kinematics'))
        for start in range(0, len(targets), AT_ONCE):
            asked = np.arange(start, min(start + AT_ONCE, len(targets)))
            asked_within = np.intersect1d(asked, within)
            reached[asked_within] = [self._reaches(targets[index]) for index in asked_within]
            if reached.sum() >= enough:
                ruled_out[asked[-1] + 1:] = False
                break
        if found is not None and not reached.any():
            reached[within[found]] = True
        return Reached(reached, ruled_out & ~reached, self._numbers(len(within)), '' if reached.any() else (
            f'none of the {len(within)} grasps within the length of the arm is reached'))

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """(N,) whether the arm reaches all poses of each approach (N, 3, 4, 4), with all starts for each."""
        return np.array([self._reaches(approach) for approach in self._targets(approaches)], dtype=bool)

    def _targets(self, approaches: np.ndarray) -> np.ndarray:
        """(N, 3, 4, 4) root_from_tip."""
        return np.ascontiguousarray(self._root_from_base @ approaches @ self._tcp_from_tip)

    def _numbers(self, within: int) -> dict[str, float]:
        return {'ik_starts': float(self._starts_used), 'within_arm_length': float(within)}

    def _look(self, targets: np.ndarray) -> int | None:
        """The first of some approaches (N, 3, 4, 4), spread over all, that is reached."""
        nearest = np.inf
        for looks, index in enumerate(_spread(targets[:, 1], LOOKS), start=1):
            for seed in self._nearest_seeds(targets[index, 1]):
                posture, error = self._solve(targets[index, 1], self._seeds[seed], PATIENCE)
                nearest = min(nearest, error)
                if posture is not None and self._continues(posture, targets[index]):
                    return index
            if looks == FEW and nearest > FAR_OFF:
                break
        return None

    def _nearest_seeds(self, root_from_tip: np.ndarray, count: int = SEEDS_TRIED) -> np.ndarray:
        """(S,) the postures whose tips are nearest to a pose (4, 4), nearest first."""
        squares = self._seed_squares - 2.0 * self._seed_features @ _features(root_from_tip[None])[0]
        nearest = np.argpartition(squares, count)[:count]
        return nearest[np.argsort(squares[nearest], kind='stable')]

    def _reaches(self, approach: np.ndarray) -> bool:
        """Whether a posture at the grasp can be continued to pre-grasp and lift.

        Beside the same starts for all, those whose tip is near: an arm with joints of two turns has many postures
        for a pose, and only some can be continued.
        """
        near = self._seeds[self._nearest_seeds(approach[1], NEAR_STARTS)]
        postures = (self._solve(approach[1], start)[0] for start in (*self._starts, *near))
        return any(posture is not None and self._continues(posture, approach) for posture in postures)

    def _continues(self, posture: np.ndarray, approach: np.ndarray) -> bool:
        """Whether the pre-grasp and the lift follow from the posture at the grasp."""
        return all(self._solve(approach[step], posture)[0] is not None for step in (0, 2))

    def _solve(self, root_from_tip: np.ndarray, start: np.ndarray,
               patience: int = ITERATIONS) -> tuple[np.ndarray | None, float]:
        self._starts_used += 1
        return self._arm.solve(root_from_tip, start, patience)


def _features(poses: np.ndarray) -> np.ndarray:
    """(N, 12) of poses (N, 4, 4), as far apart as the poses are, in metres."""
    turns = poses[:, :3, :3].reshape(-1, 9) * (RADIAN_M / np.sqrt(2.0))
    return np.concatenate([poses[:, :3, 3], turns], axis=1)


def _spread(poses: np.ndarray, count: int) -> list[int]:
    """Indices of at most so many of N poses (N, 4, 4): the first, then always the one farthest from all before."""
    features = _features(poses)
    chosen, apart = [0], np.full(len(features), np.inf)
    for _ in range(min(count, len(features)) - 1):
        apart = np.minimum(apart, ((features - features[chosen[-1]])**2).sum(axis=1))
        chosen.append(int(np.argmax(apart)))
    return chosen
