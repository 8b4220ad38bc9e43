# SPDX-License-Identifier: Apache-2.0
"""A fleet's recordings: each evaluated once, in a process of its own, and merged to what a single run says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

pytest.importorskip('pyarrow', reason='the extra fleet is not installed')
pytest.importorskip('fsspec', reason='the extra fleet is not installed')
pytest.importorskip('duckdb', reason='the extra fleet is not installed')
from fleet_bags import METHOD, SEVERAL, record, record_fleet

from posegrasp_ros.cli.main import main
from posegrasp_ros.estimation.model_set import load_model_set
from posegrasp_ros.evaluation.source_evaluation import JudgedObject, evaluate_sources
from posegrasp_ros.fleet.bag_task import BagResult
from posegrasp_ros.fleet.engine import engine_of, register_engine
from posegrasp_ros.fleet.fleet_evaluation import evaluate_fleet
from posegrasp_ros.fleet.fleet_progress import FleetProgress
from posegrasp_ros.fleet.merged_run import merged_parts
from posegrasp_ros.fleet.partition_values import date_of, partition_folder, partition_values
from posegrasp_ros.fleet.result_file import ResultError
from posegrasp_ros.fleet.shard import Shard
from posegrasp_ros.fleet.stored_result import ROW
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.runs.provenance import describe_run
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.guarded_pool import Lost, guarded
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER

OPTIONS = ['--recorded', '--pose-topic', '/pose', '/other', '--model', 'box']


@pytest.fixture(scope='module')
def fleet(tmp_path_factory):
    """Recordings, and the results of all."""
    folder = tmp_path_factory.mktemp('fleet')
    bags = record_fleet(folder / 'bags')
    account = evaluate_fleet([str(folder / 'bags/**/*.mcap')], METHOD, str(folder / 'results'))
    assert not account.failures
    return folder, bags


def in_this_process(tasks, jobs):
    from posegrasp_ros.fleet.bag_task import evaluate_bag

    return (evaluate_bag(task) for task in tasks)


register_engine('in this process', in_this_process)


def merged(results, **options):
    return list(merged_parts(str(results), load_baselines(), **options))


def single(bags, method, names=('/pose', '/other')):
    cards = load_model_set(method.models)
    objects = {name: JudgedObject(card.mesh, card.symmetry, card.tolerance) for name, card in cards.items()}
    return evaluate_sources(sorted(bags), objects, method.asked, described=describe_run(cards), progress=False)


def without_time(summary):
    """As JSON has it, without when it was made."""
    plain = json.loads(json.dumps(summary))
    del plain['provenance']['time']
    return plain


def test_merged_results_equal_a_single_run(fleet):
    folder, bags = fleet
    (part,) = merged(folder / 'results')
    assert without_time(part.summary) == without_time(single(bags, METHOD))
    assert part.summary['paired'] and part.summary['frames']['blocks'] > 20
    assert part.summary['metrics']['position_error_median']['interval'] is not None


def test_so_do_those_of_several_objects(tmp_path):
    bags = record_fleet(tmp_path / 'bags', 3, several=True)
    evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], SEVERAL, str(tmp_path / 'results'),
                   engine='in this process')
    (part,) = merged(tmp_path / 'results')
    expected = single(bags, SEVERAL)
    assert set(expected['objects']) == {'box', 'can'} and expected['truth_errors']['position_m'] is not None
    assert any(count for true, row in expected['confusion'].items() for other, count in row.items()
               if true != other and other != 'not found')
    assert without_time(part.summary) == without_time(expected)


def test_so_do_those_of_our_estimators(tmp_path, scripted_model):
    from hand_made_bags import frames

    from posegrasp_ros.datasets.bag_writer import BagWriter
    from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
    from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
    from posegrasp_ros.fleet.bag_method import EstimatorMethod, loaded

    bags = [tmp_path / f'bag{number}' for number in range(2)]
    for bag in bags:
        with BagWriter(bag) as writer:
            for frame in frames(8):
                writer.write(frame)
    method = EstimatorMethod((str(scripted_model),), EvaluateOptions('mean_pose', ('oracle',), jobs=1),
                             DEFAULT_GRIPPER)
    account = evaluate_fleet([str(bag) for bag in bags], method, str(tmp_path / 'results'),
                             engine='in this process')
    assert not account.failures
    (part,) = merged(tmp_path / 'results')
    options = loaded(method)._options
    expected = evaluate_bags(bags, load_model_set([scripted_model]), options, progress=False)

    def untimed(summary):
        """Without what the clock says."""
        plain = without_time(summary)
        return {name: plain[name] for name in ('headline', 'waterfall', 'failures', 'frames', 'truth_errors',
                                               'calibration', 'problems', 'diagnosis', 'provenance')}

    assert untimed(part.summary) == untimed(expected)
    assert part.summary['recordings'] == expected['recordings']
    page = part.page(part.summary)
    assert page.count('src="data:image/jpeg') >= 3 and 'No pictures' not in page
    for bag in bags:
        bag.rename(tmp_path / f'{bag.name} moved')
    page = part.page(part.summary)
    assert 'data:image' not in page and f'No pictures: the recordings are not on this machine ({bags[0]})' in page


def test_a_column_may_split_the_run_and_a_condition_choose(fleet):
    folder, bags = fleet
    whole, *parts = merged(folder / 'results', by=('robot',))
    assert [part.folder for part in parts] == ['robot=r0', 'robot=r1']
    of_r1 = single([bag for bag in bags if 'robot=r1' in str(bag)], METHOD)
    assert without_time(parts[1].summary) == without_time(of_r1)
    (chosen,) = merged(folder / 'results', where="robot = 'r1'")
    assert chosen.summary['metrics'] == of_r1['metrics']
    by_estimator = merged(folder / 'results', by=('estimator',))[1:]
    assert [part.folder for part in by_estimator] == ['estimator=_other', 'estimator=_pose']
    assert by_estimator[0].summary['metrics'] == whole.summary['estimators']['/other']['metrics']
    with pytest.raises(ResultError, match='same images of all estimators'):
        merged(folder / 'results', where='position_m < 0.009')
    with pytest.raises(ResultError, match='expected an SQL condition'):
        merged(folder / 'results', where='robbot = 1')
    with pytest.raises(ResultError, match='holds for some rows, found none'):
        merged(folder / 'results', where="robot = 'r9'")


def test_a_run_again_does_nothing_and_another_method_all(fleet):
    folder, bags = fleet
    pattern = str(folder / 'bags/**/*.mcap')
    before = {path: path.stat().st_mtime_ns for path in (folder / 'results').rglob('*')}
    account = evaluate_fleet([pattern], METHOD, str(folder / 'results'))
    assert (account.present, account.results) == (len(bags), [])
    assert {path: path.stat().st_mtime_ns for path in (folder / 'results').rglob('*')} == before
    results = shutil.copytree(folder / 'results', folder / 'two methods')
    other = SEVERAL.__class__(METHOD.asked)
    account = evaluate_fleet([pattern], other, str(results), engine='in this process')
    assert len(account.done) == len(bags)
    with pytest.raises(ResultError, match=r'expected results of one model, .* found 2: box .*; none'):
        merged(results)
    assert [part.folder for part in merged(results, by=('model',))] == ['model=box', 'model=none']


def test_shards_cover_all_recordings_once(tmp_path):
    items = list(range(23))
    shares = [Shard(number, 5).of(items) for number in range(1, 6)]
    assert sorted(item for share in shares for item in share) == items
    assert {len(share) for share in shares} <= {4, 5}
    for text in ('0/3', '4/3', '3', '1/0', 'a/b', '-1/2'):
        with pytest.raises(InvalidInputError, match='expected K/N'):
            Shard.parsed(text)
    record_fleet(tmp_path / 'bags', 3)
    pattern, results = str(tmp_path / 'bags/**/*.mcap'), str(tmp_path / 'results')
    done = [result.bag for number in (1, 2) for result in evaluate_fleet(
        [pattern], METHOD, results, Shard(number, 2), engine='in this process').done]
    assert sorted(done) == sorted(str(path) for path in (tmp_path / 'bags').rglob('*.mcap'))


def test_a_broken_recording_is_named_and_the_rest_done(tmp_path, capfd):
    bags = record_fleet(tmp_path / 'bags', 3)
    content = bags[1].read_bytes()
    bags[1].write_bytes(b'no recording')
    command = ['evaluate', str(tmp_path / 'bags/**/*.mcap'), *OPTIONS, '--out', str(tmp_path / 'results')]
    assert main(command) == 1
    told = capfd.readouterr()
    assert '2 evaluated, 0 had a result, 1 failed' in told.out
    assert [line for line in told.err.splitlines() if line.startswith(f'posegrasp: failed: {bags[1]}')]
    (failed,) = (tmp_path / 'results/failed').iterdir()
    assert json.loads(failed.read_text())['bag'] == str(bags[1])
    assert main(['merge', str(tmp_path / 'results'), '--out', str(tmp_path / 'run')]) == 1
    assert f'missing: {bags[1]}' in capfd.readouterr().err
    bags[1].write_bytes(content)
    assert main(command) == 0
    assert '1 evaluated, 2 had a result, 0 failed' in capfd.readouterr().out
    assert main(['merge', str(tmp_path / 'results'), '--out', str(tmp_path / 'run'), '--by', 'robot']) == 0
    summary = json.loads((tmp_path / 'run/summary.json').read_text())
    assert summary['provenance']['complete'] and len(summary['provenance']['bags']) == 3
    assert (tmp_path / 'run/robot=r0/report.html').exists()


def killer(task):
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * 10


@pytest.mark.parametrize('jobs', [1, 2])
def test_a_process_that_is_killed_costs_its_task(jobs):
    results = dict(guarded(killer, range(5), jobs))
    assert results == {0: 0, 1: 10, 2: Lost('signal SIGKILL'), 3: 30, 4: 40}


def test_processes_end_with_their_iterator():
    import multiprocessing

    results = guarded(killer, [0, 1, 3, 4], 2)
    next(results)
    results.close()
    assert multiprocessing.active_children() == []


class KillingMethod(METHOD.__class__):
    """Ends its process at one recording, as a reader might that crashes."""

    def load(self):
        return _Killing(super().load())


class _Killing:
    def __init__(self, method):
        self._method, self.model, self.identity = method, method.model, method.identity

    def prepared(self, path):
        if path.name == 'bag1.mcap':
            os.kill(os.getpid(), signal.SIGSEGV)
        return self._method.prepared(path)


def test_a_recording_that_crashes_its_reader_is_named_and_the_rest_done(tmp_path, capfd):
    bags = record_fleet(tmp_path / 'bags', 3)
    method = KillingMethod(METHOD.asked, METHOD.models)
    account = evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], method, str(tmp_path / 'results'))
    (crashed,) = (str(bag) for bag in bags if bag.name == 'bag1.mcap')
    assert account.failures == [f'{crashed}: the process that evaluated it was ended by signal SIGSEGV']
    assert len(account.done) == 2
    (failed,) = (tmp_path / 'results/failed').iterdir()
    assert 'SIGSEGV' in json.loads(failed.read_text())['reason']
    assert not list((tmp_path / 'results').rglob('_unfinished*'))


def test_what_cannot_be_listed_is_named(tmp_path, capsys):
    results = ['--out', str(tmp_path / 'results')]
    assert main(['evaluate', str(tmp_path / 'none/*.mcap'), *OPTIONS, *results]) == 2
    assert f'{tmp_path}/none/*.mcap: expected recordings, found no such file' in capsys.readouterr().err
    assert main(['evaluate', 'what://x/*.mcap', *OPTIONS, *results]) == 2
    assert 'what://x/*.mcap: expected a path, or a URL whose package is installed' in capsys.readouterr().err
    bag = record(tmp_path / 'bag')
    assert main(['evaluate', str(bag), str(tmp_path / 'none/*.mcap'), *OPTIONS, *results]) == 1
    assert 'failed: ' in capsys.readouterr().err
    assert main(['merge', str(tmp_path / 'nothing'), '--out', str(tmp_path / 'run')]) == 2
    assert 'expected results of posegrasp evaluate --shard, found none' in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'text'), [
    (['--shard', '4/3'], 'expected K/N'), (['--shard', '1/1', '--gate'], '--gate: expected with recordings of a '
                                                                      'single run'),
    (['--engine', 'steam'], 'engine: expected one of local'),
    (['--shard', '1/1', '--require', 'recall_1cm_5deg=90%'], 'give it to posegrasp merge')])
def test_options_that_do_not_fit_are_refused(tmp_path, capsys, options, text):
    bag = record(tmp_path / 'bag')
    assert main(['evaluate', str(bag), *OPTIONS, '--out', str(tmp_path / 'results'), *options]) == 2
    assert text in capsys.readouterr().err


def test_engines_are_found_by_name():
    assert engine_of('in this process') is in_this_process
    with pytest.raises(InvalidInputError, match='already registered'):
        register_engine('local', in_this_process)


def test_a_path_states_columns_and_date():
    values = partition_values('s3://b/site=north%20hall/robot=r7/day=2026-03-01/a=b.mcap')
    assert values == {'site': 'north hall', 'robot': 'r7', 'day': '2026-03-01'}
    assert date_of(values, 0) == '2026-03-01'
    assert date_of({}, 1_700_000_000_000_000_000) == '2023-11-14'
    assert partition_folder(model='a/b', date='2026-01-01') == 'model=a%2Fb/date=2026-01-01'


def test_without_a_terminal_there_is_a_line_a_minute(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr('posegrasp_ros.runtime.progress.time.monotonic', lambda: now[0])
    with FleetProgress(100) as progress:
        for number in range(100):
            now[0] += 10
            progress.step('x.mcap: broken' if number == 3 else '')
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == 'posegrasp: failed: x.mcap: broken'
    assert lines[1] == 'posegrasp: 6 % of 100 recordings, 1 failed, 16 min left'
    assert len(lines) == 1 + 16


def test_a_result_says_what_became_of_its_task(fleet):
    folder, _ = fleet
    (file, *_) = (folder / 'results').rglob('*.parquet')
    assert file.parent.name.startswith('date=2026-01-0') and file.parent.parent.name == 'model=box'
    assert BagResult('a', 'b').reason == ''
    assert Path(file).stat().st_size > 1000


DOCS = Path(__file__).parent.parent / 'docs/how-to/fleet.md'
QUERIES = re.findall(r'```sql\n(.*?)```', DOCS.read_text(encoding='utf-8'), flags=re.DOTALL)


@pytest.mark.parametrize('sql', QUERIES, ids=range(1, len(QUERIES) + 1))
def test_the_queries_of_the_documentation_run(fleet, capsys, monkeypatch, sql):
    folder, _ = fleet
    monkeypatch.setenv('COLUMNS', '80')
    assert main(['query', str(folder / 'results'), sql]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2 and max(map(len, lines)) <= 80
    assert main(['query', str(folder / 'results'), sql, '--json']) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(lines) - 2
    assert main(['query', str(folder / 'results'), sql, '--csv']) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lines) - 1


def test_the_documentation_has_five_queries():
    assert len(QUERIES) == 5


def test_what_is_no_query_is_refused_in_a_line(fleet, capsys):
    folder, _ = fleet
    assert main(['query', str(folder / 'results'), 'select robbot from frames']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'expected SQL over the view frames' in line and 'robbot' in line
    assert main(['query', str(folder / 'results'), 'select 1', '--csv', '--json']) == 2
    capsys.readouterr()
    assert main(['query', str(folder / 'results'), 'select 1 as a, 2 as a', '--json']) == 2
    assert 'expected different names of columns for --json, got a, a' in capsys.readouterr().err


def test_json_of_a_query_has_no_numbers_that_json_has_not(fleet, capsys):
    folder, _ = fleet
    sql = "select 'nan'::double as a, 'inf'::double as b, 1.5 as c"
    assert main(['query', str(folder / 'results'), sql, '--json']) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row['a'] is None and row['b'] is None and float(row['c']) == 1.5


@pytest.mark.parametrize(('change', 'said'), [
    (lambda document: '{', 'expected JSON'), (lambda document: '[]', 'expected a JSON object'),
    (lambda document: '[' * 5000, 'expected JSON'),
    (lambda document: {**document, 'rows': {'/pose': 999}}, 'rows: expected'),
    (lambda document: {name: each for name, each in document.items() if name != 'facts'}, 'expected facts')])
def test_a_damaged_result_is_named(tmp_path, capsys, change, said):
    import pyarrow.parquet as pq

    record_fleet(tmp_path / 'bags', 1)
    evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], METHOD, str(tmp_path / 'results'))
    (path,) = (tmp_path / 'results').rglob('*.parquet')
    table = pq.read_table(path)
    changed = change(json.loads(table.schema.metadata[b'posegrasp']))
    text = changed if isinstance(changed, str) else json.dumps(changed)
    pq.write_table(table.replace_schema_metadata({b'posegrasp': text.encode()}), path)
    for command in (['merge', '--out', str(tmp_path / 'run')], ['mine', '--out', str(tmp_path / 'hard')]):
        assert main([command[0], str(tmp_path / 'results'), *command[1:]]) == 2
        assert said in (line := capsys.readouterr().err) and str(path.name) in line and line.count('\n') == 1


def test_what_cannot_be_merged_so_is_refused(tmp_path, capsys):
    import pyarrow as pa
    import pyarrow.parquet as pq

    record_fleet(tmp_path / 'bags', 1)
    results = tmp_path / 'results'
    evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], METHOD, str(results))
    out = ['--out', str(tmp_path / 'run')]
    for arguments, said in (
            ([*out, '--where', f'true) UNION ALL (SELECT {ROW} FROM frames WHERE true'], 'rows twice'),
            ([*out, '--by', 'nonsense'], "--by: expected columns of frames"),
            (['--out', str(results)], 'expected a folder outside the results')):
        assert main(['merge', str(results), *arguments]) == 2
        assert said in capsys.readouterr().err and not (tmp_path / 'run').exists()
    pq.write_table(pa.table({'a': [1]}), results / 'foreign.parquet')
    for command in (['merge', *out], ['query', 'select count(*) from frames']):
        assert main([command[0], str(results), *command[1:]]) == 2
        assert 'foreign.parquet' in (said := capsys.readouterr().err) and "b'" not in said
    (results / 'foreign.parquet').unlink()
    result = next(results.rglob('*.parquet'))
    table = pq.ParquetFile(result).read()
    place = table.schema.get_field_index('position_m')
    pq.write_table(table.set_column(place, 'position_m', pa.array(['x'] * len(table))), result)
    assert main(['merge', str(results), *out]) == 2
    assert 'position_m: expected a column of double, found string' in capsys.readouterr().err


def test_of_a_fleet_each_date_is_a_run_of_the_trend(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for day in range(1, 4):
        record(tmp_path / 'bags' / f'bag{day}', seed=day, start_s=day * 86_400)
    evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], METHOD, 'results')
    assert main(['trend', 'results', '--out', 'trend']) == 0
    trends = json.loads(Path('trend/trend.json').read_text())
    assert [each['time'][:10] for each in trends['runs']] == ['1970-01-02', '1970-01-03', '1970-01-04']
    assert trends['left_out'] == [] and trends['metrics']['recall_1cm_5deg']['series'][0]['n'] == 15
