# SPDX-License-Identifier: Apache-2.0
"""Docstrings name only what exists: they become the reference, and modules move."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import posegrasp_ros

ROOT = Path(posegrasp_ros.__file__).parent
ROLE = re.compile(r':(?:(?:class|func|meth|attr|data|mod|exc):`~?|raises )(posegrasp_ros(?:\.\w+)+)')


@cache
def names_in(path: Path) -> set[str]:
    """What a module defines."""
    return names_of(ast.parse(path.read_text(encoding='utf-8')).body)


def names_of(body: list[ast.stmt], prefix: str = '') -> set[str]:
    """What a module or a class defines, ``Class.member`` included."""
    names = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(prefix + node.name)
        targets = getattr(node, 'targets', [node.target] if isinstance(node, ast.AnnAssign) else [])
        names |= {prefix + part.id for each in targets for part in ast.walk(each) if isinstance(part, ast.Name)}
        if isinstance(node, ast.ClassDef):
            names |= names_of(node.body, f'{prefix}{node.name}.')
    return names


def exists(name: str) -> bool:
    """Whether a module, or something that it defines, has a full name."""
    parts = name.split('.')[1:]
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        source = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
        if source.is_file():
            rest = '.'.join(parts[length:])
            return not rest or rest in names_in(source)
    return False


def test_full_names_in_docstrings_exist():
    named = {(str(path.relative_to(ROOT)), name) for path in ROOT.rglob('*.py')
             for name in ROLE.findall(path.read_text(encoding='utf-8'))}
    assert len(named) > 20
    assert [place for place in sorted(named) if not exists(place[1])] == []
