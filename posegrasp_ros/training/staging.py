# SPDX-License-Identifier: Apache-2.0
"""Staging folder, in which a model is assembled during training before it is copied to the model folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegrasp_ros.estimation.model_card import CARD_NAME, GRASPS_NAME, ModelCard
from posegrasp_ros.estimation.onnx_files import network_files
from posegrasp_ros.geometry.mesh import Mesh, load_mesh, save_mesh
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import GraspError, save_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.errors import InvalidInputError

FILES = {'detector': 'detector.onnx', 'network': 'model.onnx'}
MESH_FILES = ('mesh.obj', 'mesh.mtl', 'texture.png')


def take_over(kept: ModelCard, only: str, stage: Path) -> None:
    """Copy the network that is not trained again."""
    network = kept.detector if only == 'network' else kept.network
    if network is None:
        raise InvalidInputError(f'{kept.path}: detector: expected a network to keep, found none')
    for file in network_files(network.path).values():
        target = stage / file.relative_to(kept.folder)
        if not (target.exists() and target.samefile(file)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def prepare(stage: Path, mesh: Mesh, seed: int) -> None:
    """Write mesh and grasps before the training; existing grasps for the same mesh are reused."""
    save_mesh(mesh, stage)
    grasps, former = stage / GRASPS_NAME, stage.parent
    if (former / GRASPS_NAME).exists() and _has_shape(former / MESH_FILES[0], mesh):
        shutil.copyfile(former / GRASPS_NAME, grasps)
    elif not grasps.exists():
        _write_grasps(grasps, mesh, seed)


def put_in_place(stage: Path, out: Path, mesh_path: Path, parts: Sequence[str]) -> Path:
    """Copy the new model to its folder, the card last: a partly updated folder has no card.

    :return: path of the card
    """
    path = out / CARD_NAME
    path.unlink(missing_ok=True)
    (out / GRASPS_NAME).unlink(missing_ok=True)
    names = [GRASPS_NAME] if (stage / GRASPS_NAME).exists() else []
    if not ((out / MESH_FILES[0]).exists() and (out / MESH_FILES[0]).samefile(mesh_path)):
        names += MESH_FILES
    # Copied, not moved: if the process is killed here, the staging folder is still complete for --resume.
    for name in [*names, *(FILES[part] for part in parts)]:
        shutil.copyfile(stage / name, out / name)
    write_whole(path, (stage / CARD_NAME).read_text(encoding='utf-8'))
    shutil.rmtree(stage)
    return path


def _has_shape(path: Path, mesh: Mesh) -> bool:
    """Whether a file contains the same mesh."""
    try:
        found = load_mesh(path)
    except InvalidInputError:
        return False
    return found.vertices.shape == mesh.vertices.shape and np.allclose(found.vertices, mesh.vertices, atol=1e-6)


def _write_grasps(path: Path, mesh: Mesh, seed: int) -> None:
    """Write grasps for the default gripper, unless it cannot hold the object."""
    gripper = load_gripper()
    try:
        save_grasps(path, sample_grasps(mesh, gripper, np.random.default_rng(seed)), gripper)
    except GraspError as error:
        print(f'no {path.name}: {error}')
