# SPDX-License-Identifier: Apache-2.0
"""`posegrasp evaluate --mlflow`: a finished run goes to MLflow, and never suffers from it."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys

import pytest
from run_frames import SECOND, TARGET, TRUTH, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.mlflow_export import metrics_of, parameters_of, send_run, without_password

AVAILABLE = importlib.util.find_spec('mlflow') is not None
needs_mlflow = pytest.mark.skipif(not AVAILABLE, reason='mlflow is not installed')
PROVENANCE = {'package': 'posegrasp_ros 0.2.0', 'time': '2026-11-30T10:00:00+00:00', 'complete': True,
              'model': {'name': 'box', 'sha256': 'ab' * 32}, 'configuration': {'jobs': 2, 'sha256': 'cd' * 32},
              'bags': [{'name': 'kitchen', 'files': {}, 'sha256': None}], 'warnings': ['dark images']}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """URI of a new store."""
    monkeypatch.delenv('MLFLOW_ALLOW_FILE_STORE', raising=False)
    return (tmp_path / 'mlruns').as_uri()


@pytest.fixture
def finished(tmp_path):
    """Folder and summary of a run."""
    run = RunMetrics(TARGET, load_baselines())
    for index in range(30):
        run.add_truth(index * SECOND, TRUTH)
        run.add_estimate(index * SECOND, off_by(0.002, 1.0))
        run.add_report(StageReport(index * SECOND, 'perception', True, '', {'latency_ms': 40.0 + index}))
    summary = {**run.summary(PROVENANCE), 'estimator': 'onnx'}
    with RunFolder(tmp_path / 'run') as folder:
        folder.write_summary(summary)
    return tmp_path / 'run', summary


@pytest.fixture
def measured(finished, monkeypatch):
    """``posegrasp evaluate`` that measures nothing, and has this run."""
    monkeypatch.setattr('posegrasp_ros.evaluation.bag_evaluation.evaluate_bags', lambda *_, **__: finished[1])
    return finished


def test_measured_metrics_have_bounds_and_number(finished):
    found, metric = metrics_of(finished[1]), finished[1]['metrics']['recall_1cm_5deg']
    assert found['recall_1cm_5deg'] == 1.0 and found['recall_1cm_5deg.n'] == 30
    assert [found['recall_1cm_5deg.low'], found['recall_1cm_5deg.high']] == metric['interval']
    assert not any(name.startswith('grasp_success_rate') for name in found)


def test_each_of_several_objects_has_its_own(finished):
    part = {'metrics': {'recall_1cm_5deg': {'value': 0.5, 'interval': None, 'n': 4}}}
    found = metrics_of({**finished[1], 'objects': {'my box!': part}})
    assert found['my box_/recall_1cm_5deg'] == 0.5 and 'my box_/recall_1cm_5deg.low' not in found


def test_parameters_are_flat_short_and_without_what_tells_nothing(finished):
    found = parameters_of({**finished[1], 'provenance': {**PROVENANCE, 'seed': 1, 'long': 'x' * 900}})
    assert found['estimator'] == 'onnx' and found['model.name'] == 'box' and found['configuration.jobs'] == '2'
    assert found['bags.kitchen.name'] == 'kitchen' and found['seed'] == '1' and len(found['long']) == 500
    assert 'time' not in found and not any('warnings' in name for name in found)


def test_passwords_are_not_told():
    assert without_password('http://me:secret@host:5000/x') == 'http://host:5000/x'


@needs_mlflow
def test_a_store_holds_parameters_metrics_and_files(measured, store, capsys, monkeypatch):
    from mlflow import MlflowClient

    folder, summary = measured
    assert main(['evaluate', 'bag', '--mlflow', store, '--out', str(folder), '--replace']) == 0
    run_id = capsys.readouterr().out.rsplit('mlflow run: ', 1)[1].strip()
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')  # to read it
    client = MlflowClient(tracking_uri=store)
    run = client.get_run(run_id)
    assert run.info.status == 'FINISHED' and run.info.run_name == 'run'
    assert run.data.metrics == pytest.approx(metrics_of(summary))
    assert run.data.params == parameters_of(summary)
    assert {item.path for item in client.list_artifacts(run_id)} == {'summary.json', 'report.html'}
    stored = client.download_artifacts(run_id, 'summary.json', str(folder))
    with open(stored, encoding='utf-8') as file:
        assert json.load(file)['headline'] == summary['headline']


@needs_mlflow
def test_a_second_run_goes_to_the_same_experiment(finished, store, monkeypatch):
    from mlflow import MlflowClient

    ids = {send_run(*finished, store) for _ in range(2)}
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    client = MlflowClient(tracking_uri=store)
    (experiment,) = [each for each in client.search_experiments() if each.name == 'posegrasp']
    assert len(ids) == 2 and '' not in ids
    assert {run.info.run_id for run in client.search_runs([experiment.experiment_id])} == ids


@needs_mlflow
@pytest.mark.parametrize('uri', ['http://me:secret@127.0.0.1:9/', 'nonsense://nowhere', 'file:///proc/none'])
def test_what_cannot_be_reached_costs_a_warning_and_not_the_run(measured, uri, caplog, monkeypatch):
    monkeypatch.setenv('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '0')
    with caplog.at_level(logging.WARNING):
        assert main(['evaluate', 'bag', '--mlflow', uri, '--out', str(measured[0]), '--replace']) == 0
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith('mlflow: ')]
    assert 'could not send' in line and 'secret' not in line


@needs_mlflow
def test_an_upload_that_breaks_off_is_a_failed_run(finished, store, caplog, monkeypatch):
    from mlflow import MlflowClient

    (finished[0] / 'report.html').unlink()
    assert send_run(*finished, store) == ''
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    client = MlflowClient(tracking_uri=store)
    (run,) = client.search_runs([client.get_experiment_by_name('posegrasp').experiment_id])
    assert run.info.status == 'FAILED' and 'could not send' in caplog.text


def test_without_mlflow_one_line_comes_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mlflow', None)
    out = str(tmp_path / 'run')
    assert main(['evaluate', str(tmp_path / 'bag'), '--mlflow', 'file:mlruns', '--out', out]) == 2
    error = capsys.readouterr().err
    assert "this needs mlflow: pip install '.[mlflow]'" in error and error.count('\n') == 1
    assert not (tmp_path / 'run').exists()
