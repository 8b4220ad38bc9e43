"""Measurement of a trained model on held-out simulated scenes, and calibration of its score and covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from scipy import optimize, stats
from tqdm import tqdm

from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import CARD_NAME, ModelCard, ModelCardError, load_model_card, write_card
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import vector_from_rotation
from posegrasp_ros.metrics.pose.pose_errors import PoseTolerance
from posegrasp_ros.runtime.file_lock import locked
from posegrasp_ros.sensing.compressed_images import decode_compressed
from posegrasp_ros.sensing.images import encode_jpeg
from posegrasp_ros.simulation.occlusion import occluded_world
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World
from posegrasp_ros.training.photograph import photograph

KINDS = ('poor camera', 'occluded', 'without object', 'clean')
"""Kinds of scenes, used in turn."""
SCENES_A_KIND, HELD_OUT = 100, 300
OCCLUSION = (0.1, 0.6)
IMAGE_SIZE = (640, 480)
LEAST_TRIALS = 20
REGION = 0.9
"""Probability content of the covariance region that is calibrated."""


@dataclass(frozen=True)
class Trial:
    """The estimate in one scene.

    :param disturbance: (6,) step from estimate to ground truth, see transforms.perturb, up to symmetry
    :param covariance: (6, 6), up to symmetry
    :param figures: inputs of the score
    :param is_there: False if the object was removed from the scene: no pose is correct then
    """

    disturbance: np.ndarray
    covariance: np.ndarray
    figures: dict[str, float]
    is_there: bool
    tolerance: PoseTolerance

    @property
    def position_error_m(self) -> float:
        return float(np.linalg.norm(self.disturbance[:3]))

    @property
    def rotation_error_rad(self) -> float:
        return float(np.linalg.norm(self.disturbance[3:]))

    @property
    def is_right(self) -> bool:
        return (self.is_there and self.position_error_m < self.tolerance.position_m
                and self.rotation_error_rad < self.tolerance.rotation_rad)

    def squared_distance(self, part: slice = slice(0, 6)) -> float:
        """Squared Mahalanobis distance of the ground truth, without directions of zero variance (a spin)."""
        return float(self.disturbance[part] @ np.linalg.pinv(self.covariance[part, part], 1e-9, hermitian=True)
                     @ self.disturbance[part])


def measure(folder: Path, seed: int, progress: bool = True) -> Path:
    """Calibrate score and covariance on simulated scenes, measure on others, and write the card.

    The score is fitted on scenes of all :data:`KINDS`. Fitted on clean images only, it would be too low for the
    blur and colours of a real camera; fitted only on scenes with the object, it would accept every detection. The
    covariance is fitted on other, clean images with that score, which decides where the estimator searches twice.
    The same images are used to measure the figures that no fit influences.

    :return: path of the model card
    :raises ModelCardError: when another process is measuring the model
    """
    with locked(folder / CARD_NAME, 0.0) as held:
        if not held:
            raise ModelCardError(f'{folder / CARD_NAME}: another process is measuring this model: wait until it '
                                 'has ended')
        return _measure(folder, seed, progress)


def _measure(folder: Path, seed: int, progress: bool) -> Path:
    uncalibrated = replace(load_model_card(folder), score={}, covariance_scale=(1.0, 1.0))
    # seed different from those of training and of recordings with small seeds
    rng = np.random.default_rng((seed, 0x5EED))
    fitting = _trials(uncalibrated, KINDS * SCENES_A_KIND, rng, 'fitting the score' if progress else '')
    score = _fit_score([trial for trial in fitting if trial])
    held_out = _trials(replace(uncalibrated, score=score), ('clean',) * HELD_OUT, rng,
                       'measuring' if progress else '')
    card = yaml.safe_load((folder / CARD_NAME).read_text(encoding='utf-8'))
    card['score'] = score
    card['covariance_scale'] = _covariance_scale([trial for trial in held_out if trial],
                                                 uncalibrated.symmetry.axis is not None)
    card['measured'] = _measured(held_out)
    return write_card(folder, card)


def _measured(trials: list[Trial | None]) -> dict:
    """The section ``measured`` of the card."""
    answered = [trial for trial in trials if trial]
    result = {'data': f'{len(trials)} held-out simulated scenes', 'answered': len(answered),
              'recall': round(sum(trial.is_right for trial in answered) / len(trials), 4)}
    if answered:
        position_m = np.median([trial.position_error_m for trial in answered])
        rotation_rad = np.median([trial.rotation_error_rad for trial in answered])
        result |= {'position_error_median_m': round(float(position_m), 5),
                   'rotation_error_median_deg': round(float(np.degrees(rotation_rad)), 3)}
    return result


def _trials(card: ModelCard, kinds: tuple[str, ...], rng: np.random.Generator, task: str) -> list[Trial | None]:
    """Estimates for one scene of each kind, None where the estimator found no pose.

    :param task: for the progress bar; empty for none
    """
    estimator = PoseEstimator(card, min_score=0.0)
    trials: list[Trial | None] = []
    for kind in tqdm(kinds, desc=task, unit='scene', disable=not task):
        with _world(kind, rng, card.mesh) as world:
            frame = world.frame(show_object=kind != 'without object')
        # compressed as in a bag or on a network, which costs some accuracy
        image = decode_compressed(encode_jpeg(frame.image))
        if kind == 'poor camera':
            image = np.ascontiguousarray(photograph(rng, frame.image.astype(np.float32))[:, :, ::-1])
        estimation = estimator.estimate(image, frame.camera)
        trials.append(_compare(estimation, estimator.score_figures, frame.camera_from_object, card,
                               kind != 'without object') if estimation.poses else None)
    return trials


def _world(kind: str, rng: np.random.Generator, mesh: Mesh) -> World:
    if kind == 'occluded':
        return occluded_world(rng, mesh, OCCLUSION, IMAGE_SIZE)
    return World(mesh, None, sample_scene(rng, mesh), image_size=IMAGE_SIZE)


def _compare(estimation: Estimation, figures: tuple[str, ...], truth: np.ndarray, card: ModelCard,
             is_there: bool) -> Trial:
    best = estimation.poses[0]
    found = best.camera_from_object
    truth = card.symmetry.nearest(truth, found)
    turn = vector_from_rotation(truth[:3, :3] @ found[:3, :3].T)
    shift = truth[:3, 3] - found[:3, 3]
    return Trial(np.concatenate([shift, turn]), card.symmetry.without_spin(best.covariance, found),
                 {name: estimation.numbers[name] for name in figures}, is_there, card.tolerance)


def _fit_score(trials: list[Trial]) -> dict[str, float]:
    """Coefficients of a logistic regression with weak ridge regularisation, so that separable data stay finite."""
    if len(trials) < LEAST_TRIALS:
        return {}
    names = list(trials[0].figures)
    figures = np.array([[trial.figures[name] for name in names] for trial in trials])
    centre, spread = figures.mean(axis=0), figures.std(axis=0) + 1e-6
    design = np.column_stack([np.ones(len(trials)), (figures - centre) / spread])
    sign = np.where([trial.is_right for trial in trials], 1.0, -1.0)

    def loss(coefficients: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (design @ coefficients)).sum() + 0.5 * np.sum(coefficients[1:] ** 2)
                     + 0.01 * coefficients[0] ** 2)

    found = optimize.minimize(loss, np.zeros(design.shape[1])).x
    slopes = found[1:] / spread
    return {'bias': round(float(found[0] - slopes @ centre), 5),
            **{name: round(float(slope), 5) for name, slope in zip(names, slopes)}}


def _covariance_scale(trials: list[Trial], spins: bool) -> dict[str, float]:
    """Factors on the predicted variances, such that the 90 % region contains 90 % of the ground truths.

    Translation and rotation are first balanced by the medians of their squared distances; then both are scaled by
    the quantile of the joint distance, because errors have longer tails than a Gaussian.

    :param spins: the object has a continuous symmetry, and so one degree of freedom less
    """
    if len(trials) < LEAST_TRIALS:
        return {'translation': 1.0, 'rotation': 1.0}
    parts = {'translation': (slice(0, 3), 3), 'rotation': (slice(3, 6), 2 if spins else 3)}
    ratios = {name: np.median([trial.squared_distance(part) for trial in trials]) / stats.chi2(freedom).median()
              for name, (part, freedom) in parts.items()}
    root = np.sqrt(np.repeat([max(ratios['translation'], 0.01), max(ratios['rotation'], 0.01)], 3))
    joint = [replace(trial, covariance=trial.covariance * np.outer(root, root)).squared_distance()
             for trial in trials]
    tail = np.quantile(joint, REGION) / stats.chi2(5 if spins else 6).ppf(REGION)
    return {name: round(float(max(ratio, 0.01) * tail), 4) for name, ratio in ratios.items()}
