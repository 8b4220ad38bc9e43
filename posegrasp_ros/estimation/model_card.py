# SPDX-License-Identifier: Apache-2.0
"""The model card, model.yaml: what a model folder holds, checked before anything runs.

Most complaints about pose models are a wrong scale, axis, colour order or file. So nothing on the card is taken
for granted: lengths have a range, files a hash, and what is wrong is named with file, field, found and expected.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from posegrasp_ros.estimation.card_calibration import UNCALIBRATED, Calibration, UserCamera
from posegrasp_ros.estimation.card_fields import (
    CardFields,
    FamilyFields,
    InputFields,
    NetworkFields,
    ObjectFields,
    ScaleFields,
    UserCameraFields,
)
from posegrasp_ros.estimation.decoders.registry import decoder_class, decoder_families
from posegrasp_ros.estimation.network_card import NetworkCard
from posegrasp_ros.estimation.onnx_files import OnnxFileError, is_beside, network_sha256
from posegrasp_ros.estimation.refinement.refiner_registry import DEFAULT as DEFAULT_REFINER
from posegrasp_ros.estimation.refinement.refiner_registry import refiner_names
from posegrasp_ros.estimation.score import BIAS
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import Symmetry, transform_from_pose
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, PoseTolerance
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.file_hash import sha256_of
from posegrasp_ros.runtime.yaml_model import validated

if TYPE_CHECKING:
    from posegrasp_ros.estimation.decoders.decoder import Decoder
    from posegrasp_ros.estimation.decoders.decoder_parameters import DecoderParameters

FORMAT = 'posegrasp.model/1'
CARD_NAME = 'model.yaml'
ON_USER_CAMERA = 'on_user_camera'
GRASPS_NAME = 'grasps.yaml'
RENAMED_FIGURES = {'heat': 'confidence'}
"""Names in the score of cards that older versions wrote."""


class ModelCardError(InvalidInputError):
    """A model folder whose card or files cannot be used."""


@dataclass(frozen=True)
class ModelCard:
    """A checked model.yaml.

    :param symmetry: motions that leave the object looking the same
    :param tolerance: within which the score takes a pose for right
    :param detector: None where the network finds the object in the whole image by itself
    :param refiner: name of what refines the network's poses, see
        :func:`posegrasp_ros.estimation.refinement.refiner_registry.refiner_class`
    :param mass_kg: of the object, for simulated picks; None where it is not known
    :param friction: Coulomb coefficient between it and a gripper's pads; None where it is not known
    :param mean_camera_from_object: (4, 4) mean pose of the training set, the ``mean_pose`` baseline
    :param calibration: the one in use: that on the user's camera where there is one, else the simulated one
    :param simulated: the one on simulated scenes
    """

    folder: Path
    name: str
    mesh_path: Path
    diameter_m: float
    symmetry: Symmetry
    tolerance: PoseTolerance
    detector: NetworkCard | None
    network: NetworkCard
    mean_camera_from_object: np.ndarray
    provenance: dict
    measured: dict
    calibration: Calibration = UNCALIBRATED
    simulated: Calibration = UNCALIBRATED
    refiner: str = DEFAULT_REFINER
    mass_kg: float | None = None
    friction: float | None = None

    @cached_property
    def mesh(self) -> Mesh:
        """The object's mesh, read once."""
        return load_mesh(self.mesh_path)

    @property
    def score(self) -> Mapping[str, float]:
        """Coefficients in use, see :class:`posegrasp_ros.estimation.card_calibration.Calibration`."""
        return self.calibration.score

    @property
    def covariance_scale(self) -> tuple[float, float]:
        """Factors in use on the variances of translation and rotation."""
        return self.calibration.covariance_scale

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
    def networks_mark(self) -> str:
        """The first digits of the networks' hashes, to tell whether a calibration is of these networks."""
        return ' '.join(each.sha256[:12] for each in (self.detector, self.network) if each)

    @property
    def identity(self) -> str:
        """What stages that must work on the same object compare: name, and hash of the mesh."""
        return f'{self.name} {self.mesh_sha256[:12]}'

    @cached_property
    def mesh_sha256(self) -> str:
        """Of the mesh file, lower-case hex."""
        return sha256_of(self.mesh_path)

    @property
    def path(self) -> Path:
        """Of model.yaml."""
        return self.folder / CARD_NAME

    @property
    def sha256(self) -> str:
        """Of model.yaml as it is now, lower-case hex."""
        return sha256_of(self.path)

    def parameter_error(self, name: str, expected: str) -> ModelCardError:
        """What a decoder raises when a parameter of the network cannot be this object's."""
        found = getattr(self.network.parameters, name)
        return _error(self.path, f'network.decoder.{name}', expected,
                      found.tolist() if isinstance(found, np.ndarray) else found)


