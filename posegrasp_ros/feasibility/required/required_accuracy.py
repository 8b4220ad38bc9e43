# SPDX-License-Identifier: Apache-2.0
"""Required accuracy: the largest pose error with which this gripper still lifts this object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from posegrasp_ros.feasibility.required.axis_sampling import AXES, Attempts, begin_axis_sampling
from posegrasp_ros.feasibility.required.axis_tolerance import AxisTolerance
from posegrasp_ros.feasibility.required.success_curve import GraspTrial, fit_curves
from posegrasp_ros.feasibility.required.success_model import SuccessModel, error_gauge, unit_normals
from posegrasp_ros.feasibility.required.trials import Disturbance, TrialScenes, trial_workers
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.grasping.planning.plan import PlannerOptions
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.simulation.pick_objects import PickObject
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA, sample_scene

SCENES = 60
FEW_SCENES = 12
# Scales are searched within a factor of 2**8 in both directions, to this relative accuracy.
MOST_DOUBLINGS, SCALE_WITHIN = 8, 0.02
# (6,) variances that define the ratio of position and rotation of isotropic errors: the planner's typical errors.
TYPICAL = np.repeat((PlannerOptions.typical_pose_error_m, PlannerOptions.typical_turn_error_rad), 3) ** 2
# Joint disturbances are scaled to this predicted success, with the standard deviation along each axis varied by up
# to this factor. They are then rescaled, within the given limits, to gauges at which the success curve is steep.
JOINT_SUCCESS, LEAST_JOINT_SCALE, JOINT_RATIO = 0.6, 0.05, 1.5
BEND, MOST_RESCALED = (0.7, 1.4), (0.4, 1.4)
JOINT_SCENES = 100_000  # first scene number


@dataclass(frozen=True, eq=False)
class RestingScene:
    """An object at rest and its surroundings; ``base_from_object`` (4, 4)."""

    base_from_object: np.ndarray
    around: Scene


@dataclass(frozen=True, eq=False)
class RequiredAccuracy:
    """Required pose accuracy of one object and gripper.

    :param wanted: required success probability
    :param model: None where no grasp fits
    :param scenes: scenes over which success is averaged
    :param object_axes: see :mod:`posegrasp_ros.feasibility.required.axis_tolerance`; likewise ``gripper_axes``
    :param no_grasp_reason: why there is no grasp in any scene; empty where there is one
    :param graspless_share: share of the scenes without a grasp even with the true pose; ``graspless_reason``: why
    """

    wanted: float
    model: SuccessModel | None
    scenes: Sequence[RestingScene] = ()
    object_axes: tuple[AxisTolerance, ...] = ()
    gripper_axes: tuple[AxisTolerance, ...] = ()
    no_grasp_reason: str = ''
    graspless_share: float = 0.0
    graspless_reason: str = ''

    def success(self, covariance: np.ndarray) -> float:
        """Mean success over the scenes with this (6, 6) covariance of the pose, base frame."""
        if self.model is None or not len(self.scenes):
            return 0.0
        return float(np.mean([self.model.success(scene.base_from_object, covariance, scene.around)
                              for scene in self.scenes]))

    def largest(self, shape: np.ndarray) -> float:
        """The largest scale at which errors of covariance ``scale**2 * shape`` (6, 6) reach the required success.

        Accurate to a few per cent; 0 where none is small enough.
        """
        def surplus(log_scale: float) -> float:
            return self.success(np.exp(2 * log_scale) * shape) - self.wanted

        if self.success(0.0 * shape) < self.wanted:
            return 0.0
        low, high = _bracket(surplus)
        if low is None or high is None:
            return 0.0 if low is None else float(np.exp(low))
        return float(np.exp(brentq(surplus, low, high, xtol=SCALE_WITHIN)))

    @cached_property
    def isotropic(self) -> tuple[float, float]:
        """(m, rad) largest isotropic standard deviations along and about the axes.

        Their ratio is that of the planner's typical errors.
        """
        scale = self.largest(np.diag(TYPICAL))
        return float(scale * np.sqrt(TYPICAL[0])), float(scale * np.sqrt(TYPICAL[3]))

    def to_dict(self) -> dict:
        """Plain values."""
        position_m, rotation_rad = self.isotropic
        return {
            'wanted': self.wanted, 'isotropic': {'position_std_m': position_m, 'rotation_std_rad': rotation_rad},
            'object_axes': [axis.to_dict() for axis in self.object_axes],
            'gripper_axes': [axis.to_dict() for axis in self.gripper_axes],
            'curve': self.model.curve.to_dict() if self.model else None, 'no_grasp_reason': self.no_grasp_reason,
            'graspless': {'share': self.graspless_share, 'reason': self.graspless_reason},
        }


def nothing_fits(reason: str, wanted: float) -> RequiredAccuracy:
    """The result where the gripper has no grasp for the object."""
    return RequiredAccuracy(wanted, None, no_grasp_reason=reason, graspless_share=1.0, graspless_reason=reason)


def required_accuracy(item: PickObject, gripper: Gripper, wanted: float = 0.95, picks: int = 16, seed: int = 1,
                      jobs: int = 1, progress: bool = True) -> RequiredAccuracy:
    """Measure the required accuracy in simulated picks, with joint errors and with errors along single axes.

    The success curve is fitted to the picks with joint errors, because along a single axis picks may succeed at
    errors far outside the usual joint range. In the picks along single axes the planner is given no covariance.

    :param wanted: required success probability
    :param picks: number of picks along each of the twelve axes of object and gripper; about as many again with
        joint errors
    :param seed: of scenes and disturbances; results do not depend on the number of processes
    """
    scenes = resting_scenes(item.mesh, SCENES, seed)
    reasons = [item.planner.plan(scene.base_from_object, None, scene.around).reason for scene in scenes]
    if all(reasons):
        return nothing_fits(_most_common(reasons), wanted)
    with Progress(total=12 * picks + _joint_count(picks), desc='picks', unit='pick', delay=2,
              disable=not progress) as bar, \
            trial_workers(TrialScenes(item, gripper, seed), jobs) as attempts:
        joint = []
        for trial in _joint_trials(item, scenes, picks, seed, attempts):
            joint.append(trial)
            bar.update()
        model = SuccessModel(item.planner, fit_curves(item.planner.tolerance, joint, seed=seed))
        sampling = begin_axis_sampling(item.planner, model.curve, scenes[:FEW_SCENES], seed)
        for index in range(picks):
            sampling.round(len(AXES) * index, attempts)
            bar.update(len(AXES))
    object_axes, gripper_axes = sampling.tolerances(wanted, model.curve.ceiling)
    return RequiredAccuracy(wanted, model, scenes, object_axes, gripper_axes,
                            graspless_share=float(np.mean([bool(reason) for reason in reasons])),
                            graspless_reason=_most_common(reasons))


def _joint_trials(item: PickObject, scenes: Sequence[RestingScene], picks: int, seed: int,
                  attempts: Attempts) -> Iterator[GraspTrial]:
    """Picks in clutter with joint errors in all directions, every fourth without error; used to fit the curve."""
    model = SuccessModel(item.planner)
    few = RequiredAccuracy(JOINT_SUCCESS, model, scenes[:FEW_SCENES])
    scale = max(few.largest(np.diag(TYPICAL)), LEAST_JOINT_SCALE)
    units, rng = unit_normals(_joint_count(picks), seed), np.random.default_rng(seed)
    roots = scale * np.sqrt(TYPICAL) * JOINT_RATIO ** rng.uniform(-1.0, 1.0, units.shape)
    low, high = np.log(BEND)
    nearness = np.exp(rng.uniform(low, high, len(units)))
    tasks = []
    for number, (root, unit, near) in enumerate(zip(roots, units, nearness), start=JOINT_SCENES):
        delta, covariance = root * unit, np.diag(root**2)
        scene = resting_scene(item.mesh, seed, number)
        off = error_gauge(model, scene.base_from_object, covariance, delta, scene.around)
        disturbed = Disturbance(delta * np.clip(near / off, *MOST_RESCALED), covariance=covariance)
        # every fourth pick measures failures without an error
        tasks.append((number, disturbed if number % 4 else Disturbance(np.zeros(6)), True))
    yield from attempts(tasks)


def _joint_count(picks: int) -> int:
    """Number of joint picks, a power of two as Sobol sequences need: 256 for 16 picks per axis."""
    return 2 ** int(np.log2(max(16 * picks, 1)))


def _most_common(reasons: Sequence[str]) -> str:
    """Most common of the planner's reasons, one per scene and empty where there is a grasp; empty if all are."""
    found = Counter(filter(None, reasons)).most_common(1)
    return found[0][0] if found else ''


