# SPDX-License-Identifier: Apache-2.0
"""Entry points of other installed packages: found by group, loaded by name."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from posegrasp_ros.runtime.errors import InvalidInputError


@cache
def entry_points(group: str) -> dict[str, metadata.EntryPoint]:
    """The entry points of a group by name; the installed packages are read once per process."""
    return {entry.name: entry for entry in metadata.entry_points(group=group)}


def described(kind: str, group: str, name: str) -> str:
    """An entry point for a message.

    :param kind: what the group holds, such as ``metric``
    """
    entry = entry_points(group)[name]
    package = entry.dist.name if entry.dist else 'an unknown package'
    return f'{kind} {name}: entry point {entry.value} of {package}'


def load_entry_point(kind: str, group: str, name: str,
                     error_class: type[InvalidInputError] = InvalidInputError) -> Any:
    """Import the object of an entry point.

    :param kind: see :func:`described`
    :raises error_class: when it cannot be imported, for whatever reason
    """
    try:
        return entry_points(group)[name].load()
    except Exception as error:  # the other package may raise anything on import
        raise error_class(f'{described(kind, group, name)}: cannot be imported: {error}') from error
