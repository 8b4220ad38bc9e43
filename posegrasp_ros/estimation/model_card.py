"""The model card, model.yaml: what a model folder holds, checked before anything runs.

Most complaints about pose models are a wrong scale, axis, colour order or file. So nothing on the card is taken
on trust: lengths have a range, files a hash, and what is wrong is named with file, field, found and expected.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from posegrasp_ros.errors import BadInput
from posegrasp_ros.fields import Fields
from posegrasp_ros.geometry import make_transform, rotation_from_vector, transform_from_pose
from posegrasp_ros.mesh import Mesh, load_mesh

FORMAT = 'posegrasp.model/1'
CARD_NAME = 'model.yaml'
GRASPS_NAME = 'grasps.yaml'
# decoder families with their parameters and the range of each
DETECTOR_FAMILIES = {'centre_heatmap': {'stride': (1, 64), 'threshold': (0, 1)}}
NETWORK_FAMILIES = {'object_coordinates': {'margin': (1, 4)}}
SCORE_FIGURES = ('heat', 'inlier_share', 'log_residual', 'correlation', 'edge_share')
"""What the score is made of, see :func:`posegrasp_ros.estimation.estimator.score_figures`."""
CONTINUOUS_STEPS = 64


class ModelCardError(BadInput):
    """A model folder whose card or files cannot be used."""


@dataclass(frozen=True)
class NetworkCard:
    """One ONNX file and how to feed it.

    :param path: the file
    :param sha256: its hash, lower-case hex
    :param input_name: the graph's input
    :param size: (width, height) of the input, pixels
    :param colour: channel order the network was trained on, ``rgb`` or ``bgr``
    :param mean: (3,) subtracted after scaling to [0, 1], in the order of ``colour``
    :param std: (3,) divided by
    :param family: how the outputs are read
    :param parameters: the decoder family's own figures
    """

    path: Path
    sha256: str
    input_name: str
    size: tuple[int, int]
    colour: str
    mean: np.ndarray
    std: np.ndarray
    family: str
    parameters: dict = field(default_factory=dict)


@dataclass(frozen=True)
class ModelCard:
    """A checked model.yaml.

    :param symmetries: (S, 4, 4) object-frame transforms that leave the object looking the same, identity first
    :param mean_camera_from_object: (4, 4) mean pose of the training set, the ``mean_pose`` baseline
    :param score: coefficients that turn figures of the solution into a probability
    :param covariance_scale: measured error variance over predicted, translation and rotation
    """

    folder: Path
    name: str
    mesh_path: Path
    diameter_m: float
    symmetries: np.ndarray
    detector: NetworkCard
    network: NetworkCard
    mean_camera_from_object: np.ndarray
    score: dict[str, float]
    covariance_scale: tuple[float, float]
    provenance: dict
    measured: dict

    @cached_property
    def mesh(self) -> Mesh:
        """The object's mesh, read once."""
        return load_mesh(self.mesh_path)

    @property
    def grasps_path(self) -> Path:
        return self.folder / GRASPS_NAME

    @property
    def network_sha256(self) -> str:
        return self.network.sha256


def load_model_card(folder: str | Path) -> ModelCard:
    """Read and check ``folder/model.yaml`` and the files it names, hashes included.

    :raises ModelCardError: naming the file, the field, what was found and what was expected
    :raises posegrasp_ros.mesh.MeshError: when the mesh cannot be read
    """
    path = Path(folder) / CARD_NAME
    if not path.is_file():
        raise ModelCardError(f'{path}: no such file; expected a model folder, as posegrasp train writes it')
    card = Fields.read(path, ModelCardError)
    card.one_of('format', (FORMAT,))
    thing, scales = card.inner('object'), card.inner('covariance_scale')
    result = ModelCard(
        folder=card.path.parent,
        name=card.text('name'),
        mesh_path=thing.file('mesh'),
        diameter_m=thing.number('diameter_m', 0.005, 2.0, 'a length in metres'),
        symmetries=_symmetries(thing),
        detector=_network(card.inner('detector'), DETECTOR_FAMILIES),
        network=_network(card.inner('network'), NETWORK_FAMILIES),
        mean_camera_from_object=_pose(card.inner('mean_pose')),
        score=_score(card.inner('score')),
        covariance_scale=(scales.number('translation', 1e-6, 1e6), scales.number('rotation', 1e-6, 1e6)),
        provenance=card.inner('provenance').values,
        measured=card.inner('measured').values,
    )
    _check_mesh_size(card.path, result)
    return result