def load_model_card(folder: str | Path) -> ModelCard:
    """Read and check ``folder/model.yaml`` and the files it names, hashes included.

    :raises ModelCardError: naming the file, the field, what was found and what was expected
    :raises posegrasp_ros.geometry.mesh.MeshError: when the mesh cannot be read
    """
    path = Path(folder) / CARD_NAME
    if not path.is_file():
        raise ModelCardError(f'{path}: no such file; expected a model folder, as written by posegrasp train')
    stated = validated(CardFields, read_mapping(path, ModelCardError), path, ModelCardError,
                       context=refiner_names())
    decoder = decoder_class(_family(path, 'network', stated.network, decoder_families()))
    result = ModelCard(
        folder=path.parent,
        name=stated.name,
        mesh_path=_file(path, 'object.mesh', stated.object.mesh),
        diameter_m=stated.object.diameter_m,
        symmetry=_symmetry(path, stated.object),
        tolerance=_tolerance(stated.object),
        detector=_detector(path, stated, decoder),
        network=_network(path, 'network', stated.network, decoder, decoder.parameters),
        mean_camera_from_object=transform_from_pose(stated.mean_pose.position_m, stated.mean_pose.quaternion_xyzw),
        provenance=stated.provenance,
        measured=stated.measured,
        simulated=Calibration(_score(path, stated.score), _scale(stated.covariance_scale), stated.figures),
        refiner=stated.refiner,
        mass_kg=stated.object.mass_kg,
        friction=stated.object.friction,
    )
    found = result.mesh.diameter
    if abs(found - result.diameter_m) > 0.01 * result.diameter_m:
        raise _error(path, 'object.diameter_m', f'the diameter of {result.mesh_path.name}, {found:.4f}',
                     result.diameter_m)
    decoder.check_card(result)
    return replace(result, calibration=_on_user_camera(result, stated.on_user_camera) or result.simulated)


def write_card(folder: Path, card: dict) -> Path:
    """Write model.yaml; returns its path."""
    path = folder / CARD_NAME
    # flow style for the innermost lists, and no aliases: a person reads this file
    plain = json.loads(json.dumps(card))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    write_whole(path, text)
    return path


def _error(path: Path, field: str, expected: str, found: object) -> ModelCardError:
    return ModelCardError(f'{path}: {field}: expected {expected}, got '
                          f'{"nothing" if found is None else quoted(found)}')


def _file(path: Path, field: str, name: str) -> Path:
    """A file that lies beside the card; links out of the folder are not followed."""
    file = path.parent / name
    if not is_beside(path, file) or not file.is_file():
        raise _error(path, field, f'a file in {path.parent}, no link to one elsewhere', name)
    return file


def _detector(path: Path, stated: CardFields, decoder: type[Decoder]) -> NetworkCard | None:
    if not decoder.detectors:
        if stated.detector is not None:
            raise _error(path, 'detector', f'no such section beside a network of the family {decoder.family}, '
                                           'which finds the object by itself', stated.detector)
        return None
    if stated.detector is None:
        raise _error(path, 'detector', 'a mapping of fields', None)
    detector = validated(NetworkFields, stated.detector, path, ModelCardError, 'detector')
    family = _family(path, 'detector', detector, tuple(decoder.detectors))
    return _network(path, 'detector', detector, decoder, decoder.detectors[family])


