"""Measure a trained model on held-out simulated scenes and make its score and covariance mean something."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy import optimize, stats
from tqdm import tqdm

from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import (
    CARD_NAME,
    SCORE_FIGURES,
    ModelCard,
    load_model_card,
    write_card,
)
from posegrasp_ros.geometry import rotation_angle, vector_from_rotation
from posegrasp_ros.metrics.summary import RECALL_POSITION_M, RECALL_ROTATION_RAD
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World
from posegrasp_ros.training.photograph import photograph

SCENES = 240


@dataclass(frozen=True)
class Trial:
    """One scene's answer.

    :param disturbance: (6,) truth after estimate, see geometry.perturb
    :param error: metres and radians
    :param figures: what the score is made of
    """

    disturbance: np.ndarray
    covariance: np.ndarray
    error: tuple[float, float]
    figures: dict[str, float]

    @property
    def right(self) -> bool:
        return self.error[0] < RECALL_POSITION_M and self.error[1] < RECALL_ROTATION_RAD


def measure(folder: Path, seed: int, progress: bool = True) -> Path:
    """Calibrate score and covariance on one half of the held-out scenes, measure on the other, write the card.

    The half that is fitted on goes through the training's poor camera, the other half stays as simulated.

    :return: path of the model card
    """
    card = yaml.safe_load((folder / CARD_NAME).read_text(encoding='utf-8'))
    card['score'], card['covariance_scale'] = {}, {'translation': 1.0, 'rotation': 1.0}
    write_card(folder, card)
    # scenes of their own: neither the training's nor those that a recording with a small seed holds
    trials = _trials(load_model_card(folder), np.random.default_rng((seed, 0x5EED)), progress)
    fitting, held_out = trials[::2], trials[1::2]
    card['score'] = _fit_score([trial for trial in fitting if trial])
    card['covariance_scale'] = {
        'translation': _variance_ratio([trial for trial in fitting if trial and trial.right], slice(0, 3)),
        'rotation': _variance_ratio([trial for trial in fitting if trial and trial.right], slice(3, 6)),
    }
    answered = [trial for trial in held_out if trial]
    errors = np.array([trial.error for trial in answered]).reshape(-1, 2)
    card['measured'] = {
        'data': f'{len(held_out)} held-out simulated scenes',
        'answered': len(answered),
        'recall_1cm_5deg': round(sum(trial.right for trial in answered) / len(held_out), 4),
        'position_error_median_m': round(float(np.median(errors[:, 0])), 5) if answered else None,
        'rotation_error_median_deg': round(float(np.degrees(np.median(errors[:, 1]))), 3) if answered else None,
    }
    return write_card(folder, card)


def _trials(card: ModelCard, rng: np.random.Generator, progress: bool) -> list[Trial | None]:
    """One answer a scene, None where the estimator gave none; every other one is seen by a poor camera.

    The score is fitted on those: on clean images alone it would take a real camera's blur and colours for a wrong
    pose.
    """
    estimator = PoseEstimator(card, min_score=0.0)
    trials = []
    for index in tqdm(range(SCENES), desc='measuring', unit='scene', disable=not progress):
        with World(card.mesh, None, sample_scene(rng, card.mesh)) as world:
            frame = world.frame()
        image = frame.image
        if index % 2 == 0:
            image = np.ascontiguousarray(photograph(rng, image.astype(np.float32))[:, :, ::-1])
        estimation = estimator.estimate(image, frame.camera)
        trials.append(_compare(estimation, frame.camera_from_object) if estimation.poses else None)
    return trials


def _compare(estimation, truth: np.ndarray) -> Trial:
    best = estimation.poses[0]
    found = best.camera_from_object
    turn = truth[:3, :3] @ found[:3, :3].T
    disturbance = np.concatenate([truth[:3, 3] - found[:3, 3], vector_from_rotation(turn)])
    return Trial(disturbance, best.covariance,
                 (float(np.linalg.norm(disturbance[:3])), float(rotation_angle(turn))),
                 {name: estimation.numbers[name] for name in SCORE_FIGURES})


def _fit_score(trials: list[Trial]) -> dict[str, float]:
    """Coefficients of a logistic regression, a little ridge on it so that a perfect half stays finite."""
    if len(trials) < 20:
        return {}
    names = list(trials[0].figures)
    figures = np.array([[trial.figures[name] for name in names] for trial in trials])
    centre, spread = figures.mean(axis=0), figures.std(axis=0) + 1e-6
    design = np.column_stack([np.ones(len(trials)), (figures - centre) / spread])
    sign = np.where([trial.right for trial in trials], 1.0, -1.0)

    def loss(coefficients: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (design @ coefficients)).sum() + 0.5 * np.sum(coefficients[1:] ** 2)
                     + 0.01 * coefficients[0] ** 2)

    found = optimize.minimize(loss, np.zeros(design.shape[1])).x
    slopes = found[1:] / spread
    return {'bias': round(float(found[0] - slopes @ centre), 5),
            **{name: round(float(slope), 5) for name, slope in zip(names, slopes)}}


def _variance_ratio(trials: list[Trial], part: slice) -> float:
    """Measured over predicted variance: medians of the squared Mahalanobis distance and of chi-square."""
    if not trials:
        return 1.0
    distances = [trial.disturbance[part] @ np.linalg.solve(trial.covariance[part, part], trial.disturbance[part])
                 for trial in trials]
    return round(max(float(np.median(distances) / stats.chi2(3).median()), 0.01), 4)
