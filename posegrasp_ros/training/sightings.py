# SPDX-License-Identifier: Apache-2.0
"""CameraSighting: what the uncalibrated estimator sees in a recorded frame, and what the recording knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions, open_sources, sourced_frames, total_count
from posegrasp_ros.estimation.card_calibration import Calibration
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.true_pose import TruePose, TruthSigmas
from posegrasp_ros.metrics.run import block_ns_of
from posegrasp_ros.runtime.progress import Progress


@dataclass(frozen=True)
class CameraSighting:
    """A frame in which the estimator found a pose, however improbable.

    :param recording: number of the recording
    :param block: number of the time block
    :param truths: of all instances, in the camera's frame
    :param base_from_camera: (4, 4) from /tf, or None
    """

    estimation: Estimation
    recording: int
    block: int
    truths: tuple[TruePose, ...]
    base_from_camera: np.ndarray | None

    @property
    def camera_from_object(self) -> np.ndarray:
        return self.estimation.poses[0].camera_from_object

    @property
    def nearest_truth(self) -> TruePose | None:
        """That of the instance nearest to the pose; None without one."""
        here = self.camera_from_object[:3, 3]
        return min(self.truths, key=lambda truth: float(np.linalg.norm(truth.pose[:3, 3] - here)), default=None)


@dataclass(frozen=True)
class CameraSightings:
    """All sightings of recordings.

    :param figures: names of the inputs of the score
    :param frames: images read, also those without a pose
    :param camera: of the first usable image; None without one
    :param topic: of the images; empty for what has none
    :param warnings: of the recordings, one line each
    """

    sightings: list[CameraSighting]
    figures: tuple[str, ...]
    frames: int
    camera: Camera | None
    topic: str
    warnings: list[str]


def sightings_of(paths: Sequence[Path], card: ModelCard, source: SourceOptions, block_s: float,
                 sigmas: TruthSigmas | None = None, threads: int | None = None,
                 progress: bool = True) -> CameraSightings:
    """Run the estimator on recordings: with the simulated score, which decides where it searches twice, and with
    covariances as the residuals have them.

    :param sigmas: errors of the ground truth, instead of covariances that come with it; None for those
    :raises InvalidInputError: when a recording cannot be read
    """
    plain = replace(card, calibration=Calibration(card.simulated.score))
    estimator = PoseEstimator(plain, threads, min_score=0.0)
    stage = PerceptionStage(estimator, card.identity)
    sources = open_sources(paths, source, {'': card.mesh.diameter})
    numbers, block_ns = {id(each): number for number, each in enumerate(sources)}, block_ns_of(block_s)
    found: list[CameraSighting] = []
    count, camera = 0, None
    for item in Progress(sourced_frames(sources, block_ns), total=total_count(sources), desc='estimating',
                     unit='frame', disable=not progress):
        frame, estimation, _, error = stage.perceive(item.undecoded)
        if error:
            raise error
        count, camera = count + 1, camera or frame.camera
        if estimation.poses:
            block = (frame.stamp_ns + item.shift_ns) // block_ns
            found.append(CameraSighting(estimation, numbers[id(item.source)], block, _truths(frame, sigmas),
                                  frame.base_from_camera))
    topics = getattr(sources[0], 'topics', None)
    return CameraSightings(found, estimator.score_figures, count, camera, getattr(topics, 'image', None) or '',
                     [line for each in sources for line in each.warnings])


def _truths(frame: BagFrame, sigmas: TruthSigmas | None) -> tuple[TruePose, ...]:
    if sigmas is None:
        return frame.true_poses
    return tuple(TruePose(pose, sigmas.covariance(pose)) for pose in frame.truths)
