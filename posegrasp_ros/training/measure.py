# SPDX-License-Identifier: Apache-2.0
"""Measurement of a trained model on held-out simulated scenes, and calibration of its score and covariance."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from posegrasp_ros.estimation.card_calibration import UNCALIBRATED, Calibration
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import CARD_NAME, ModelCard, ModelCardError, load_model_card, write_card
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.runtime.file_lock import locked
from posegrasp_ros.runtime.progress import Phases, Progress
from posegrasp_ros.sensing.compressed_images import decode_compressed
from posegrasp_ros.sensing.images import encode_jpeg
from posegrasp_ros.simulation.occlusion import occluded_world
from posegrasp_ros.simulation.rough_world import RoughWorld, rough_world
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World
from posegrasp_ros.training.covariance_fit import covariance_scale
from posegrasp_ros.training.cross_validation import answered
from posegrasp_ros.training.fit_calibration import fit_score, usual_figures
from posegrasp_ros.training.photograph import photograph
from posegrasp_ros.training.training_phases import EXPECTED_S, FITTING, MEASURING
from posegrasp_ros.training.trial import Trial, trial_of

KINDS = ('poor camera', 'occluded', 'rough', 'without object', 'clean', 'rough without object')
"""Kinds of scenes on which the score is fitted, used in turn."""
HELD_OUT_KINDS = ('clean', 'rough')
"""Kinds of scenes on which the covariance is fitted and the card's figures are measured."""
SCENES_A_KIND, HELD_OUT = 80, 200
LEAST_A_KIND, LEAST_HELD_OUT = 5, 10
"""Where time is short."""
OCCLUSION = (0.1, 0.6)
IMAGE_SIZE = (640, 480)


def measure(folder: Path, seed: int, progress: bool = True, within_s: float | None = None,
            phases: Phases | None = None) -> Path:
    """Calibrate score and covariance on simulated scenes, measure on others, and write the card.

    The score is fitted on scenes of all :data:`KINDS`. Fitted on clean images only, it would be too low for the
    blur and colours of a real camera; fitted only on scenes with the object, it would accept every detection. The
    covariance is fitted on the poses that count as answers on other scenes, clean and rough ones, with that score,
    which decides where the estimator searches twice. The same images are used to measure the figures that no fit
    influences.

    :param within_s: take fewer scenes if it would take longer; None to take all
    :param phases: that the two parts belong to; None for their own
    :return: path of the model card
    :raises ModelCardError: when another process is measuring the model
    """
    with locked(folder / CARD_NAME, 0.0) as held:
        if not held:
            raise ModelCardError(f'{folder / CARD_NAME}: another process is measuring this model: wait until it '
                                 'has ended')
        return _measure(folder, seed, progress, within_s, phases or Phases(EXPECTED_S, is_shown=progress))


def _measure(folder: Path, seed: int, progress: bool, within_s: float | None, phases: Phases) -> Path:
    began_s = time.monotonic()
    uncalibrated = replace(load_model_card(folder), calibration=UNCALIBRATED)
    # seed different from those of training and of recordings with small seeds
    rng = np.random.default_rng((seed, 0x5EED))
    phases.begin(FITTING)
    half_s = None if within_s is None else 0.55 * within_s
    fitting = _trials(uncalibrated, KINDS, SCENES_A_KIND, rng, FITTING if progress else '', half_s, LEAST_A_KIND)
    score = fit_score([trial for trial in fitting if trial])
    phases.begin(MEASURING)
    left_s = None if within_s is None else began_s + within_s - time.monotonic()
    held_out = _trials(replace(uncalibrated, calibration=Calibration(score)), HELD_OUT_KINDS, HELD_OUT, rng,
                       MEASURING if progress else '', left_s, LEAST_HELD_OUT)
    kinds = HELD_OUT_KINDS * HELD_OUT
    card = yaml.safe_load((folder / CARD_NAME).read_text(encoding='utf-8'))
    card['score'] = score
    card['covariance_scale'] = covariance_scale(answered([trial for trial in held_out if trial], score),
                                                uncalibrated.symmetry.axis is not None)
    at_home = answered([trial for trial in fitting if trial], score)
    card['figures'] = usual_figures(at_home, len(at_home))
    by_kind = {name: [trial for kind, trial in zip(kinds, held_out) if kind == name] for name in HELD_OUT_KINDS}
    card['measured'] = _measured(by_kind['clean'])
    card['measured']['rough'] = _measured(by_kind['rough'])
    return write_card(folder, card)


def _measured(trials: list[Trial | None]) -> dict:
    """The section ``measured`` of the card."""
    found = [trial for trial in trials if trial]
    result = {'data': f'{len(trials)} held-out simulated scenes', 'answered': len(found),
              'recall': round(sum(trial.is_right for trial in found) / len(trials), 4)}
    if found:
        position_m = np.median([trial.position_error_m for trial in found])
        rotation_rad = np.median([trial.rotation_error_rad for trial in found])
        result |= {'position_error_median_m': round(float(position_m), 5),
                   'rotation_error_median_deg': round(float(np.degrees(rotation_rad)), 3)}
    return result


def _trials(card: ModelCard, kinds: tuple[str, ...], rounds: int, rng: np.random.Generator, task: str,
            within_s: float | None, least: int) -> list[Trial | None]:
    """Estimates for scenes of each kind in turn, None where the estimator found no pose.

    :param task: for the progress bar; empty for none
    :param within_s: stop after this time, None for never, but not before ``least`` scenes of each kind
    """
    estimator = PoseEstimator(card, min_score=0.0)
    trials: list[Trial | None] = []
    began_s = time.monotonic()
    for kind in Progress(kinds * rounds, desc=task, unit='scene', disable=not task):
        is_late = within_s is not None and time.monotonic() - began_s > within_s
        if is_late and len(trials) >= least * len(kinds) and len(trials) % len(kinds) == 0:
            break
        is_there = 'without object' not in kind
        with _world(kind, rng, card.mesh) as world:
            frame = world.frame(show_object=is_there)
        # compressed as in a bag or on a network, which costs some accuracy
        image = decode_compressed(encode_jpeg(frame.image))
        if kind == 'poor camera':
            image = np.ascontiguousarray(photograph(rng, frame.image.astype(np.float32))[:, :, ::-1])
        estimation = estimator.estimate(image, frame.camera)
        trials.append(trial_of(estimation, estimator.score_figures, TruePose(frame.camera_from_object), card,
                               is_there) if estimation.poses else None)
    return trials


def _world(kind: str, rng: np.random.Generator, mesh: Mesh) -> World | RoughWorld:
    if kind.startswith('rough'):
        return rough_world(rng, mesh, IMAGE_SIZE)
    if kind == 'occluded':
        return occluded_world(rng, mesh, OCCLUSION, IMAGE_SIZE)
    return World(mesh, None, sample_scene(rng, mesh), image_size=IMAGE_SIZE)
