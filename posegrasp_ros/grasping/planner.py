"""GraspPlanner: an object's pose, its grasp set and the scene in; ranked grasps out, and why the others fell."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from posegrasp_ros.errors import BadInput
from posegrasp_ros.geometry import NO_SYMMETRY, Symmetry
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.grasping.library import GraspSet

# why a candidate falls, in the order of the checks: each counts under the first that it fails
REASONS = ('too_wide', 'below_support', 'approach_blocked', 'unreachable')
# Turns about a continuous symmetry axis that each grasp is tried in; between two lie 15 degrees.
TURNS = 24


class PlanningError(BadInput):
    """A pose, covariance or option that no plan can start from."""


@dataclass(frozen=True)
class PlannerOptions:
    """What the planner may do.

    :param pre_grasp_distance_m: the straight last stretch of the approach
    :param lift_m: straight up after closing
    :param max_approach_angle_rad: of the approach direction, from straight down
    :param min_clearance_m: least height of the gripper over the support plane, all the way
    :param typical_pose_error_m: standard deviation of the object's position when no covariance is given
    """

    pre_grasp_distance_m: float = 0.10
    lift_m: float = 0.10
    max_approach_angle_rad: float = np.radians(100.0)
    min_clearance_m: float = 0.003
    typical_pose_error_m: float = 0.005

    def __post_init__(self):
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise PlanningError(f'planner option {name}: expected a number of 0 or more, got {value}')


@dataclass(frozen=True)
class Scene:
    """What surrounds the object, in the base frame.

    :param support_height_m: z of the plane that the object stands on; None when there is none
    """

    support_height_m: float | None = 0.0


@dataclass(frozen=True)
class PlannedGrasp:
    """A grasp ready to be carried out.

    :param base_from_tcp: (4, 4), metres
    :param score: in [0, 1]; higher is better
    :param opening_m: distance between the pads on the way in
    :param approach: base_from_tcp before the grasp, at the grasp, and lifted
    """

    name: str
    base_from_tcp: np.ndarray
    score: float
    opening_m: float
    force_n: float
    approach: list[np.ndarray]


@dataclass(frozen=True)
class Plan:
    """The planner's answer to one pose.

    :param grasps: best first; empty when none is feasible
    :param reason: why there is none: the reason that most candidates fell for; empty when there is one
    :param fell: how many candidates fell, by reason
    :param numbers: named figures for the stage report
    """

    grasps: list[PlannedGrasp]
    reason: str
    fell: dict[str, int]
    numbers: dict[str, float] = field(default_factory=dict)


class GraspPlanner:
    """Plans for one object and one gripper; what does not depend on the object's pose is computed once.

    :param grasp_set: candidates in the object's frame
    :param symmetry: of the object; a grasp is as good wherever the object looks the same, so each is planned in
        the best of its places
    """

    def __init__(self, gripper: Gripper, grasp_set: GraspSet, options: PlannerOptions | None = None,
                 symmetry: Symmetry = NO_SYMMETRY):
        self.options = options or PlannerOptions()
        self._gripper = gripper
        self._symmetry = symmetry
        self._grasps = grasp_set.grasps
        places = symmetry.transforms(TURNS)
        self._places = len(places)
        # Everything below is by candidate: a grasp in one of its places, all places of the first grasp first.
        self._object_from_tcp = (places @ grasp_set.object_from_tcp[:, None]).reshape(-1, 4, 4)
        self._confidences = self._of_candidates([grasp.confidence for grasp in self._grasps])
        self._openings_m = self._of_candidates([grasp.opening_m for grasp in self._grasps])
        widths_m = self._of_candidates([grasp.width_m for grasp in self._grasps])
        limit_m = gripper.max_opening_m + 1e-6
        self._side_gaps_m = (self._openings_m - widths_m) / 2
        self._too_wide = (widths_m >= limit_m) | (self._openings_m > limit_m)
        corners = [self._gripper_corners(grasp.opening_m) for grasp in self._grasps]
        corners = np.array(corners).reshape(len(corners), 8 * (2 + len(gripper.palm_boxes)), 3)
        self._corners = np.repeat(corners, self._places, axis=0)

    def _of_candidates(self, of_grasps: list[float]) -> np.ndarray:
        """One figure a candidate from one a grasp."""
        return np.repeat(np.array(of_grasps, dtype=float), self._places)

    def _gripper_corners(self, opening_m: float) -> np.ndarray:
        """(K, 3) corners of fingers and palm in the TCP frame: they bound the gripper, closed further or not."""
        boxes = self._gripper.finger_boxes(opening_m) + self._gripper.palm_boxes
        return np.concatenate([box.corners() for box in boxes])

    def plan(self, base_from_object: np.ndarray, covariance: np.ndarray | None, scene: Scene) -> Plan:
        """Rank the grasps that the scene allows.

        :param base_from_object: (4, 4), metres
        :param covariance: (6, 6) of that pose in the base frame; None, or all zero as in a message that was
            not filled in, when it is not known
        :raises PlanningError: when the pose is no rigid transform or the covariance no covariance
        """
        start = time.perf_counter()
        pose = _checked_pose(base_from_object)
        position_covariance = self._position_covariance(covariance, pose)
        base_from_tcp = pose @ self._object_from_tcp
        clearances_m, on_the_way_m = self._clearances(base_from_tcp, scene)
        angles_rad = np.arccos(np.clip(-base_from_tcp[:, 2, 2], -1.0, 1.0))
        least_m = self.options.min_clearance_m
        fails = np.stack([
            self._too_wide,
            clearances_m < least_m,
            on_the_way_m < least_m,
            angles_rad > self.options.max_approach_angle_rad + 1e-9,
        ])
        scores = self._scores(base_from_tcp, clearances_m, angles_rad, position_covariance)
        # A candidate that fell ranks below every other, and the higher the more checks it passed.
        ranks = np.where(fails.any(axis=0), np.argmax(fails, axis=0) - float(len(REASONS)), scores)
        best = self._best_places(ranks)
        chosen = best[ranks[best] >= 0]
        chosen = chosen[np.argsort(-scores[chosen], kind='stable')]
        grasps = self._planned(chosen, scores[chosen], base_from_tcp)
        fell = {reason: int((ranks[best] == i - len(REASONS)).sum()) for i, reason in enumerate(REASONS)}
        numbers = {'candidates': float(len(self._grasps)), 'feasible': float(len(grasps)),
                   **{f'fell_{reason}': float(count) for reason, count in fell.items()},
                   'plan_ms': 1000.0 * (time.perf_counter() - start)}
        return Plan(grasps, '' if grasps else _dominating(fell), fell, numbers)

    def _best_places(self, ranks: np.ndarray) -> np.ndarray:
        """The candidate of the highest rank of each grasp, the first of equal ones, plan after plan."""
        of_grasp = ranks.round(6).reshape(len(self._grasps), self._places)
        return of_grasp.argmax(axis=1) + self._places * np.arange(len(self._grasps))

    def _position_covariance(self, covariance: np.ndarray | None, base_from_object: np.ndarray) -> np.ndarray:
        """(3, 3) of the object's position in the base frame, m², up to symmetry."""
        if covariance is None or not np.any(covariance):
            return np.eye(3) * self.options.typical_pose_error_m**2
        covariance = np.asarray(covariance, dtype=float)
        if covariance.shape != (6, 6) or not np.isfinite(covariance).all() or (np.diag(covariance) < 0).any():
            found = np.array2string(covariance, max_line_width=10**6, threshold=6).replace('\n', '')
            raise PlanningError('covariance of the object: expected 6x6 finite numbers with no negative variance, '
                                f'got {found}')
        return self._symmetry.without_spin(covariance, base_from_object)[:3, :3]

    def _clearances(self, base_from_tcp: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """(N,) height over the support plane at the grasp, and the least on the straight way in, metres.

        The way in is a translation, so its lowest point is at one of its ends; the lift only goes up.
        """
        if scene.support_height_m is None:
            free = np.full(len(base_from_tcp), np.inf)
            return free, free
        lowest = np.einsum('ni,nki->nk', base_from_tcp[:, 2, :3], self._corners).min(axis=1)
        at_grasp = lowest + base_from_tcp[:, 2, 3] - scene.support_height_m
        return at_grasp, at_grasp - self.options.pre_grasp_distance_m * np.maximum(base_from_tcp[:, 2, 2], 0.0)

    def _scores(self, base_from_tcp: np.ndarray, clearances_m: np.ndarray, angles_rad: np.ndarray,
                position_covariance: np.ndarray) -> np.ndarray:
        """(N,) in [0, 1]: the grasp's confidence, times a preference for coming from above, times the
        probabilities that the gripper clears the support plane and that the pads pass on either side of the
        object, given how uncertain its position is.
        """
        closing = base_from_tcp[:, :3, 0]
        side_stds_m = np.sqrt(np.einsum('ni,ij,nj->n', closing, position_covariance, closing).clip(1e-12))
        height_std_m = np.sqrt(max(position_covariance[2, 2], 1e-12))
        clear = ndtr(clearances_m / height_std_m) * (2.0 * ndtr(self._side_gaps_m / side_stds_m) - 1.0).clip(0.0)
        return self._confidences * clear * (0.5 + 0.5 * np.cos(np.minimum(angles_rad, np.pi / 2)))

    def _planned(self, chosen: np.ndarray, scores: np.ndarray, base_from_tcp: np.ndarray) -> list[PlannedGrasp]:
        """The chosen candidates with their approach: back along z, the grasp, straight up."""
        at_grasp = base_from_tcp[chosen]
        before, lifted = at_grasp.copy(), at_grasp.copy()
        before[:, :3, 3] -= self.options.pre_grasp_distance_m * at_grasp[:, :3, 2]
        lifted[:, 2, 3] += self.options.lift_m
        return [PlannedGrasp(self._grasps[k // self._places].name, pose, float(score), float(self._openings_m[k]),
                             self._gripper.force_n, [pre_grasp, pose, lift])
                for k, score, pre_grasp, pose, lift in zip(chosen, scores, before, at_grasp, lifted)]


def _checked_pose(base_from_object: np.ndarray) -> np.ndarray:
    """The pose as (4, 4) floats."""
    pose = np.asarray(base_from_object, dtype=float)
    rigid = pose.shape == (4, 4) and np.isfinite(pose).all() and np.allclose(pose[3], (0, 0, 0, 1))
    rigid = rigid and np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-3)
    if not rigid or np.linalg.det(pose[:3, :3]) < 0:
        found = np.array2string(pose, max_line_width=10**6, precision=4).replace('\n', '')
        raise PlanningError(f'pose of the object: expected a finite rigid 4x4 transform, got {found}')
    return pose


def _dominating(fell: dict[str, int]) -> str:
    """The reason that most candidates fell for; ``no_feasible_grasp`` when there was no candidate."""
    reason = max(fell, key=fell.get)
    return reason if fell[reason] else 'no_feasible_grasp'