def _family(path: Path, section: str, stated: NetworkFields, allowed: tuple[str, ...]) -> str:
    return validated(FamilyFields, stated.decoder, path, ModelCardError, f'{section}.decoder', allowed).family


def _network(path: Path, section: str, stated: NetworkFields, decoder: type[Decoder],
             parameters: type[DecoderParameters]) -> NetworkCard:
    source = validated(InputFields, {**decoder.input_defaults, **stated.input}, path, ModelCardError,
                       f'{section}.input')
    read = validated(parameters, stated.decoder, path, ModelCardError, f'{section}.decoder')
    file = _file(path, f'{section}.file', stated.file)
    return NetworkCard(
        path=file, sha256=_hash(path, section, stated, file, may_lack=not decoder.needs_sha256),
        input_name=source.name, size=(int(source.size[0]), int(source.size[1])), colour=source.colour,
        mean=source.mean, std=source.std, family=read.family, parameters=read,
        is_pinned=stated.sha256 is not None)


def _hash(path: Path, section: str, stated: NetworkFields, file: Path, may_lack: bool) -> str:
    """Hash of the network's files, checked against the card's; who writes a card for a network of old may leave it
    out."""
    try:
        found = network_sha256(file)
    except OnnxFileError as error:
        raise ModelCardError(str(error)) from error
    if stated.sha256 is None and not may_lack:
        raise _error(path, f'{section}.sha256', f'the hash of {file.name}', None)
    if stated.sha256 not in (None, found):
        raise _error(path, f'{section}.sha256', f'{found}, the hash of {file.name} with its external weight files '
                     '(was one changed, or is the card for another network?)', stated.sha256)
    return found


def _score(path: Path, stated: dict[str, float], field: str = 'score') -> dict[str, float]:
    """The coefficients: a bias, and one for each figure; none before the model was measured."""
    if stated and BIAS not in stated:
        raise _error(path, f'{field}.{BIAS}', 'a number', None)
    if len(stated) == 1:
        raise ModelCardError(f'{path}: {field}: expected {BIAS} and the coefficients of figures, got {BIAS} alone')
    bias_first = sorted(stated, key=lambda name: name != BIAS)
    return {RENAMED_FIGURES.get(name, name): stated[name] for name in bias_first}


def _scale(stated: ScaleFields) -> tuple[float, float]:
    return stated.translation, stated.rotation


def _on_user_camera(card: ModelCard, stated: UserCameraFields | None) -> Calibration | None:
    """The calibration on the user's camera, which must be of the same networks."""
    if stated is None:
        return None
    if stated.networks != card.networks_mark:
        raise _error(card.path, 'on_user_camera.networks', f'{card.networks_mark}, of the networks on the card '
                     '(were they retrained? run posegrasp calibrate --bag again, or posegrasp calibrate '
                     '--forget)', stated.networks)
    return Calibration(_score(card.path, stated.score, 'on_user_camera.score'), _scale(stated.covariance_scale),
                       stated.figures, UserCamera(stated.camera, stated.date, stated.frames, stated.scenes,
                                                  stated.truth, stated.measured))


def _symmetry(path: Path, stated: ObjectFields) -> Symmetry:
    axis, offset = None, np.zeros(3)
    for each in stated.symmetries_continuous:
        axis, offset = each.axis, each.offset
    try:
        return Symmetry.generated(stated.symmetries_discrete, axis, offset)
    except ValueError as error:
        raise _error(path, 'object.symmetries_discrete', f'transforms of one object ({error})',
                     [matrix.ravel().tolist() for matrix in stated.symmetries_discrete]) from error


def _tolerance(stated: ObjectFields) -> PoseTolerance:
    """1 cm and 5 degrees where the card says nothing."""
    if stated.tolerance is None:
        return STATED_NEED
    return PoseTolerance(stated.tolerance.position_m, np.radians(stated.tolerance.rotation_deg))
