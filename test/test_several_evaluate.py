"""Recordings of several objects: each is measured by its own ground truth, and by what it was taken for."""

from __future__ import annotations

import json

import numpy as np
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


def evaluate(bag, out, *options) -> dict:
    main(['evaluate', str(bag), '--model', 'box', '--model', 'can', '--out', str(out), *options])
    return json.loads((out / 'summary.json').read_text())


def test_each_object_is_measured_by_its_own_ground_truth(bag, tmp_path, capsys):
    summary = evaluate(bag, tmp_path / 'run', '--estimator', 'oracle', '--compare-with', 'mean_pose')
    for part in (summary, *summary['objects'].values()):
        assert part['metrics']['recall_1cm_5deg']['value'] == part['metrics']['add_recall_10pct']['value'] == 1
        assert part['metrics']['object_confusion']['value'] == 0
    assert list(summary['objects']) == ['box', 'can'] == list(summary['provenance']['models'])
    assert {name: part['frames']['seen'] for name, part in summary['objects'].items()} == {'box': 4, 'can': 4}
    assert summary['confusion'] == {'box': {'box': 4, 'can': 0, 'not found': 0},
                                    'can': {'box': 0, 'can': 4, 'not found': 0}, 'nothing': {'box': 0, 'can': 0}}
    assert summary['stages']['planning']['inputs'] == 8
    reports = read_reports(tmp_path / 'run')[0]
    assert {(each.object, each.numbers['obstacles']) for each in reports
            if each.stage == 'planning' and each.ok} == {('box', 1.0), ('can', 1.0)}
    against = {item['entry'] for item in summary['objects']['can']['verdicts']}
    assert {'mean_pose', 'stated need'} <= against, 'each object is compared with the references on its own frames'
    said = capsys.readouterr().out
    assert 'all objects' in said and 'taken for' in said
    page = (tmp_path / 'run' / 'report.html').read_text()
    assert '<h2>Objects</h2>' in page and 'Confusion' in page
    assert rebuild(tmp_path / 'run').summary == summary


def test_processes_do_not_change_the_figures(bag, tmp_path):
    one, two = (evaluate(bag, tmp_path / jobs, '--estimator', 'feature_match', '--compare-with', 'oracle',
                         '--jobs', jobs) for jobs in '12')
    assert one['confusion'] == two['confusion'] and one['failures'] == two['failures']
    for name, part in one['objects'].items():
        assert part['distributions'] == two['objects'][name]['distributions']


def test_the_gate_holds_for_each_object(bag, tmp_path, capsys):
    main(['evaluate', str(bag), '--model', 'box', '--model', 'can', '--estimator', 'oracle', '--compare-with',
          '--out', str(tmp_path), '--gate'])
    lines = capsys.readouterr().err.splitlines()
    assert [sum(line.startswith(f'gate: held: {of}') for line in lines) for of in ('box: ', 'can: ')] == [
        sum(line.startswith('gate: held:') for line in lines) // 3] * 2


def test_runs_about_several_objects_are_compared_object_by_object(bag, tmp_path):
    evaluate(bag, tmp_path, '--estimator', 'oracle', '--compare-with')
    run = FinishedRun.load(tmp_path, 'run')
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
    assert all(np.shape(frame.named_truths['box']) == (1, 4, 4) and frame.named_truths['cup'] == ()
               for frame in frames)
    (warning,) = reader.warnings
    assert 'no ground truth of cup' in warning and '/cup/ground_truth' in warning
