"""Fields: a YAML mapping that knows where it stands, so that an error names file, field, found and expected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np

from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.errors import LONGEST_LINE, InvalidInputError, escaped, quoted


@dataclass(frozen=True)
class Fields:
    """A mapping of a YAML file.

    :param path: the file, for messages
    :param prefix: where in the file, for messages: empty, or such as ``finger.``
    :param error_class: what is raised when a field is wrong
    """

    path: Path
    prefix: str
    values: dict
    error_class: type[InvalidInputError]

    @classmethod
    def read(cls, path: str | Path, error_class: type[InvalidInputError]) -> Fields:
        """The mapping that a YAML file holds; ``error_class`` when there is none."""
        return cls(Path(path), '', read_mapping(path, error_class), error_class)

    def error(self, field: str, expected: str) -> InvalidInputError:
        """What to raise when ``field`` is not as expected."""
        found = quoted(self.values[field]) if field in self.values else 'nothing'
        return self.error_class(f'{self.path}: {self.prefix}{field}: expected {expected}, got {found}')

    def text(self, field: str) -> str:
        value = self.values.get(field)
        if not is_name(value):
            raise self.error(field, 'a name in one line')
        return value

    def number(self, field: str, low: float, high: float, what: str = 'a number') -> float:
        value = self.values.get(field)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.error(field, f'{what} between {low:g} and {high:g}')
        return float(value)

    def vector(self, field: str, length: int, low: float = -10.0, high: float = 10.0) -> np.ndarray:
        value = self.values.get(field)
        if not isinstance(value, list) or len(value) != length or not all(
                isinstance(each, (int, float)) and low <= each <= high for each in value):
            raise self.error(field, f'{length} numbers between {low:g} and {high:g}')
        return np.array(value, dtype=float)

    def inner(self, field: str) -> Fields:
        if not isinstance(self.values.get(field), dict):
            raise self.error(field, 'a mapping of fields')
        return Fields(self.path, f'{self.prefix}{field}.', self.values[field], self.error_class)


def is_name(value: object) -> TypeGuard[str]:
    """Whether a value is text that fits a line of a log, and leaves a terminal as it is."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_LINE and escaped(value) == value
