"""``posegrasp train``: from a mesh to a model folder, in the time that is given."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from torch import nn

import posegrasp_ros
from posegrasp_ros.errors import BadInput
from posegrasp_ros.estimation.model_card import FORMAT, sha256_of, write_card
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
    RADIUS_RANGE_PX,
    SCENE_SIZE,
    SampleMaker,
)
from posegrasp_ros.training.views import View, half_extents, render_views

VIEWS = 3000
DETECTOR_SHARE = 0.25
"""Share of the training time that the detector gets: its task is the easier one."""


def train(mesh_path: Path, out: Path, minutes: float, seed: int = 0, backgrounds: Path | None = None,
          views: int = VIEWS, progress: bool = True) -> Path:
    """Train both networks on synthetic images of a mesh, measure them, and write the model folder.

    :param minutes: time for fitting the networks; rendering and measuring come on top, a few minutes
    :param backgrounds: folder of photographs; None takes those that scikit-image ships
    :return: path of the model card
    :raises BadInput: on a mesh or a folder that cannot be used
    """
    if not minutes > 0:
        raise BadInput(f'--minutes: expected a time above 0, got {minutes}')
    cv2.setNumThreads(1)  # samples are drawn in threads of our own
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    mesh = load_mesh(mesh_path)
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() != Path(mesh_path).parent.resolve():
        save_mesh(mesh, out)
    started = time.monotonic()
    maker = SampleMaker(bank := render_views(mesh, views, rng, progress),
                        load_backgrounds(rng, backgrounds, progress))
    detector, coordinates = Detector(), CoordinateNetwork()
    seconds = 60 * minutes
    fits = {
        'detector': fit(detector, DETECTION, maker, DETECTOR_SHARE * seconds, seed, progress),
        'network': fit(coordinates, COORDINATES, maker, (1 - DETECTOR_SHARE) * seconds, seed + 1, progress),
    }
    _export(detector, (1, 3, SCENE_SIZE[1], SCENE_SIZE[0]), out / 'detector.onnx')
    _export(coordinates, (1, 3, CROP_SIZE, CROP_SIZE), out / 'model.onnx')
    provenance = {
        'trained_by': f'posegrasp train {Path(mesh_path).name} --minutes {minutes:g} --seed {seed}',
        'data': 'synthetic images of the mesh alone',
        'date': datetime.date.today().isoformat(),
        'versions': {'posegrasp_ros': posegrasp_ros.__version__, 'torch': str(torch.__version__)},
        'device': 'cuda' if torch.cuda.is_available() else 'cpu',
        'seconds': round(time.monotonic() - started),
        'views': views,
        **{f'{name}_{key}': value for name, figures in fits.items() for key, value in figures.items()},
    }
    write_card(out, _card(out, mesh, bank, provenance))
    _write_grasps(out, mesh, seed)
    # imported here: measuring runs the estimator on simulated scenes, which training itself does not need
    from posegrasp_ros.training.measure import measure

    return measure(out, seed, progress)


def _write_grasps(out: Path, mesh: Mesh, seed: int) -> None:
    """Grasps of the shipped gripper, unless the folder has a set or the gripper cannot hold the object."""
    path = out / 'grasps.yaml'
    if path.exists():
        return
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


def _card(out: Path, mesh: Mesh, bank: list[View], provenance: dict) -> dict:
    network_input = {'name': 'image', 'colour': 'rgb', 'mean': list(MEAN), 'std': list(STD)}
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
        'detector': {
            'file': 'detector.onnx',
            'sha256': sha256_of(out / 'detector.onnx'),
            'input': {**network_input, 'size': list(SCENE_SIZE)},
            'decoder': {'family': 'centre_heatmap', 'stride': DETECTOR_STRIDE, 'threshold': 0.3,
                        'radius_range_px': list(RADIUS_RANGE_PX)},
        },
        'network': {
            'file': 'model.onnx',
            'sha256': sha256_of(out / 'model.onnx'),
            'input': {**network_input, 'size': [CROP_SIZE, CROP_SIZE]},
            'decoder': {'family': 'object_coordinates', 'margin': CROP_MARGIN,
                        'centre_m': [round(float(v), 6) for v in mesh.centre],
                        'half_extents_m': [round(float(v), 6) for v in half_extents(mesh)],
                        'radius_m': round(mesh.radius, 6)},
        },
        'mean_pose': {
            'position_m': [round(float(v), 5) for v in mean[:3, 3]],
            'quaternion_xyzw': [round(float(v), 6) for v in quaternion_from_matrix(mean[:3, :3])],
        },
        'score': {},
        'covariance_scale': {'translation': 1.0, 'rotation': 1.0},
        'provenance': provenance,
        'measured': {},
    }


def _mean_pose(mesh: Mesh, bank: list[View]) -> np.ndarray:
    """(4, 4) mean pose of the bank: mean distance, and the rotation nearest to the mean matrix."""
    u, _, vt = np.linalg.svd(np.mean([view.centred_from_object for view in bank], axis=0))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    distance = np.mean([view.distance_m for view in bank])
    return make_transform(rotation, (0, 0, distance)) @ make_transform(translation=-mesh.centre)
