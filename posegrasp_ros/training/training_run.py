# SPDX-License-Identifier: Apache-2.0
"""``posegrasp train``: training of a model folder from a mesh in a given time."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
import torch._dynamo  # before MuJoCo renders: the LLVM of Triton, in builds for GPUs, crashes after Mesa's
import yaml
from torch import nn

import posegrasp_ros
from posegrasp_ros.estimation.model_card import (
    CARD_NAME,
    FORMAT,
    ON_USER_CAMERA,
    ModelCard,
    load_model_card,
    sha256_of,
    write_card,
)
from posegrasp_ros.geometry.mesh import Mesh, declared_symmetry, load_mesh
from posegrasp_ros.geometry.transforms import Symmetry, make_transform, quaternion_from_matrix
from posegrasp_ros.runtime.console import remark
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import model_folder
from posegrasp_ros.training import staging
from posegrasp_ros.training.backgrounds import load_backgrounds
from posegrasp_ros.training.checkpoint import Checkpoint
from posegrasp_ros.training.distractor_views import render_distractors
from posegrasp_ros.training.fit import DETECTION, MEAN, STD, Task, as_input, coordinates_task, fit
from posegrasp_ros.training.like_camera import LikeCamera
from posegrasp_ros.training.like_frames import LikeFrames, LikeOptions, read_like
from posegrasp_ros.training.networks import CoordinateNetwork, Detector
from posegrasp_ros.training.photograph import photograph
from posegrasp_ros.training.rendered_views import RenderedView, render_views, taught_symmetries
from posegrasp_ros.training.samples import (
    CROP_MARGIN,
    CROP_SIZE,
    DETECTOR_STRIDE,
    SCENE_SIZE,
    SampleMaker,
)
from posegrasp_ros.training.staging import FILES, MESH_FILES
from posegrasp_ros.training.start import start_from
from posegrasp_ros.training.training_phases import (
    BACKGROUNDS,
    MEASURING_SHARE,
    READING,
    RENDERING,
    fit_of,
    training_phases,
)

VIEWS = 3000
PARTS = ('detector', 'network')
SHARES = {'detector': 0.45, 'network': 0.55}
"""Fractions of the training time."""
START_IMAGES = 64
STAGE = '.training'
"""Staging folder within the model folder, used until the model is measured; a folder with a card is complete."""


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training.

    :param minutes: time for fitting the networks; rendering and measuring take a few minutes more
    :param seed: of views, samples and initial weights
    :param symmetry_axis: ``x``, ``y`` or ``z``: axis of a continuous symmetry through the mesh's centre
    :param half_turns: axes of 180 degree symmetries
    :param start: model folder, or name of a shipped model, for the initial weights; ``none`` for random ones
    :param backgrounds: folder of photographs; None for those that scikit-image ships
    :param only: one of :data:`PARTS` to train again in a folder that has both
    :param like: recordings whose camera and backgrounds the training images are to have
    :param like_empty: the object is in none of their frames without ground truth
    :param like_truth: CSV file with ground truth of a single recording in ``like``
    :param resume: continue an interrupted training with the same options
    :param views: number of views to render
    :param progress: show progress bars
    """

    minutes: float = 60.0
    seed: int = 0
    symmetry_axis: str | None = None
    half_turns: tuple[str, ...] = ()
    start: str = 'box'
    backgrounds: Path | None = None
    only: str | None = None
    like: tuple[Path, ...] = ()
    like_empty: bool = False
    like_truth: Path | None = None
    resume: bool = False
    views: int = VIEWS
    progress: bool = True

    def command(self, mesh_path: Path) -> str:
        """The command line that repeats the training, without this machine's paths."""
        words = ['posegrasp train', Path(mesh_path).name, f'--minutes {self.minutes:g}', f'--seed {self.seed}']
        words += [f'--symmetry-axis {self.symmetry_axis}'] if self.symmetry_axis else []
        words += [f'--symmetry-half-turn {name}' for name in self.half_turns]
        words += [f'--start {Path(self.start).name}']
        words += [f'--backgrounds {self.backgrounds.resolve().name}'] if self.backgrounds else []
        words += [f'--only {self.only}'] if self.only else []
        return ' '.join([*words, *self.like_options.words])

    @property
    def like_options(self) -> LikeOptions:
        """What is said of the recordings to be like."""
        return LikeOptions(self.like, self.like_empty, self.like_truth)

    def symmetry(self, mesh: Mesh) -> Symmetry:
        """The declared symmetries of a mesh."""
        return declared_symmetry(mesh, self.symmetry_axis, self.half_turns)

    def start_folder(self) -> Path | None:
        """The model folder to start from; None for random weights."""
        if self.start == 'none':
            return None
        return model_folder(self.start)


