# SPDX-License-Identifier: Apache-2.0
"""Who may import what: fresh interpreters import our modules and tell which packages came along."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import posegrasp_ros

ROOT = Path(posegrasp_ros.__file__).parent
MESSAGES = ('sensor_msgs', 'geometry_msgs', 'nav_msgs', 'visualization_msgs', 'diagnostic_msgs', 'std_msgs')
# Packages, and those of our modules that alone may import them, themselves or through others.
RESERVED = [
    (('rclpy', *MESSAGES), ('ros', 'nodes')),
    (('launch_ros',), ('ros.launching',)),
    (('torch',), ('training',)),
    (('rerun',), ('viewer_files.rerun_file',)),
    (('aiohttp',), ('watch.page_server', 'watch.served_page', 'watch.frame_page', 'watch.label_page')),
    (('mujoco',), ('simulation', 'training', 'feasibility', 'nodes.simulator_node')),
]
# Layers from the bottom up; a module imports from its own or from one below.
LAYERS = ('__init__', 'runtime', 'geometry', 'sensing', 'datasets', 'pose_sources', 'faults', 'metrics',
          'grasping', 'estimation', 'viewer_files', 'board', 'handeye', 'report', 'runs', 'simulation', 'training',
          'benchmarks', 'feasibility', 'evaluation', 'fleet', 'monitoring', 'project_status', 'watch', 'ros',
          'nodes', 'cli')


def module_names() -> list[str]:
    """All modules of the package, without the package's own name."""
    paths = [path.relative_to(ROOT).with_suffix('') for path in sorted(ROOT.rglob('*.py'))]
    return ['.'.join(path.parts).removesuffix('.__init__') for path in paths]


# What all groups have in common takes seconds to import: that is done once, the rest in a child for each group.
IMPORT_AND_TELL = """
import importlib, json, os, sys
groups = json.load(sys.stdin)
common = set.intersection(*[set(names) for names, _ in groups])
for name in sorted(common):
    importlib.import_module(name)
for names, watched in groups:
    if os.fork() == 0:
        for name in names:
            importlib.import_module(name)
        print(json.dumps([each for each in watched if each in sys.modules]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def brought_by(groups: list[tuple[list[str], tuple[str, ...]]]) -> list[list[str]]:
    """Which of the watched packages come along where our modules are imported afresh, for each group of both."""
    full = [(['posegrasp_ros' if name == '__init__' else f'posegrasp_ros.{name}' for name in names], watched)
            for names, watched in groups]
    # on stdin, for one argument may not be longer than 128 KiB
    done = subprocess.run([sys.executable, '-c', IMPORT_AND_TELL], input=json.dumps(full), capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def importable(name: str) -> bool:
    """Whether what a module may import is installed; the rest of the package must import anywhere."""
    return all(importlib.util.find_spec(package) for packages, users in RESERVED if is_in(name, users)
               for package in packages if package != 'mujoco')


def others_than(users: tuple[str, ...]) -> list[str]:
    """All modules but these that can be imported here."""
    return [name for name in module_names() if not is_in(name, users) and importable(name)]


@pytest.fixture(scope='module')
def brought() -> dict[tuple[str, ...], list[str]]:
    """Which of the reserved packages the modules bring that are not to use them, by those that are."""
    groups = [(others_than(users), packages) for packages, users in RESERVED]
    return dict(zip((users for _, users in RESERVED), brought_by(groups), strict=True))


@pytest.mark.parametrize(('packages', 'users'), RESERVED)
def test_only_its_own_layers_bring_a_reserved_package(brought, packages, users):
    assert len(others_than(users)) > 20
    if brought[users]:
        one_by_one = {name: brought_by([([name], packages)])[0] for name in others_than(users)}
        assert {name: found for name, found in one_by_one.items() if found} == {}


def is_in(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f'{place}.') for place in places)


def imports_of(path: Path) -> set[str]:
    """Our modules that a file imports at its top or anywhere inside, without the package's name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.module == 'posegrasp_ros':
            # What is no module is a name of the package itself, such as its version.
            names |= {alias.name if source_of(alias.name).is_file() else '__init__' for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or '').startswith('posegrasp_ros.'):
            names.add(node.module.removeprefix('posegrasp_ros.'))
        elif isinstance(node, ast.Import):
            names |= {alias.name.removeprefix('posegrasp_ros.') for alias in node.names
                      if alias.name.startswith('posegrasp_ros.')}
    return names


def layer_of(name: str) -> int:
    """The height of a module's layer."""
    return LAYERS.index(name.split('.')[0])


def test_every_module_is_in_a_layer_and_every_layer_has_modules():
    found = {name.split('.')[0] for name in module_names()}
    assert found == set(LAYERS)


def test_imports_point_down_the_layers_only():
    upward = [f'{name} imports {other}' for name in module_names() for other in imports_of(source_of(name))
              if layer_of(other) > layer_of(name) and name != '__init__']  # which offers the public API
    assert upward == []


def source_of(name: str) -> Path:
    path = ROOT.joinpath(*name.split('.'))
    return path / '__init__.py' if path.is_dir() else path.with_suffix('.py')


def test_no_two_modules_share_a_name():
    """A command is named as what it does; a package may have a module of its own name."""
    names = [name.split('.')[-1] for name in module_names()
             if not name.startswith('cli.') and name.split('.')[-1] not in name.split('.')[:-1]]
    assert [name for name in set(names) if names.count(name) > 1 and name != '__init__'] == []


def test_no_two_public_classes_share_a_name():
    classes = [node.name for name in module_names() for node in ast.parse(source_of(name).read_text()).body
               if isinstance(node, ast.ClassDef) and not node.name.startswith('_')]
    assert [name for name in set(classes) if classes.count(name) > 1] == []


def test_no_module_is_a_drawer():
    assert not {'utils', 'helpers', 'common', 'misc'} & {name.split('.')[-1] for name in module_names()}
