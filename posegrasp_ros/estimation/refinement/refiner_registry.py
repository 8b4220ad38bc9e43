# SPDX-License-Identifier: Apache-2.0
"""The refiners by name: ours, and those that other installed packages add; a card's ``refiner`` chooses one.

Another package adds one by an entry point, without a change here::

    [project.entry-points."posegrasp.refiners"]
    my_refiner = "my_package.my_module:MyRefiner"
"""

from __future__ import annotations

import importlib
from typing import Any

from posegrasp_ros.estimation.refinement.refiner import Refiner
from posegrasp_ros.runtime.entry_points import described, entry_points, load_entry_point
from posegrasp_ros.runtime.errors import InvalidInputError

KIND, GROUP = 'refiner', 'posegrasp.refiners'
DEFAULT = 'mesh'
OURS = {DEFAULT: 'posegrasp_ros.estimation.refinement.mesh_refiner:MeshRefiner'}


class RefinerError(InvalidInputError):
    """A refiner of another package that cannot be used."""


def refiner_names() -> tuple[str, ...]:
    """Names of all refiners, ours first."""
    return (*OURS, *(name for name in entry_points(GROUP) if name not in OURS))


def refiner_class(name: str) -> type[Any]:
    """The class of one of :func:`refiner_names`; it is imported now.

    :return: of :class:`Refiner` with the only argument ``mesh``, whose ``figures_when_lost`` belong to the class
    :raises RefinerError: when the package that adds it cannot be used
    """
    if name in OURS:
        module, attribute = OURS[name].split(':')
        return getattr(importlib.import_module(module), attribute)
    found = load_entry_point(KIND, GROUP, name, RefinerError)
    if not (callable(getattr(found, 'refine', None)) and isinstance(found, type)
            and hasattr(found, 'figures_when_lost')):
        raise RefinerError(f'{described(KIND, GROUP, name)}: expected a class with refine and figures_when_lost, '
                           f'see {Refiner.__module__}.Refiner')
    return found
