# SPDX-License-Identifier: Apache-2.0
"""Trials from recordings of a user's camera: against ground truth, or against where a resting object must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.geometry.view_change import ViewChange
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.training.sightings import CameraSighting, CameraSightings
from posegrasp_ros.training.still_object import BasePose, consensus_of, references, still_stretches
from posegrasp_ros.training.trial import Trial, trial_of

GROUND_TRUTH = 'ground truth'
UNSTATED = 'ground truth of unstated accuracy, taken as exact'
STILL_OBJECT = 'the resting object seen from other views (what all views share is not seen)'
LEAST_FRAMES = 100
"""The share of truths inside the 90 % region of 100 independent frames is known to 3 points (one sigma)."""
LEAST_SCENES = 20
"""Frames of a scene err together: with as few as 20 scenes that share is known to 7 points only."""


@dataclass(frozen=True)
class CameraTrials:
    """Trials, each with its scene.

    :param scenes: a number for each trial: frames of one block of time, and later ones of the same view
    :param truth: what the poses were compared with, in words
    """

    trials: list[Trial]
    scenes: list[int]
    truth: str


def camera_trials(seen: CameraSightings, card: ModelCard) -> CameraTrials:
    """Compare sightings with their ground truth, or where none has any with the resting object.

    :raises InvalidInputError: when there is neither, or there are too few frames or scenes
    """
    if any(each.truths for each in seen.sightings):
        found = _against_truth(seen, card)
    elif any(each.base_from_camera is not None for each in seen.sightings):
        found = _against_rest(seen, card)
    else:
        raise InvalidInputError(
            f'recordings: expected ground truth (a topic, --ground-truth-frame or --ground-truth), or the pose '
            f'of the camera in /tf (--base-frame) with an object that stands still, found {seen.frames} images, '
            f'{len(seen.sightings)} of them with a pose, and neither')
    frames, scenes = len(found.trials), len(set(found.scenes))
    if frames < LEAST_FRAMES or scenes < LEAST_SCENES:
        raise InvalidInputError(
            f'recordings: expected at least {LEAST_FRAMES} comparable frames of {LEAST_SCENES} scenes, found '
            f'{frames} of {scenes}, of {seen.frames} images: record the object in more places and from more sides '
            '(frames of one view, or within --block seconds, are one scene)')
    return found


def _against_truth(seen: CameraSightings, card: ModelCard) -> CameraTrials:
    pairs = [(each, truth) for each in seen.sightings if (truth := each.nearest_truth) is not None]
    is_stated = all(truth.covariance is not None for _, truth in pairs)
    return _compared(pairs, scenes_of([each for each, _ in pairs], [truth.pose for _, truth in pairs]), seen, card,
                     GROUND_TRUTH if is_stated else UNSTATED)


def _against_rest(seen: CameraSightings, card: ModelCard) -> CameraTrials:
    placed = [BasePose(each, card.symmetry) for each in seen.sightings if each.base_from_camera is not None]
    stretches = still_stretches(placed, card.symmetry, card.tolerance)
    sightings = [each.sighting for each in placed]
    consensus = consensus_of(placed, stretches, card.symmetry)
    scenes = scenes_of(sightings, [invert(each.base_from_camera) @ consensus[stretch]
                                   for each, stretch in zip(placed, stretches)])
    others = references(placed, stretches, scenes, consensus, card.symmetry)
    known = [(sighting, reference, scene) for sighting, reference, scene in zip(sightings, others, scenes)
             if reference is not None]
    return _compared([(sighting, reference) for sighting, reference, _ in known], [scene for *_, scene in known],
                     seen, card, STILL_OBJECT)


def _compared(pairs: Sequence[tuple[CameraSighting, TruePose]], scenes: list[int], seen: CameraSightings,
              card: ModelCard, truth: str) -> CameraTrials:
    trials = [trial_of(sighting.estimation, seen.figures, true_pose, card) for sighting, true_pose in pairs]
    return CameraTrials(trials, scenes, truth)


def scenes_of(sightings: Sequence[CameraSighting], views: Sequence) -> list[int]:
    """A number for each sighting: a new one where both the block of time and the view are new.

    :param views: (4, 4) camera_from_object of each, as the truth has it
    """
    scenes: list[int] = []
    change, scene, place = ViewChange(), -1, None
    for sighting, view in zip(sightings, views):
        here = (sighting.recording, sighting.block)
        if here != place and (change.is_new(view) or place is None or here[0] != place[0]):
            scene += 1
            place = here
        scenes.append(scene)
    return scenes
