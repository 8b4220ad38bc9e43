"""Verification: the success that is predicted for errors of several sizes, beside that of fresh picks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

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
from posegrasp_ros.simulation.pick_objects import PickObject

#: Success, as predicted, at the levels of error.
LEVELS = (0.97, 0.9, 0.8, 0.65, 0.5)
#: Predicted and measured success differ by no more.
ALLOWED = 0.05
# Of typical errors, among which the levels are looked for, in so many scenes.
SCALES, FEW_SCENES = np.geomspace(0.2, 8.0, 12), 30


@dataclass(frozen=True)
class VerifiedLevel:
    """One size of error, the same along all axes and the same about all axes.

    :param predicted: mean success by the model, over the scenes of the picks
    :param lifted: of so many ``picks``
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
        """95 %, of the measured success."""
        return wilson_interval(self.lifted, self.picks)

    @property
    def is_close(self) -> bool:
        """Whether the prediction is good enough."""
        return abs(self.predicted - self.measured) <= ALLOWED

    def to_dict(self) -> dict:
        """Plain values."""
        return {'position_std_m': self.position_std_m, 'rotation_std_rad': self.rotation_std_rad,
                'predicted': self.predicted, 'measured': self.measured, 'interval': list(self.interval),
                'picks': self.picks, 'is_close': self.is_close}


def verify(required: RequiredAccuracy, item: PickObject, gripper: Gripper, picks: int = 200, seed: int = 1,
           jobs: int = 1, progress: bool = True) -> tuple[VerifiedLevel, ...]:
    """Try what the model predicts, in cluttered scenes, with the planner told the covariance.

    :param required: with the model that is verified
    :param picks: at each of :data:`LEVELS`
    :param seed: of scenes and errors; another one than that of the picks which the model was fitted to
    :return: one a level; empty where no grasp fits
    """
    if required.no_grasp_reason:
        return ()
    variances = [scale**2 * TYPICAL for scale in _scales(required)]
    scenes = resting_scenes(item.mesh, picks * len(LEVELS), seed)
    tasks = [(number, _disturbance(unit, of_level, scenes[number]), True)
             for level, of_level in enumerate(variances)
             for number, unit in enumerate(unit_normals(picks, seed + level), start=picks * level)]
    with trial_workers(TrialScenes(item, gripper, seed), jobs) as attempts:
        trials = list(tqdm(attempts(tasks), 'verification', len(tasks), unit='pick', delay=2,
                           disable=None if progress else True))
    lifted = np.array([trial.lifted for trial in trials]).reshape(len(LEVELS), picks).sum(axis=1)
    levels = tqdm(variances, 'prediction', unit='level', delay=2, disable=None if progress else True)
    return tuple(VerifiedLevel(float(np.sqrt(of_level[0])), float(np.sqrt(of_level[3])),
                               _predicted(required.model, scenes[picks * level:picks * (level + 1)], of_level),
                               int(lifted[level]), picks)
                 for level, of_level in enumerate(levels))


def _scales(required: RequiredAccuracy) -> list[float]:
    """Of typical errors, those whose predicted success is about that of each level."""
    few = RequiredAccuracy(0.0, required.model, required.scenes[:FEW_SCENES])
    success = np.minimum.accumulate([few.success(scale**2 * np.diag(TYPICAL)) for scale in SCALES])
    return np.exp(np.interp(-np.array(LEVELS), -success, np.log(SCALES))).tolist()


def _disturbance(unit: np.ndarray, variances: np.ndarray, scene: RestingScene) -> Disturbance:
    """Six standard normal numbers as an error of these variances (6,), which the planner is given.

    In the object's axes, for they decide what an error does: so quasi-random numbers are evenly spread over what
    matters, and the measured success scatters less. An error alike along all axes is the same in all frames.
    """
    rotation = np.kron(np.eye(2), scene.base_from_object[:3, :3])
    return Disturbance(rotation @ (np.sqrt(variances) * unit), covariance=np.diag(variances))


def _predicted(model: SuccessModel, scenes: tuple[RestingScene, ...], variances: np.ndarray) -> float:
    """Mean over scenes."""
    return RequiredAccuracy(0.0, model, scenes).success(np.diag(variances))
