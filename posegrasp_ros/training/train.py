"""``posegrasp train``: from a mesh to a model folder, in the time that is given."""

from __future__ import annotations

import datetime
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
import yaml
from torch import nn

import posegrasp_ros
from posegrasp_ros.errors import BadInput
from posegrasp_ros.estimation.model_card import (
    CARD_NAME,
    FORMAT,
    GRASPS_NAME,
    load_model_card,
    sha256_of,
    write_card,
)
from posegrasp_ros.geometry import make_transform, quaternion_from_matrix
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.library import GraspError, save_grasps
from posegrasp_ros.grasping.sampling import sample_grasps
from posegrasp_ros.mesh import Mesh, load_mesh, save_mesh
from posegrasp_ros.resources import resource_path
from posegrasp_ros.training.backgrounds import load_backgrounds
from posegrasp_ros.training.fit import COORDINATES, DETECTION, MEAN, STD, fit
from posegrasp_ros.training.networks import CoordinateNetwork, Detector
from posegrasp_ros.training.samples import (
    CROP_MARGIN,
    CROP_SIZE,
    DETECTOR_STRIDE,
    SCENE_SIZE,
    SampleMaker,
)
from posegrasp_ros.training.views import View, render_views

VIEWS = 3000
PARTS = ('detector', 'network')
SHARES = {'detector': 0.25, 'network': 0.75}
"""Of the training time: the detector has the easier task."""


def train(mesh_path: Path, out: Path, minutes: float, seed: int = 0, backgrounds: Path | None = None,
          only: str | None = None, views: int = VIEWS, progress: bool = True) -> Path:
    """Train both networks on synthetic images of a mesh, measure them, and write the model folder.

    :param minutes: time for fitting the networks; rendering and measuring come on top, a few minutes
    :param backgrounds: folder of photographs; None takes those that scikit-image ships
    :param only: one of :data:`PARTS` to train anew in a folder that has both
    :return: path of the model card
    :raises BadInput: on a mesh or a folder that cannot be used
    """
    if not minutes > 0:
        raise BadInput(f'--minutes: expected a time above 0, got {minutes}')
    mesh = load_mesh(mesh_path)
    kept = _kept_card(out) if only else None
    _prepare_folder(out, mesh_path, mesh, seed)
    cv2.setNumThreads(1)  # samples are drawn in threads of our own
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    bank = render_views(mesh, views, rng, progress)
    maker = SampleMaker(bank, load_backgrounds(rng, backgrounds, progress))
    command = f'posegrasp train {Path(mesh_path).name} --minutes {minutes:g} --seed {seed}'
    command += f' --only {only}' if only else ''
    card = kept or _new_card(out, mesh, bank)
    for part in (only,) if only else PARTS:
        share = 1.0 if only else SHARES[part]
        section = _train_part(part, maker, 60 * minutes * share, seed, out, progress)
        card[part] = section
        card['provenance'][part] = {'trained_by': command, 'data': 'synthetic images of the mesh alone',
                                    'date': datetime.date.today().isoformat(), 'views': views,
                                    **section.pop('fitted'), **_versions()}
    write_card(out, card)
    # imported here: measuring runs the estimator on simulated scenes, which training itself does not need
    from posegrasp_ros.training.measure import measure

    return measure(out, seed, progress)


def _kept_card(out: Path) -> dict:
    """The card of a model folder of which one network stays."""
    load_model_card(out)
    return yaml.safe_load((out / CARD_NAME).read_text(encoding='utf-8'))


def _prepare_folder(out: Path, mesh_path: Path, mesh: Mesh, seed: int) -> None:
    """Mesh and grasps into the folder, before an hour is spent; grasps of another mesh are replaced."""
    target = out / 'mesh.obj'
    if not (target.exists() and target.samefile(mesh_path)):
        save_mesh(mesh, out)
        (out / GRASPS_NAME).unlink(missing_ok=True)
    if not (out / GRASPS_NAME).exists():
        _write_grasps(out / GRASPS_NAME, mesh, seed)


def _train_part(part: str, maker: SampleMaker, seconds: float, seed: int, out: Path, progress: bool) -> dict:
    """Fit one network and export it; its section of the card, with figures of the fit as ``fitted``."""
    if part == 'detector':
        network, task, name, shape = Detector(), DETECTION, 'detector.onnx', (SCENE_SIZE[1], SCENE_SIZE[0])
        decoder = {'family': 'centre_heatmap', 'stride': DETECTOR_STRIDE, 'threshold': 0.1}
    else:
        network, task, name, shape = CoordinateNetwork(), COORDINATES, 'model.onnx', (CROP_SIZE, CROP_SIZE)
        decoder = {'family': 'object_coordinates', 'margin': CROP_MARGIN}
    fitted = fit(network, task, maker, seconds, seed + PARTS.index(part), progress)
    _export(network, (1, 3, *shape), out / name)
    source = {'name': 'image', 'size': list(shape[::-1]), 'colour': 'rgb', 'mean': list(MEAN), 'std': list(STD)}
    return {'file': name, 'sha256': sha256_of(out / name), 'input': source, 'decoder': decoder,
            'fitted': {**fitted, 'seconds': round(seconds)}}


def _write_grasps(path: Path, mesh: Mesh, seed: int) -> None:
    """Grasps of the shipped gripper, unless it cannot hold the object."""
    gripper = load_gripper(resource_path('config/gripper.yaml'))
    try:
        save_grasps(path, sample_grasps(mesh, gripper, np.random.default_rng(seed)), gripper)
    except GraspError as error:
        print(f'no {path.name}: {error}')


def _export(network: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write the network as ONNX with input ``image`` and output ``output``, and check the file."""
    torch.onnx.export(network.eval(), (torch.zeros(shape),), str(path), input_names=['image'],
                      output_names=['output'], opset_version=17, dynamo=False)
    onnx.checker.check_model(str(path))


def _versions() -> dict:
    return {'posegrasp_ros': posegrasp_ros.__version__, 'torch': str(torch.__version__),
            'device': 'cuda' if torch.cuda.is_available() else 'cpu'}


def _new_card(out: Path, mesh: Mesh, bank: list[View]) -> dict:
    """A card without its networks."""
    mean = _mean_pose(mesh, bank)
    return {
        'format': FORMAT,
        'name': out.resolve().name,
        'object': {
            'mesh': 'mesh.obj',
            'size_m': [round(float(v), 5) for v in mesh.extents],
            'diameter_m': round(mesh.diameter, 5),
            'symmetries_discrete': [],
            'symmetries_continuous': [],
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


def _mean_pose(mesh: Mesh, bank: list[View]) -> np.ndarray:
    """(4, 4) mean pose of the bank: mean distance, and the rotation nearest to the mean matrix."""
    u, _, vt = np.linalg.svd(np.mean([view.centred_from_object for view in bank], axis=0))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    distance = np.mean([view.distance_m for view in bank])
    return make_transform(rotation, (0, 0, distance)) @ make_transform(translation=-mesh.centre)
