# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.evaluation.run_comparison import change_pictures, compare_runs, unpaired_interval
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.metrics.stats.intervals import wilson_interval
from posegrasp_ros.report.compare_report import conclusions, format_comparison, render_comparison
from posegrasp_ros.runs.finished_run import FinishedRunError
from posegrasp_ros.runs.folder import RunFolder

TARGET = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (50, 3)), 0.17)
SECOND = 1_000_000_000
TRUTH = make_transform(None, (0, 0, 0.6))
BAG = {'name': 'b', 'files': {'b.mcap': 12345}}


def write_run(folder: Path, errors_m, bag=BAG, estimator='onnx', lifted=(), is_empty=False, **provenance) -> Path:
    """A run of one frame a second whose positions are so far off; infinite for no answer.

    :param lifted: whether the picks of the first frames did
    :param is_empty: whether the object is in none of the frames
    """
    metrics = RunMetrics(TARGET, load_baselines())
    with RunFolder(folder, fresh=True) as run:
        for index, error_m in enumerate(errors_m):
            stamp_ns, found = index * SECOND, math.isfinite(error_m)
            numbers = {'latency_ms': 40.0 + index % 3}
            if found:
                numbers |= {'position_error_m': error_m, 'rotation_error_rad': 0.0}
                metrics.add_estimate(stamp_ns, make_transform(None, (error_m, 0, 0.6)))
            metrics.add_absence(stamp_ns) if is_empty else metrics.add_truth(stamp_ns, TRUTH)
            report = StageReport(stamp_ns, 'perception', found, '' if found else 'no_detection', numbers)
            metrics.add_report(report)
            run.append(report, estimator=estimator, bag=bag['name'])
            run.append(StageReport(stamp_ns, 'perception', False, 'no_features', {}), estimator='other',
                       bag=bag['name'])
        for index, ok in enumerate(lifted):
            report = StageReport(index * SECOND, 'execution', ok, '' if ok else 'slipped', {})
            metrics.add_report(report)
            run.append(report, estimator=estimator, bag=bag['name'])
        summary = metrics.summary({'bags': [bag], 'model': {'name': 'box', 'sha256': 'ab'}, **provenance})
        run.write_summary({**summary, 'estimator': estimator})
    return folder


def noisy_errors(count=200, seed=0) -> np.ndarray:
    """Frames of very different difficulty: 4 to 25 mm."""
    return np.random.default_rng(seed).uniform(0.004, 0.025, count)


@pytest.fixture(scope='module')
def written_pair(tmp_path_factory):
    """A run, and one that is a little better on every frame of the same recording."""
    errors, folder = noisy_errors(), tmp_path_factory.mktemp('runs')
    return [write_run(folder / 'before', errors), write_run(folder / 'after', errors - 0.001)]


@pytest.fixture
def pair(written_pair, tmp_path):
    """Copies of the two, to be spoilt."""
    return [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in written_pair]


def difference(comparison, metric, run='after'):
    return next(each for each in comparison['differences'] if (each['run'], each['metric']) == (run, metric))


def test_pairs_show_what_two_intervals_hide(pair):
    found = difference(compare_runs(pair), 'position_error_median')
    assert found['is_paired'] and found['n'] == 200 and found['verdict'] == 'better'
    assert found['difference'] == pytest.approx(-0.001) and found['interval'] == pytest.approx([-0.001, -0.001])
    before, after = (json.loads((folder / 'summary.json').read_text())['metrics']['position_error_median']
                     for folder in pair)
    low, high = unpaired_interval(before, after)
    assert low < 0 < high, 'apart, one could not tell'


def test_shares_are_compared_by_mcnemar_on_the_frames_that_changed(pair):
    comparison = compare_runs(pair)
    errors = noisy_errors()
    gained = int(((errors >= 0.01) & (errors - 0.001 < 0.01)).sum())
    found = difference(comparison, 'recall_1cm_5deg')
    assert found['difference'] == pytest.approx(gained / 200)
    assert found['p_value'] == pytest.approx(min(1.0, 2 * 0.5 ** gained))
    assert len(comparison['changes']) == min(gained, 12) and all(each['gained'] for each in comparison['changes'])
    assert comparison['same_frames'] == {'after': 200}


def test_frames_that_neither_run_answers_count_for_the_share(tmp_path):
    errors = noisy_errors(60)
    errors[:20] = math.inf
    better = errors.copy()
    better[20:30] = 0.001
    comparison = compare_runs([write_run(tmp_path / 'a', errors), write_run(tmp_path / 'b', better)])
    found = difference(comparison, 'recall_1cm_5deg', 'b')
    assert found['n'] == 60
    first, second = (each['metrics']['recall_1cm_5deg']['value'] for each in comparison['runs'].values())
    assert found['difference'] == pytest.approx(second - first)
    assert difference(comparison, 'position_error_median', 'b')['n'] == 40


