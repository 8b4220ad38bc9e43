# SPDX-License-Identifier: Apache-2.0
"""YamlModel: pydantic model of a YAML file, with one-line errors that name the field."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, TypeVar, Union, get_args, get_origin

import numpy as np
import pydantic
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from posegrasp_ros.runtime.errors import LONGEST_LINE, InvalidInputError, escaped, quoted

MOST_ENTRIES = 100
"""Largest length of a hand-written list, such as the boxes of a palm; processing of an entry may be slow."""
WORDS = {float: 'a number', int: 'a whole number', str: 'a text', bool: 'true or false', dict: 'a mapping'}
EXPECTED = 'expected'


class YamlModel(pydantic.BaseModel):
    """A mapping in a YAML file, with fields declared as in pydantic: ``x_m: float = Field(0.1, ge=0, le=1)``.
    Numbers must be finite, and nothing is converted: a text or boolean is not a number. Further fields are
    ignored, unless the class sets ``extra='forbid'``.
    """

    model_config = pydantic.ConfigDict(strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)


Model = TypeVar('Model', bound=YamlModel)


@dataclass(frozen=True)
class Reads:
    """Metadata of an ``Annotated`` type: how a field is parsed.

    :param read: returns the value, or raises ValueError, TypeError, OverflowError or the result of
        :func:`unexpected`
    :param expected: description of valid values, for messages
    """

    read: Callable[[Any], Any]
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def _read(self, value: Any) -> Any:
        try:
            return self.read(value)
        except PydanticCustomError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise unexpected(self.expected) from error


def unexpected(expected: str) -> PydanticCustomError:
    """The exception for a validator to raise on an invalid value."""
    return PydanticCustomError(EXPECTED, '{expected}', {'expected': expected})


def numbers(count: int, low: float = -10.0, high: float = 10.0) -> Reads:
    """A list of ``count`` numbers in a range, as an array: ``Annotated[np.ndarray, numbers(3)]``."""
    def read(value: Any) -> np.ndarray:
        if not isinstance(value, list) or len(value) != count or any(
                isinstance(each, bool) or not isinstance(each, (int, float)) or not low <= each <= high
                for each in value):
            raise ValueError
        return np.array(value, dtype=float)

    return Reads(read, f'{count} numbers between {low:g} and {high:g}')


def is_name(value: object) -> TypeGuard[str]:
    """Whether a value is text that fits a line of a log, and leaves a terminal as it is."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_LINE and escaped(value) == value


def _name(value: Any) -> str:
    if not is_name(value):
        raise ValueError
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_ENTRIES:
        raise ValueError
    return [_name(each) for each in value]


Name = Annotated[str, Reads(_name, 'a name in one line')]
"""Text on one line without control characters."""
Names = Annotated[list[str], Reads(_names, f'a list of 1 to {MOST_ENTRIES} names')]


def validated(model: type[Model], values: Any, path: str | Path, error_class: type[InvalidInputError],
              prefix: str = '', context: Any = None) -> Model:
    """Validate a part of a file.

    :param prefix: position in the file, for messages: empty, or such as ``finger``
    :param context: for the validators of the model
    :raises InvalidInputError: ``error_class``, naming the file, the field, what was expected and what was found
    """
    try:
        return model.model_validate(values, context=context)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = _dotted((*([prefix] if prefix else []), *first['loc']))
        raise error_class(f'{path}: {field}: expected {_expected(model, first)}, got {_found(first)}') from error


def _dotted(place: Sequence[Any]) -> str:
    """Dotted path of a field, such as ``palm[0].center``."""
    return ''.join(f'[{step}]' if isinstance(step, int) else f'.{step}' for step in place).removeprefix('.')


def _found(error: ErrorDetails) -> str:
    if error['type'] == 'missing' or (error['type'] == EXPECTED and error['input'] is None):
        return 'nothing'
    return quoted(error['ctx']['actual_length'] if error['type'] == 'too_long' else error['input'])


def _expected(model: type[YamlModel], error: ErrorDetails) -> str:
    if error['type'] in (EXPECTED, 'value_error'):
        return error['msg'].removeprefix('Value error, ')
    if error['type'] == 'too_long':
        return f'at most {error["ctx"]["max_length"]} entries'
    if error['type'] == 'extra_forbidden':
        inner = _at(model, error['loc'][:-1])[0]
        return f'no field but {", ".join(field.alias or name for name, field in inner.model_fields.items())}'
    said = _words(*_at(model, error['loc']))
    return said or error['msg'].removeprefix('Input should be ')


def _at(model: type[YamlModel], place: Sequence[Any]) -> tuple[Any, FieldInfo | None]:
    """The type at a position in a model, and its field if it is one; None for an unknown position."""
    found: Any = model
    field: FieldInfo | None = None
    for step in place:
        if _is_model(found):
            field = next((each for name, each in found.model_fields.items() if step in (each.alias, name)), None)
            found = field.annotation if field else None
        elif get_args(found):  # of a list or mapping
            field = FieldInfo.from_annotation(get_args(found)[-1])
            found = field.annotation
        else:
            return None, None
        if get_origin(found) in (Union, types.UnionType):  # optional
            found = next(each for each in get_args(found) if each is not type(None))
    return found, field


def _words(kind: Any, field: FieldInfo | None) -> str:
    """Description of a type with a field's bounds; empty to use pydantic's message."""
    metadata = field.metadata if field else []
    for each in metadata:
        if isinstance(each, Reads):
            return each.expected
    if get_origin(kind) is list:
        return 'a list of mappings' if _is_model(get_args(kind)[0]) else 'a list'
    if any(not isinstance(each, (Ge, Gt, Le, Lt)) for each in metadata):
        return ''
    if get_origin(kind) is Literal:
        return ' or '.join(map(str, get_args(kind)))
    if _is_model(kind):
        return 'a mapping of fields'
    words = (field and field.description) or WORDS.get(get_origin(kind) or kind, '')
    bounds = {name: bound for each in metadata for name, bound in asdict(each).items()}
    if words and set(bounds) == {'ge', 'le'}:
        return f'{words} between {bounds["ge"]:g} and {bounds["le"]:g}'
    return '' if metadata else words


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, YamlModel)
