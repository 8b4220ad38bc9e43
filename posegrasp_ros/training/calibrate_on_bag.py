# SPDX-License-Identifier: Apache-2.0
"""Calibration of a model's score and covariance on a user's own frames."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from posegrasp_ros.datasets.frame_sources import SourceOptions
from posegrasp_ros.estimation.model_card import (
    CARD_NAME,
    ON_USER_CAMERA,
    ModelCard,
    ModelCardError,
    load_model_card,
    write_card,
)
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.true_pose import TruthSigmas
from posegrasp_ros.metrics.run import BLOCK_S
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.file_lock import locked
from posegrasp_ros.training.camera_trials import CameraTrials, camera_trials
from posegrasp_ros.training.cross_validation import Fitted, answered, cross_validated, fit
from posegrasp_ros.training.fit_calibration import usual_figures
from posegrasp_ros.training.sightings import CameraSightings, sightings_of


@dataclass(frozen=True)
class BagCalibration:
    """How to calibrate on recordings.

    :param source: how they are read
    :param block_s: frames within such a stretch of time are one scene
    :param truth_sigmas: errors of the ground truth, instead of covariances that come with it; None for those
    :param out: folder for a copy of the model with the calibration; None to write into the model's own card
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    block_s: float = BLOCK_S
    truth_sigmas: TruthSigmas | None = None
    out: Path | None = None
    threads: int | None = None


def calibrate_on_bag(folder: Path, paths: Sequence[Path], how: BagCalibration, progress: bool = True) -> Path:
    """Fit score and covariance to recordings of the user's camera; the card keeps the simulated ones beside them.

    :return: path of the model card
    :raises InvalidInputError: when there is too little to calibrate on, or ``out`` exists
    """
    if how.out and how.out.exists():
        raise InvalidInputError(f'{how.out}: expected a folder that does not exist yet, to copy the model to')
    card = load_model_card(folder)
    if not card.simulated.score:
        raise ModelCardError(f'{card.path}: score: expected the calibration on simulated scenes, which that on a '
                             'camera starts from, got nothing: run posegrasp calibrate without --bag first')
    seen = sightings_of(paths, card, how.source, how.block_s, how.truth_sigmas, how.threads, progress)
    section = section_of(camera_trials(seen, card), seen, card, progress)
    target = folder
    if how.out:
        shutil.copytree(folder, how.out)
        target = how.out
    return _write(target, section)


def forget(folder: Path) -> Path:
    """Drop the calibration on the user's camera; the simulated one is in use again.

    :raises ModelCardError: when the card has none
    """
    return _write(folder, None)


def section_of(compared: CameraTrials, seen: CameraSightings, card: ModelCard, progress: bool) -> dict:
    """The card's section."""
    trials, spins, prior = compared.trials, card.symmetry.axis is not None, card.simulated.score
    score, scale = fit(trials, prior, spins)
    before = Fitted(prior, dict(zip(('translation', 'rotation'), card.simulated.covariance_scale)))
    scenes = len(set(compared.scenes))
    return {
        'score': score, 'covariance_scale': scale,
        'figures': usual_figures(answered(trials, score), scenes),
        'networks': card.networks_mark, 'camera': described_camera(seen.camera, seen.topic),
        'date': f'{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}', 'frames': len(trials),
        'scenes': scenes, 'truth': compared.truth,
        'measured': cross_validated(trials, compared.scenes, prior, before, spins, progress)}


def described_camera(camera: Camera | None, topic: str) -> dict[str, object]:
    """Size, intrinsics and topic as plain values."""
    stated: dict[str, object] = {'topic': topic} if topic else {}
    if camera is not None:
        stated |= {'width': camera.width, 'height': camera.height,
                   **{name: round(float(getattr(camera, name)), 2) for name in ('fx', 'fy', 'cx', 'cy')},
                   'distortion': [round(float(each), 5) for each in camera.distortion]}
    return stated


def told(section: Mapping) -> str:
    """The section in a few lines."""
    measured = section['measured']
    lines = [f'calibrated on {section["frames"]} frames of {section["scenes"]} scenes against {section["truth"]}',
             f'{"cross-validated":<28}{"before":>8}{"after":>8}']
    labels = {'coverage_90': 'truths in the 90 % region', 'log_likelihood': 'log likelihood a frame',
              'score_ece': 'score error (ECE)',
              'score_log_loss': 'score log loss', 'answered': 'frames answered'}
    lines += [f'{label:<28}{_short(measured[name]["before"]):>8}{_short(measured[name]["after"]):>8}'
              for name, label in labels.items()]
    return '\n'.join(lines)


def read_section(path: Path) -> dict:
    """The section as a card has it that was calibrated on a camera."""
    return dict(yaml.safe_load(path.read_text(encoding='utf-8'))[ON_USER_CAMERA])


def _short(value: float | None) -> str:
    return '-' if value is None else f'{value:.3g}'


def _write(folder: Path, section: dict | None) -> Path:
    """Put the section on a card, or drop it."""
    path = folder / CARD_NAME
    with locked(path, 0.0) as held:
        if not held:
            raise ModelCardError(f'{path}: another process is measuring this model: wait until it has ended')
        fields = yaml.safe_load(path.read_text(encoding='utf-8'))
        if section is None and ON_USER_CAMERA not in fields:
            raise ModelCardError(f'{path}: {ON_USER_CAMERA}: expected a calibration on a camera to forget, got '
                                 'nothing')
        kept = {name: value for name, value in fields.items() if name != ON_USER_CAMERA}
        return write_card(folder, kept if section is None else {**kept, ON_USER_CAMERA: section})
