"""Griffe extension: Sphinx's roles in our docstrings, such as :class:`Name`, as links of mkdocstrings."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r':(?:class|func|meth|attr|data|mod|exc):`~?([\w.]+)`')


class SphinxRoles(griffe.Extension):
    """Rewrites each docstring once it is loaded."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """A role becomes a link to what it names, which is looked up from the object's own place."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(lambda match: self._link(obj, match[1]), obj.docstring.value)

    def _link(self, obj: griffe.Object, name: str) -> str:
        shown = name.rpartition('.')[2] if name.startswith('posegrasp_ros.') else name
        target = self._target(obj, name)
        return f'[`{shown}`][{target}]' if target else f'`{shown}`'

    def _target(self, obj: griffe.Object, name: str) -> str | None:
        try:
            return name if name.startswith('posegrasp_ros.') else obj.resolve(name)
        except griffe.NameResolutionError:
            return None
