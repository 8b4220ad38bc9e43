# SPDX-License-Identifier: Apache-2.0
"""Verification: predicted success for several error sizes, compared with new simulated picks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.feasibility.required.required_accuracy import (
    TYPICAL,
    RequiredAccuracy,
    RestingScene,
    resting_scenes,
)
from posegrasp_ros.feasibility.required.success_model import SuccessModel, unit_normals
from posegrasp_ros.feasibility.required.trials import Disturbance, TrialScenes, trial_workers
from posegrasp_ros.grasping.gripper import Gripper
from posegrasp_ros.metrics.stats.intervals import Interval, wilson_interval
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.simulation.pick_objects import PickObject

#: Predicted success at the error levels.
LEVELS = (0.97, 0.9, 0.8, 0.65, 0.5)
#: Allowed difference of predicted and measured success.
ALLOWED = 0.05
# Factors on the typical errors among which the levels are searched, and number of scenes for this.
SCALES, FEW_SCENES = np.geomspace(0.2, 8.0, 12), 30


@dataclass(frozen=True)
class VerifiedLevel:
    """One error size, equal along all axes and equal about all axes.

    :param predicted: mean success by the model, over the scenes of the picks
    :param lifted: number of successful ``picks``
    """

    position_std_m: float
    rotation_std_rad: float
    predicted: float
    lifted: int
    picks: int

    @property
    def measured(self) -> float:
        """Share of the picks that lifted."""
        return self.lifted / self.picks

    @property
    def interval(self) -> Interval:
        """95 % interval of the measured success."""
        return wilson_interval(self.lifted, self.picks)

    @property
    def is_close(self) -> bool:
        """Whether prediction and measurement differ by at most :data:`ALLOWED`."""
        return abs(self.predicted - self.measured) <= ALLOWED

    def to_dict(self) -> dict:
        """Plain values."""
        return {'position_std_m': self.position_std_m, 'rotation_std_rad': self.rotation_std_rad,
                'predicted': self.predicted, 'measured': self.measured, 'interval': list(self.interval),
                'picks': self.picks, 'is_close': self.is_close}


def verify(required: RequiredAccuracy, item: PickObject, gripper: Gripper, picks: int = 200, seed: int = 1,
           jobs: int = 1, progress: bool = True) -> tuple[VerifiedLevel, ...]:
    """Verify the model's predictions in cluttered scenes, with the covariance given to the planner.

    :param required: with the model to verify
    :param picks: number of picks at each of :data:`LEVELS`
    :param seed: of scenes and errors; must differ from that of the picks the model was fitted to
    :return: one per level; empty where no grasp fits
    """
    model = required.model
    if model is None or required.no_grasp_reason:
        return ()
    variances = [scale**2 * TYPICAL for scale in _scales(required)]
    scenes = resting_scenes(item.mesh, picks * len(LEVELS), seed)
    tasks = [(number, _disturbance(unit, of_level, scenes[number]), True)
             for level, of_level in enumerate(variances)
             for number, unit in enumerate(unit_normals(picks, seed + level), start=picks * level)]
    with trial_workers(TrialScenes(item, gripper, seed), jobs) as attempts:
        trials = list(Progress(attempts(tasks), 'verification', len(tasks), unit='pick', delay=2,
                           disable=not progress))
    lifted = np.array([trial.lifted for trial in trials]).reshape(len(LEVELS), picks).sum(axis=1)
    levels = Progress(variances, 'prediction', unit='level', delay=2, disable=not progress)
    return tuple(VerifiedLevel(float(np.sqrt(of_level[0])), float(np.sqrt(of_level[3])),
                               _predicted(model, scenes[picks * level:picks * (level + 1)], of_level),
                               int(lifted[level]), picks)
                 for level, of_level in enumerate(levels))


def _scales(required: RequiredAccuracy) -> list[float]:
    """Factors on the typical errors at which the predicted success is about that of each level."""
    few = RequiredAccuracy(0.0, required.model, required.scenes[:FEW_SCENES])
    success = np.minimum.accumulate([few.success(scale**2 * np.diag(TYPICAL)) for scale in SCALES])
    return np.exp(np.interp(-np.array(LEVELS), -success, np.log(SCALES))).tolist()


def _disturbance(unit: np.ndarray, variances: np.ndarray, scene: RestingScene) -> Disturbance:
    """Convert six standard normal numbers to an error with these variances (6,), which the planner is given.

    The numbers are applied in the object axes, which determine the effect of an error: this spreads quasi-random
    numbers evenly over the effects and reduces the scatter of the measured success. The distribution is isotropic,
    so it is the same in all frames.
    """
    rotation = np.kron(np.eye(2), scene.base_from_object[:3, :3])
    return Disturbance(rotation @ (np.sqrt(variances) * unit), covariance=np.diag(variances))


def _predicted(model: SuccessModel, scenes: tuple[RestingScene, ...], variances: np.ndarray) -> float:
    """Predicted success, mean over scenes."""
    return RequiredAccuracy(0.0, model, scenes).success(np.diag(variances))
