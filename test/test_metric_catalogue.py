# SPDX-License-Identifier: Apache-2.0
"""The catalogue: one record makes a metric part of summary, verdict, terminal, report, comparison and gate."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from run_frames import SECOND, TARGET, add_frame, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.metrics import catalogue
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.baselines.gate import check_gate
from posegrasp_ros.metrics.catalogue import Curve, Metric, MetricError
from posegrasp_ros.metrics.observations import median
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.report.run_report import format_table, render_html

HEIGHT = Metric(
    'height_error_median', 'm', 'lower_is_better', 'Height error, median',
    lambda table: median(table, table.position_error_m / 2, table.has_found), heading='height', is_paired=True,
    curve=Curve('height_error', 'Height error', 'm', lambda table: table.position_error_m / 2, 0.01, 4))


@pytest.fixture
def baselines(added_metric, tmp_path):
    """A file that requires 4 mm of it."""
    added_metric(HEIGHT)
    path = tmp_path / 'baselines.yaml'
    entry = {'name': 'my need', 'kind': 'requirement', 'value': 4, 'source': 'me', 'date': '2026-11-28',
             'fair': True}
    path.write_text(yaml.safe_dump({'format': 'posegrasp.baselines/1', 'metrics': {
        HEIGHT.name: {'unit': 'mm', 'direction': 'lower_is_better', 'entries': [entry]}}}))
    return path


def run_of(error_m: float, baselines) -> dict:
    metrics = RunMetrics(TARGET, load_baselines(baselines))
    for index in range(30):
        add_frame(metrics, 2 * index * SECOND, off_by(error_m))
    return metrics.summary()


def test_a_metric_of_one_record_is_everywhere(baselines):
    summary = run_of(0.006, baselines)
    assert summary['metrics'][HEIGHT.name]['value'] == pytest.approx(0.003)
    assert summary['distributions']['height_error']['percentiles'][50] == pytest.approx(0.003)
    verdict, = (item for item in summary['verdicts'] if item['metric'] == HEIGHT.name)
    assert (verdict['entry'], verdict['reference']) == ('my need', 0.004)
    assert 'height' in format_table(summary) and HEIGHT.name in format_table(summary)
    page = render_html(summary)
    assert 'Height error, median' in page and 'Height error' in page.replace('Height error, median', '')
    assert [result.held for result in check_gate(summary['metrics'], load_baselines(baselines))] == [True]
    missed = run_of(0.012, baselines)
    assert [result.held for result in check_gate(missed['metrics'], load_baselines(baselines))] == [False]
    assert HEIGHT.name in {item['metric'] for item in missed['next']['metrics'] if item['action'] == 'work on'}


def test_it_is_compared_and_kept_as_a_baseline(baselines, bag, scripted_model, tmp_path, capsys):
    common = ['evaluate', str(bag), '--model', str(scripted_model), '--compare-with', '--baselines',
              str(baselines)]
    for name in ('mean_pose', 'oracle'):
        assert main([*common, '--estimator', name, '--out', str(tmp_path / name)]) == 0
    assert main(['compare', str(tmp_path / 'mean_pose'), str(tmp_path / 'oracle'), '--out',
                 str(tmp_path / 'compare')]) == 0
    assert 'oracle             height_error_median ' in capsys.readouterr().out
    assert 'Height error, median' in (tmp_path / 'compare/report.html').read_text()
    assert main(['baseline', 'add', '--from', str(tmp_path / 'mean_pose'), '--baselines', str(baselines)]) == 0
    assert {entry.kind for entry in load_baselines(baselines).metrics[HEIGHT.name].entries} == {
        'requirement', 'previous'}


METRIC_MODULE = """
from posegrasp_ros.metrics.catalogue import Metric
from posegrasp_ros.metrics.observations import rate
FOUND = Metric('found', '1', 'higher_is_better', 'Found',
               lambda table: rate(table.has_found, table.counts_for_recall, table.blocks))
"""
ASK_TWICE = """
from posegrasp_ros.metrics.catalogue import MetricError, catalogue
for _ in range(2):
    try:
        print('found' in catalogue())
    except MetricError as error:
        print(error)
"""


@pytest.mark.parametrize(('also', 'expected'), [
    ('', 'True'),
    ('broken = no_such_module:METRIC', 'metric broken: entry point no_such_module:METRIC of mine: cannot be '
                                       "imported: No module named 'no_such_module'"),
    ('text = mine:METRIC_MODULE', 'metric text: entry point mine:METRIC_MODULE of mine: cannot be imported')])
def test_metrics_of_another_package_are_added_or_the_one_at_fault_is_named(tmp_path, also, expected):
    """Every time, in a process that knows no more than its path."""
    metadata = tmp_path / 'mine-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n')
    (metadata / 'entry_points.txt').write_text(f'[posegrasp.metrics]\nfound = mine:FOUND\n{also}\n')
    (tmp_path / 'mine.py').write_text(METRIC_MODULE)
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    said = subprocess.run([sys.executable, '-c', ASK_TWICE], env={**os.environ, 'PYTHONPATH': path},
                          capture_output=True, text=True).stdout.splitlines()
    assert len(said) == 2 and said[0] == said[1] and said[0].startswith(expected)


@pytest.mark.parametrize(('changes', 'expected'), [
    ({'name': 'recall_1cm_5deg'}, 'metric recall_1cm_5deg: expected a unique name'),
    ({'unit': 'mm'}, "unit: expected one of m, rad, 1, ms, px, got 'mm'"),
    ({'direction': 'up'}, "direction: expected one of lower_is_better, higher_is_better, on_target, got 'up'")])
def test_a_wrong_record_is_refused(changes, expected):
    with pytest.raises(MetricError, match=expected):
        catalogue.register_metric(replace(HEIGHT, **changes))
    assert HEIGHT.name not in catalogue.catalogue()
