# SPDX-License-Identifier: Apache-2.0
"""Candidates: the grasps of a set at all placements by the object's symmetry, and the best of these in a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf, ndtr

from posegrasp_ros.geometry.transforms import Symmetry
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_set import GraspSet
from posegrasp_ros.grasping.planning.obstruction import GripperBoxes, touches
from posegrasp_ros.grasping.planning.plan import PASSED, REASONS, VERDICTS, PlannerOptions
from posegrasp_ros.grasping.planning.planning_scene import Scene

# Number of turns about a continuous symmetry axis that are tried for each grasp, 15 degrees apart.
TURNS = 24
# Number of placements of a grasp that are checked against obstacles before it is rejected.
PLACES_TRIED = 4
# Standard deviation of the support's height; grasps with more clearance to it are preferred.
SUPPORT_ERROR_M = 0.004


@dataclass(frozen=True)
class Placed:
    """Every grasp at its best placement, one entry per grasp.

    :param base_from_tcp: (G, 4, 4)
    :param verdicts: (G,) index of the reason for rejection, or ``PASSED``
    :param expectations: (G,) in [0, 1] quality if the object's pose is exact
    :param copies: (G,) number of the symmetry of that placement
    :param reason: the check after which no candidate was left; empty when one passed all
    """

    base_from_tcp: np.ndarray
    verdicts: np.ndarray
    expectations: np.ndarray
    copies: np.ndarray
    reason: str


class Candidates:
    """All grasps at all placements; everything independent of the object's pose is computed once.

    Candidates are numbered grasp by grasp, with all placements of a grasp in sequence.
    """

    def __init__(self, gripper: EndEffector, grasp_set: GraspSet, symmetry: Symmetry, options: PlannerOptions):
        self._options = options
        places = symmetry.transforms(TURNS)
        self._count, self.places = len(grasp_set), len(places)
        self._object_from_tcp = (places @ grasp_set.object_from_tcp[:, None]).reshape(-1, 4, 4)
        # One wide matrix, so that a single product transforms all candidates.
        self._side_by_side = np.ascontiguousarray(np.moveaxis(self._object_from_tcp, 0, 1).reshape(4, -1))
        grasps = grasp_set.grasps
        openings_m, widths_m = (np.array([getattr(grasp, name) for grasp in grasps], dtype=float)
                                for name in ('opening_m', 'width_m'))
        limit_m = gripper.max_opening_m + 1e-6
        self._too_wide = self._spread((widths_m >= limit_m) | (openings_m > limit_m))
        self._confidences = self._spread(np.array([grasp.confidence for grasp in grasps], dtype=float))
        self._side_room_m = self._spread(gripper.side_room_m(openings_m, widths_m)).astype(np.float32)
        self._closing_directions = np.ascontiguousarray(self._object_from_tcp[:, :3, 0].T, dtype=np.float32)
        self._boxes = GripperBoxes(gripper, openings_m)
        # Compile now instead of during the first plan.
        touches(np.zeros((0, 4, 4)), self._boxes, np.zeros(0, dtype=int), np.zeros((0, 3)), Scene(), 0.0)
        # Order of equally good placements: consecutive ones are far apart, at 0, 105, 210, 315, 60 degrees ...
        self._first_places = self.places * np.arange(self._count)
        self._precedence = (7 * np.arange(self.places)) % self.places / 1e6

    def _spread(self, of_grasps: np.ndarray) -> np.ndarray:
        """(N,) per-candidate values from per-grasp values."""
        return np.repeat(of_grasps, self.places)

    def place(self, base_from_object: np.ndarray, errors: np.ndarray, scene: Scene) -> Placed:
        """Choose every grasp's placement: by inexpensive checks first, then by obstacles.

        :param errors: (6, 6) covariance of the object's pose, base frame
        """
        verdicts, expectations = self._screen(base_from_object, scene)
        preferences = expectations.round(3)
        if self.places > 1:
            passed = np.flatnonzero(verdicts == PASSED)
            preferences[passed] = (expectations[passed] * self._side_fits(passed, base_from_object,
                                                                          errors)).round(3)
        chosen = self._best_places(verdicts, preferences)
        reason = '' if (verdicts == PASSED).any() else _last_check(verdicts)
        if scene.has_obstacles:
            tried = np.flatnonzero(verdicts[chosen] == PASSED)
            first_tried = chosen[tried]
            self._try_against_obstacles(base_from_object, verdicts, preferences, chosen, scene)
            if not (reason or (verdicts[chosen] == PASSED).any()):
                at_grasp = self._collides(base_from_object, first_tried, tried, scene)
                reason = 'collides' if at_grasp.all() else 'approach_blocked'
        return Placed(base_from_object @ self._object_from_tcp[chosen], verdicts[chosen], expectations[chosen],
                      chosen % self.places, reason)

    def _screen(self, base_from_object: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Verdicts (N,) of the inexpensive checks, and expectations (N,).

        The expectation is the grasp's confidence, times a preference for approaches from above, times the
        probability that the gripper clears the support plane. The approach is a translation, so its lowest point
        is at one of its ends.
        """
        up_in_tcp, heights_m = self._along(scene.up, base_from_object)
        normal_in_tcp = up_in_tcp
        expectations = self._confidences * (0.5 + 0.5 * (-up_in_tcp[2]).clip(0.0, 1.0))
        verdicts = np.full(len(expectations), PASSED)
        is_from_above = up_in_tcp[2] <= -np.cos(self._options.max_approach_angle_rad) + 1e-9
        verdicts[~is_from_above] = VERDICTS['unreachable']
        if scene.support_offset_m is not None:
            if scene.support_normal is not None:
                normal_in_tcp, heights_m = self._along(scene.support_normal, base_from_object)
            lowest = self._boxes.lowest(normal_in_tcp.reshape(3, self._count, self.places))
            clearances_m = heights_m + lowest.ravel() - scene.support_offset_m
            on_the_way_m = clearances_m - self._options.pre_grasp_distance_m * normal_in_tcp[2].clip(0.0)
            expectations *= ndtr(clearances_m / SUPPORT_ERROR_M)
            least_m = self._options.min_clearance_m - 1e-9  # tolerate rounding errors at the limit
            verdicts[~(on_the_way_m >= least_m)] = VERDICTS['approach_blocked']
            verdicts[~(clearances_m >= least_m)] = VERDICTS['below_support']
        verdicts[self._too_wide] = VERDICTS['too_wide']
        return verdicts, expectations

    def _along(self, direction: np.ndarray, base_from_object: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(3, N) a direction of the base frame in each TCP frame, and (N,) how far along it the TCP is."""
        along = (direction @ base_from_object[:3]) @ self._side_by_side
        return along.reshape(-1, 4)[:, :3].T.copy(), along[3::4]

    def _side_fits(self, candidates: np.ndarray, base_from_object: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Probability that the gripper passes on either side of the object, by its position uncertainty alone.

        Used only to choose between placements, as an inexpensive substitute for the tolerance's probability.
        """
        rotation, closing = base_from_object[:3, :3], self._closing_directions[:, candidates]
        in_object = (rotation.T @ errors[:3, :3] @ rotation).astype(np.float32)
        variances_m2 = (closing * (in_object @ closing)).sum(axis=0).clip(1e-12)
        return erf(self._side_room_m[candidates] / np.sqrt(2.0 * variances_m2))

    def _try_against_obstacles(self, base_from_object: np.ndarray, verdicts: np.ndarray, preferences: np.ndarray,
                               chosen: np.ndarray, scene: Scene) -> None:
        """Try each grasp's placements, best first, until one is free of obstacles.

        ``verdicts`` and ``chosen`` (G,), the best placement of each grasp so far, are updated.
        """
        trying = np.flatnonzero(verdicts[chosen] == PASSED)
        for _ in range(min(PLACES_TRIED, self.places)):
            tried = chosen[trying]
            blocked = self._is_blocked(base_from_object @ self._object_from_tcp[tried], trying, scene)
            verdicts[tried[blocked]] = VERDICTS['approach_blocked']
            trying = trying[blocked]
            chosen[trying] = self._best_places(verdicts, preferences, trying)
            trying = trying[verdicts[chosen[trying]] == PASSED]
            if not len(trying):
                break
        verdicts[chosen[trying]] = VERDICTS['approach_blocked']  # all tries used
        blocked = np.flatnonzero(verdicts[chosen] == VERDICTS['approach_blocked'])
        at_grasp = self._collides(base_from_object, chosen[blocked], blocked, scene)
        verdicts[chosen[blocked[at_grasp]]] = VERDICTS['collides']

    def _collides(self, base_from_object: np.ndarray, candidates: np.ndarray, grasps: np.ndarray,
                  scene: Scene) -> np.ndarray:
        """(n,) whether the gripper of these candidates, and grasps, touches an obstacle at the grasp."""
        return touches(base_from_object @ self._object_from_tcp[candidates], self._boxes, grasps,
                       np.zeros((len(grasps), 3)), scene, self._options.min_clearance_m)

    def _is_blocked(self, base_from_tcp: np.ndarray, grasps: np.ndarray, scene: Scene) -> np.ndarray:
        """(n,) whether the gripper touches an obstacle during the approach or the lift."""
        ways_in = -self._options.pre_grasp_distance_m * base_from_tcp[:, :3, 2]
        blocked = touches(base_from_tcp, self._boxes, grasps, ways_in, scene, self._options.min_clearance_m)
        free = np.flatnonzero(~blocked)
        ways_up = np.broadcast_to(self._options.lift_m * scene.up, (len(free), 3))
        blocked[free] = touches(base_from_tcp[free], self._boxes, grasps[free], ways_up, scene,
                                self._options.min_clearance_m)
        return blocked

    def _best_places(self, verdicts: np.ndarray, preferences: np.ndarray,
                     grasps: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The candidate of each grasp that passed the most checks; of equal ones the preferred one."""
        verdicts, preferences = (of.reshape(-1, self.places)[grasps] for of in (verdicts, preferences))
        ranks = np.where(verdicts == PASSED, PASSED + preferences, verdicts)
        return (ranks - self._precedence).argmax(axis=1) + self._first_places[grasps]


def _last_check(verdicts: np.ndarray) -> str:
    """The last of the checks that rejected candidates failed; there may be none."""
    return REASONS[verdicts.max()] if len(verdicts) else 'no_feasible_grasp'