def _bracket(surplus: Callable[[float], float]) -> tuple[float | None, float | None]:
    """Logarithms of scales between which a decreasing surplus changes sign; None on a side without a bound."""
    step = np.log(2.0) if surplus(0.0) >= 0 else -np.log(2.0)
    for doublings in range(1, MOST_DOUBLINGS + 1):
        end = step * doublings
        if (surplus(end) >= 0) != (step > 0):
            return (end - step, end) if step > 0 else (end, end - step)
    return (end, None) if step > 0 else (None, end)


def resting_scenes(mesh: Mesh, count: int, seed: int) -> tuple[RestingScene, ...]:
    """Scenes 0 to ``count`` - 1."""
    return tuple(resting_scene(mesh, seed, number) for number in range(count))


def resting_scene(mesh: Mesh, seed: int, number: int) -> RestingScene:
    """Scene of :func:`posegrasp_ros.simulation.scene.sample_scene`, reduced to what the planner needs."""
    scene = sample_scene(np.random.default_rng([seed, number]), mesh, DEFAULT_BASE_FROM_CAMERA)
    boxes = [BoxObstacle(distractor.base_from_body, distractor.half_extents) for distractor in scene.distractors]
    return RestingScene(scene.base_from_object, Scene(support_height_m=0.0, boxes=boxes))
