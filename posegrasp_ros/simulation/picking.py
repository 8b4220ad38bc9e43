# SPDX-License-Identifier: Apache-2.0
"""Series of simulated picks: scenes, the pose given to the planner under each condition, and the attempts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimator
from posegrasp_ros.geometry.transforms import (
    invert,
    look_at,
    move_covariance,
    perturb,
    rotate_covariance,
)
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.metrics.pick_metrics import GIVEN, QUALITY, Attempt, Condition
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.process_pool import workers
from posegrasp_ros.simulation.pick_film import TriedPick
from posegrasp_ros.simulation.pick_objects import PickObject
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA, sample_scene
from posegrasp_ros.simulation.solids import touch_solids
from posegrasp_ros.simulation.world import World

# Fractions of the stated noise along (position) and about (rotation) three axes; the third is the line of sight.
NOISE_SHAPES = {
    'ball': ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    # A camera is least accurate in distance and in rotations that tilt the object towards or away from it.
    'sight': ((0.25, 0.25, 1.0), (1.0, 1.0, 0.25)),
}


class GivenPose(NamedTuple):
    """The object's pose as given to the planner.

    :param base_from_object: (4, 4); None if there is no pose
    :param covariance: (6, 6) in the base frame; None if it is not given
    :param reason: why there is no pose
    """

    base_from_object: np.ndarray | None = None
    covariance: np.ndarray | None = None
    reason: str = ''


@dataclass
class PickingRun:
    """Numbered scenes, each tried under every condition; results do not depend on the process or the order.

    :param objects: scene k has object k modulo their number
    :param seed: of scenes and noise
    :param noise_shape: one of :data:`NOISE_SHAPES`
    :param mount_covariance: (6, 6) of the camera's pose in the base frame: in each scene it is elsewhere than
        stated, and the planner is told how exact it is; None for an exact one
    :raises InvalidInputError: when poses are to be estimated and an object has no model
    """

    objects: Sequence[PickObject]
    gripper: EndEffector
    conditions: Sequence[Condition]
    seed: int
    noise_shape: str = 'ball'
    mount_covariance: np.ndarray | None = None
    _estimators: dict[str, Estimator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        without = [item.name for item in self.objects if item.model is None]
        if without and any(condition.pose == 'estimate' for condition in self.conditions):
            raise InvalidInputError('pose estimate: expected objects with a model folder, found none for '
                           f'{", ".join(without)}')

    def attempt(self, number: int, condition: Condition) -> Attempt:
        """Pick in scene ``number``, which is identical for all conditions."""
        return self.tried(number, condition).attempt

    def film(self, tried: TriedPick) -> list[np.ndarray]:
        """Pictures of a pick of this run, see :meth:`posegrasp_ros.simulation.world.World.film`."""
        with self._world(tried.attempt.scene)[0] as world:
            return world.film(tried.states)

    def _world(self, number: int) -> tuple[World, PickObject, np.random.Generator]:
        """The world of a scene, the object to pick, and the random numbers that follow those of the scene."""
        item = self.objects[number % len(self.objects)]
        rng = np.random.default_rng([self.seed, number])
        scene = replace(sample_scene(rng, item.mesh, DEFAULT_BASE_FROM_CAMERA), physics=item.physics)
        return World(item.mesh, self.gripper, scene, convex_parts=item.convex_parts), item, rng

    def tried(self, number: int, condition: Condition) -> TriedPick:
        """:meth:`attempt`, with what is needed to draw it."""
        world, item, rng = self._world(number)
        # One draw, scaled to each noise level, so that two conditions differ only in the level.
        unit_noise = rng.standard_normal(6)
        mount_noise = rng.standard_normal(6)
        with world:
            given = self._moved(self._given_pose(world, item, condition, unit_noise), mount_noise)
            if given.base_from_object is None:
                return TriedPick(Attempt(number, item.name, condition.name, given.reason))
            around = Scene(support_height_m=0.0, boxes=world.obstacles())
            planner = item.planner.by_quality_alone() if condition.ranking == QUALITY else item.planner
            plan = planner.plan(given.base_from_object, given.covariance, around)
            if not plan.grasps:
                return TriedPick(Attempt(number, item.name, condition.name, plan.reason))
            best = plan.grasps[0]
            outcome = world.pick(best.approach, best.opening_m, best.force_n)
            return TriedPick(Attempt(number, item.name, condition.name, outcome.result, best.success_probability),
                             outcome.states)

    def _given_pose(self, world: World, item: PickObject, condition: Condition,
                   unit_noise: np.ndarray) -> GivenPose:
        if condition.pose == 'estimate':
            return self._estimate(world, item)
        if condition.pose == 'truth':
            return GivenPose(world.object_pose())
        return self._disturbed(world.object_pose(), condition, unit_noise)

    def _moved(self, given: GivenPose, unit_noise: np.ndarray) -> GivenPose:
        """The pose with the error of where the camera is mounted."""
        if self.mount_covariance is None or given.base_from_object is None:
            return given
        error = np.linalg.cholesky(self.mount_covariance) @ unit_noise
        camera_from_object = invert(DEFAULT_BASE_FROM_CAMERA) @ given.base_from_object
        lever_m = given.base_from_object[:3, 3] - DEFAULT_BASE_FROM_CAMERA[:3, 3]
        of_mount = move_covariance(self.mount_covariance, lever_m)
        known = np.zeros((6, 6)) if given.covariance is None else given.covariance
        return GivenPose(perturb(DEFAULT_BASE_FROM_CAMERA, error) @ camera_from_object, known + of_mount)

    def _disturbed(self, base_from_object: np.ndarray, condition: Condition, unit_noise: np.ndarray) -> GivenPose:
        """The true pose with an error of six standard normal numbers scaled to the noise."""
        along, about = NOISE_SHAPES[self.noise_shape]
        sight = look_at(DEFAULT_BASE_FROM_CAMERA[:3, 3], base_from_object[:3, 3])[:3, :3]
        root = np.zeros((6, 6))
        root[:3, :3] = sight * along * condition.noise_m
        root[3:, 3:] = sight * about * condition.noise_rad
        # The covariance describes the step from the given pose to the true one, hence the sign.
        covariance = root @ root.T if condition.ranking == GIVEN else None
        return GivenPose(perturb(base_from_object, -root @ unit_noise), covariance)

    def _estimate(self, world: World, item: PickObject) -> GivenPose:
        """The model's estimate from one image."""
        frame = world.frame()
        estimation = self._estimator(item).estimate(frame.image, frame.camera)
        if not estimation.poses:
            return GivenPose(reason=estimation.reason)
        best = estimation.poses[0]
        return GivenPose(frame.base_from_camera @ best.camera_from_object,
                        rotate_covariance(best.covariance, frame.base_from_camera[:3, :3]))

    def _estimator(self, item: PickObject) -> Estimator:
        if item.model is None:
            raise InvalidInputError(f'pose estimate: expected a model folder for {item.name}, found none')
        if item.name not in self._estimators:
            # One thread: rounding depends on the number of threads, and results must not depend on the machine.
            self._estimators[item.name] = create_estimator('onnx', load_model_card(item.model), threads=1)
        return self._estimators[item.name]


def run_picks(run: PickingRun, count: int, jobs: int) -> Generator[TriedPick, None, None]:
    """The picks in scenes 0 to ``count`` - 1 under each condition, in that order, in ``jobs`` processes."""
    if jobs > 1:
        for item in run.objects:
            touch_solids(item.mesh, item.convex_parts)  # fill the cache before the processes start
    with workers(PickingRun.tried, run, jobs) as attempts:
        yield from attempts(product(range(count), run.conditions))
