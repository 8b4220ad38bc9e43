# SPDX-License-Identifier: Apache-2.0
"""UrdfReach: reachability by inverse kinematics with joint limits, for the arm of a URDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.planning.arm_bodies import ARM_COLLISION, SELF_COLLISION, Contact, load_bodies
from posegrasp_ros.grasping.planning.arm_length import ArmLength
from posegrasp_ros.grasping.planning.arm_model import load_arm
from posegrasp_ros.grasping.planning.arm_obstacles import ArmObstacles
from posegrasp_ros.grasping.planning.arm_urdf import ReachError
from posegrasp_ros.grasping.planning.inverse_kinematics import ITERATIONS
from posegrasp_ros.grasping.planning.joint_path import RADIAN_M, JointPath, follow, travelled
from posegrasp_ros.grasping.planning.planning_scene import Scene
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
# So many postures at the grasp are tried; arms of six joints have up to eight for a pose.
POSTURES_TRIED = 8
# After so many approaches that are within reach and refused for their joint path, no more are asked.
MOST_REFUSED = 40
# Collisions are checked at every second step of the joint path, 20 mm apart.
EVERY = 2
UNREACHABLE, PATH_LIMITS = 'unreachable', 'path_limits'
ARM_REASONS = (UNREACHABLE, PATH_LIMITS, SELF_COLLISION, ARM_COLLISION)
# A posture that differs less from one before, in each joint, is the same.
SAME_RAD = 0.05


class UrdfReach:
    """Reachability of an approach: a posture within the joint limits at the grasp, from which inverse kinematics
    also converges at the pre-grasp and the lift, and on straight lines to these without a joint jump, the
    arm's bodies free of each other and of obstacles. See :class:`posegrasp_ros.grasping.planning.reach.Reach`.

    That nothing is reached is found as quickly as that something is. What is beyond the arm's length is refused
    without inverse kinematics. Of the others, at most :data:`LOOKS` are looked at first, spread over all; if the
    arm reaches none of them, the answer is none. The joint paths of at most :data:`MOST_REFUSED` are refused.

    :param urdf_path: of the arm
    :param tip: link or frame of the URDF that the gripper is mounted on
    :param tip_from_tcp: (4, 4); ``gripper_base_from_tcp`` for a gripper whose base is that link
    :param base_from_root: (4, 4) pose of the URDF's root in the base frame; None for identity
    :param package_dirs: folders in which packages lie that the URDF takes meshes from
    :param gripper_boxes: in the TCP frame, that must not touch the arm's links
    :param srdf_path: whose ``disable_collisions`` count; empty for none
    :ivar joint_names: of the joints that move the tip
    :ivar left_out: lines about what is not checked, and why
    :raises ReachError: as :func:`posegrasp_ros.grasping.planning.arm_model.load_arm` and
        :func:`posegrasp_ros.grasping.planning.arm_bodies.load_bodies` do
    """

    def __init__(self, urdf_path: str | Path, tip: str, tip_from_tcp: np.ndarray,
                 base_from_root: np.ndarray | None = None, package_dirs: Sequence[str] = (),
                 gripper_boxes: Sequence[Box] = (), srdf_path: str | Path = ''):
        self._arm = load_arm(urdf_path, tip)
        self.joint_names = self._arm.names
        self._bodies, self.left_out = load_bodies(urdf_path, tip, self._arm, package_dirs, gripper_boxes,
                                                  tip_from_tcp, srdf_path)
        self._length = ArmLength(self._arm)
        self._tcp_from_tip = np.linalg.inv(tip_from_tcp)
        self._root_from_base = np.eye(4) if base_from_root is None else np.linalg.inv(base_from_root)
        self._starts = self._arm.postures(np.random.default_rng(0), STARTS - 1)
        self._seeds = self._arm.postures(np.random.default_rng(1), SEEDS - 1)
        seed_tips = np.array([self._arm.root_from_tip(seed) for seed in self._seeds])
        self._seed_features = _features(seed_tips)
        self._seed_squares = (self._seed_features**2).sum(axis=1)
        self._starts_used = 0
        self._touching: Counter[str] = Counter()
        self._present: np.ndarray | None = None
        self._obstacles = ArmObstacles(Scene(None))
        # Compile now instead of during the first plan.
        self._solve(seed_tips[0], self._seeds[0])
        if self._bodies is not None:
            self._bodies.contact(self._seeds[:1], self._obstacles, seed_tips[0, :3, 3])

    def search(self, approaches: np.ndarray, enough: int, scene: Scene,
               present: Mapping[str, float] | None = None) -> Reached:
        """See :class:`posegrasp_ros.grasping.planning.reach.Reach`.

        :raises ReachError: when a joint is missing among the present ones, or not finite
        """
        self._starts_used, self._touching = 0, Counter()
        self._obstacles = ArmObstacles(scene.moved(self._root_from_base))
        self._present = None if present is None else self._positions(present)
        targets = self._targets(approaches)
        needed_m = self._length.needed_m(targets).max(axis=1)
        within = np.flatnonzero(needed_m <= self._length.most_m)
        nothing, everything = np.zeros(len(targets), dtype=bool), np.ones(len(targets), dtype=bool)
        if not len(within):
            return Reached(nothing, everything, self._numbers(0), (
                f'the arm is {self._length.most_m:.2f} m long from shoulder to wrist, the nearest grasp needs '
                f'{needed_m.min():.2f} m'))
        found = self._look(targets[within]) if len(within) > FEW else None
        if len(within) > FEW and found is None:
            return Reached(nothing, everything, self._numbers(len(within)), (
                f'none of up to {LOOKS} grasps, spread over the {len(within)} within the length of the arm, is '
                f'reached by {self._starts_used} tries of inverse kinematics'))
        asked, paths, reasons = self._ask(targets, within, enough)
        if found is not None and not paths:
            index, posture = int(within[found[0]]), found[1]
            reason, path = self._path(targets[index], iter([posture]))
            if path is not None:
                paths[index] = path
                reasons.pop(index, None)
            elif reason != UNREACHABLE:
                reasons.setdefault(index, reason)
        return self._answer(len(targets), within, asked, paths, reasons)

    def _ask(self, targets: np.ndarray, within: np.ndarray, enough: int) -> tuple[
            int, dict[int, JointPath], dict[int, str]]:
        """How many of the approaches were asked, joint paths of those reached, and why others are not."""
        paths: dict[int, JointPath] = {}
        reasons: dict[int, str] = {}
        asked = 0
        for asked in range(AT_ONCE, len(targets) + AT_ONCE, AT_ONCE):
            for index in within[(within >= asked - AT_ONCE) & (within < asked)].tolist():
                reason, path = self._path(targets[index], self._postures(targets[index]))
                if path is not None:
                    paths[index] = path
                elif reason != UNREACHABLE:
                    reasons[index] = reason
            if len(paths) >= enough or len(reasons) >= MOST_REFUSED:
                break
        return min(asked, len(targets)), paths, reasons

    def _answer(self, count: int, within: np.ndarray, asked: int, paths: dict[int, JointPath],
                reasons: dict[int, str]) -> Reached:
        """What was found; where nothing was, those that were not asked count by the most frequent reason."""
        reached, ruled_out = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        reached[list(paths)] = True
        ruled_out[:asked] = True
        ruled_out &= ~reached
        remark = ''
        if not paths:
            ruled_out[:] = True
            found = Counter(reasons.values())
            if asked < count and found:
                others = within[within >= asked].tolist()
                reasons = {**dict.fromkeys(others, found.most_common(1)[0][0]), **reasons}
            remark = self._remark(len(within), asked, found)
        return Reached(reached, ruled_out, self._numbers(len(within)), remark, reasons, paths)

    def _remark(self, within: int, asked: int, found: Counter[str]) -> str:
        if not found:
            return f'none of the {within} grasps within the length of the arm is reached'
        counts = ', '.join(f'{reason} {count}' for reason, count in found.most_common())
        touching = self._touching.most_common(1)
        return f'none of the best {asked} grasps has a free joint path: {counts}' + (
            f'; most often touch {touching[0][0]}' if touching else '')

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """(N,) whether the arm reaches all poses of each approach (N, 3, 4, 4), with all starts for each.

        Joint paths and collisions are not asked for.
        """
        return np.array([any(self._continues(posture, approach) for posture in self._postures(approach))
                         for approach in self._targets(approaches)], dtype=bool)

    def _positions(self, present: Mapping[str, float]) -> np.ndarray:
        """(J,) where the joints stand."""
        positions = np.array([present.get(name, np.nan) for name in self.joint_names], dtype=float)
        if not np.isfinite(positions).all():
            raise ReachError(f'present joints: expected finite positions of {", ".join(self.joint_names)}, got '
                             f'{dict(present)}')
        return positions

    def _targets(self, approaches: np.ndarray) -> np.ndarray:
        """(N, 3, 4, 4) root_from_tip."""
        return np.ascontiguousarray(self._root_from_base @ approaches @ self._tcp_from_tip)

    def _numbers(self, within: int) -> dict[str, float]:
        return {'ik_starts': float(self._starts_used), 'within_arm_length': float(within)}

    def _look(self, targets: np.ndarray) -> tuple[int, np.ndarray] | None:
        """The first of some approaches (N, 3, 4, 4), spread over all, that is reached, and a posture at it."""
        nearest = np.inf
        for looks, index in enumerate(_spread(targets[:, 1], LOOKS), start=1):
            for seed in self._nearest_seeds(targets[index, 1]):
                posture, error = self._solve(targets[index, 1], self._seeds[seed], PATIENCE)
                nearest = min(nearest, error)
                if posture is not None and self._continues(posture, targets[index]):
                    return index, posture
            if looks == FEW and nearest > FAR_OFF:
                break
        return None

    def _nearest_seeds(self, root_from_tip: np.ndarray, count: int = SEEDS_TRIED) -> np.ndarray:
        """(S,) the postures whose tips are nearest to a pose (4, 4), nearest first."""
        squares = self._seed_squares - 2.0 * self._seed_features @ _features(root_from_tip[None])[0]
        nearest = np.argpartition(squares, count)[:count]
        return nearest[np.argsort(squares[nearest], kind='stable')]

    def _postures(self, approach: np.ndarray) -> Iterator[np.ndarray]:
        """Postures at the grasp, as inverse kinematics finds them from several starts.

        Beside the same starts for all, those whose tip is near: an arm with joints of two turns has many postures
        for a pose, and only some can be continued. Where the joints stand is known, it is the first start, and
        the others follow by their distance from it.
        """
        near = self._seeds[self._nearest_seeds(approach[1], NEAR_STARTS)]
        starts = np.concatenate([self._starts, near])
        if self._present is not None:
            order = np.argsort(np.linalg.norm(starts - self._present, axis=1), kind='stable')
            starts = np.concatenate([self._present[None].clip(*self._arm.limits), starts[order]])
        for start in starts:
            posture, _ = self._solve(approach[1], start)
            if posture is not None:
                yield posture

    def _path(self, approach: np.ndarray, postures: Iterator[np.ndarray]) -> tuple[str, JointPath | None]:
        """The joint path from the first posture at the grasp that has a free one, else the last check failed."""
        reason = UNREACHABLE
        tried: list[np.ndarray] = []
        for posture in postures:
            if any((np.abs(posture - other) < SAME_RAD).all() for other in tried):
                continue
            if not self._continues(posture, approach):
                continue
            tried.append(posture)
            # A posture that is none at the grasp already needs no path.
            path, failed = None, self._noted(self._bodies.self_contact(posture) if self._bodies else None)
            if not failed:
                path = follow(self._arm, approach, posture)
                failed = PATH_LIMITS if path is None else self._touches(path, approach[1, :3, 3])
            if path is not None and not failed:
                return '', path if self._present is None else travelled(path, self._arm, self._present)
            reason = max(reason, failed, key=ARM_REASONS.index)
            if len(tried) == POSTURES_TRIED:
                break
        return reason, None

    def _touches(self, path: JointPath, grasp: np.ndarray) -> str:
        """Why the bodies' way along a path is not free; empty where it is."""
        if self._bodies is None:
            return ''
        rows = sorted({*path.at, *range(0, len(path.positions), EVERY)}, key=lambda row: row not in path.at)
        return self._noted(self._bodies.contact(path.positions[rows], self._obstacles, grasp))

    def _noted(self, contact: Contact | None) -> str:
        """The reason of a contact, which is counted for the remark; empty without one."""
        if contact is None:
            return ''
        self._touching[contact.what] += 1
        return contact.reason

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
