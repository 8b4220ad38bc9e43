# SPDX-License-Identifier: Apache-2.0
"""Simulated picks with a known error of the object pose given to the planner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.feasibility.required.success_curve import GraspTrial
from posegrasp_ros.feasibility.required.success_model import grasp_number, patient
from posegrasp_ros.geometry.transforms import invert, perturb
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.grasping.robustness.pose_check import tcp_delta
from posegrasp_ros.grasping.robustness.tolerance import tcp_from_base_delta
from posegrasp_ros.runtime.process_pool import workers
from posegrasp_ros.simulation.pick_objects import PickObject
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA, sample_scene
from posegrasp_ros.simulation.solids import touch_solids
from posegrasp_ros.simulation.world import World

# Images are not used: the smallest size that a world accepts.
IMAGE_SIZE = (16, 16)
BASE, OBJECT, GRIPPER = 'base', 'object', 'gripper'


@dataclass(frozen=True, eq=False)
class Disturbance:
    """Error of the given pose.

    :param delta: (6,) translation and rotation vector, metres and radians, of the true pose relative to the given
        one
    :param axes: along and about the axes of the ``base`` or ``object`` frame, at the object origin, or of the
        ``gripper``: the TCP frame of the best grasp without an error
    :param covariance: (6, 6) given to the planner, base frame; None for none
    """

    delta: np.ndarray
    axes: str = BASE
    covariance: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class TrialScenes:
    """Numbered scenes in which picks are tried; results depend only on the seed and the scene number."""

    item: PickObject
    gripper: Gripper
    seed: int

    def attempt(self, number: int, disturbance: Disturbance, cluttered: bool = False) -> GraspTrial:
        """Pick in scene ``number``.

        :param cluttered: with the distractors of :func:`posegrasp_ros.simulation.scene.sample_scene`; without them
            a pick takes half the time
        """
        scene = sample_scene(np.random.default_rng([self.seed, number]), self.item.mesh,
                             DEFAULT_BASE_FROM_CAMERA).unpainted()
        scene = replace(scene, physics=self.item.physics)
        if not cluttered:
            scene = replace(scene, distractors=())
        planner = patient(self.item.planner)
        with World(self.item.mesh, self.gripper, scene, IMAGE_SIZE, self.item.convex_parts) as world:
            truth, around = world.object_pose(), Scene(support_height_m=0.0, boxes=world.obstacles())
            delta, named = self._in_base(planner, truth, around, disturbance)
            given = perturb(truth, -delta)
            grasps = planner.plan(given, disturbance.covariance, around).grasps
            if not grasps:
                return GraspTrial(None, delta, False)
            # A disturbance along the axes of a specific grasp is tested with that grasp if it is still feasible.
            best = next((grasp for grasp in grasps if grasp.name == named), grasps[0])
            outcome = world.pick(best.approach, best.opening_m, best.force_n)
        given_from_true = invert(given) @ planner.symmetry.nearest(truth, given)
        in_tcp = tcp_delta(given_from_true, invert(given) @ best.base_from_tcp)
        return GraspTrial(grasp_number(planner, best.name), in_tcp, outcome.ok)

    def _in_base(self, planner: GraspPlanner, truth: np.ndarray, around: Scene,
                 disturbance: Disturbance) -> tuple[np.ndarray, str]:
        """The disturbance (6,) in the base frame, and the name of the grasp whose axes it refers to, if any."""
        if disturbance.axes == BASE:
            return disturbance.delta, ''
        if disturbance.axes == OBJECT:
            return np.concatenate([truth[:3, :3] @ part for part in np.split(disturbance.delta, 2)]), ''
        grasps = planner.plan(truth, disturbance.covariance, around).grasps
        if not grasps:
            return disturbance.delta, ''
        return _from_tcp(truth, grasps[0], disturbance.delta), grasps[0].name


def _from_tcp(base_from_object: np.ndarray, grasp: PlannedGrasp, delta: np.ndarray) -> np.ndarray:
    """(6,) disturbance of the object pose, base frame, that corresponds to ``delta`` (6,) at the TCP."""
    return np.linalg.solve(tcp_from_base_delta(base_from_object, grasp.base_from_tcp[None])[0], delta)


@contextmanager
def trial_workers(scenes: TrialScenes, jobs: int) -> Iterator[Callable[..., Iterator[GraspTrial]]]:
    """Yield a function that runs picks in ``jobs`` processes.

    It takes a sequence of argument tuples of :meth:`TrialScenes.attempt` and yields the trials in the same order.
    """
    if jobs > 1:
        touch_solids(scenes.item.mesh, scenes.item.convex_parts)  # decompose once, before the processes start
    with workers(TrialScenes.attempt, scenes, jobs) as attempts:
        yield attempts