def train(mesh_path: Path, out: Path, options: TrainingOptions) -> Path:
    """Train both networks on synthetic images of a mesh, measure them, and write the model folder.

    The previous model in the folder stays usable until the new model is complete.

    :return: path of the model card
    :raises InvalidInputError: on a mesh or a folder that cannot be used
    """
    if not options.minutes > 0:
        raise InvalidInputError(f'--minutes: expected a time above 0, got {options.minutes}')
    mesh = load_mesh(mesh_path)
    symmetry = options.symmetry(mesh)
    parts = (options.only,) if options.only else PARTS
    phases = training_phases(options.views, bool(options.like),
                             {part: _fit_seconds(options, part) for part in parts}, options.progress)
    if options.like:
        phases.begin(READING)
    like = read_like(options.like_options, mesh, options.start_folder(), options.progress)
    if like:
        remark(like.line)
    stage = out / STAGE
    kept = _kept_card(out, options, mesh, symmetry) if options.only else None
    if stage.exists() and not options.resume:
        shutil.rmtree(stage)
    staging.prepare(stage, mesh, options.seed)
    if kept and options.only:
        staging.take_over(kept, options.only, stage)
    cv2.setNumThreads(1)  # samples are drawn in several Python threads
    rng = np.random.default_rng(options.seed)
    phases.begin(RENDERING)
    bank = render_views(mesh, options.views, rng, symmetry, options.progress)
    phases.begin(BACKGROUNDS)
    backgrounds = load_backgrounds(rng, options.backgrounds, options.progress, like.backgrounds if like else ())
    solids = render_distractors(rng, progress=options.progress)
    maker = SampleMaker(bank, backgrounds, solids, LikeCamera(like.figures).photograph if like else photograph)
    tasks = {'detector': DETECTION, 'network': coordinates_task(taught_symmetries(symmetry), mesh)}
    card = _card_of(kept) if kept else _new_card(out.resolve().name, mesh, bank, symmetry)
    for part in parts:
        phases.begin(fit_of(part))
        _Fit(part, tasks[part], mesh_path, stage, options, like).run(maker, card)
    write_card(stage, card)
    # imported here because measuring needs the estimator and the simulation, and training does not
    from posegrasp_ros.training.measure import measure

    measure(stage, options.seed, options.progress, MEASURING_SHARE * 60 * options.minutes, phases)
    return staging.put_in_place(stage, out, mesh_path, parts)


def _fit_seconds(options: TrainingOptions, part: str) -> float:
    return 60 * options.minutes * (1.0 if options.only else SHARES[part])


class _Fit:
    """The fit of one network, from its initial weights to its file and its section of the card."""

    def __init__(self, part: str, task: Task, mesh_path: Path, folder: Path, options: TrainingOptions,
                 like: LikeFrames | None):
        self._like = like
        self._part, self._task, self._options = part, task, options
        self._seed = options.seed + PARTS.index(part)
        self._seconds = _fit_seconds(options, part)
        self._path = folder / FILES[part]
        self._command = options.command(mesh_path)
        self._checkpoint = Checkpoint(folder / f'{part}.checkpoint', {
            'mesh': sha256_of(mesh_path), 'command': self._command, 'posegrasp_ros': posegrasp_ros.__version__,
            'like': like.identity if like else None})

    def run(self, maker: SampleMaker, card: dict) -> None:
        """Fit, export, and fill in the card."""
        torch.manual_seed(self._seed)
        network = Detector() if self._part == 'detector' else CoordinateNetwork()
        started_from = self._start(network, maker)
        fitted = fit(network, self._task, maker, self._seconds, self._seed, self._checkpoint,
                     self._options.progress)
        shape = (SCENE_SIZE[1], SCENE_SIZE[0]) if self._part == 'detector' else (CROP_SIZE, CROP_SIZE)
        export(network, (1, 3, *shape), self._path)
        decoder = {'family': 'centre_heatmap', 'stride': DETECTOR_STRIDE, 'threshold': 0.1} \
            if self._part == 'detector' else {'family': 'object_coordinates', 'margin': CROP_MARGIN}
        card[self._part] = {
            'file': self._path.name, 'sha256': sha256_of(self._path),
            'input': {'name': 'image', 'size': list(shape[::-1]), 'colour': 'rgb', 'mean': list(MEAN),
                      'std': list(STD)},
            'decoder': decoder}
        card['provenance'][self._part] = {
            'trained_by': self._command, **_data(self._like),
            'started_from': started_from, 'date': datetime.date.today().isoformat(), 'views': self._options.views,
            **fitted, 'seconds': round(self._seconds), **_versions()}

    def _start(self, network: nn.Module, maker: SampleMaker) -> str:
        """Set the initial weights; returns their description for the card."""
        folder = self._options.start_folder()
        if folder is None:
            return 'random weights'
        path = folder / FILES[self._part]
        if not path.is_file():
            raise InvalidInputError(f'{path}: expected a trained network to start from, found none')
        rng = np.random.default_rng(self._seed)
        pictures = np.stack([self._task.sample(maker, rng)[0] for _ in range(START_IMAGES)])
        start_from(network, path, as_input(torch.from_numpy(pictures)))
        return f'{folder.resolve().name}/{path.name}, sha256 {sha256_of(path)[:12]}'


