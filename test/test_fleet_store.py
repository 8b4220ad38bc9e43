# SPDX-License-Identifier: Apache-2.0
"""Recordings and results in a store: S3 as moto serves it, by the real client, with what goes wrong there."""

from __future__ import annotations

import logging
import os
import threading

import pytest

pytest.importorskip('pyarrow', reason='the extra fleet is not installed')
pytest.importorskip('duckdb', reason='the extra fleet is not installed')
pytest.importorskip('s3fs', reason='s3fs, the client of S3, is not installed')
pytest.importorskip('moto.server', reason='moto[server], which stands in for S3, is not installed')
import fsspec
from fleet_bags import METHOD, record_fleet
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from posegrasp_ros.cli.main import main
from posegrasp_ros.fleet import retries
from posegrasp_ros.fleet.bag_task import evaluate_bag
from posegrasp_ros.fleet.engine import engine_names, register_engine
from posegrasp_ros.fleet.fleet_evaluation import evaluate_fleet
from posegrasp_ros.fleet.merged_run import merged_parts
from posegrasp_ros.fleet.result_file import ResultFolder
from posegrasp_ros.metrics.baselines.baselines import load_baselines

ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
OPTIONS = ['--recorded', '--pose-topic', '/pose', '/other', '--model', 'box', '--engine', 'here']
if 'here' not in engine_names():
    register_engine('here', lambda tasks, jobs: (evaluate_bag(task) for task in tasks))


class Faulty:
    """A store that answers some requests as a real one does on a bad day.

    :ivar faults: each is asked for (method, path) and answers with a response, or None for the store's own
    """

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        self.faults = []
        self.asked = []

    def __call__(self, environment, start_response):
        request = Request(environment)
        self.asked.append((request.method, request.path))
        for fault in self.faults:
            if (response := fault(request)) is not None:
                return response(environment, start_response)
        return self._app(environment, start_response)


def refusing(status, code, path, times, method='GET'):
    """Refuse so many requests for what has this in its path."""
    left = [times]

    def fault(request):
        if path in request.path and request.method == method and left[0] > 0:
            left[0] -= 1
            return Response(ERROR.format(code=code), status, mimetype='application/xml')
        return None

    fault.left = left
    return fault


@pytest.fixture(scope='module')
def server():
    store = Faulty()
    http = make_server('127.0.0.1', 0, store, threaded=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    logging.getLogger('werkzeug').setLevel(logging.ERROR)
    before = dict(os.environ)
    os.environ |= {'AWS_ACCESS_KEY_ID': 'key', 'AWS_SECRET_ACCESS_KEY': 'secret', 'AWS_REGION': 'us-east-1',
                   'AWS_ENDPOINT_URL': f'http://127.0.0.1:{http.port}', 'AWS_MAX_ATTEMPTS': '2'}
    fsspec.filesystem('s3').mkdir('fleet')
    yield store
    os.environ.clear()
    os.environ.update(before)
    http.shutdown()


@pytest.fixture
def bucket(server, tmp_path, request, monkeypatch):
    """Three recordings in a store of their own; gives the folder's URL and the recordings' names there."""
    monkeypatch.setattr(retries, 'FIRST_WAIT_S', 0.01)
    server.faults.clear()
    folder = f's3://fleet/{request.node.name}'
    store = fsspec.filesystem('s3')
    for bag in record_fleet(tmp_path / 'bags', 3):
        store.put_file(str(bag), f'{folder}/{bag.relative_to(tmp_path)}')
    return folder, sorted(f's3://{name}' for name in store.glob(f'{folder}/**/*.mcap'))


def evaluated(folder, engine='here'):
    return evaluate_fleet([f'{folder}/bags/robot=*/**/*.mcap'], METHOD, f'{folder}/results', engine=engine)


def test_recordings_and_results_in_a_store(bucket, tmp_path, capsys):
    folder, _ = bucket
    command = ['evaluate', f'{folder}/bags/robot=*/**/*.mcap', *OPTIONS, '--out', f'{folder}/results']
    assert main([*command, '--shard', '1/2']) == 0
    assert '3 recordings found, 2 in shard 1/2: 2 evaluated' in capsys.readouterr().out
    assert main(command) == 0
    assert '1 evaluated, 2 had a result, 0 failed' in capsys.readouterr().out
    local = evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], METHOD, str(tmp_path / 'results'), engine='here')
    assert len(local.done) == 3
    (ours,) = merged_parts(f'{folder}/results', load_baselines())
    (theirs,) = merged_parts(str(tmp_path / 'results'), load_baselines())
    named = ('provenance', 'problems')  # which quote the recordings' places
    assert {name: value for name, value in ours.summary.items() if name not in named} == {
        name: value for name, value in theirs.summary.items() if name not in named}
    assert main(['query', f'{folder}/results', 'select robot, count(*) from frames group by all order by all',
                 '--csv']) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith('r0,')
    assert not [name for name in fsspec.filesystem('s3').find(folder) if '_unfinished' in name]


