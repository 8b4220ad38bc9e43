# SPDX-License-Identifier: Apache-2.0
"""References without ground truth: an object that stands still has one pose, from wherever it is seen.

What all views share, such as an error in the base frame or a mesh whose origin is elsewhere, is in the reference
too and not seen. What scatters or turns with the view is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from posegrasp_ros.estimation.pose_estimate import MIN_SCORE
from posegrasp_ros.geometry.pose_consensus import pose_consensus, steps_to
from posegrasp_ros.geometry.transforms import Symmetry, invert, rotate_covariance
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.metrics.pose.pose_errors import PoseTolerance
from posegrasp_ros.training.sightings import CameraSighting

NEAR = 3.0
"""In tolerances: farther from a stretch's pose, a pose is wrong, or the object was moved."""
MOVED = 5
"""So many probable poses in a row that agree with each other and not with the stretch: the object was moved."""
LEAST_SCENES = 5
"""Of a stretch: the scatter of fewer says little of how exact their mean is."""


class BasePose:
    """A sighting's pose in the base frame.

    :param sighting: one whose camera pose is known
    :ivar pose: (4, 4) base_from_object
    :ivar covariance: (6, 6) in the base frame, up to symmetry
    :ivar is_probable: whether the estimator would answer with it
    """

    def __init__(self, sighting: CameraSighting, symmetry: Symmetry):
        if sighting.base_from_camera is None:
            raise ValueError('expected a sighting whose camera pose is known')
        self.base_from_camera, best = sighting.base_from_camera, sighting.estimation.poses[0]
        rotation = self.base_from_camera[:3, :3]
        self.pose = self.base_from_camera @ best.camera_from_object
        self.covariance = rotate_covariance(symmetry.without_spin(best.covariance, best.camera_from_object),
                                            rotation)
        self.is_probable = best.score >= MIN_SCORE
        self.sighting = sighting


def still_stretches(poses: Sequence[BasePose], symmetry: Symmetry, tolerance: PoseTolerance) -> list[int]:
    """The number of the stretch that each pose belongs to, in the order of time; a recording begins a new one.

    A pose that agrees neither with its stretch nor with those around it is an outlier of the stretch.
    """
    stretch, stretches = 0, []
    members: list[BasePose] = []
    others: list[int] = []  # places of the latest poses in a row that do not agree with the members
    for place, each in enumerate(poses):
        if place and each.sighting.recording != poses[place - 1].sighting.recording:
            stretch, members, others = stretch + 1, [], []
        stretches.append(stretch)
        if not each.is_probable:
            continue
        if not members or _is_near(each, members, symmetry, tolerance):
            members, others = [*members[-MOVED:], each], []
            continue
        others.append(place)
        moved = [poses[other] for other in others[-MOVED:]]
        if len(moved) == MOVED and all(_is_near(one, moved, symmetry, tolerance) for one in moved):
            stretch, members = stretch + 1, moved
            stretches[others[-MOVED]:] = [stretch] * (len(stretches) - others[-MOVED])
            others = []
    return stretches


def references(poses: Sequence[BasePose], stretches: Sequence[int], scenes: Sequence[int],
               consensus: Mapping[int, np.ndarray], symmetry: Symmetry) -> list[TruePose | None]:
    """For each pose that of its stretch's other scenes, in the camera's frame, with how exact their mean is.

    :param scenes: of each pose
    :param consensus: of all scenes of a stretch
    :return: None where the stretch has fewer than :data:`LEAST_SCENES` other scenes with probable poses
    """
    found: list[TruePose | None] = [None] * len(poses)
    for stretch, scene in sorted(set(zip(stretches, scenes))):
        others = [place for place, each in enumerate(poses)
                  if stretches[place] == stretch and scenes[place] != scene and each.is_probable]
        names = [scenes[place] for place in others]
        if len(set(names)) < LEAST_SCENES:
            continue
        mean = _mean([poses[place] for place in others], names, consensus[stretch], symmetry)
        for place, each in enumerate(poses):
            if (stretches[place], scenes[place]) == (stretch, scene):
                found[place] = mean.seen_from(invert(each.base_from_camera))
    return found


def consensus_of(poses: Sequence[BasePose], stretches: Sequence[int],
                 symmetry: Symmetry) -> dict[int, np.ndarray]:
    """For each stretch (4, 4) base_from_object that most of its poses agree on."""
    consensus = {}
    for stretch in set(stretches):
        members = [each for each, number in zip(poses, stretches) if number == stretch]
        probable = [each for each in members if each.is_probable] or members
        consensus[stretch] = pose_consensus([each.pose for each in probable],
                                            [each.covariance for each in probable], symmetry)
    return consensus


def _mean(poses: Sequence[BasePose], scenes: Sequence[int], start: np.ndarray, symmetry: Symmetry) -> TruePose:
    """Consensus of poses in the base frame; its covariance from the scatter of the scenes' medians."""
    consensus = pose_consensus([each.pose for each in poses], [each.covariance for each in poses], symmetry, start)
    steps, numbers = steps_to(consensus, [each.pose for each in poses], symmetry), np.asarray(scenes)
    of_scenes = np.array([np.median(steps[numbers == number], axis=0) for number in np.unique(numbers)])
    # 1.4826 times the median absolute deviation is the standard deviation of a normal law
    spread = 1.4826 * np.median(np.abs(of_scenes), axis=0)
    return TruePose(consensus, np.diag(spread**2) / len(of_scenes))


def _is_near(pose: BasePose, others: Sequence[BasePose], symmetry: Symmetry, tolerance: PoseTolerance) -> bool:
    """Whether a pose lies within :data:`NEAR` tolerances of the median step to others."""
    steps = np.median(steps_to(pose.pose, [each.pose for each in others], symmetry), axis=0)
    return bool(np.linalg.norm(steps[:3]) < NEAR * tolerance.position_m
                and np.linalg.norm(steps[3:]) < NEAR * tolerance.rotation_rad)
