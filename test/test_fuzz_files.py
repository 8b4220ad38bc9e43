# SPDX-License-Identifier: Apache-2.0
"""Files of others: reading a card, gripper, grasp set, baselines, calibration or summary gives an answer or one
line.

Each file is one of the package's own with one value exchanged, left out or moved. ``make fuzz`` looks for longer.
"""

from __future__ import annotations

import copy
import json
import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml
from fuzzing import fuzzed
from hypothesis import strategies as st

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.geometry.camera_info_file import load_camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-10**400, 10**400), st.floats(), st.text(max_size=20),
    st.binary(max_size=4), st.dates(), st.lists(st.floats(), max_size=17),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.sampled_from(['2026-13-45', '../..', '/dev/zero', '9' * 5000, '\x1b[31m', 'a\nb', '', ' ']))
CALIBRATION = {'image_width': 640, 'image_height': 480,
               'camera_matrix': {'data': [600.0, 0, 320, 0, 600, 240, 0, 0, 1]},
               'distortion_model': 'plumb_bob', 'distortion_coefficients': {'data': [0.1, -0.2, 0, 0, 0]},
               'roi': {'x_offset': 0, 'y_offset': 0, 'width': 0, 'height': 0}, 'binning_x': 1}
BOX = load_mesh(resource_path('models/box/mesh.obj'))
GRIPPER = load_gripper()


@cache
def shipped(name: str) -> dict:
    """Not to be written to."""
    return yaml.safe_load(resource_path(name).read_text(encoding='utf-8'))


def some_grasps() -> dict:
    document = shipped('models/box/grasps.yaml')
    return {**document, 'grasps': dict(list(document['grasps'].items())[:3])}


def some_baselines() -> dict:
    document = shipped('config/baselines.yaml')
    return {**document, 'metrics': dict(list(document['metrics'].items())[:3])}


READERS = {
    'card': (lambda: shipped('models/box/model.yaml'), 'model.yaml', lambda path: load_model_card(path.parent)),
    'gripper': (lambda: shipped('config/grippers/franka_hand.yaml'), 'gripper.yaml', load_gripper),
    'grasps': (some_grasps, 'grasps.yaml', lambda path: load_grasps(path, GRIPPER, BOX)),
    'baselines': (some_baselines, 'baselines.yaml', load_baselines),
    'calibration': (lambda: CALIBRATION, 'camera.yaml', load_camera),
}


@st.composite
def changed(draw, document):
    """A document with one place exchanged for junk, or left out."""
    changed = copy.deepcopy(document)
    node = changed
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        inner = node[key]
        if isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 3)):
            node = inner
            continue
        if draw(st.integers(0, 4)):
            node[key] = draw(JUNK)
        else:
            del node[key]
        return changed


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Where the files are written, beside all that a card names."""
    return Path(shutil.copytree(resource_path('models/box'), tmp_path_factory.mktemp('fuzz') / 'box'))


def assert_answer_or_one_line(read, path: Path) -> None:
    try:
        read(path)
    except InvalidInputError as error:
        assert '\n' not in str(error) and '\x1b' not in str(error) and len(str(error)) < 1500
        assert str(path) in str(error) or path.parent.name in str(error), 'it names the file'


@pytest.mark.parametrize('name', READERS)
@fuzzed(data=st.data())
def test_a_changed_file_is_read_or_refused_in_one_line(folder, name, data):
    make, file, read = READERS[name]
    document = data.draw(changed(make()))
    (folder / file).write_text(yaml.safe_dump(document, allow_unicode=True), encoding='utf-8')
    assert_answer_or_one_line(read, folder / file)


@pytest.mark.parametrize('name', READERS)
@fuzzed(content=st.binary(max_size=400))
def test_any_bytes_are_refused_in_one_line(folder, name, content):
    _, file, read = READERS[name]
    (folder / file).write_bytes(content)
    assert_answer_or_one_line(read, folder / file)


NINES = 'a: &a [x, x, x]\n' + ''.join(
    f'{b}: &{b} [{", ".join(["*" + a] * 9)}]\n' for a, b in zip('abcdefgh', 'bcdefghi'))


@pytest.mark.parametrize('name', READERS)
@pytest.mark.parametrize('text', [NINES, '[' * 100_000, 'a: 2026-13-45', f'a: {"9" * 5000}', f'a: 0x{"f" * 5000}',
                                  "a: !!int ''", 'a: !!timestamp x'],
                         ids=['aliases', 'depth', 'date', 'digits', 'hex digits', 'empty number', 'no time'])
def test_yaml_that_costs_or_breaks_its_parser_is_refused_in_one_line(folder, name, text):
    _, file, read = READERS[name]
    (folder / file).write_text(text)
    with pytest.raises(InvalidInputError) as refusal:
        read(folder / file)
    assert '\n' not in str(refusal.value)


@pytest.fixture(scope='module')
def summary() -> dict:
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.metrics.run import RunMetrics
    from posegrasp_ros.metrics.stage_report import StageReport

    metrics = RunMetrics(baselines=load_baselines())
    for second in range(20):
        metrics.add_report(StageReport(second * 10**9, 'perception', second % 3 > 0, '', {'latency_ms': 20.0}))
    return metrics.summary({'time': '2026-01-01T00:00:00+00:00', 'complete': True})


@fuzzed(data=st.data())
def test_a_changed_summary_is_compared_or_refused_in_one_line(tmp_path_factory, summary, data):
    from posegrasp_ros.evaluation.run_comparison import compare_runs
    from posegrasp_ros.metrics.baselines.baselines_file import add_run
    from posegrasp_ros.report.compare_report import format_comparison, render_comparison
    from posegrasp_ros.runs.folder import read_summary

    folders = [tmp_path_factory.mktemp('run') for _ in range(2)]
    other = data.draw(changed(summary))
    for folder, document in zip(folders, (summary, other)):
        (folder / 'summary.json').write_text(json.dumps(document, default=str))
        (folder / 'metrics.jsonl').write_text('')
    try:
        comparison = compare_runs(folders)
        render_comparison(comparison), format_comparison(comparison)
        add_run(folders[0] / 'baselines.yaml', read_summary(folders[1], may_be_partial=True), 'run', 'new', None)
    except InvalidInputError as error:
        assert '\n' not in str(error) and len(str(error)) < 1500
