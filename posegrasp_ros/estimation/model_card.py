"""The model card, model.yaml: what a model folder holds, checked before anything runs.

Most complaints about pose models are a wrong scale, axis, colour order or file. So nothing on the card is taken
on trust: lengths have a range, files a hash, and what is wrong is named with file, field, found and expected.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from posegrasp_ros.estimation.decoders.card_parameters import Parameter, read_parameters
from posegrasp_ros.estimation.decoders.registry import decoder_class, decoder_families
from posegrasp_ros.estimation.onnx_files import OnnxFileError, network_sha256
from posegrasp_ros.estimation.score import BIAS
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import Symmetry, transform_from_pose
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, Tolerance
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.file_hash import sha256_of
from posegrasp_ros.runtime.yaml_fields import Fields

if TYPE_CHECKING:
    from posegrasp_ros.estimation.decoders.decoder import Decoder

FORMAT = 'posegrasp.model/1'
CARD_NAME = 'model.yaml'
GRASPS_NAME = 'grasps.yaml'
RENAMED_FIGURES = {'heat': 'confidence'}
"""Names in the score of cards that older versions wrote."""


class ModelCardError(InvalidInputError):
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
    :param is_pinned: whether the card states the hash, so that a changed file is noticed
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
    is_pinned: bool = True


@dataclass(frozen=True)
class ModelCard:
    """A checked model.yaml.

    :param symmetry: motions that leave the object looking the same
    :param tolerance: within which the score takes a pose for right
    :param detector: None where the network finds the object in the whole image by itself
    :param mean_camera_from_object: (4, 4) mean pose of the training set, the ``mean_pose`` baseline
    :param score: coefficients that turn figures of the solution into a probability; empty before it was measured
    :param covariance_scale: measured error variance over predicted, translation and rotation; 1 before
    """

    folder: Path
    name: str
    mesh_path: Path
    diameter_m: float
    symmetry: Symmetry
    tolerance: Tolerance
    detector: NetworkCard | None
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
    def has_grasps(self) -> bool:
        """Whether there is something of that name; where it is no file, reading it says so."""
        return os.path.lexists(self.grasps_path)

    @property
    def network_sha256(self) -> str:
        return self.network.sha256

    @property
    def identity(self) -> str:
        """What stages that must work on the same object compare: name, and hash of the mesh."""
        return f'{self.name} {self.mesh_sha256[:12]}'

    @cached_property
    def mesh_sha256(self) -> str:
        """Of the mesh file, lower-case hex."""
        return sha256_of(self.mesh_path)

    @property
    def sha256(self) -> str:
        """Of model.yaml as it is now, lower-case hex."""
        return sha256_of(self.folder / CARD_NAME)


def load_model_card(folder: str | Path) -> ModelCard:
    """Read and check ``folder/model.yaml`` and the files it names, hashes included.

    :raises ModelCardError: naming the file, the field, what was found and what was expected
    :raises posegrasp_ros.geometry.mesh.MeshError: when the mesh cannot be read
    """
    path = Path(folder) / CARD_NAME
    if not path.is_file():
        raise ModelCardError(f'{path}: no such file; expected a model folder, as posegrasp train writes it')
    card = Fields.read(path, ModelCardError)
    card.one_of('format', (FORMAT,))
    thing, section = card.inner('object'), card.inner('network')
    decoder = decoder_class(section.inner('decoder').one_of('family', decoder_families()))
    network = _network(section, {decoder.family: decoder.parameters}, decoder)
    result = ModelCard(
        folder=card.path.parent,
        name=card.text('name'),
        mesh_path=thing.file('mesh'),
        diameter_m=thing.number('diameter_m', 0.005, 2.0, 'a length in metres'),
        symmetry=_symmetry(thing),
        tolerance=_tolerance(thing),
        detector=_detector(card, decoder),
        network=network,
        mean_camera_from_object=_pose(card.inner('mean_pose')),
        score=_score(_optional(card, 'score')),
        covariance_scale=_covariance_scale(card),
        provenance=_optional(card, 'provenance').values,
        measured=_optional(card, 'measured').values,
    )
    _check_mesh_size(card.path, result)
    decoder.check_card(section.inner('decoder'), result)
    return result


def write_card(folder: Path, card: dict) -> Path:
    """Write model.yaml; returns its path."""
    path = folder / CARD_NAME
    # flow style for the innermost lists, and no aliases: a person reads this file
    plain = json.loads(json.dumps(card))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    write_whole(path, text)
    return path


def _check_mesh_size(path: Path, card: ModelCard) -> None:
    found = card.mesh.diameter
    if abs(found - card.diameter_m) > 0.01 * card.diameter_m:
        raise ModelCardError(f'{path}: object.diameter_m: expected the diameter of {card.mesh_path.name}, '
                             f'{found:.4f}, got {card.diameter_m}')


def _optional(card: Fields, field: str) -> Fields:
    """A section that may be left out."""
    return card.inner(field) if field in card.values else Fields(card.path, f'{field}.', {}, card.error_class)


def _detector(card: Fields, decoder: type[Decoder]) -> NetworkCard | None:
    if decoder.detectors:
        return _network(card.inner('detector'), decoder.detectors, decoder)
    if 'detector' in card.values:
        raise card.error('detector', f'no such section beside a network of the family {decoder.family}, which '
                                     'finds the object by itself')
    return None


def _network(fields: Fields, families: Mapping[str, Mapping[str, Parameter]],
             decoder: type[Decoder]) -> NetworkCard:
    network_file, source = fields.file('file'), fields.inner('input')
    family = fields.inner('decoder').one_of('family', tuple(families))
    parameters = read_parameters(fields.inner('decoder'), family, families[family])
    source = replace(source, values={**decoder.input_defaults, **source.values})
    return NetworkCard(
        path=network_file, sha256=_hash(fields, network_file, may_lack=not decoder.needs_sha256),
        input_name=source.text('name'),
        size=tuple(int(v) for v in source.vector('size', 2, 16, 4096)),
        colour=source.one_of('colour', ('rgb', 'bgr')),
        mean=source.vector('mean', 3, -1e3, 1e3), std=source.vector('std', 3, 1e-6, 1e3),
        family=family, parameters=parameters, is_pinned='sha256' in fields.values)


def _hash(fields: Fields, network_file: Path, may_lack: bool) -> str:
    """Hash of the network's files, checked against the card's; who writes a card for a network of old may leave it
    out."""
    try:
        found = network_sha256(network_file)
    except OnnxFileError as error:
        raise ModelCardError(str(error)) from error
    if not (may_lack and 'sha256' not in fields.values) and found != fields.text('sha256'):
        raise fields.error('sha256', f'{found}, which {network_file.name} hashes to with the files that it keeps '
                                     'weights in (was one changed, or is the card that of another network?)')
    return found


def _covariance_scale(card: Fields) -> tuple[float, float]:
    if 'covariance_scale' not in card.values:
        return 1.0, 1.0
    scales = card.inner('covariance_scale')
    return scales.number('translation', 1e-6, 1e6), scales.number('rotation', 1e-6, 1e6)


def _score(fields: Fields) -> dict[str, float]:
    """The coefficients: a bias, and one for each figure; none before the model was measured."""
    if not fields.values:
        return {}
    if len(fields.values) < 2:
        raise fields.error_class(f'{fields.path}: score: expected {BIAS} and the coefficients of figures, got '
                                 f'{", ".join(map(str, fields.values))} alone')
    return {RENAMED_FIGURES.get(name, name): fields.number(name, -1e6, 1e6) for name in (BIAS, *(
        name for name in fields.values if name != BIAS))}


def _pose(fields: Fields) -> np.ndarray:
    position, quaternion = fields.vector('position_m', 3), fields.vector('quaternion_xyzw', 4)
    try:
        return transform_from_pose(position, quaternion)
    except ValueError as error:
        raise fields.error('quaternion_xyzw', 'a quaternion of length 1') from error


def _symmetry(thing: Fields) -> Symmetry:
    """The declared symmetries, written as BOP does: discrete 4x4, continuous axis + offset."""
    discrete = thing.values.get('symmetries_discrete')
    if not isinstance(discrete, list):
        raise thing.error('symmetries_discrete', 'a list of 4x4 transforms')
    if not all(_is_rigid(rows) for rows in discrete):
        raise thing.error('symmetries_discrete', 'rigid 4x4 transforms')
    continuous = thing.inners('symmetries_continuous')
    if len(continuous) > 1:
        raise thing.error('symmetries_continuous', 'one axis at most: a ball has no orientation to estimate')
    axis, offset = None, np.zeros(3)
    for entry in continuous:
        axis = entry.vector('axis', 3)
        offset = entry.vector('offset', 3) if 'offset' in entry.values else offset
        if np.linalg.norm(axis) < 1e-6:
            raise entry.error('axis', 'an axis of some length')
    try:
        return Symmetry.generated([np.array(rows, dtype=float).reshape(4, 4) for rows in discrete], axis, offset)
    except ValueError as error:
        raise thing.error('symmetries_discrete', f'transforms of one object ({error})') from error


def _tolerance(thing: Fields) -> Tolerance:
    """1 cm and 5 degrees where the card says nothing."""
    if 'tolerance' not in thing.values:
        return STATED_NEED
    stated = thing.inner('tolerance')
    return Tolerance(stated.number('position_m', 1e-4, 1.0), np.radians(stated.number('rotation_deg', 0.1, 180.0)))


def _is_rigid(rows: object) -> bool:
    """Whether something of a YAML file is a rigid transform, as 4 rows of 4 or as 16 numbers."""
    try:
        matrix = np.array(rows, dtype=float).reshape(4, 4)
    except (TypeError, ValueError, OverflowError):
        return False
    rotation = matrix[:3, :3]
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0
                and np.allclose(matrix[3], (0, 0, 0, 1)))
