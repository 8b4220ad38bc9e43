# SPDX-License-Identifier: Apache-2.0
"""Commands in README, docs and examples: each exists, and is run here or listed with the reason why it is not.

The list is ``documented_commands.yaml``.
"""

from __future__ import annotations

import ast
import fnmatch
import importlib.metadata
import importlib.util
import re
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import pytest
import yaml
from conftest import simulated_frames
from cyclopts import CycloptsError
from documented_commands import Documented, documented_commands

from posegrasp_ros.cli.main import main
from posegrasp_ros.cli.parser import command_line
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.create import register_estimator, unregister_estimator
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.runtime.resources import resource_path

ROOT = Path(__file__).parent.parent
COMMANDS = documented_commands(ROOT)
LIST = Path(__file__).parent / 'documented_commands.yaml'
LISTED = yaml.safe_load(LIST.read_text())
HERE = 'posegrasp_ros'


def of(*start: str) -> list[Documented]:
    """The commands that begin so."""
    return [each for each in COMMANDS if each.words[:len(start)] == start]


@pytest.fixture(scope='module')
def posegrasp():
    """The command line, with the estimator that docs/tutorials/compare_estimators.md adds to it."""
    register_estimator('straight_ahead', lambda *_: None)
    yield command_line()
    unregister_estimator('straight_ahead')


@pytest.mark.parametrize('command', [each for each in COMMANDS if each.posegrasp is not None], ids=str)
def test_posegrasp_takes_it(posegrasp, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        posegrasp.parse_args(command.posegrasp)
    except CycloptsError as error:
        pytest.fail(f'{command}: {error}')


@pytest.mark.parametrize('command', of('make'), ids=str)
def test_make_has_target_and_variables(command):
    makefile = (ROOT / 'Makefile').read_text()
    for word in command.words[1:]:
        name, is_variable, _ = word.partition('=')
        assert re.search(rf'^{name} \?=' if is_variable else rf'^{name}:', makefile, re.MULTILINE), command


@pytest.mark.parametrize('command', of('ros2', 'launch'), ids=str)
def test_the_launch_file_declares_the_arguments(command):
    package, *arguments = command.words[2:]
    if package == HERE:
        path = resource_path('launch') / arguments.pop(0)
    elif package.endswith('.launch.py'):
        path = ROOT / package
    else:
        pytest.skip(f'the launch file is of {package}')
    names = {argument.partition(':=')[0] for argument in arguments} - {'...'}
    assert names <= declared(path), command


def declared(path: Path) -> set[str]:
    """Arguments of a launch file, read without launch, which may not be installed."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    texts = [(getattr(call.func, 'id', ''), [each.value for each in call.args if isinstance(each, ast.Constant)])
             for call in calls]
    return {text for name, found in texts if name in ('declare', 'DeclareLaunchArgument')
            for text in found[:None if name == 'declare' else 1]}


@pytest.mark.parametrize('command', of('ros2', 'run', HERE), ids=str)
def test_the_node_and_its_parameters_exist(command):
    node, *arguments = command.words[3:]
    scripts = {each.name for each in importlib.metadata.distribution(HERE).entry_points}
    assert node in scripts
    known = yaml.safe_load(resource_path('config/posegrasp.yaml').read_text())
    parameters = known[f'/**/{node.removesuffix("_node")}']['ros__parameters'] | known['/**']['ros__parameters']
    given = {value.partition(':=')[0] for flag, value in pairwise(arguments) if flag == '-p'}
    # The file cannot state an empty list, which is the default of these.
    assert given <= parameters.keys() | {'pose_classes', 'models'}


@pytest.mark.parametrize('command', of('python', '-m'), ids=str)
def test_the_module_exists(command):
    assert importlib.util.find_spec(command.words[2])


def listed_as(command: Documented) -> list[str]:
    """Where a command is listed: ``run``, or reasons not to run it."""
    ways = [*(('run', line) for lines in LISTED['run'].values() for line in lines),
            *((reason, pattern) for reason, patterns in LISTED['not run'].items() for pattern in patterns)]
    return [way for way, pattern in ways if command.text == pattern
            or (way != 'run' and fnmatch.fnmatchcase(command.text, pattern))]


def test_each_is_run_here_or_listed_with_the_reason():
    missing = [str(command) for command in COMMANDS if not listed_as(command)]
    assert missing == [], f'add them to {LIST}'


def test_the_list_has_nothing_that_is_documented_no_more():
    texts = [command.text for command in COMMANDS]
    patterns = [line for part in LISTED.values() for lines in part.values() for line in lines]
    assert [each for each in patterns if each not in texts and not fnmatch.filter(texts, each)] == []
    on_pages = {page: [each.text for each in COMMANDS if each.page == page] for page in LISTED['run']}
    assert [line for page, lines in LISTED['run'].items() for line in lines if line not in on_pages[page]] == []


@pytest.fixture(scope='module')
def workplace(tmp_path_factory) -> Path:
    """A folder with what the commands take: a model, a recording of two frames, a clip and a photograph."""
    folder = tmp_path_factory.mktemp('typed')
    box = resource_path('models/box')
    frames = simulated_frames(load_mesh(box / 'mesh.obj'), 2, 3)
    for name in ('scenes', 'my_bag'):
        with BagWriter(folder / name) as writer:
            for index, frame in enumerate(frames, start=1):
                writer.write(BagFrame(index * 10**9, frame.image, frame.camera, frame.camera_from_object,
                                      frame.base_from_camera))
    clip = cv2.VideoWriter(str(folder / 'clip.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 10.0, (640, 480))
    for frame in frames:
        clip.write(frame.image)
    clip.release()
    shutil.copytree(box, folder / 'models' / 'mine')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('page', LISTED['run'])
def test_a_pages_commands_run_in_their_order(page, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    for command in [each for each in COMMANDS if each.page == page and listed_as(each)[0] == 'run']:
        if command.posegrasp is not None:
            code = main(command.posegrasp)
        else:
            code = importlib.import_module(command.words[2]).main(list(command.words[3:]))
        assert code == 0, f'{command}: {capsys.readouterr().err}'
