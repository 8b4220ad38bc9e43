# SPDX-License-Identifier: Apache-2.0
"""Types of command-line options: texts are checked and converted to values.

Each raises :class:`InvalidInputError` with what was expected and found; which option it was is added by who asks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from posegrasp_ros.estimation.tracking.tracking_options import CORRECTION_HZ, GIVE_UP_S
from posegrasp_ros.metrics.units import FACTORS
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

if TYPE_CHECKING:
    import numpy as np

# Beyond these, squares and cubes of a number leave what a computer counts with; no length or price is there.
LEAST, MOST = 1e-9, 1e9


def positive(text: str) -> int:
    """A count."""
    return _number(int, text, 'a whole number of at least 1', lambda number: number >= 1)


def whole(text: str) -> int:
    """A number by which something is known."""
    return _number(int, text, 'a whole number', lambda _: True)


def seed(text: str) -> int:
    """What numpy, PyTorch and a ROS parameter all take as a seed."""
    return _number(int, text, 'a whole number from 0 to 4294967295', lambda number: 0 <= number < 2**32)


def port(text: str) -> int:
    """Of TCP; 0 for a free one."""
    return _number(int, text, 'a whole number from 0 to 65535', lambda number: 0 <= number <= 65535)


def minutes(text: str) -> float:
    """A time to spend."""
    return _number(float, text, 'a time above 0', lambda number: 0 < number < math.inf)


def block(text: str) -> float:
    """A stretch of time whose frames count as one observation."""
    return _number(float, text, 'a number from 0.001 to 86400', lambda number: 1e-3 <= number <= 86_400)


def above_zero(text: str) -> float:
    """A length or an angle that is there."""
    return _number(float, text, f'a number above 0, from {LEAST:g} to {MOST:g}',
                   lambda number: LEAST <= number <= MOST)


def not_negative(text: str) -> float:
    """A time that may be none."""
    return _number(float, text, f'a number of at least 0, {MOST:g} at most', lambda number: 0 <= number <= MOST)


def at_least_one(text: str) -> float:
    """A factor that makes nothing smaller."""
    return _number(float, text, 'a number of at least 1', lambda number: 1 <= number < math.inf)


def share_inside(text: str) -> float:
    """A probability that is neither never nor always."""
    return _number(float, text, 'a number between 0 and 1', lambda number: 0 < number < 1)


def share(text: str) -> float:
    """A probability."""
    return _number(float, text, 'a number from 0 to 1', lambda number: 0 <= number <= 1)


def correction_hz(text: str) -> float:
    """How often the networks look at an object that is followed."""
    return _between(text, *CORRECTION_HZ)


def give_up_s(text: str) -> float:
    """How long an object that is not seen counts as lost."""
    return _between(text, *GIVE_UP_S)


def finite(text: str) -> float:
    """A coordinate."""
    return _number(float, text, 'a number', math.isfinite)


def field_of_view(text: str) -> float:
    """Of a pinhole camera, degrees."""
    return _number(float, text, 'an angle between 1 and 170 degrees', lambda number: 1 <= number <= 170)


def distance_range(text: str) -> tuple[float, float]:
    """Nearest and farthest, metres."""
    near, far = value_range(text)
    if not 0.05 <= near <= far <= 20:
        raise InvalidInputError(f'expected NEAR:FAR in metres from 0.05 to 20, got {quoted(text)}')
    return near, far


def value_range(text: str) -> tuple[float, float]:
    """Two numbers of at least 0, the lower first; one stands for both."""
    low, high = _pair(text) if ':' in text else 2 * (not_negative(text),)
    if not 0 <= low <= high <= MOST:
        raise InvalidInputError(f'expected two numbers of at least 0, the lower first, got {quoted(text)}')
    return low, high


def times(text: str) -> tuple[float, ...]:
    """Times in seconds, such as 10,25,40."""
    return tuple(not_negative(part) for part in text.split(','))


def share_range(text: str) -> tuple[float, float]:
    """Two shares, the lower first."""
    low, high = _pair(text)
    if not 0 <= low < high <= 1:
        raise InvalidInputError(f'expected two shares from 0 to 1, the lower first, got {quoted(text)}')
    return low, high


def _between(text: str, low: float, high: float) -> float:
    return _number(float, text, f'a number from {low:g} to {high:g}', lambda number: low <= number <= high)


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(':'))
    except ValueError as error:
        raise InvalidInputError(f'expected LOW:HIGH such as 0.3:0.6, got {quoted(text)}') from error
    return low, high


def requirement(text: str) -> tuple[str, float]:
    """A metric and a value in the package's unit from a text such as ``position_error_median=2mm``."""
    from posegrasp_ros.metrics.catalogue import catalogue

    name, _, value = text.partition('=')
    if name not in catalogue():
        raise InvalidInputError(f'expected METRIC=VALUE with a metric of {", ".join(catalogue())}, '
                                f'got {quoted(text)}')
    own_unit = catalogue()[name].unit
    factors = FACTORS[own_unit]
    match = re.fullmatch(r'([0-9.]+)\s*(\D*)', value)
    unit = match[2] or own_unit if match else ''
    if match is None or unit not in factors:
        raise InvalidInputError(f'{name}: expected a number followed by {" or ".join(factors)}, '
                                f'got {quoted(value)}')
    return name, finite(match[1]) * factors[unit]


def estimator(text: str) -> str:
    """The name of an estimator, ours or another package's."""
    from posegrasp_ros.estimation.create import estimator_names

    if text not in estimator_names():
        raise InvalidInputError(f'expected one of {", ".join(estimator_names())}, got {quoted(text)}')
    return text


def metric(text: str) -> str:
    """The name of a metric in the catalogue."""
    from posegrasp_ros.metrics.catalogue import catalogue

    if text not in catalogue():
        raise InvalidInputError(f'expected one of {", ".join(catalogue())}, got {quoted(text)}')
    return text


def tiles(text: str) -> tuple[int, int]:
    """Sheets of paper from left to right and from top to bottom."""
    match = re.fullmatch(r'([1-9]|10)x([1-9]|10)', text.lower())
    if match is None:
        raise InvalidInputError(f'expected COLUMNSxROWS of 1 to 10 sheets each, such as 2x1, got {quoted(text)}')
    return int(match[1]), int(match[2])


def square_mm(text: str) -> float:
    """Side of a square on a board, millimetres."""
    return _number(float, text, 'a length from 8 to 200 mm', lambda number: 8 <= number <= 200)


def image_size(text: str) -> tuple[int, int]:
    """Width and height, pixels."""
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError as error:
        raise InvalidInputError(f'expected WIDTHxHEIGHT such as 640x480, got {quoted(text)}') from error
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise InvalidInputError(f'expected sides of 16 to 8192 pixels, got {quoted(text)}')
    return width, height


def transform(option: str, values: Sequence[float]) -> np.ndarray:
    """(4, 4) transform from x, y, z in metres and a quaternion qx, qy, qz, qw.

    :param option: for the message
    :raises InvalidInputError: when the quaternion has not length 1
    """
    from posegrasp_ros.geometry.transforms import transform_from_pose

    length = math.hypot(*values[3:])
    if abs(length - 1) > 1e-2:
        raise InvalidInputError(
            f'{option}: expected a quaternion qx qy qz qw of length 1, got one of length {length:.3g}')
    return transform_from_pose(values[:3], values[3:])


def _number(kind: type, text: str, expected: str, fits: Callable[[Any], bool]) -> Any:
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not fits(number):
        raise InvalidInputError(f'expected {expected}, got {quoted(text)}')
    return number
