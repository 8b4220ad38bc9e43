# SPDX-License-Identifier: Apache-2.0
"""GraspPlanner: object pose, grasp set and scene in; ranked grasps out, with the reason for each rejected one."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_set import GraspSet
from posegrasp_ros.grasping.planning.candidates import Candidates, Placed
from posegrasp_ros.grasping.planning.given_pose import checked_covariance, checked_pose
from posegrasp_ros.grasping.planning.joint_path import JointPath
from posegrasp_ros.grasping.planning.plan import (
    PASSED,
    REASONS,
    VERDICTS,
    DiscardedGrasps,
    Plan,
    PlannedGrasp,
    PlannerOptions,
)
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.grasping.planning.reach import Reach, Reached
from posegrasp_ros.grasping.planning.short_travel import shortest_first
from posegrasp_ros.grasping.robustness.pose_check import PoseCheck
from posegrasp_ros.grasping.robustness.tolerance import DIRECTIONS, FEW_RAYS, tcp_from_base_delta
from posegrasp_ros.grasping.robustness.tolerance_fit import fit_tolerance, tolerance_without_mesh

# So many of the best grasps get their probability of success from a close look.
LOOKED_AT_CLOSELY, MOST_CLOSE_LOOKS = 20, 3


class GraspPlanner:
    """Plans for one object and one gripper; what does not depend on the object's pose is computed once.

    :param grasp_set: in the object's frame
    :param symmetry: of the object; a grasp is as good wherever the object looks the same, so each is planned in
        the best of its places
    :param mesh: of the object, for the grasps' tolerance; None leaves only their widths to tell it from
    :param reach: of the arm; None asks for no more than the angle of the approach
    """

    def __init__(self, gripper: EndEffector, grasp_set: GraspSet, options: PlannerOptions | None = None,
                 symmetry: Symmetry = NO_SYMMETRY, mesh: Mesh | None = None, reach: Reach | None = None):
        self.options = options or PlannerOptions()
        self.tolerance = (tolerance_without_mesh(gripper, grasp_set) if mesh is None
                          else fit_tolerance(mesh, gripper, grasp_set))
        self._tolerance_along = self.tolerance.along()
        self.pose_check = PoseCheck(self.tolerance, grasp_set, symmetry)
        self._candidates = Candidates(gripper, grasp_set, symmetry, self.options)
        self.grasps, self._force_n = grasp_set.grasps, gripper.force_n
        self.gripper, self.symmetry, self._reach = gripper, symmetry, reach

    def by_quality_alone(self) -> GraspPlanner:
        """The same planner as one that knows nothing of uncertainty; what was computed is shared."""
        other = copy.copy(self)
        other.options = replace(self.options, use_covariance=False)
        return other

    @property
    def places(self) -> int:
        """In how many places each grasp is tried."""
        return self._candidates.places

    def plan(self, base_from_object: np.ndarray, covariance: np.ndarray | None, scene: Scene,
             present: Mapping[str, float] | None = None) -> Plan:
        """Rank the grasps that the scene allows.

        :param base_from_object: (4, 4), metres
        :param covariance: (6, 6) of that pose in the base frame; None, or all zero as in a message that was
            not filled in, when it is not known
        :param present: where the arm's joints stand, by name, radians or metres; of equals, see
            :attr:`PlannerOptions.equal_success`, the grasp with the shortest way from there comes first
        :raises PlanningError: when the pose is no rigid transform or the covariance no covariance
        """
        start = time.perf_counter()
        pose = checked_pose(base_from_object)
        known = covariance if covariance is not None and np.any(covariance) else None
        typical = self._typical_errors()
        errors = self.symmetry.without_spin(typical if known is None else checked_covariance(known), pose)
        placed = self._candidates.place(pose, errors if self.options.use_covariance else typical, scene)
        probabilities, weakest = self._probabilities(pose, placed, errors)
        scores = placed.expectations**self.options.quality_weight
        if self.options.use_covariance:
            scores = scores * probabilities
        if self.options.use_covariance and known is not None:
            sure = probabilities >= self.options.min_success_probability
            placed.verdicts[~sure & (placed.verdicts == PASSED)] = VERDICTS['pose_too_uncertain']
        ranked = np.flatnonzero((placed.verdicts == PASSED) & np.isfinite(scores))
        ranked = ranked[np.argsort(-scores[ranked].round(9), kind='stable')]
        approaches = self._approaches(placed.base_from_tcp, scene.up)
        answer = self._within_reach(ranked, approaches, placed.verdicts, scene, present)
        found = np.flatnonzero(answer.reached)
        paths = [answer.paths.get(index) for index in found.tolist()]
        travels = np.array([np.nan if path is None or path.travel is None else path.travel for path in paths])
        if len(found) and np.isfinite(travels).all():
            order = shortest_first(scores[ranked[found]], probabilities[ranked[found]], travels,
                                   self.options.equal_success)
            found, paths = found[order], [paths[index] for index in order]
        reached = ranked[found]
        grasps = [self._planned(grasp, approaches[grasp], scores[grasp], probabilities[grasp], path)
                  for grasp, path in zip(reached.tolist(), paths)]
        rejected = {name: int((placed.verdicts == verdict).sum()) for name, verdict in VERDICTS.items()}
        numbers = {'candidates': float(len(self.grasps)), 'feasible': float(len(grasps)), **answer.numbers,
                   **{f'rejected_{name}': float(count) for name, count in rejected.items()}}
        if grasps:
            numbers['success_probability'] = grasps[0].success_probability
            numbers['symmetry_copy'] = float(placed.copies[reached[0]])
            if grasps[0].joints is not None and grasps[0].joints.travel is not None:
                numbers['joint_travel'] = grasps[0].joints.travel
        numbers['plan_ms'] = 1000.0 * (time.perf_counter() - start)
        discarded = DiscardedGrasps(self.grasps, placed.base_from_tcp, placed.verdicts)
        reason = placed.reason
        if not (reason or grasps):
            reason = _last_of_arm(placed.verdicts[ranked]) if len(ranked) else 'pose_too_uncertain'
        return Plan(grasps, reason, rejected, numbers, discarded, weakest, answer.remark)

    def _typical_errors(self) -> np.ndarray:
        """(6, 6) covariance of an object's pose when nothing is known about it."""
        options = self.options
        return np.diag(np.repeat((options.typical_pose_error_m**2, options.typical_turn_error_rad**2), 3))

    def _probabilities(self, pose: np.ndarray, placed: Placed, errors: np.ndarray) -> tuple[np.ndarray, str]:
        """(G,) probability of success, 0 where rejected, and the direction that costs the likeliest most."""
        probabilities = np.zeros(len(placed.verdicts))
        alive = np.flatnonzero(placed.verdicts == PASSED)
        if not len(alive):
            return probabilities, ''
        deltas = tcp_from_base_delta(pose, placed.base_from_tcp[alive])
        in_tcp = deltas @ errors @ np.swapaxes(deltas, 1, 2)
        probabilities[alive] = self.tolerance.probability_inside(in_tcp, alive, FEW_RAYS)
        # Only what may be carried out is worth the time of a close look; it may put others in front.
        is_close = np.zeros(len(alive), dtype=bool)
        preferences = placed.expectations[alive]**self.options.quality_weight
        for _ in range(MOST_CLOSE_LOOKS):
            best = np.argsort(-preferences * probabilities[alive], kind='stable')[:LOOKED_AT_CLOSELY]
            new = best[~is_close[best]]
            if not len(new):
                break
            probabilities[alive[new]] = self.tolerance.probability_inside(in_tcp[new], alive[new])
            is_close[new] = True
        likeliest = int(np.argmax(probabilities[alive]))
        weakest = self.tolerance.weakest_direction(in_tcp[likeliest], int(alive[likeliest]))
        return probabilities, DIRECTIONS[weakest]

    def _approaches(self, base_from_tcp: np.ndarray, up: np.ndarray) -> np.ndarray:
        """(G, 3, 4, 4) back along z, the grasp, straight up."""
        approaches = np.repeat(base_from_tcp[:, None], 3, axis=1)
        approaches[:, 0, :3, 3] -= self.options.pre_grasp_distance_m * base_from_tcp[:, :3, 2]
        approaches[:, 2, :3, 3] += self.options.lift_m * up
        return approaches

    def _within_reach(self, ranked: np.ndarray, approaches: np.ndarray, verdicts: np.ndarray, scene: Scene,
                      present: Mapping[str, float] | None) -> Reached:
        """Those of the ranked grasps that the arm reaches.

        ``verdicts`` takes what it does not reach. Where asking takes time, only as many as are enough are asked.
        """
        if self._reach is None or not len(ranked):
            return Reached(np.ones(len(ranked), dtype=bool), np.zeros(len(ranked), dtype=bool), {})
        answer = self._reach.search(approaches[ranked], self.options.enough_reachable, scene, present)
        for index in np.flatnonzero(answer.ruled_out).tolist():
            verdicts[ranked[index]] = VERDICTS[answer.reasons.get(index, 'unreachable')]
        return answer

    def _planned(self, grasp: int, approach: np.ndarray, score: float, probability: float,
                 joints: JointPath | None) -> PlannedGrasp:
        """Grasp number ``grasp`` ready to be carried out."""
        kind = self.grasps[grasp]
        return PlannedGrasp(kind.name, approach[1], float(score), kind.opening_m, self._force_n, list(approach),
                            float(probability), self._tolerance_along[grasp], kind.width_m, joints)


def _last_of_arm(verdicts: np.ndarray) -> str:
    """The last check of the arm that any grasp failed."""
    refused = verdicts[verdicts != PASSED]
    return REASONS[refused.max()] if len(refused) else 'unreachable'
