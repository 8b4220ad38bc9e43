# SPDX-License-Identifier: Apache-2.0
"""Engines, which run the tasks of a fleet. An engine is a function; engines are registered by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence

from posegrasp_ros.fleet.bag_task import BagResult, BagTask
from posegrasp_ros.runtime.errors import InvalidInputError

Engine = Callable[[Sequence[BagTask], int], Iterator[BagResult]]
"""Tasks and the number of jobs -> the result of each, as it comes. It hands each task to
:func:`posegrasp_ros.fleet.bag_task.evaluate_bag` in some process, gives a result with a reason for one that was
lost, and ends what it started when the iterator is closed."""
# Name -> module and function, imported when it is asked for.
_ENGINES = {'local': 'posegrasp_ros.fleet.local_engine:local_engine',
            'ray': 'posegrasp_ros.fleet.ray_engine:ray_engine'}
_registered: dict[str, Engine] = {}


def register_engine(name: str, engine: Engine) -> None:
    """Make an engine known in this process.

    :raises InvalidInputError: when the name is taken
    """
    if name in engine_names():
        raise InvalidInputError(f'engine {name}: expected a unique name, this one is already registered')
    _registered[name] = engine


def engine_names() -> list[str]:
    """Of all engines."""
    return [*_ENGINES, *_registered]


def engine_of(name: str) -> Engine:
    """An engine by its name.

    :raises InvalidInputError: when there is none
    """
    if name in _registered:
        return _registered[name]
    if name not in _ENGINES:
        raise InvalidInputError(f'engine: expected one of {", ".join(engine_names())}, got {name}')
    module, _, function = _ENGINES[name].partition(':')
    return getattr(importlib.import_module(module), function)