def test_picks_of_the_same_frames_are_pairs(tmp_path):
    first, second = [True] * 20 + [False] * 20, [True] * 30 + [False] * 10
    folders = [write_run(tmp_path / name, [0.005] * 40, lifted=lifted) for name, lifted in
               (('a', first), ('b', second))]
    comparison = compare_runs(folders)
    found = difference(comparison, 'grasp_success_rate', 'b')
    assert found['is_paired'] and found['n'] == 40 and found['difference'] == 0.25 and found['verdict'] == 'better'
    assert found['p_value'] == pytest.approx(2 * 0.5 ** 10)
    assert conclusions(comparison)[0].startswith('b is better than a: Grasp success +25.0 points')


def test_false_poses_of_the_same_empty_frames_are_pairs(tmp_path):
    few, many = ([0.0 if index % every == 0 else math.inf for index in range(60)] for every in (10, 2))
    comparison = compare_runs([write_run(tmp_path / 'a', few, is_empty=True),
                               write_run(tmp_path / 'b', many, is_empty=True)])
    found = difference(comparison, 'false_poses', 'b')
    assert found['is_paired'] and found['difference'] == pytest.approx(0.4) and found['verdict'] == 'worse'


def test_a_pose_that_was_lost_is_named_and_ranked_before_a_near_miss(tmp_path):
    before = np.full(30, 0.005)
    after = before.copy()
    after[7], after[9], after[11] = 0.012, math.inf, 0.3
    changes = compare_runs([write_run(tmp_path / 'a', before), write_run(tmp_path / 'b', after)])['changes']
    assert [each['stamp_ns'] // SECOND for each in changes] == [9, 11, 7]
    assert [each['gained'] for each in changes] == [False] * 3 and changes[0]['other'] is None
    assert changes[1]['other']['position_m'] == 0.3


@pytest.mark.parametrize('bag', [{'name': 'b', 'files': {'b.mcap': 999}},
                                 {'name': 'c', 'files': {'b.mcap': 12345}},
                                 {'name': 'b', 'files': {'b.mcap': 12345}, 'sha256': 'ff'}])
def test_the_same_stamps_of_other_recordings_are_no_pairs(tmp_path, bag):
    errors = noisy_errors(50)
    comparison = compare_runs([write_run(tmp_path / 'a', errors),
                               write_run(tmp_path / 'b', errors - 0.001, bag=bag)])
    assert comparison['same_frames'] == {'b': 0} and comparison['changes'] == []
    found = difference(comparison, 'position_error_median', 'b')
    assert not found['is_paired'] and found['p_value'] is None and found['verdict'] == 'inconclusive'
    assert 'unpaired' in format_comparison(comparison)


def test_the_difference_of_two_shares_is_newcombes():
    """The example of Newcombe (Statistics in Medicine 1998, table II, method 10): 56/70 less 48/80."""
    first, second = ({'value': right / n, 'interval': list(wilson_interval(right, n))} for right, n in
                     ((48, 80), (56, 70)))
    assert unpaired_interval(first, second) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_what_was_set_otherwise_is_named(tmp_path):
    folders = [write_run(tmp_path / name, noisy_errors(30), tracking=name == 'b', time=name) for name in 'ab']
    assert compare_runs(folders)['settings'] == [{'name': 'tracking', 'values': {'a': 'no', 'b': 'yes'}}]


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    folders = [write_run(tmp_path / part / 'run', noisy_errors(20)) for part in ('x', 'y')]
    assert list(compare_runs(folders)['runs']) == ['x/run', 'y/run']


def test_three_runs_are_each_held_against_the_first(tmp_path):
    folders = [write_run(tmp_path / name, noisy_errors(80) + shift)
               for name, shift in (('a', 0.0), ('b', -0.003), ('c', 0.004))]
    comparison = compare_runs(folders)
    verdicts = {run: difference(comparison, 'recall_1cm_5deg', run)['verdict'] for run in 'bc'}
    assert verdicts == {'b': 'better', 'c': 'worse'}
    assert [line.partition(':')[0] for line in conclusions(comparison)] == ['b is better than a',
                                                                            'c is worse than a']


def test_a_log_that_was_cut_off_costs_its_last_frame_only(pair):
    path = pair[1] / 'metrics.jsonl'
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b''.join(lines[:-2]) + lines[-2][:40])
    assert compare_runs(pair)['same_frames'] == {'after': 199}


def test_the_command_writes_a_page_that_needs_no_network(pair, tmp_path, capsys):
    out = tmp_path / 'compared'
    assert main(['compare', *map(str, pair), '--out', str(out)]) == 0
    told = capsys.readouterr().out
    assert 'after is better than before' in told and 'same 200' in told
    page = (out / 'report.html').read_text()
    assert page.rstrip().endswith('</html>') and page.count('<section') == page.count('</section>')
    assert 'src=' not in page and 'href' not in page and 'url(' not in page
    assert json.loads((out / 'comparison.json').read_text()) == compare_runs(pair)


