"""The model card, model.yaml: what a model folder holds, checked before anything runs.

Most complaints about pose models are a wrong scale, axis, colour order or file. So nothing on the card is
taken on trust: lengths have a range, files a hash, and what is wrong is named with file, field, found, expected.
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
from posegrasp_ros.geometry import make_transform, rotation_from_vector, transform_from_pose
from posegrasp_ros.mesh import Mesh, load_mesh

FORMAT = 'posegrasp.model/1'
CARD_NAME = 'model.yaml'
NETWORK_FAMILIES = ('object_coordinates',)


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
    :param parameters: the family's own figures
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

    def load_mesh(self) -> Mesh:
        """The object's mesh."""
        return self.mesh

    @property
    def grasps_path(self) -> Path:
        return self.folder / 'grasps.yaml'

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
        raise ModelCardError(f'{path}: no such file; expected a model folder with a {CARD_NAME}')
    try:
        data = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelCardError(f'{path}: not valid YAML: {" ".join(str(error).split())}') from error
    card = _Fields(path, '', data)
    card.one_of('format', (FORMAT,))
    thing = card.section('object')
    result = ModelCard(
        folder=path.parent,
        name=card.text('name'),
        mesh_path=thing.file('mesh'),
        diameter_m=thing.number('diameter_m', 0.005, 2.0, 'a length in metres'),
        symmetries=_symmetries(thing),
        detector=_network(card.section('detector'), ('centre_heatmap',)),
        network=_network(card.section('network'), NETWORK_FAMILIES),
        mean_camera_from_object=_pose(card.section('mean_pose')),
        score={key: float(value) for key, value in card.section('score').data.items()},
        covariance_scale=tuple(card.section('covariance_scale').number(key, 1e-6, 1e6, 'a factor')
                               for key in ('translation', 'rotation')),
        provenance=card.section('provenance').data,
        measured=card.section('measured').data,
    )
    _check_mesh_size(path, result)
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


def _network(fields: _Fields, families: tuple[str, ...]) -> NetworkCard:
    network_file, expected = fields.file('file'), fields.text('sha256')
    found = sha256_of(network_file)
    if found != expected:
        raise ModelCardError(f'{fields.path}: {fields.name}.sha256: {network_file.name} hashes to {found}, '
                             f'the card says {expected}; the file was changed or the card is of another')
    source, decoder = fields.section('input'), fields.section('decoder')
    return NetworkCard(
        path=network_file, sha256=expected, input_name=source.text('name'),
        size=tuple(int(v) for v in source.numbers('size', 2, 16, 4096)),
        colour=source.one_of('colour', ('rgb', 'bgr')),
        mean=source.numbers('mean', 3, -1e3, 1e3), std=source.numbers('std', 3, 1e-6, 1e3),
        family=decoder.one_of('family', families),
        parameters={key: value for key, value in decoder.data.items() if key != 'family'})


def _pose(fields: _Fields) -> np.ndarray:
    position, quaternion = fields.numbers('position_m', 3, -100, 100), fields.numbers('quaternion_xyzw', 4, -1, 1)
    try:
        return transform_from_pose(position, quaternion)
    except ValueError as error:
        raise ModelCardError(f'{fields.path}: {fields.name}.{error}') from error


def _symmetries(thing: _Fields) -> np.ndarray:
    """All combinations of the declared symmetries, as BOP writes them: discrete 4x4, continuous axis + offset."""
    transforms = [np.eye(4)]
    for index, rows in enumerate(thing.data.get('symmetries_discrete') or []):
        matrix = np.asarray(rows, dtype=float)
        if matrix.size != 16 or abs(np.linalg.det(matrix.reshape(4, 4)[:3, :3]) - 1) > 1e-3:
            raise ModelCardError(f'{thing.path}: object.symmetries_discrete[{index}]: expected a rigid 4x4 '
                                 f'transform, got {rows}')
        transforms.append(matrix.reshape(4, 4))
    turns = [np.eye(4)]
    for index, entry in enumerate(thing.data.get('symmetries_continuous') or []):
        axis, offset = np.asarray(entry.get('axis', ()), float), np.asarray(entry.get('offset', (0, 0, 0)), float)
        if axis.shape != (3,) or offset.shape != (3,) or np.linalg.norm(axis) < 1e-6:
            raise ModelCardError(f'{thing.path}: object.symmetries_continuous[{index}]: expected axis: [x, y, z] '
                                 f'and offset: [x, y, z], got {entry}')
        for angle in np.linspace(0, 2 * np.pi, 64, endpoint=False)[1:]:
            rotation = rotation_from_vector(axis / np.linalg.norm(axis) * angle)
            turns.append(make_transform(rotation, offset - rotation @ offset))
    return np.array([a @ b for a in transforms for b in turns])


@dataclass
class _Fields:
    """One mapping of the card with readers that name the field when it is wrong."""

    path: Path
    name: str
    data: object

    def __post_init__(self):
        if not isinstance(self.data, dict):
            raise self.error('', 'a mapping', self.data)

    def error(self, key: str, expected: str, found: object) -> ModelCardError:
        where = '.'.join(part for part in (self.name, key) if part) or 'the file'
        shown = 'nothing' if found is None else repr(found)
        return ModelCardError(f'{self.path}: {where}: expected {expected}, got {shown[:120]}')

    def section(self, key: str) -> _Fields:
        return _Fields(self.path, f'{self.name}.{key}' if self.name else key, self.data.get(key))

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, 'a text', value)
        return value

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.data.get(key)
        if value not in allowed:
            raise self.error(key, ' or '.join(allowed), value)
        return value

    def number(self, key: str, low: float, high: float, what: str) -> float:
        value = self.data.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.error(key, f'{what} between {low:g} and {high:g}', value)
        return float(value)

    def numbers(self, key: str, count: int, low: float, high: float) -> np.ndarray:
        value = self.data.get(key)
        good = isinstance(value, list) and len(value) == count and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v <= high for v in value)
        if not good:
            raise self.error(key, f'{count} numbers between {low:g} and {high:g}', value)
        return np.array(value, dtype=float)

    def file(self, key: str) -> Path:
        path = self.path.parent / self.text(key)
        if not path.is_file():
            raise self.error(key, f'a file in {self.path.parent}', self.data.get(key))
        return path