def write_card(folder: Path, card: dict) -> Path:
    """Write model.yaml; returns its path."""
    path = folder / CARD_NAME
    # flow style for the innermost lists, and no aliases: a person reads this file
    plain = json.loads(json.dumps(card))
    path.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110),
                    encoding='utf-8')
    return path


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, lower-case hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_mesh_size(path: Path, card: ModelCard) -> None:
    found = card.mesh.diameter
    if abs(found - card.diameter_m) > 0.01 * card.diameter_m:
        raise ModelCardError(f'{path}: object.diameter_m: expected the diameter of {card.mesh_path.name}, '
                             f'{found:.4f}, got {card.diameter_m}')


def _network(fields: Fields, families: dict[str, dict]) -> NetworkCard:
    network_file, expected = fields.file('file'), fields.text('sha256')
    found = sha256_of(network_file)
    if found != expected:
        raise fields.error('sha256', f'{found}, which {network_file.name} hashes to (was the file changed, or is '
                                     'the card that of another?)')
    source, decoder = fields.inner('input'), fields.inner('decoder')
    return NetworkCard(
        path=network_file, sha256=expected, input_name=source.text('name'),
        size=tuple(int(v) for v in source.vector('size', 2, 16, 4096)),
        colour=source.one_of('colour', ('rgb', 'bgr')),
        mean=source.vector('mean', 3, -1e3, 1e3), std=source.vector('std', 3, 1e-6, 1e3),
        family=decoder.one_of('family', tuple(families)),
        parameters={name: decoder.number(name, *limits)
                    for name, limits in families[decoder.values['family']].items()})


def _score(fields: Fields) -> dict[str, float]:
    """The coefficients, all of them or, before the model was measured, none."""
    names = ('bias', *SCORE_FIGURES) if fields.values else ()
    return {name: fields.number(name, -1e6, 1e6) for name in names}


def _pose(fields: Fields) -> np.ndarray:
    position, quaternion = fields.vector('position_m', 3), fields.vector('quaternion_xyzw', 4)
    try:
        return transform_from_pose(position, quaternion)
    except ValueError as error:
        raise fields.error('quaternion_xyzw', 'a quaternion of length 1') from error


def _symmetries(thing: Fields) -> np.ndarray:
    """All combinations of the declared symmetries, written as BOP does: discrete 4x4, continuous axis + offset."""
    transforms = [np.eye(4)]
    discrete = thing.values.get('symmetries_discrete')
    if not isinstance(discrete, list):
        raise thing.error('symmetries_discrete', 'a list of 4x4 transforms')
    for rows in discrete:
        if not _is_rigid(rows):
            raise thing.error('symmetries_discrete', 'rigid 4x4 transforms')
        transforms.append(np.array(rows, dtype=float).reshape(4, 4))
    turns = [np.eye(4)]
    for symmetry in thing.inners('symmetries_continuous'):
        axis = symmetry.vector('axis', 3)
        offset = symmetry.vector('offset', 3) if 'offset' in symmetry.values else np.zeros(3)
        if np.linalg.norm(axis) < 1e-6:
            raise symmetry.error('axis', 'an axis of some length')
        for angle in np.linspace(0, 2 * np.pi, CONTINUOUS_STEPS, endpoint=False)[1:]:
            rotation = rotation_from_vector(axis / np.linalg.norm(axis) * angle)
            turns.append(make_transform(rotation, offset - rotation @ offset))
    return np.array([a @ b for a in transforms for b in turns])


def _is_rigid(rows: object) -> bool:
    """Whether something of a YAML file is a rigid transform, as 4 rows of 4 or as 16 numbers."""
    try:
        matrix = np.array(rows, dtype=float).reshape(4, 4)
    except (TypeError, ValueError):
        return False
    rotation = matrix[:3, :3]
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0
                and np.allclose(matrix[3], (0, 0, 0, 1)))