def _kept_card(out: Path, options: TrainingOptions, mesh: Mesh, symmetry: Symmetry) -> ModelCard:
    """The card of a model folder of which one network is kept.

    :raises InvalidInputError: when that network has another type, object or other symmetries
    """
    # If the process was killed while it copied the new model, the folder's old card is gone.
    was_whole = options.resume and not (out / CARD_NAME).exists() and (out / STAGE / CARD_NAME).exists()
    card = load_model_card(out / STAGE if was_whole else out)
    path = card.folder / CARD_NAME
    if card.detector is None:
        raise InvalidInputError(f'{path}: --only: expected a model with two networks, found {card.network.family}')
    if abs(card.diameter_m - mesh.diameter) > 0.01 * mesh.diameter:
        raise InvalidInputError(
            f'{path}: --only: expected the mesh that the other network was trained for, of diameter '
                       f'{card.diameter_m:g} m, got one of {mesh.diameter:.4g} m')
    if (card.symmetry.axis is None) != (symmetry.axis is None) or len(card.symmetry.discrete) != len(
            symmetry.discrete):
        raise InvalidInputError(
            f'{path}: --only: expected the symmetries that the card states; repeat the options '
                       '--symmetry-axis and --symmetry-half-turn of the other network')
    return card


def _card_of(kept: ModelCard) -> dict:
    """The card of a model of which one network is kept, with the new mesh, without a calibration on a camera."""
    card = yaml.safe_load((kept.folder / CARD_NAME).read_text(encoding='utf-8'))
    card.pop(ON_USER_CAMERA, None)
    card['object']['mesh'] = MESH_FILES[0]
    return card


def export(network: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Export the network as ONNX and check the file; input ``image``, outputs ``output`` and perhaps ``view``."""
    outputs = ['output', 'view'] if isinstance(network, CoordinateNetwork) else ['output']
    torch.onnx.export(network.eval(), (torch.zeros(shape),), str(path), input_names=['image'],
                      output_names=outputs, opset_version=17, dynamo=False)
    onnx.checker.check_model(str(path))


def _data(like: LikeFrames | None) -> dict:
    """The training data for the card."""
    return {'data': like.data, 'camera': like.measured} if like else {'data': 'synthetic images of the mesh alone'}


def _versions() -> dict:
    return {'posegrasp_ros': posegrasp_ros.__version__, 'torch': str(torch.__version__),
            'device': 'cuda' if torch.cuda.is_available() else 'cpu'}


def _new_card(name: str, mesh: Mesh, bank: list[RenderedView], symmetry: Symmetry) -> dict:
    """A card without its networks."""
    mean = _mean_pose(mesh, bank)
    return {
        'format': FORMAT,
        'name': name,
        'object': {
            'mesh': MESH_FILES[0],
            'size_m': [round(float(v), 5) for v in mesh.extents],
            'diameter_m': round(mesh.diameter, 5),
            'symmetries_discrete': [transform.round(6).tolist() for transform in symmetry.discrete[1:]],
            'symmetries_continuous': [] if symmetry.axis is None else [
                {'axis': symmetry.axis.round(6).tolist(), 'offset': symmetry.offset.round(6).tolist()}],
        },
        'detector': {},
        'network': {},
        'mean_pose': {
            'position_m': [round(float(v), 5) for v in mean[:3, 3]],
            'quaternion_xyzw': [round(float(v), 6) for v in quaternion_from_matrix(mean[:3, :3])],
        },
        'score': {},
        'covariance_scale': {'translation': 1.0, 'rotation': 1.0},
        'provenance': {},
        'measured': {},
    }


def _mean_pose(mesh: Mesh, bank: list[RenderedView]) -> np.ndarray:
    """(4, 4) mean pose of the bank: mean distance, and the rotation closest to the mean rotation matrix."""
    u, _, vt = np.linalg.svd(np.mean([view.centred_from_object for view in bank], axis=0))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    distance = float(np.mean([view.distance_m for view in bank]))
    return make_transform(rotation, (0, 0, distance)) @ make_transform(translation=-mesh.centre)