def test_throttling_is_waited_for(bucket, server):
    folder, _ = bucket
    slow = refusing(503, 'SlowDown', 'bag1.mcap', times=7)
    server.faults.append(slow)
    account = evaluated(folder)
    assert not account.failures and len(account.done) == 3
    assert slow.left == [0]


def test_throttling_without_end_costs_the_recording(bucket, server):
    folder, _ = bucket
    server.faults.append(refusing(503, 'SlowDown', 'bag1.mcap', times=10_000))
    account = evaluated(folder)
    (line,) = account.failures
    assert 'bag1.mcap: ' in line and ('SlowDown' in line or 'reduce' in line.lower()) and '\n' not in line
    assert len(account.done) == 2
    server.faults.clear()
    account = evaluated(folder)
    assert (account.present, len(account.done)) == (2, 1)
    assert ResultFolder(f'{folder}/results').failures() == {}


def test_a_recording_that_vanished_is_named(bucket, server):
    folder, _ = bucket
    server.faults.append(refusing(404, 'NoSuchKey', 'bag2.mcap', times=10_000))
    account = evaluated(folder)
    (line,) = account.failures
    assert line.endswith('bag2.mcap: no such file any more; it was there when the recordings were listed')
    assert len(account.done) == 2
    (failed,) = ResultFolder(f'{folder}/results').failures().values()
    assert failed['reason'] == line


def test_credentials_that_do_not_do_are_named(bucket, server, capsys):
    folder, _ = bucket
    server.faults.append(refusing(403, 'AccessDenied', 'bag0.mcap', times=10_000))
    account = evaluated(folder)
    (line,) = account.failures
    assert 'bag0.mcap: access refused, check the credentials' in line and '\n' not in line
    assert len(account.done) == 2
    capsys.readouterr()
    server.faults[:] = [refusing(403, 'InvalidAccessKeyId', '', times=10_000)]
    assert main(['evaluate', f'{folder}/bags/robot=*/**/*.mcap', *OPTIONS, '--out', f'{folder}/results']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'expected files that can be listed: access refused, check the credentials' in line


def test_a_truncated_upload_is_no_result(bucket, server):
    """A store that keeps less than it was sent: sizes tell, and what is left is removed."""
    folder, _ = bucket
    shortened = []

    def shorten(request):
        if request.method == 'PUT' and '_unfinished' in request.path and len(shortened) < 100:
            shortened.append(request.path)
            name = request.path.partition('/fleet/')[2]
            from moto.s3.models import s3_backends

            s3_backends['123456789012']['aws'].put_object('fleet', name, b'PAR1 half a file')
            return Response('', 200, headers={'ETag': '"0"'})
        return None

    server.faults.append(shorten)
    account = evaluated(folder)
    assert len(account.failures) == 3
    assert all('expected' in line and 'bytes, found 16' in line for line in account.failures)
    names = fsspec.filesystem('s3').find(f'{folder}/results')
    assert not [name for name in names if name.endswith('.parquet')]
    server.faults.clear()
    assert len(evaluated(folder).done) == 3


def test_a_truncated_download_is_fetched_again(bucket, server):
    folder, _ = bucket
    cut = []

    def truncate(request):
        if request.method == 'GET' and request.path.endswith('bag1.mcap') and not cut:
            cut.append(request.path)
            return Response(b'short', 200, headers={'ETag': '"0"'})
        return None

    server.faults.append(truncate)
    account = evaluated(folder)
    assert not account.failures and cut


def test_what_may_go_away_by_itself_is_tried_again():
    waits, calls = [], []

    def call():
        calls.append(0)
        if len(calls) < 4:
            raise ConnectionResetError('gone')
        return 'done'

    assert retries.tried(call, sleep=waits.append) == 'done'
    assert len(waits) == 3 and waits == sorted(waits)
    for error in (FileNotFoundError('x'), PermissionError('x'), ValueError('x')):
        assert not retries.is_transient(error)
    caused = OSError('read failed')
    caused.__cause__ = TimeoutError()
    assert retries.is_transient(caused)
