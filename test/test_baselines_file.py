# SPDX-License-Identifier: Apache-2.0
"""`posegrasp baseline add`: a run becomes the baseline of the next, and the baselines file stays what people
wrote."""

from __future__ import annotations

import difflib
import json

import pytest
import yaml
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.metrics.baselines.baselines import BaselineError, load_baselines
from posegrasp_ros.metrics.baselines.baselines_file import add_run
from posegrasp_ros.metrics.baselines.gate import check_gate
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runtime.resources import resource_path

PROVENANCE = {'package': 'posegrasp_ros 1.2.3', 'time': '2026-11-20T10:00:00+00:00', 'bags': [{'name': 'scenes'}],
              'model': {'name': 'box', 'sha256': '0123456789abcdef'},
              'host': {'system': 'Linux x86_64', 'cpus': 4}}


def summary_of(wrong, latency_ms=40.0):
    run = RunMetrics(TARGET)
    for index in range(100):
        run.add_truth(index * SECOND, TRUTH)
        run.add_report(StageReport(index * SECOND, 'perception', True, '', {'latency_ms': latency_ms}))
        run.add_estimate(index * SECOND, off_by(0.03 if index < wrong else 0.002, 1.0))
    return run.summary(PROVENANCE)


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / 'v1'
    folder.mkdir()
    (folder / 'summary.json').write_text(json.dumps(summary_of(5)))
    return folder


def previous(path, metric='recall_1cm_5deg'):
    return [entry for entry in load_baselines(path).metrics[metric].entries if entry.kind == 'previous']


def test_a_new_baselines_file_begins_with_what_the_package_knows(run_folder, tmp_path, capsys):
    path = tmp_path / 'kept' / 'baselines.yaml'
    assert main(['baseline', 'add', '--from', str(run_folder), '--baselines', str(path)]) == 0
    assert '6 metrics' not in capsys.readouterr().err
    assert load_baselines(path).metrics['recall_1cm_5deg'].entries[0] == load_baselines().metrics[
        'recall_1cm_5deg'].entries[0]
    entry, = previous(path)
    assert (entry.name, entry.value, entry.date, entry.fair) == ('previous run', 0.95, '2026-11-20', True)
    assert entry.interval == pytest.approx(summary_of(5)['metrics']['recall_1cm_5deg']['interval'], rel=1e-5)
    for word in ('v1', 'n = 100', 'posegrasp_ros 1.2.3', 'model box 01234567', 'bags scenes',
                 'Linux x86_64, 4 cores'):
        assert word in entry.source


def test_values_are_written_in_the_unit_of_the_baselines_file(run_folder, tmp_path):
    path = tmp_path / 'baselines.yaml'
    main(['baseline', 'add', '--from', str(run_folder), '--baselines', str(path)])
    stated = yaml.safe_load(path.read_text())['metrics']
    assert stated['rotation_error_median']['entries'][-1]['value'] == pytest.approx(1.0), 'degrees'
    assert stated['mssd_median']['unit'] == 'mm' and 1 < stated['mssd_median']['entries'][-1]['value'] < 5
    assert previous(path, 'rotation_error_median')[0].value == pytest.approx(0.0174533, rel=1e-5)


def test_comments_and_all_that_people_wrote_stay_where_they_are(tmp_path):
    path = tmp_path / 'baselines.yaml'
    before = resource_path('config/baselines.yaml').read_text()
    before = before.replace('direction: lower_is_better', 'direction: "lower_is_better"  # ours', 1)
    before += '# the end\n'
    path.write_text(before)
    add_run(path, summary_of(5), 'v1')
    first = path.read_text()
    diff = list(difflib.unified_diff(before.splitlines(), first.splitlines(), lineterm='', n=0))
    assert [line for line in diff if line.startswith('-') and line != '--- '] == ['-    entries: []'] * 2
    lines = first.splitlines()
    above = lines[lines.index('  image_to_grasp_p50:') - 1]
    assert above.startswith('  # Time of perception'), 'a comment stays with what it is about'
    add_run(path, summary_of(5), 'v1')
    assert path.read_text() == first


def test_entries_in_brackets_stay_in_brackets(tmp_path):
    path = tmp_path / 'baselines.yaml'
    entry = "{name: need, kind: requirement, value: 1, source: us, date: '2026-11-23', fair: true}"
    path.write_text('format: posegrasp.baselines/1\nmetrics:\n  ar_mssd: {unit: "1", '
                    f'direction: higher_is_better, entries: [{entry}]}}  # all\n')
    add_run(path, summary_of(5), 'v1', metrics=['ar_mssd'])
    assert len(path.read_text().splitlines()) == 3 and entry in path.read_text()
    assert path.read_text().endswith(']} # all\n') and len(previous(path, 'ar_mssd')) == 1


HAND_KEPT = '''# ours
---
format: posegrasp.baselines/1
metrics:  # of the cell
    # below this line recall
    recall_1cm_5deg:
        unit: 1
        direction: "higher_is_better"   # of course
        entries:  # two
        # the first
        - name: a
          kind: previous
          value: 0.50  # measured twice
          interval: [0.40, 0.60]
          source: >
              folded
              text
          date: 2026-11-23
          fair: no
          note: |
              two
              lines

        # the second
        - name: 'previous run'
          kind: previous
          value: 1.0e-01
          source: 'it''s'
          date: 2026-11-23
          fair: yes  # enough
        # after the entries

    # below this line errors
    mssd_median: {unit: mm, direction: lower_is_better, entries: []}
# the end
'''


