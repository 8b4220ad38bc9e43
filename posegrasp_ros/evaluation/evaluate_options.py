# SPDX-License-Identifier: Apache-2.0
"""EvaluateOptions: how recordings are evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.frame_sources import SourceOptions
from posegrasp_ros.estimation.create import ESTIMATORS
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.evaluation.frame_answers import Work
from posegrasp_ros.geometry.true_pose import TruthSigmas
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.metrics.run import BLOCK_S
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.viewer_files.viewer_files import ViewerFiles


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate.

    :param estimator: the one that the summary is about
    :param compare_with: others to measure on the same frames; ``estimator`` may be among them
    :param planner: plans for every pose where the camera's pose is known; of several objects each has one by name;
        None for no planning
    :param scene: what surrounds the object
    :param base_from_camera: (4, 4) of a camera that does not move; None where the recordings' /tf tells it
    :param source: how the recordings are read
    :param threads: processor threads of the networks; None: one for each core, where there are several
        ``jobs`` one
    :param jobs: processes; the results do not depend on how many, but tracking needs one. None: one
    :param no_object: the object is in none of the frames, whatever their ground truth: every pose is a false one
    :param paint: paint the object over, and leave out the frames without the ground truth that this needs; then
        ``no_object``
    :param track: ``estimator`` follows objects from frame to frame; the others never do
    :param tracking: how, the node's defaults
    :param block_s: frames within such a stretch of time are one observation to the intervals
    :param truth_sigmas: errors of the ground truth, instead of covariances that come with it; None for those
    :param bop_csv: file to write the poses to, as the BOP benchmark's tools take them
    :param viewer_files: files to write the frames to with the answers of ``estimator``
    """

    estimator: str = 'onnx'
    compare_with: Iterable[str] = ESTIMATORS
    planner: GraspPlanner | Mapping[str, GraspPlanner] | None = None
    scene: Scene = field(default_factory=Scene)
    base_from_camera: np.ndarray | None = None
    source: SourceOptions = field(default_factory=SourceOptions)
    threads: int | None = None
    jobs: int | None = None
    no_object: bool = False
    paint: bool = False
    track: bool = False
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    block_s: float = BLOCK_S
    truth_sigmas: TruthSigmas | None = None
    bop_csv: Path | None = None
    viewer_files: ViewerFiles = field(default_factory=ViewerFiles)

    @property
    def planners(self) -> dict[str, GraspPlanner]:
        """The planners by object."""
        if self.planner is None:
            return {}
        return dict(self.planner) if isinstance(self.planner, Mapping) else {ONLY: self.planner}

    def work(self, cards: Mapping[str, ModelCard]) -> Work:
        """What is to be done with each frame.

        :raises InvalidInputError: when options exclude each other
        """
        if len(cards) > 1 and (self.paint or self.bop_csv):
            what = 'painting the object over' if self.paint else f'{self.bop_csv}'
            raise InvalidInputError(f'{what}: expected one model, got {", ".join(cards)}')
        if self.track and (self.jobs or 1) > 1:
            raise InvalidInputError(
                f'tracking: expected one job, for it goes from frame to frame, got {self.jobs}')
        # More threads round differently: of several jobs each has one, however many they are.
        threads = 1 if self.threads is None and self.jobs is not None else self.threads
        names = tuple(dict.fromkeys([self.estimator, *self.compare_with]))
        return Work(cards, names, threads, self.estimator if self.track else None, self.planners, self.scene,
                    self.base_from_camera, self.paint, self.no_object or self.paint, self.tracking,
                    keeps_images=bool(self.viewer_files.paths))
