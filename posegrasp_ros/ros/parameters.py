# SPDX-License-Identifier: Apache-2.0
"""Node parameters as frozen dataclasses: declared once, read once, with description, range and choices.

The parameters of a node are a dataclass whose fields are created by :func:`parameter`::

    @dataclass(frozen=True)
    class MonitorParameters:
        silence_s: float = parameter(2.0, 'After how long a stage counts as silent.', minimum=0.1, maximum=60.0)
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from posegrasp_ros.geometry.transforms import quaternion_from_matrix, transform_from_pose
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Values = TypeVar('Values', bound='DataclassInstance')

TYPES = {
    'bool': ParameterType.PARAMETER_BOOL,
    'int': ParameterType.PARAMETER_INTEGER,
    'float': ParameterType.PARAMETER_DOUBLE,
    'str': ParameterType.PARAMETER_STRING,
    'tuple[float, ...]': ParameterType.PARAMETER_DOUBLE_ARRAY,
    'tuple[str, ...]': ParameterType.PARAMETER_STRING_ARRAY,
}
ARRAYS = {'tuple[float, ...]': Parameter.Type.DOUBLE_ARRAY, 'tuple[str, ...]': Parameter.Type.STRING_ARRAY}


class ParameterError(InvalidInputError):
    """An invalid parameter value."""


def parameter(default: Any, description: str, *, minimum: float | None = None, maximum: float | None = None,
              choices: tuple[str, ...] = (), read_only: bool = False,
              check: Callable[[Any], object] | None = None) -> Any:
    """A dataclass field with the metadata of a ROS parameter.

    :param minimum: smallest number allowed; needs ``maximum``, as ROS ranges have two ends
    :param choices: allowed values of a text
    :param check: raises InvalidInputError on a value, such as a file that is not there, that configure would
        refuse; not asked about empty ones
    :param read_only: cannot change after the node has started; changes of others take effect at the next configure
    """
    return field(default=default, metadata={
        'description': description, 'minimum': minimum, 'maximum': maximum, 'choices': choices,
        'read_only': read_only, 'check': check})


def declare_parameters(node: Node, parameters: type) -> None:
    """Declare every field of a parameter dataclass on the node.

    :raises ParameterError: when a value given from outside has the wrong type or lies outside its range
    """
    hints = typing.get_type_hints(parameters)
    for item in fields(parameters):
        assert item.default is not MISSING, f'{item.name} has no default'
        # rclpy interprets an empty list as bytes, so an empty list is declared by type and set below: a request
        # for parameters, as by `ros2 param dump`, gets an empty response if one of them has no value.
        default, type_name = item.default, _type_name(hints[item.name])
        if isinstance(default, tuple):
            default = list(default) or ARRAYS[type_name]
        try:
            declared = node.declare_parameter(item.name, default, _descriptor(item, type_name))
        except ParameterException as error:
            raise ParameterError(f'parameter {item.name}: {error}') from error
        if declared.type_ == Parameter.Type.NOT_SET:
            node.set_parameters([Parameter(item.name, ARRAYS[type_name], [])])


def read_parameters(node: Node, parameters: type[Values]) -> Values:
    """The current values of the declared parameters.

    :raises ParameterError: when a text is not one of its choices, or a number is not finite
    """
    values, hints = {}, typing.get_type_hints(parameters)
    for item in fields(parameters):
        value = node.get_parameter(item.name).value
        # ROS has no ranges for arrays, and with NaN as a threshold every comparison would be false.
        if 'float' in _type_name(hints[item.name]) and not np.isfinite(value).all():
            raise ParameterError(f'parameter {item.name}: expected finite numbers, got {quoted(value)}')
        choices = item.metadata['choices']
        if choices and value not in choices:
            raise ParameterError(f'parameter {item.name}: expected one of {", ".join(choices)}, '
                                 f'got {quoted(value)}')
        values[item.name] = tuple(value) if isinstance(item.default, tuple) else value
    return parameters(**values)


def refusal(parameters: type, name: str, value: Any) -> str:
    """Why a new value of a declared parameter cannot be used at the next configure; empty where it can."""
    item = next((each for each in fields(parameters) if each.name == name), None)
    if item is None:
        return ''
    hints = typing.get_type_hints(parameters)
    if 'float' in _type_name(hints[name]) and not np.isfinite(value).all():
        return f'expected finite numbers, got {quoted(value)}'
    choices, check = item.metadata['choices'], item.metadata['check']
    if choices and value not in choices:
        return f'expected one of {", ".join(choices)}, got {quoted(value)}'
    try:
        if check and len(value):
            check(value)
    except InvalidInputError as error:
        return str(error)
    return ''


def pose_parameter(name: str, values: tuple[float, ...]) -> np.ndarray | None:
    """A (4, 4) transform from a parameter x, y, z, qx, qy, qz, qw; None when it is empty.

    :raises ParameterError: when these are not seven finite numbers with a quaternion of length 1
    """
    if not values:
        return None
    if len(values) != 7 or not np.isfinite(values).all() or abs(np.linalg.norm(values[3:]) - 1) > 1e-2:
        raise ParameterError(f'parameter {name}: expected x, y, z in metres and a quaternion x, y, z, w of '
                             f'length 1, got {list(values)}')
    return transform_from_pose(values[:3], values[3:])


def pose_values(transform: np.ndarray) -> tuple[float, ...]:
    """The inverse of :func:`pose_parameter`."""
    return (*transform[:3, 3].tolist(), *quaternion_from_matrix(transform[:3, :3]).tolist())


def _type_name(hint: Any) -> str:
    return hint.__name__ if hint in (bool, int, float, str) else str(hint)


def _descriptor(item: Field, type_name: str) -> ParameterDescriptor:
    """The descriptor that ``ros2 param describe`` shows."""
    about = item.metadata
    descriptor = ParameterDescriptor(
        name=item.name, type=TYPES[type_name], description=about['description'], read_only=about['read_only'])
    if about['choices']:
        descriptor.additional_constraints = 'one of: ' + ', '.join(about['choices'])
    if about['minimum'] is not None and type_name == 'int':
        descriptor.integer_range = [IntegerRange(from_value=about['minimum'], to_value=about['maximum'], step=0)]
    elif about['minimum'] is not None:
        descriptor.floating_point_range = [FloatingPointRange(
            from_value=float(about['minimum']), to_value=float(about['maximum']), step=0.0)]
    return descriptor
