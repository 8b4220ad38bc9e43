# SPDX-License-Identifier: Apache-2.0
"""Recordings of several objects: each is measured by its own ground truth, and by what it was taken for."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_truths import truth_topics
from posegrasp_ros.estimation.model_set import load_model_set
from posegrasp_ros.runs.finished_run import FinishedRun
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runs.rebuild import rebuild
from posegrasp_ros.simulation.record import record_together

POSE = 'geometry_msgs/msg/PoseStamped'


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('several') / 'bag'
    meshes = {name: card.mesh for name, card in load_model_set(['box', 'can']).items()}
    record_together(path, meshes, scenes=4, seed=6, image_size=(320, 240), progress=False)
    return path


@pytest.fixture(scope='module')
def evaluated(bag, tmp_path_factory):
    """Run folder and output of an evaluation of both objects with its gate."""
    out, said = tmp_path_factory.mktemp('evaluated'), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main(['evaluate', str(bag), '--model', 'box', '--model', 'can', '--estimator', 'oracle', '--compare-with',
              'mean_pose', '--out', str(out), '--gate', '-v'])
    return out, said.getvalue()


def test_each_object_is_measured_by_its_own_ground_truth(evaluated):
    summary = json.loads((evaluated[0] / 'summary.json').read_text())
    for part in (summary, *summary['objects'].values()):
        assert part['metrics']['recall_1cm_5deg']['value'] == part['metrics']['add_recall_10pct']['value'] == 1
        assert part['metrics']['object_confusion']['value'] == 0
    assert list(summary['objects']) == ['box', 'can'] == list(summary['provenance']['models'])
    assert {name: part['frames']['seen'] for name, part in summary['objects'].items()} == {'box': 4, 'can': 4}
    assert summary['confusion'] == {'box': {'box': 4, 'can': 0, 'not found': 0},
                                    'can': {'box': 0, 'can': 4, 'not found': 0}, 'nothing': {'box': 0, 'can': 0}}
    against = {item['entry'] for item in summary['objects']['can']['verdicts']}
    assert {'mean_pose', 'stated need'} <= against, 'each object is compared with the references on its own frames'
    assert rebuild(evaluated[0]).summary == summary


def test_the_other_object_is_an_obstacle_to_the_planner(evaluated):
    planned = {(each.object, each.numbers['obstacles']) for each in read_reports(evaluated[0])[0]
               if each.stage == 'planning' and each.ok}
    assert planned == {('box', 1.0), ('can', 1.0)}


def test_terminal_and_page_have_a_section_on_the_objects(evaluated):
    folder, said = evaluated
    page = (folder / 'report.html').read_text()
    assert 'all objects' in said and 'taken for' in said
    assert '<h2>Objects</h2>' in page and 'Confusion' in page


def test_the_gate_holds_for_each_object(evaluated):
    lines = evaluated[1].splitlines()
    assert [sum(line.startswith(f'gate: held: {of}') for line in lines) for of in ('box: ', 'can: ')] == [
        sum(line.startswith('gate: held:') for line in lines) // 3] * 2


def test_runs_about_several_objects_are_compared_object_by_object(evaluated):
    run = FinishedRun.load(evaluated[0], 'run')
    assert {key.object for key in run.answers} == {'box', 'can'} and len(run.answers) == 8


@pytest.mark.parametrize(('options', 'expected'), [
    (['--bop-csv', 'poses.csv'], 'poses.csv: expected one model, got box, can'),
    (['--paint-over'], 'painting the object over: expected one model, got box, can'),
    (['--ground-truth-frame', 'object'], 'ground truth: expected a topic for each of box, can'),
    (['--model', 'box'], 'models: expected objects of different names'),
])
def test_what_is_of_one_object_is_refused_with_several(bag, tmp_path, capsys, options, expected):
    assert main(['evaluate', str(bag), '--model', 'box', '--model', 'can', '--out', str(tmp_path), *options]) == 2
    assert expected in capsys.readouterr().err


def test_the_ground_truth_of_an_object_is_the_topic_with_its_name():
    found = {'/box/ground_truth': POSE, '/can/ground_truth': POSE, '/can/pose': POSE, '/truth/cup_2/gt_pose': POSE}
    assert truth_topics(found, BagTopics(), ['box', 'can', 'cup-2', 'mug']) == {
        'box': '/box/ground_truth', 'can': '/can/ground_truth', 'cup-2': '/truth/cup_2/gt_pose'}
    asked = BagTopics(ground_truth='/real')
    assert truth_topics({'/box/real': POSE}, asked, ['box', 'can']) == {'box': '/box/real'}


def test_an_object_without_ground_truth_is_named(bag):
    reader = BagReader(bag, BagTopics(base_frame=None), objects=('box', 'cup'))
    frames = list(reader)
    assert all(len(frame.named_truths['box']) == 1 and frame.named_truths['cup'] == () for frame in frames)
    (warning,) = reader.warnings
    assert 'no ground truth of cup' in warning and '/cup/ground_truth' in warning
