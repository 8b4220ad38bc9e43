"""Parameters of a decoder on the model card: their types, ranges and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from posegrasp_ros.runtime.yaml_fields import Fields

LEAST_KEYPOINTS, MOST_KEYPOINTS = 4, 64


class Parameter(Protocol):
    """One figure of a decoder, read from its field."""

    def read(self, fields: Fields, name: str) -> Any:
        """The value; the default when the card leaves it out.

        :raises InvalidInputError: naming field, found and expected
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


def read_parameters(decoder: Fields, family: str, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The parameters in a card's ``decoder`` section.

    :raises InvalidInputError: on a wrong value, or a field that the family does not have
    """
    for name in decoder.values:
        if name != 'family' and name not in parameters:
            raise decoder.error(name, f'no field but family, {", ".join(parameters)} for {family}')
    return {name: parameter.read(decoder, name) for name, parameter in parameters.items()}