def test_nothing_is_better_or_worse_beside_a_p_above_the_level(pair, monkeypatch):
    monkeypatch.setattr('posegrasp_ros.evaluation.run_comparison.mcnemar_exact', lambda *_: 0.07)
    comparison = compare_runs(pair)
    recall = difference(comparison, 'recall_1cm_5deg')
    assert recall['interval'][0] > 0 and recall['p_value'] == 0.07 and recall['verdict'] == 'inconclusive'
    assert 'not significantly different' in conclusions(comparison)[0]
    for row in re.findall(r'<tr.*?</tr>', render_comparison(comparison), re.DOTALL):
        assert '0.07' not in row or not re.search('>(better|worse)<', row), row


def test_frames_that_changed_are_shown_where_a_run_kept_their_pictures(tmp_path):
    folders = [write_run(tmp_path / name, errors, tracking=False) for name, errors in (
        ('a', [0.002] * 8), ('b', [0.002] * 7 + [0.03]))]
    for folder in folders:
        summary = json.loads((folder / 'summary.json').read_text())
        summary['recordings'] = [{'name': 'b', 'first_ns': 0, 'shift_ns': 0}]
        (folder / 'summary.json').write_text(json.dumps(summary))
    with (folders[1] / 'metrics.jsonl').open('a') as log:
        picture = {'stamp_ns': 7 * SECOND, 'object': '', 'data_uri': 'data:image/jpeg;base64,AAAA'}
        log.write(json.dumps({'pictures': [picture, {**picture, 'stamp_ns': SECOND}]}) + '\n')
    comparison = compare_runs(folders)
    pictures = change_pictures(folders, comparison)
    assert pictures == [('', 'data:image/jpeg;base64,AAAA')]
    page = render_comparison(comparison, pictures)
    assert 'no picture kept' in page and 'b, 7.00 s' in page and 'b: 30.0 mm, 0.00°' in page


def test_what_is_needed_is_met_or_missed(tmp_path):
    folders = [write_run(tmp_path / name, errors) for name, errors in (('a', [0.05] * 40), ('b', [0.002] * 40))]
    page = render_comparison(compare_runs(folders))
    table = re.search(r'<table class="metrics">.*?</table>', page, re.DOTALL).group(0)
    assert '>misses<' in table and '>meets<' in table and not re.search('>(better|worse)<', table)


def test_names_from_outside_are_escaped_on_the_page(tmp_path):
    folders = [write_run(tmp_path / name, noisy_errors(20)) for name in ('<i>a', 'b')]
    page = render_comparison(compare_runs(folders))
    assert '<i>' not in page and '&lt;i&gt;a' in page


@pytest.mark.parametrize('spoil, said', [
    (lambda folder: (folder / 'summary.json').unlink(), 'no such file; expected a run folder'),
    (lambda folder: (folder / 'summary.json').write_text('{'), 'expected a JSON file that can be read'),
    (lambda folder: (folder / 'summary.json').write_text('{"schema": "posegrasp.picks/1"}'),
     "schema: expected posegrasp.summary/1, got 'posegrasp.picks/1'"),
])
def test_a_folder_without_a_run_is_refused_in_one_line(pair, spoil, said, capsys, tmp_path):
    spoil(pair[1])
    assert main(['compare', *map(str, pair), '--out', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1 and not (tmp_path / 'out').exists()


def test_one_run_is_no_comparison(pair):
    for folders in (pair[:1], [pair[0], pair[0]]):
        with pytest.raises(FinishedRunError, match='at least two different run folders'):
            compare_runs(folders)


@pytest.mark.parametrize(('name', 'spoil'), [
    ('metrics.jsonl', lambda path: (path.unlink(), os.mkfifo(path))),
    ('summary.json', lambda path: path.write_text(re.sub('"value": [0-9.]+', '"value": NaN', path.read_text()))),
    ('summary.json', lambda path: path.write_text(path.read_text().replace('"unit": "m"', '"unit": "ell"', 1))),
])
def test_a_run_that_others_changed_is_refused_in_one_line(pair, tmp_path, capsys, name, spoil):
    spoil(pair[1] / name)
    assert main(['compare', *map(str, pair), '--out', str(tmp_path / 'out')]) == 2
    assert name in capsys.readouterr().err


def test_lines_and_states_of_any_depth_are_passed_over(pair):
    for name in ('metrics.jsonl', 'run.json'):
        with (pair[1] / name).open('a') as file:
            file.write('[' * 100_000 + '\n')
    assert difference(compare_runs(pair), 'position_error_median')


def test_a_run_is_not_written_over_by_the_comparison(pair, capsys):
    before = (pair[0] / 'summary.json').read_text()
    assert main(['compare', *map(str, pair), '--out', str(pair[0])]) == 2
    assert '--out: expected another folder than those of the runs' in capsys.readouterr().err
    assert (pair[0] / 'summary.json').read_text() == before and not (pair[0] / 'comparison.json').exists()
