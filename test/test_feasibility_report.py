# SPDX-License-Identifier: Apache-2.0
"""A study's summary and page, and what a run leaves behind."""

from __future__ import annotations

import json
import math

import pytest

from posegrasp_ros.feasibility import alternatives, study_run, what_if
from posegrasp_ros.feasibility.archetype import ARCHETYPES
from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
from posegrasp_ros.feasibility.break_even import BreakEven, Business, Range
from posegrasp_ros.feasibility.cell import Cell, Needs
from posegrasp_ros.feasibility.required import required_accuracy
from posegrasp_ros.feasibility.study import Effort
from posegrasp_ros.feasibility.study_run import measure_study, write_requirements
from posegrasp_ros.feasibility.timing import stated_timing
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.report.feasibility_report import format_study, headline, render_study, saying, short, standing
from posegrasp_ros.runs.summary_schemas import FEASIBILITY
from posegrasp_ros.simulation.pick_objects import load_object, with_grasps

pytestmark = pytest.mark.slow

LITTLE = Effort(picks=0, views=6, views_of_changes=2, progress=False)
BUSINESS = Business(Range(300, 300), Range(0.05, 0.1), Range(0.2, 0.4), Range(0.5, 1), unattended=True)


def box_cell(rate_hz=10.0):
    gripper, named = load_gripper(), load_object('box')
    return Cell(named, with_grasps(named, gripper), gripper, Camera.from_field_of_view(640, 480, math.radians(60)),
                (0.4, 0.8), CalibrationErrors(), 50.0, needs=Needs(rate_hz=rate_hz))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A little study, of few scenes, at a rate that the network does not keep; no other grippers, for speed."""
    folder = tmp_path_factory.mktemp('runs') / 'feasibility'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(required_accuracy, 'SCENES', 12)
        patch.setattr(alternatives, 'changes_of', lambda cell, hz: [
            *what_if.need_changes(cell, hz), *what_if.calibration_changes(cell)])
        cell = box_cell(rate_hz=30)
        summary = measure_study(cell, stated_timing(200, 30), LITTLE, BreakEven.draw(BUSINESS, 1), '', folder)
    return folder, summary


def test_the_summary_is_what_the_run_folder_holds(run):
    folder, summary = run
    assert json.loads((folder / 'summary.json').read_text()) == json.loads(json.dumps(summary))
    assert (summary['schema'], summary['complete'], summary['object']['name']) == (FEASIBILITY, True, 'box')
    assert summary['object']['size_m'] == pytest.approx([0.120, 0.060, 0.045], abs=1e-3)
    assert summary['verdict']['word'] == 'not feasible'
    assert [reason['name'] for reason in summary['verdict']['reasons'] if not reason['holds']] == ['time']


def test_what_mends_a_need_is_a_change_that_helps_and_nothing_else_is(run):
    _, summary = run
    assert [change['name'] for change in summary['verdict']['changes']] == ['lower rate']
    assert summary['verdict']['changes'][0]['word'] == 'feasible'
    assert {change['name'] for change in summary['what_if']} == {
        'lower rate', 'better mounting calibration', 'orientation free'}


def test_the_page_says_verdict_reasons_tolerance_budget_and_worth(run):
    folder, summary = run
    page = (folder / 'report.html').read_text()
    for text in ('not feasible', '200 ms', saying(summary['required']['gripper_axes']), 'Error from', 'mounting',
                 'unattended', 'data:image/jpeg', '<ellipse class="tolerated"', 'Cramér-Rao'):
        assert text in page, text
    assert 'src="http' not in page and 'href="http' not in page


def test_the_terminal_says_it_too(run):
    text = format_study(run[1])
    assert text.startswith('box, franka_hand: not feasible')
    assert 'MISSED time' in text and 'across the fingers' in text and 'lower rate' in text


def test_the_kind_of_project_is_told_where_it_is_stated(run):
    _, summary = run
    assert summary['archetype'] is None and 'risk  ' not in format_study(summary)
    archetype = ARCHETYPES['automate'].to_dict(0.99)
    told = {**summary, 'archetype': archetype}
    text = ' '.join(format_study(told).split())
    page = render_study(told, {'tolerance': (), 'weak': (), 'alike': ()})
    for sentence in (archetype['text'], *(risk['text'] for risk in archetype['risks'])):
        assert sentence in text and sentence in page
    assert 'Watched by the gate "abstention" of posegrasp status.' in text and '90.5 %' in page


def test_shares_that_lift_have_intervals_and_what_is_not_sure_is_said(run):
    summary = run[1]
    for name, (low, high) in summary['expected_success']['intervals'].items():
        assert low <= summary['expected_success'][name] <= high and high - low > 0.001, name
    grip = next(reason for reason in summary['verdict']['reasons'] if reason['name'] == 'grip')
    assert grip['interval'] == summary['expected_success']['intervals']['true_pose']
    assert standing(grip) == ('met, uncertain', 'inconclusive'), 'without a single pick'
    assert standing({**grip, 'needed': 0.5}) == ('met', 'better')
    assert standing({**grip, 'needed': grip['figure'] - 1e-6}) == ('met, uncertain', 'inconclusive')
    assert standing({**grip, 'holds': False, 'needed': grip['figure'] + 1e-6}) == (
        'missed, uncertain', 'inconclusive')
    assert standing({**grip, 'holds': False, 'decides': True, 'needed': 1.0}) == ('missed', 'worse')


def test_what_was_measured_and_verified_is_told(run):
    summary = {
        **run[1],
        'efficiency': {'scenes': 100, 'right': 98, 'axes': [{
            'name': 'z', 'unit': 'm', 'error_rms': 0.0009, 'bound_rms': 18e-6, 'times': 50.4,
            'interval': [35.1, 73.2]}]},
        'verification': [{'position_std_m': 0.005, 'rotation_std_rad': 0.05, 'predicted': 0.9, 'measured': 0.92,
                          'interval': [0.87, 0.95], 'picks': 200, 'is_close': True}],
    }
    text, page = format_study(summary), render_study(summary, {'weak': [], 'alike': [], 'tolerance': []})
    for told in ('18 µm', '35 to 73', '5 mm, 2.9°', '92.0 %'):
        assert told in text, told
    assert '35 to 73' in page and 'Verification of the prediction' in page


def test_errors_of_sources_add_up_to_the_total(run):
    rows = {row['name']: row for row in run[1]['budget']}
    total, worst = rows.pop('total'), rows.pop('image, worst view')
    assert worst['along_m'] > rows['image']['along_m']
    for column in ('across_m', 'along_m', 'tilt_rad', 'about_rad'):
        assert sum(row[column]**2 for row in rows.values()) == pytest.approx(total[column]**2, rel=1e-6)


def test_the_derived_requirements_go_into_the_baselines_file(run, tmp_path):
    folder, summary = run
    write_requirements(tmp_path / 'baselines.yaml', summary, folder)
    baselines = load_baselines(tmp_path / 'baselines.yaml')
    for metric, value in summary['requirements'].items():
        derived, = [entry for entry in baselines.metrics[metric].entries if entry.source.startswith('derived')]
        assert derived.value == pytest.approx(value, rel=1e-5) and 'franka_hand' in derived.source


def test_ctrl_c_leaves_the_summary_of_before(run, monkeypatch):
    folder, summary = run

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(study_run, 'study', interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_study(None, stated_timing(50, 10), LITTLE, None, '', folder)
    assert json.loads((folder / 'summary.json').read_text())['provenance'] == summary['provenance']


def test_a_sentence_names_what_bears_most_and_least():
    axes = [{'name': 'across the fingers', 'unit': 'm', 'limit': 0.004},
            {'name': 'along the approach', 'unit': 'm', 'limit': 0.015},
            {'name': 'about the approach', 'unit': 'rad', 'limit': math.radians(3)}]
    assert saying(axes) == ('15 mm along the approach is tolerated, but only 4 mm across the fingers; '
                            'at most 3° in any direction')


@pytest.mark.parametrize(('value', 'unit', 'text'), [(0.0042, 'm', '4.2 mm'), (3.4e-6, 'm', '3.4 µm'),
                                                     (math.radians(0.2), 'rad', '0.2°'), (0.3, 'm', '300 mm')])
def test_figures_are_short(value, unit, text):
    assert short(value, unit) == text


def test_the_headline_names_the_change_that_makes_it_feasible():
    change = {'word': 'feasible', 'text': 'the camera stands nearer: 0.84 to 0.84 m'}
    summary = {'verdict': {'word': 'feasible if', 'changes': [{'word': 'feasible if', 'text': 'no'}, change]}}
    assert headline(summary) == 'feasible if the camera stands nearer: 0.84 to 0.84 m'
    without = {'verdict': {'word': 'feasible if', 'changes': []}}
    assert headline(without) == 'feasible if the needs that are still uncertain are met'


def test_the_headline_says_which_needs_are_met_but_not_beyond_doubt():
    def headline_of(low):
        reason = {'name': 'success', 'holds': True, 'figure': 0.96, 'needed': 0.95, 'interval': [low, 0.98],
                  'decides': True}
        return headline({'verdict': {'word': 'feasible', 'reasons': [reason], 'changes': []}})

    assert headline_of(0.94) == 'feasible; still uncertain: expected success' and headline_of(0.955) == 'feasible'