@pytest.mark.parametrize(('name', 'lost'), [("'yes'", 0), ('previous run', 5)])
def test_comments_quotes_and_styles_stay_byte_for_byte(tmp_path, name, lost):
    """Where spacing is regular already. Lost are the lines of the entry that is replaced, and no others."""
    path = tmp_path / 'baselines.yaml'
    path.write_text(HAND_KEPT)
    add_run(path, summary_of(5), 'v1', name.strip("'"), metrics=['recall_1cm_5deg'])
    diff = list(difflib.ndiff(HAND_KEPT.splitlines(), path.read_text().splitlines()))
    assert len([line for line in diff if line.startswith('- ')]) == lost
    written = path.read_text()
    assert 0 < written.index(f'        - name: {name}\n') < written.index('        # after the entries')


def test_a_file_whose_comments_cannot_be_kept_is_refused(tmp_path):
    path = tmp_path / 'baselines.yaml'
    path.write_text(HAND_KEPT + 'format: posegrasp.baselines/1\n')
    with pytest.raises(BaselineError, match='expected YAML whose comments can be kept: found duplicate key'):
        add_run(path, summary_of(5), 'v1')
    assert path.read_text().startswith(HAND_KEPT)


def test_a_run_replaces_the_one_of_its_name_and_no_other(tmp_path):
    path = tmp_path / 'baselines.yaml'
    for wrong, name in ((5, 'previous run'), (10, 'v2'), (15, 'previous run')):
        add_run(path, summary_of(wrong), 'run', name)
    assert {entry.name: entry.value for entry in previous(path)} == {'v2': 0.9, 'previous run': 0.85}


def test_the_next_run_is_held_to_it(tmp_path):
    path = tmp_path / 'baselines.yaml'
    add_run(path, summary_of(1), 'v1')
    missed = {wrong: [result.text for result in check_gate(summary_of(wrong)['metrics'], load_baselines(path))
                      if not result.held] for wrong in (1, 2, 17)}
    assert missed[1] == missed[2] == []
    assert any(text.startswith('recall_1cm_5deg: 83.0 %') and "no worse than 'previous run'" in text
               for text in missed[17]), 'the requirement of 80 % still holds'


def test_an_older_baselines_file_takes_metrics_that_it_does_not_name(tmp_path):
    path = tmp_path / 'baselines.yaml'
    path.write_text('format: posegrasp.baselines/1\nmetrics: {}\n')
    add_run(path, summary_of(5), 'v1', metrics=['ar_mssd'])
    assert previous(path, 'ar_mssd') and load_baselines(path).metrics['ar_mssd'].direction == 'higher_is_better'
    assert load_baselines(path).metrics['recall_1cm_5deg'].entries == ()


@pytest.mark.parametrize('metric', ['grasp_success_rate', 'covariance_coverage_90', 'speed'])
def test_what_was_not_measured_or_has_a_target_is_refused(tmp_path, metric):
    with pytest.raises(BaselineError, match=f'v1: {metric}: expected a metric that was measured'):
        add_run(tmp_path / 'baselines.yaml', summary_of(5), 'v1', metrics=[metric])
    assert not (tmp_path / 'baselines.yaml').exists()


def test_an_empty_run_and_a_folder_without_one_are_refused(tmp_path, capsys):
    with pytest.raises(BaselineError, match='at least one that was measured'):
        add_run(tmp_path / 'baselines.yaml', RunMetrics().summary(), 'v1')
    assert main(['baseline', 'add', '--from', str(tmp_path)]) == 2
    assert 'summary.json: no such file' in capsys.readouterr().err
    (tmp_path / 'summary.json').write_text('{"schema": "posegrasp.picks/1"}')
    assert main(['baseline', 'add', '--from', str(tmp_path)]) == 2
    assert "expected posegrasp.summary/1, got 'posegrasp.picks/1'" in capsys.readouterr().err
    (tmp_path / 'summary.json').write_text('{')
    assert main(['baseline', 'add', '--from', str(tmp_path)]) == 2


@pytest.mark.parametrize('unit', ['"1"', '"%"'])
@pytest.mark.parametrize('text', [
    'metrics:\n    ar_mssd:\n        unit: {unit}\n        direction: higher_is_better\n'
    '        entries: []  # none\n',
    'metrics:\n  ar_mssd:\n    entries:\n    - {{name: x, kind: previous, value: 0.5, source: s, '
    'date: 2026-11-23, fair: true}}\n    # and more\n    direction: higher_is_better\n    unit: {unit}'])
def test_a_baselines_file_may_be_laid_out_in_any_way(tmp_path, text, unit):
    path = tmp_path / 'baselines.yaml'
    path.write_text('format: posegrasp.baselines/1\n' + text.format(unit=unit))
    for _ in range(2):
        add_run(path, summary_of(5), 'v1')
    measured = summary_of(5)['metrics']['ar_mssd']['value']
    assert previous(path, 'ar_mssd')[-1].value == pytest.approx(measured, rel=1e-5)
    assert len(previous(path, 'ar_mssd')) == 1 + ('kind: previous' in text)
    for comment in ('# none', '# and more'):
        assert (comment in text) == (comment in path.read_text())


@pytest.mark.parametrize('bounds', [[0.7], [0.9, 0.95], 'wide', [0.7, None]])
def test_an_interval_that_is_none_is_refused(tmp_path, bounds):
    path = tmp_path / 'baselines.yaml'
    add_run(path, summary_of(20), 'v1', metrics=['recall_1cm_5deg'])
    data = yaml.safe_load(path.read_text())
    data['metrics']['recall_1cm_5deg']['entries'][-1]['interval'] = bounds
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BaselineError, match='interval: expected two numbers around the value'):
        load_baselines(path)
