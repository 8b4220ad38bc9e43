# SPDX-License-Identifier: Apache-2.0
"""CardFields: model.yaml as it is written, field by field, before what it says is compared with the files."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from posegrasp_ros.estimation.refinement.refiner_registry import DEFAULT
from posegrasp_ros.geometry.transforms import transform_from_pose
from posegrasp_ros.metrics.calibration_guard import UsualRange
from posegrasp_ros.runtime.yaml_model import MOST_ENTRIES, Name, Reads, YamlModel, numbers, unexpected


class AxisFields(YamlModel):
    """A continuous symmetry, written as BOP does."""

    axis: Annotated[np.ndarray, numbers(3)]
    offset: Annotated[np.ndarray, numbers(3)] = np.zeros(3)

    @field_validator('axis')
    @classmethod
    def _has_a_direction(cls, axis: np.ndarray) -> np.ndarray:
        if np.linalg.norm(axis) < 1e-6:
            raise unexpected('an axis of some length')
        return axis


class ToleranceFields(YamlModel):
    """Within which a pose counts as right."""

    position_m: float = Field(ge=1e-4, le=1.0)
    rotation_deg: float = Field(ge=0.1, le=180.0)


def _transforms(value: Any) -> list[np.ndarray]:
    """(4, 4) rigid transforms, each stated as 4 rows of 4 or as 16 numbers."""
    if not isinstance(value, list):
        raise ValueError
    try:
        found = [np.array(rows, dtype=float).reshape(4, 4) for rows in value]
        if all(_is_rigid(matrix) for matrix in found):
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise unexpected('rigid 4x4 transforms')


def _is_rigid(matrix: np.ndarray) -> bool:
    rotation = matrix[:3, :3]
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0
                and np.allclose(matrix[3], (0, 0, 0, 1)))


class ObjectFields(YamlModel):
    """The object and its mesh."""

    mesh: Name
    diameter_m: float = Field(ge=0.005, le=2.0, description='a length in metres')
    symmetries_discrete: Annotated[list[np.ndarray], Reads(_transforms, 'a list of 4x4 transforms')]
    symmetries_continuous: list[AxisFields] = Field(max_length=MOST_ENTRIES)
    tolerance: ToleranceFields | None = None
    mass_kg: float | None = Field(None, ge=1e-4, le=1000.0)
    friction: float | None = Field(None, ge=0.01, le=5.0)

    @field_validator('symmetries_continuous')
    @classmethod
    def _is_no_ball(cls, axes: list[AxisFields]) -> list[AxisFields]:
        if len(axes) > 1:
            raise unexpected('one axis at most: a ball has no orientation to estimate')
        return axes


class InputFields(YamlModel):
    """How a network is fed."""

    name: Name
    size: Annotated[np.ndarray, numbers(2, 16, 4096)]
    colour: Literal['rgb', 'bgr']
    mean: Annotated[np.ndarray, numbers(3, -1e3, 1e3)]
    std: Annotated[np.ndarray, numbers(3, 1e-6, 1e3)]


class FamilyFields(YamlModel):
    """Which decoder reads a network; the context holds the families that may."""

    family: str

    @field_validator('family', mode='before')
    @classmethod
    def _is_known(cls, family: Any, info: ValidationInfo[tuple[str, ...]]) -> str:
        if family not in info.context:
            raise unexpected(' or '.join(info.context))
        return family


class NetworkFields(YamlModel):
    """A network; its input's defaults and its decoder's parameters are the decoder family's."""

    file: Name
    sha256: Name | None = None
    input: dict[str, Any]
    decoder: dict[str, Any]


class PoseFields(YamlModel):
    """A pose."""

    position_m: Annotated[np.ndarray, numbers(3)]
    quaternion_xyzw: Annotated[np.ndarray, numbers(4)]

    @field_validator('quaternion_xyzw')
    @classmethod
    def _is_a_rotation(cls, quaternion: np.ndarray) -> np.ndarray:
        try:
            transform_from_pose(np.zeros(3), quaternion)
        except ValueError as error:
            raise unexpected('a quaternion of length 1') from error
        return quaternion


class ScaleFields(YamlModel):
    """Measured error variance over predicted."""

    translation: float = Field(ge=1e-6, le=1e6)
    rotation: float = Field(ge=1e-6, le=1e6)


Score = dict[str, Annotated[float, Field(ge=-1e6, le=1e6)]]


def _range(value: Any) -> UsualRange:
    """Three numbers in ascending order, and a count."""
    low, median, high, views = value
    if any(isinstance(each, (bool, str)) for each in value) or not (
            -math.inf < low <= median <= high < math.inf and 1 <= views < math.inf):
        raise ValueError
    return UsualRange(float(low), float(median), float(high), int(views))


Figures = dict[str, Annotated[UsualRange, Reads(
    _range, '5 %, 50 % and 95 % quantile, ascending, and the number of views that they are of')]]


class UserCameraFields(YamlModel):
    """The calibration on the user's camera, as ``posegrasp calibrate --bag`` writes it.

    :param networks: the first digits of the networks' hashes, which it holds for
    """

    score: Score
    covariance_scale: ScaleFields
    figures: Figures
    networks: Name
    camera: dict[str, Any]
    date: Name
    frames: int = Field(ge=1)
    scenes: int = Field(ge=1)
    truth: Name
    measured: dict[str, Any]


class CardFields(YamlModel):
    """The whole card; ``detector`` is read as :class:`NetworkFields` where the decoder family has one.

    The context holds the names of the refiners.
    """

    format: Literal['posegrasp.model/1']
    name: Name
    object: ObjectFields
    detector: Any = None
    network: NetworkFields
    refiner: str = DEFAULT
    mean_pose: PoseFields
    score: Score = {}
    covariance_scale: ScaleFields = ScaleFields(translation=1.0, rotation=1.0)
    figures: Figures = {}
    on_user_camera: UserCameraFields | None = None
    provenance: dict[str, Any] = {}
    measured: dict[str, Any] = {}

    @field_validator('refiner', mode='before')
    @classmethod
    def _is_known(cls, refiner: Any, info: ValidationInfo[tuple[str, ...]]) -> str:
        if refiner not in info.context:
            raise unexpected(' or '.join(info.context))
        return refiner
