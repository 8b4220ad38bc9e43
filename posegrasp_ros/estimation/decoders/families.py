"""The decoder families: what each has to be told on the model card, and what it takes for granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from posegrasp_ros.runtime.yaml_fields import Fields

FITS = ('letterbox', 'stretch')
LAYOUTS = ('auto', 'rows', 'end_to_end')
CORNER_CONVENTIONS = ('nvlabs', 'isaac')
LEAST_KEYPOINTS, MOST_KEYPOINTS = 4, 64


class Parameter(Protocol):
    """One figure of a decoder, read from its field."""

    def read(self, fields: Fields, name: str) -> Any:
        """The value; the default when the card leaves it out.

        :raises posegrasp_ros.runtime.errors.InvalidInputError: naming field, found and expected
        """


@dataclass(frozen=True)
class Number:
    """A number in a range.

    :param default: None when the card has to say it
    """

    low: float
    high: float
    default: float | None = None

    def read(self, fields: Fields, name: str) -> float:
        if self.default is not None and name not in fields.values:
            return self.default
        return fields.number(name, self.low, self.high)


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    low: int
    high: int
    default: int

    def read(self, fields: Fields, name: str) -> int:
        if name not in fields.values:
            return self.default
        number = fields.number(name, self.low, self.high, 'a whole number')
        if number != int(number):
            raise fields.error(name, f'a whole number between {self.low} and {self.high}')
        return int(number)


@dataclass(frozen=True)
class Choice:
    """One of some names.

    :param default: None when the card has to say it
    """

    names: tuple[str, ...]
    default: str | None = None

    def read(self, fields: Fields, name: str) -> str:
        if self.default is not None and name not in fields.values:
            return self.default
        return fields.one_of(name, self.names)


@dataclass(frozen=True)
class Lengths:
    """Three side lengths in metres; None when the card leaves them out."""

    def read(self, fields: Fields, name: str) -> np.ndarray | None:
        return fields.vector(name, 3, 0.001, 2.0) if name in fields.values else None


@dataclass(frozen=True)
class Points:
    """(K, 3) points in the object frame, metres, not all on one line."""

    def read(self, fields: Fields, name: str) -> np.ndarray:
        expected = f'{LEAST_KEYPOINTS} to {MOST_KEYPOINTS} points [x, y, z] in metres, not all on one line'
        try:
            points = np.array(fields.values.get(name), dtype=float)
        except (TypeError, ValueError, OverflowError) as error:
            raise fields.error(name, expected) from error
        fits = points.ndim == 2 and points.shape[1] == 3 and LEAST_KEYPOINTS <= len(points) <= MOST_KEYPOINTS
        if not (fits and np.isfinite(points).all() and np.abs(points).max() <= 2
                and np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-4) >= 2):
            raise fields.error(name, expected)
        return points


DETECTOR_FAMILIES: dict[str, dict[str, Parameter]] = {
    'centre_heatmap': {'stride': Number(1, 64), 'threshold': Number(0, 1)},
}
NETWORK_FAMILIES: dict[str, dict[str, Parameter]] = {
    'object_coordinates': {'margin': Number(1, 4)},
    'dope': {
        'corners': Choice(CORNER_CONVENTIONS),
        'dimensions_m': Lengths(),
        'threshold': Number(0, 1, default=0.1),
        'smoothing_cells': Number(0.5, 5, default=1.5),
        # cell i averages eight pixels whose middle is 8 i + 3.5, so that pixels / 8 = cells + 0.4375
        'offset_cells': Number(-1, 1, default=0.4375),
        'fit': Choice(FITS, default='stretch'),
    },
    'yolo_pose': {
        'keypoints_m': Points(),
        'class': Whole(0, 9999, default=0),
        'classes': Whole(1, 10000, default=1),
        'threshold': Number(0, 1, default=0.25),
        'visibility': Number(0, 1, default=0.5),
        'overlap': Number(0, 1, default=0.7),
        'layout': Choice(LAYOUTS, default='auto'),
        'fit': Choice(FITS, default='letterbox'),
    },
}
WITHOUT_DETECTOR = ('dope', 'yolo_pose')
"""Families whose network finds the object in the whole image by itself."""

INPUT_DEFAULTS: dict[str, dict[str, Any]] = {
    'dope': {'colour': 'rgb', 'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225]},
    'yolo_pose': {'colour': 'rgb', 'mean': [0.0, 0.0, 0.0], 'std': [1.0, 1.0, 1.0]},
}
"""How the published networks of a family are fed, for what the card leaves out of ``input``."""


def read_parameters(decoder: Fields, families: dict[str, dict[str, Parameter]]) -> tuple[str, dict[str, Any]]:
    """Family and parameters of a card's ``decoder`` section.

    :raises InvalidInputError: on an unknown family, a wrong value, or a field that the family has not
    """
    family = decoder.one_of('family', tuple(families))
    parameters = families[family]
    for name in decoder.values:
        if name != 'family' and name not in parameters:
            raise decoder.error(name, f'no field but family, {", ".join(parameters)} for {family}')
    return family, {name: parameter.read(decoder, name) for name, parameter in parameters.items()}
