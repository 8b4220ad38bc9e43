# SPDX-License-Identifier: Apache-2.0
"""A fleet on a Ray cluster: all recordings once, also when a node is lost."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('ray', reason='the extra ray is not installed')
pytest.importorskip('pyarrow', reason='the extra fleet is not installed')
pytest.importorskip('duckdb', reason='the extra fleet is not installed')
import ray
from fleet_bags import METHOD, record_fleet
from ray.cluster_utils import Cluster

from posegrasp_ros.cli.main import main
from posegrasp_ros.fleet.fleet_evaluation import evaluate_fleet
from posegrasp_ros.fleet.merged_run import merged_parts
from posegrasp_ros.metrics.baselines.baselines import load_baselines


def merged_metrics(results):
    part, = merged_parts(str(results), load_baselines())
    return json.dumps(part.summary['metrics'], sort_keys=True)


def test_a_local_cluster_does_what_processes_do(tmp_path, monkeypatch):
    monkeypatch.delenv('RAY_ADDRESS', raising=False)
    record_fleet(tmp_path / 'bags')
    pattern = str(tmp_path / 'bags/**/*.mcap')
    for engine in ('local', 'ray'):
        account = evaluate_fleet([pattern], METHOD, str(tmp_path / engine), jobs=2, engine=engine)
        assert len(account.done) == 5 and not account.failures
    assert not ray.is_initialized()
    assert merged_metrics(tmp_path / 'ray') == merged_metrics(tmp_path / 'local')


def test_a_node_that_is_lost_costs_nothing(tmp_path):
    record_fleet(tmp_path / 'bags', 12)
    cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        results = []

        def lose_a_node(result):
            results.append(result)
            if len(results) == 4:
                cluster.remove_node(nodes[0], allow_graceful=False)

        account = evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], METHOD, str(tmp_path / 'results'),
                                 engine='ray', heard=lose_a_node)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert not account.failures
    assert sorted(result.bag for result in account.done) == sorted({result.bag for result in account.done})
    assert len(list((tmp_path / 'results').rglob('*.parquet'))) == 12


def test_an_address_is_for_ray_alone(tmp_path, capsys):
    record_fleet(tmp_path / 'bags', 1)
    assert main(['evaluate', str(tmp_path / 'bags/**/*.mcap'), '--recorded', '--pose-topic', '/pose', '--model',
                 'box', '--shard', '1/1', '--address', 'auto', '--out', str(tmp_path / 'results')]) == 2
    assert '--address: expected with --engine ray, got local' in capsys.readouterr().err
