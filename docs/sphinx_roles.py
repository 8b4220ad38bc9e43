# SPDX-License-Identifier: Apache-2.0
"""Griffe extension: what mkdocstrings does not know of Sphinx's docstrings, which are ours."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r':(?:class|func|meth|attr|data|mod|exc):`~?([\w.]+)`')


class SphinxRoles(griffe.Extension):
    """Rewrites each docstring once it is loaded."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """A role such as :class:`Name` becomes a link to what it names, as seen from the object's own place."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(lambda match: _link(obj, match[1]), obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """The fields of named tuples and pydantic's models are attributes: no __init__ has them as parameters."""
        is_dataclass = any('dataclass' in str(decorator.value) for decorator in cls.decorators)
        if cls.docstring and not is_dataclass and '__init__' not in cls.members:
            cls.docstring.value = cls.docstring.value.replace(':param ', ':ivar ')


def _link(obj: griffe.Object, name: str) -> str:
    target = _target(obj, name)
    shown = name.rpartition('.')[2] if name.startswith('posegrasp_ros.') else name
    return f'[`{shown}`][{target}]' if target else f'`{shown}`'


def _target(obj: griffe.Object, name: str) -> str | None:
    """The full path of a name; None when it is not known where the docstring stands."""
    if name.startswith('posegrasp_ros.'):
        return name
    try:
        return obj.resolve(name)
    except griffe.NameResolutionError:
        return None
