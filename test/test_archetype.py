# SPDX-License-Identifier: Apache-2.0
"""Archetypes: what kind of project it is sets what is asked, and which gates there are."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest
from conftest import write_card
from run_frames import SECOND, TARGET, TRUTH, off_by
from test_status import MEASURED, REAL, TIME, ProjectFolder

from posegrasp_ros.cli.feasibility import NeedOptions, _wanted
from posegrasp_ros.cli.main import main
from posegrasp_ros.feasibility.archetype import ARCHETYPES, Kind
from posegrasp_ros.metrics.baselines.baselines import Entry
from posegrasp_ros.metrics.baselines.baselines_file import add_entries
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.project_status.project_files import read_project
from posegrasp_ros.project_status.project_gates import ARCHETYPE_GATES, PHASES

LATER = '2026-11-25T10:00:00+00:00'
PLAIN_GATES = ['requirement', 'feasible', 'baselines', 'model card', 'held-out figures', 'simulation',
               'real footage', 'regression']


@pytest.fixture
def project(tmp_path, scripted_model):
    return ProjectFolder(tmp_path / 'project', scripted_model)


def stated(project: ProjectFolder, kind: str, **more) -> None:
    project.study(archetype=ARCHETYPES[kind].to_dict(0.9), **more)


def footage(project: ProjectFolder, name: str, right: int, wrong: int = 0, silent: int = 0,
            score: float | None = None, **provenance) -> None:
    """A run on real images, one a block, that are so often right, wrong and without an answer."""
    run = RunMetrics(TARGET)
    for index in range(right + wrong + silent):
        stamp_ns, has_answer = index * SECOND, index < right + wrong
        run.add_truth(stamp_ns, TRUTH)
        numbers = {'latency_ms': 40.0} | ({} if score is None or not has_answer else {'score': score})
        if has_answer:
            run.add_estimate(stamp_ns, off_by(0.002 if index < right else 0.05, 1.0))
        reason = '' if has_answer else 'no_detection'
        run.add_report(StageReport(stamp_ns, 'perception', has_answer, reason, numbers))
    summary = run.summary(project.provenance(bags=[REAL], **provenance))
    project.write(name, {**summary, 'estimator': 'onnx'})


def empty_footage(project: ProjectFolder, count: int, answered: int) -> None:
    run = RunMetrics(TARGET)
    for index in range(count):
        stamp_ns = index * SECOND
        run.add_absence(stamp_ns)
        run.add_report(StageReport(stamp_ns, 'perception', index < answered, '', {'latency_ms': 40.0}))
    summary = run.summary(project.provenance(bags=[{**REAL, 'name': 'empty', 'sha256': 'cd' * 32}]))
    project.write('empty', {**summary, 'estimator': 'onnx'})


def existing_process(project: ProjectFolder, value: float, kind: str = 'human') -> None:
    add_entries(project.path / 'baselines.yaml', {'recall_1cm_5deg': Entry(
        'by hand', kind, value, 'stopwatch, 200 parts', '2026-11-20')})


def test_the_names_of_the_option_are_those_of_the_records():
    assert get_args(Kind) == tuple(ARCHETYPES)


@pytest.mark.parametrize('archetype', ARCHETYPES.values(), ids=lambda each: each.name)
def test_every_risk_is_watched_by_a_gate_that_there_is(archetype):
    assert set(archetype.gates) <= set(ARCHETYPE_GATES)
    assert archetype.risks and {risk.gate for risk in archetype.risks} <= {*PLAIN_GATES, *archetype.gates}


@pytest.mark.parametrize('archetype', ARCHETYPES.values(), ids=lambda each: each.name)
def test_it_is_said_in_three_to_six_sentences_without_jargon(archetype):
    text = archetype.to_dict(0.9)['text']
    assert 3 <= len(re.findall(r'\.(?= |$)', text)) <= 6
    assert not re.search(r'abstention|guard|calibrat|recall|baseline|covariance|pose\b|ECE', text, re.IGNORECASE)
    assert 'Of 100 picks, 90 have to succeed.' in text


def test_an_answer_is_worth_giving_from_where_gain_and_costs_balance():
    for archetype in ARCHETYPES.values():
        p = archetype.least_probability
        assert p - (1 - p) * archetype.wrong_cost == pytest.approx(-archetype.no_answer_cost)
    assert ARCHETYPES['improve'].least_probability == 0 < ARCHETYPES['augment'].least_probability


@pytest.mark.parametrize(('options', 'share'), [
    (NeedOptions(), 0.95), (NeedOptions(wanted=0.8), 0.8), (NeedOptions(archetype='automate'), 0.99),
    (NeedOptions(archetype='automate', wanted=0.9), 0.9), (NeedOptions(archetype='augment'), 0.9)])
def test_what_is_stated_comes_before_the_archetype(options, share):
    assert _wanted(options) == share


def test_an_unknown_archetype_is_refused_in_one_line(capsys):
    assert main(['feasibility', 'box', '--archetype', 'automat']) == 2
    error = capsys.readouterr().err
    assert '--archetype' in error and 'automate' in error and error.count('\n') == 1


def test_without_an_archetype_there_are_the_gates_of_before(project):
    project.complete()
    assert [gate.name for gate in project.status().gates] == PLAIN_GATES
    assert project.status().to_dict()['archetype'] is None


def test_phases_hold_the_plain_gates(project):
    assert sum(len(gates) for gates in PHASES.values()) == len(PLAIN_GATES)


@pytest.mark.parametrize('archetype', ARCHETYPES.values(), ids=lambda each: each.name)
def test_status_names_the_archetype_and_adds_its_gates(project, archetype, capsys):
    stated(project, archetype.name)
    status = project.status()
    assert [gate.name for gate in status.gates if gate.name in ARCHETYPE_GATES] == list(archetype.gates)
    assert not any(gate.has_passed for gate in status.gates if gate.name in ARCHETYPE_GATES)
    main(['status', str(project.path)])
    assert f'archetype: {archetype.name} ({archetype.title}), stated in runs/study' in capsys.readouterr().out


def test_a_later_study_without_an_archetype_does_not_drop_it(project):
    stated(project, 'automate')
    project.study(name='later', time=LATER, word='not feasible', holds=False)
    assert project.status().archetype.startswith('automate') and not project.gate('feasible').has_passed
    stated(project, 'augment', name='last', time='2026-11-26T10:00:00+00:00')
    assert project.status().archetype.startswith('augment')


def test_the_command_to_study_again_keeps_the_archetype(project):
    stated(project, 'automate', no_grasp='too_wide')
    assert '--archetype automate' in project.status().next_step


def test_an_archetype_of_another_version_is_left_out_and_told(project):
    project.study(archetype={'name': 'replace'})
    found = read_project(project.path)
    path = project.path / 'runs' / 'study' / 'summary.json'
    assert found.problems == (f'{path}: left out: archetype.name: expected improve '
                              "or augment or automate, got 'replace'",)


def test_improve_needs_a_figure_of_the_existing_process(project):
    stated(project, 'improve')
    footage(project, 'real', right=60)
    gate = project.gate('better than before')
    assert not gate.has_passed and 'does not say how well the existing process does' in gate.figure
    assert 'posegrasp baseline add' in gate.to_do


@pytest.mark.parametrize(('value', 'word', 'has_passed'), [
    (0.5, 'better', True), (0.97, 'inconclusive', False)])
def test_improve_has_to_be_surely_better_than_the_existing_process(project, value, word, has_passed):
    stated(project, 'improve')
    footage(project, 'real', right=60)
    existing_process(project, value)
    gate = project.gate('better than before')
    assert gate.has_passed == has_passed and word in gate.figure and 'not on the same frames' in gate.figure


def test_worse_than_the_existing_process_goes_back(project):
    stated(project, 'improve')
    footage(project, 'real', right=10, wrong=50)
    existing_process(project, 0.9)
    assert 'keep the existing process' in project.gate('better than before').back


def test_a_previous_run_of_this_model_is_no_existing_process(project):
    project.complete()
    stated(project, 'improve')
    assert 'entry for recall_1cm_5deg except for this model' in project.gate('better than before').figure


def test_an_estimator_measured_beside_is_compared_frame_by_frame(project):
    stated(project, 'improve')
    footage(project, 'real', right=60)
    path = project.path / 'runs' / 'real' / 'summary.json'
    paired = {'estimator': 'onnx', 'other': 'feature_match', 'metric': 'recall_1cm_5deg', 'unit': '1', 'n': 60,
              'difference': 0.3, 'interval': [0.1, 0.5], 'p_value': 0.001, 'verdict': 'better'}
    path.write_text(json.dumps({**json.loads(path.read_text()), 'paired': [paired]}))
    add_entries(project.path / 'baselines.yaml', {'recall_1cm_5deg': Entry(
        'feature_match', 'scripted', 0.97, 'rule of today', '2026-11-20')})
    gate = project.gate('better than before')
    assert gate.has_passed and 'frame by frame: better' in gate.figure


@pytest.mark.parametrize(('name', 'right', 'wrong', 'silent', 'has_passed', 'said'), [
    ('augment', 50, 0, 50, True, '0.0 %'),           # half without an answer costs a person little
    ('augment', 50, 50, 0, False, 'back to training'),
    ('augment', 9, 1, 0, False, 'not decided yet'),
    ('automate', 200, 1, 20, True, 'allowed'),
    ('automate', 180, 40, 0, False, 'back to training'),
    ('automate', 0, 0, 30, False, 'no answer at all')])
def test_wrong_answers_count_among_answers(project, name, right, wrong, silent, has_passed, said):
    stated(project, name)
    footage(project, 'real', right, wrong, silent)
    gate = project.gate('wrong answers')
    assert gate.has_passed == has_passed and said in gate.figure + gate.back


@pytest.mark.parametrize(('score', 'has_passed', 'said'), [
    (None, False, 'no answer has a score'), (0.99, True, 'at most 5.0 % needed'), (0.3, False, 'at most 5.0 %')])
def test_the_person_has_to_see_a_score_that_is_true(project, score, has_passed, said):
    stated(project, 'augment')
    footage(project, 'real', right=60, score=score)
    gate = project.gate('score is shown')
    assert gate.has_passed == has_passed and said in gate.figure


@pytest.mark.parametrize(('answered', 'has_passed'), [(None, False), (0, True), (30, False)])
def test_automate_has_to_be_tried_without_the_object(project, answered, has_passed):
    stated(project, 'automate')
    footage(project, 'real', right=50, silent=10)
    if answered is not None:
        empty_footage(project, 60, answered)
    gate = project.gate('abstention')
    assert gate.has_passed == has_passed and 'no answer in 16.7 % of the images' in gate.figure


def test_the_guard_needs_usual_figures_and_notices_nothing(project):
    stated(project, 'automate')
    assert 'holds no usual figures' in project.gate('guard').figure
    write_card(project.model, measured=MEASURED, figures={'confidence': [0.5, 0.8, 0.95, 300]},
               provenance={'network': {'date': TIME[:10]}})
    assert 'no real recording' in project.gate('guard').figure
    footage(project, 'real', right=60)
    assert project.gate('guard').has_passed
    footage(project, 'real', right=60, unlike_calibration={'box': 'score and covariance no longer hold'})
    gate = project.gate('guard')
    assert not gate.has_passed and 'back to calibration' in gate.back
