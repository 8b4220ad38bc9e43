# SPDX-License-Identifier: Apache-2.0
"""`posegrasp trend`: metrics over many runs, in order of time."""

from __future__ import annotations

import copy
import datetime
import json

import numpy as np
import pytest
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.evaluation.run_trends import trends_of
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.stats.intervals import wilson_interval

START = datetime.datetime(2026, 10, 1, tzinfo=datetime.timezone.utc)
RECALL, TIME = 'recall_1cm_5deg', 'image_to_pose_p50'


@pytest.fixture(scope='module')
def template():
    """Summary of a little run, whose figures the runs replace."""
    run = RunMetrics(TARGET)
    for index in range(20):
        run.add_truth(index * SECOND, TRUTH)
        run.add_estimate(index * SECOND, off_by(0.002, 1.0))
        run.add_report(StageReport(index * SECOND, 'perception', True, '', {'latency_ms': 40.0 + index}))
    summary = run.summary({'package': 'posegrasp_ros 0.2.0', 'bags': [{'name': 'kitchen', 'files': {}}]})
    return {**summary, 'estimator': 'onnx'}


def rate(successes: int, trials: int) -> dict:
    return {'value': successes / trials, 'unit': '1', 'n': trials, 'clusters': trials,
            'interval': list(wilson_interval(successes, trials))}


def write_runs(folder, template, rates, change=None, seed=1):
    """One run a day with such a share of good poses; ``change(day, summary)`` changes more of it."""
    rng, folders = np.random.default_rng(seed), []
    for day, p in enumerate(rates):
        summary = copy.deepcopy(template)
        summary['provenance']['time'] = (START + datetime.timedelta(days=day)).isoformat()
        summary['metrics'] = {name: {**metric, 'value': None, 'interval': None, 'n': 0}
                              for name, metric in summary['metrics'].items()}
        summary['metrics'][RECALL] = rate(int(rng.binomial(200, p)), 200)
        if change:
            change(day, summary)
        folders.append(folder / f'day{day:03d}')
        folders[-1].mkdir(parents=True)
        (folders[-1] / 'summary.json').write_text(json.dumps(summary))
    return folders


DROP = np.where(np.arange(40) < 25, 0.9, 0.6)


def test_a_drop_is_dated_whatever_the_order_of_the_folders(tmp_path, template):
    folders = write_runs(tmp_path, template, DROP)
    trend = trends_of(folders[::-1])['metrics'][RECALL]
    assert (trend['verdict'], trend['since'][:10], len(trend['series'])) == ('worse', '2026-10-26', 40)
    (change,) = trend['changes']
    assert change['run'] == 'day025' and change['between'][0] < change['time'] <= change['between'][1]
    assert change['before']['value'] == pytest.approx(0.9, abs=0.02)


def test_a_metric_of_which_less_is_better_is_better_when_it_falls(tmp_path, template):
    def faster(day, summary):
        value = (40.0 if day < 25 else 30.0) + day % 3
        summary['metrics'][TIME] = {'value': value, 'unit': 'ms', 'n': 200, 'clusters': 200,
                                    'interval': [value - 2, value + 2]}

    metrics = trends_of(write_runs(tmp_path, template, np.full(40, 0.9), faster))['metrics']
    assert (metrics[TIME]['verdict'], metrics[RECALL]['verdict']) == ('better', 'steady')
    assert set(metrics) == {TIME, RECALL}


def test_the_slice_that_moved_most_and_what_changed_with_it_are_named(tmp_path, template):
    def change(day, summary):
        slices = [{'name': name, 'low': 0, 'high': 1, 'frames': 100, 'metrics': {RECALL: rate(
            60 if name == 'half hidden' and day >= 25 else 90, 100)}}
            for name in ('clearly visible', 'half hidden')]
        summary['by_visible_share'] = {'source': 'ground truth', 'unknown': 0, 'slices': slices}
        summary['provenance']['package'] = f'posegrasp_ros 0.{2 if day < 25 else 3}.0'

    (change,) = trends_of(write_runs(tmp_path, template, DROP, change))['metrics'][RECALL]['changes']
    assert change['slice']['name'] == 'half hidden' and change['slice']['interval'][1] < 0
    assert change['differs'] == {'package': ['posegrasp_ros 0.2.0', 'posegrasp_ros 0.3.0']}


def test_few_runs_are_said_to_be_too_few(tmp_path, template):
    trend = trends_of(write_runs(tmp_path, template, [0.9, 0.1, 0.9]))['metrics'][RECALL]
    assert trend['verdict'] == 'too few runs' and trend['changes'] == []


def test_what_is_no_finished_run_is_left_out_and_told(tmp_path, template):
    folders = write_runs(tmp_path, template, np.full(6, 0.9), lambda day, summary: summary['provenance'].update(
        {'time': 'yesterday'} if day == 1 else {'complete': False} if day == 2 else {}))
    (tmp_path / 'copy').mkdir()
    (tmp_path / 'copy' / 'summary.json').write_text((folders[0] / 'summary.json').read_text())
    found = trends_of([*folders, tmp_path / 'copy', tmp_path / 'nothing', folders[0]])
    assert [run['name'] for run in found['runs']] == ['day000', 'day003', 'day004', 'day005']
    told = '\n'.join(found['left_out'])
    assert len(found['left_out']) == 4 and "got 'yesterday'" in told and 'interrupted' in told
    assert 'the same run as' in told and 'no such file' in told


def test_one_run_is_no_trend(tmp_path, template, capsys):
    (folder,) = write_runs(tmp_path, template, [0.9])
    assert main(['trend', str(folder), '--out', str(tmp_path / 'out')]) == 2
    assert 'expected at least two finished runs, got 1' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_runs_that_may_not_be_compared_are_warned_of(tmp_path, template):
    def other(day, summary):
        summary['provenance']['bags'] = [{'name': 'kitchen' if day < 3 else 'hall', 'files': {}}]
        summary['estimator'] = 'onnx' if day < 3 else 'network'

    warnings = trends_of(write_runs(tmp_path, template, np.full(6, 0.9), other))['warnings']
    assert '2 different sets of recordings' in warnings[0] and 'network, onnx' in warnings[1]


def test_runs_without_a_metric_are_counted(tmp_path, template):
    def missing(day, summary):
        if day % 2:
            summary['metrics'][RECALL] = {**summary['metrics'][RECALL], 'value': None, 'interval': None, 'n': 0}

    trend = trends_of(write_runs(tmp_path, template, np.full(10, 0.9), missing))['metrics'][RECALL]
    assert (len(trend['series']), trend['runs_without']) == (5, 5)


def test_the_command_prints_a_table_and_writes_page_and_json(tmp_path, template, capsys):
    folders = write_runs(tmp_path / 'runs', template, DROP)
    out = tmp_path / 'out'
    assert main(['trend', *map(str, folders), '--out', str(out)]) == 0
    text = ' '.join(capsys.readouterr().out.split())
    assert 'worse since 2026-10-26' in text and 'is at most 5.0 %' in text and 'day025' in text
    stored = json.loads((out / 'trend.json').read_text())
    assert stored['schema'] == 'posegrasp.trend/1' and stored['metrics'][RECALL]['changes']
    page = (out / 'trend.html').read_text()
    assert 'worse since 2026-10-26' in page and page.count('class="dot s0"') == 40
    assert 'src="http' not in page and 'href="http' not in page
