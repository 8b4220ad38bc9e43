# SPDX-License-Identifier: Apache-2.0
"""Exit codes and options that several commands share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import ArgumentCollection, Group, Parameter, Token

from posegrasp_ros.cli import option_types
from posegrasp_ros.estimation.create import ESTIMATORS
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import DEFAULT_MODEL, SHIPPED_MODELS, shipped_grippers

T = TypeVar('T')
# cyclopts 4, the last one for Python 3.10, shows no metavars.
_HAS_METAVARS = 'metavar' in inspect.signature(Parameter).parameters


def option(metavar: str | None = None, check: Callable[[str], Any] | None = None, **settings: Any) -> Parameter:
    """An option that takes one text.

    :param metavar: what the help calls its value
    :param check: turns the text into the value, or raises InvalidInputError
    :param settings: see :class:`cyclopts.Parameter`
    """
    if check is not None:
        # a value of several numbers, such as 0.4:0.8, is one text
        settings.update(converter=lambda _, tokens: check(tokens[0].value), n_tokens=1)
    return _parameter(metavar, settings)


def options(metavar: str, check: Callable[[str], Any], at_least: int = 1, **settings: Any) -> Parameter:
    """An option that takes several texts, and may be given repeatedly: its value is a tuple of all.

    :param metavar: what the help calls each value
    :param check: turns one text into a value, or raises InvalidInputError
    :param at_least: how many texts there have to be
    :param settings: see :class:`cyclopts.Parameter`
    """

    def convert(_: type, tokens: Sequence[Token]) -> tuple:
        return tuple(check(token.value) for token in tokens)

    return _parameter(metavar, {'converter': convert, 'n_tokens': 1, 'consume_multiple': (at_least, None),
                                **settings})


def _parameter(metavar: str | None, settings: dict[str, Any]) -> Parameter:
    if metavar is not None and _HAS_METAVARS:
        settings['metavar'] = metavar
    return Parameter(**settings)


def option_group(group: Group) -> Callable[[type[T]], type[T]]:
    """Decorator of a dataclass whose fields are options of a group; its docstring holds their help."""

    def grouped(fields: type[T]) -> type[T]:
        fields.__doc__ = unwrapped(fields.__doc__)
        return Parameter(name='*', group=group)(fields)

    return grouped


def unwrapped(docstring: str | None) -> str:
    """A docstring with each paragraph and each parameter in one line: the help wraps them to the terminal."""
    return re.sub(r'(?<=\S)\n[ \t]*(?=[^:\s])', ' ', inspect.cleandoc(docstring or ''))


def at_most_one(arguments: ArgumentCollection) -> None:
    """Validator of a group whose options exclude one another.

    :raises InvalidInputError: when several were given
    """
    given = [argument.name for argument in arguments if argument.tokens]
    if len(given) > 1:
        raise InvalidInputError(f'{", ".join(given)}: expected at most one of these')


def exclusive(shown: Group) -> tuple[Group, Group]:
    """The groups of options that are shown in one, and exclude one another."""
    return shown, Group(f'{shown.name}: one at most', show=False, validator=at_most_one)


Count = Annotated[int, option('N', option_types.positive)]
Seed = Annotated[int, option('N', option_types.seed)]
Size = Annotated[tuple[int, int], option('WIDTHxHEIGHT', option_types.image_size,
                                         show_default=lambda size: f'{size[0]}x{size[1]}')]
Folder = Annotated[Path, option('DIR')]
File = Annotated[Path, option('FILE')]
Topic = Annotated[str, option('TOPIC')]
Frame = Annotated[str, option('NAME')]
Axis = Literal['x', 'y', 'z']
Model = Annotated[Path, option('DIR|NAME', help='model folder with a model.yaml, or a shipped one: '
                                                f'{", ".join(SHIPPED_MODELS)}')]
"""See :func:`posegrasp_ros.runtime.resources.model_folder`."""
Models = Annotated[tuple[Path, ...], options('DIR|NAME', Path, consume_multiple=False, help=(
    'model folder with a model.yaml, or a shipped one: '
    f'{", ".join(SHIPPED_MODELS)}; given several times, the objects are looked for together; default: '
    f'{DEFAULT_MODEL}, but none for poses from other nodes'))]
"""See :func:`posegrasp_ros.estimation.model_set.load_model_set`."""
Gripper = Annotated[str, option('NAME|FILE', help=(
    f'{", ".join(shipped_grippers())}, or a YAML file of the same form'))]
Estimator = Annotated[str, option('ESTIMATOR', option_types.estimator, help=(
    f'one of {", ".join(ESTIMATORS)}: onnx is the network with refinement, network without; the others are '
    'baselines'))]
Mass = Annotated[float | None, option('KG', option_types.above_zero, help=(
    "mass of the object; default: the model card's, else the volume times the density"))]
Density = Annotated[float | None, option('KG/M3', option_types.above_zero, help=(
    'density of the object if no mass is given; default: 400'))]
Friction = Annotated[float | None, option('MU', option_types.above_zero, help=(
    "Coulomb coefficient between object, pads and table; default: the model card's, else 0.6"))]
Threads = Annotated[int | None, option('N', option_types.positive, help=(
    'processor threads for the networks; default: one per usable core'))]
SymmetryAxis = Annotated[Axis | None, Parameter(
    help='axis of the mesh about which any rotation looks the same, as for a can')]
SymmetryHalfTurns = Annotated[tuple[Axis, ...], Parameter(
    consume_multiple=False, help='axis of the mesh about which half a turn looks the same; may be given twice')]
"""Both see :func:`posegrasp_ros.geometry.mesh.declared_symmetry`."""
