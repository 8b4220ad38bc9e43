# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import threading
import time
import urllib.request

import pytest

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring import prometheus_endpoint
from posegrasp_ros.monitoring.liveness import ERROR, Health
from posegrasp_ros.monitoring.prometheus_endpoint import (
    AVAILABLE,
    MOST_TEXTS,
    PrometheusEndpoint,
    PrometheusError,
)

needs_client = pytest.mark.skipif(not AVAILABLE, reason='prometheus_client is not installed')


@pytest.fixture
def endpoint():
    endpoint = PrometheusEndpoint(0)
    yield endpoint
    endpoint.close()


def scraped(endpoint: PrometheusEndpoint) -> dict[str, float]:
    """Series with their labels, and values."""
    with urllib.request.urlopen(f'http://127.0.0.1:{endpoint.port}/metrics', timeout=5) as page:
        lines = page.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(' ', 1) for line in lines if line[0] != '#')}


@needs_client
def test_what_is_told_is_what_is_scraped(endpoint):
    for _ in range(3):
        endpoint.image()
    endpoint.report(StageReport(1, 'perception', True, '', {'latency_ms': 40.0}))
    endpoint.report(StageReport(2, 'perception', False, 'no_detection'))
    endpoint.health([Health('planning', ERROR, 'silent')])
    endpoint.verdicts([{'metric': 'recall_1cm_5deg', 'entry': 'stated need', 'kind': 'requirement', 'unit': '1',
                        'value': 0.75, 'verdict': 'worse'}])
    found = scraped(endpoint)
    assert found['posegrasp_images_total'] == 3
    assert found['posegrasp_reports_total{object="",reason="",stage="perception"}'] == 1
    assert found['posegrasp_reports_total{object="",reason="no_detection",stage="perception"}'] == 1
    assert found['posegrasp_latency_seconds_sum{object="",stage="perception"}'] == pytest.approx(0.04)
    assert found['posegrasp_health{task="planning"}'] == 2
    assert found['posegrasp_metric{metric="recall_1cm_5deg",object="",unit="1"}'] == 0.75
    verdict = 'posegrasp_verdict{baseline="stated need",kind="requirement",metric="recall_1cm_5deg",object=""}'
    assert found[verdict] == -1
    assert found['process_resident_memory_bytes'] > 1e6


@needs_client
@pytest.mark.parametrize(('stated', 'expected'), [
    ('', '127.0.0.1'), ('127.0.0.1', '127.0.0.1'), ('0.0.0.0', '0.0.0.0'), ('::1', '::1')])
def test_only_this_machine_is_served_unless_told_otherwise(stated, expected):
    endpoint = PrometheusEndpoint(0, stated)
    endpoint.close()
    assert endpoint.address == expected


@needs_client
@pytest.mark.parametrize('address', ['0', '0x0', ' ', 'somewhere', '127.0.0.1\nforged'])
def test_what_is_no_address_is_refused_in_one_line(address):
    with pytest.raises(PrometheusError, match='expected the IP address of a network interface') as refused:
        PrometheusEndpoint(0, address)
    assert '\n' not in str(refused.value)


@needs_client
def test_many_slow_clients_take_few_threads_and_hold_nobody_up(endpoint):
    before = threading.active_count()
    clients = [socket.create_connection(('127.0.0.1', endpoint.port)) for _ in range(60)]
    for client in clients:
        client.sendall(b'GET /metrics HT')  # and no more
    assert scraped(endpoint)['posegrasp_images_total'] == 0
    deadline_s = time.monotonic() + 5
    while threading.active_count() - before > prometheus_endpoint.MOST_CLIENTS and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() - before <= prometheus_endpoint.MOST_CLIENTS
    for client in clients:
        client.close()


@needs_client
def test_a_port_that_is_taken_is_one_line(endpoint):
    with pytest.raises(PrometheusError, match=f"'127.0.0.1' and {endpoint.port}: "):
        PrometheusEndpoint(endpoint.port)


@needs_client
def test_a_closed_endpoint_frees_its_port():
    endpoint = PrometheusEndpoint(0)
    endpoint.close()
    with socket.socket() as probe:
        assert probe.connect_ex(('127.0.0.1', endpoint.port)) != 0


def test_a_missing_client_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(prometheus_endpoint, 'AVAILABLE', False)
    with pytest.raises(PrometheusError, match='pip install prometheus_client'):
        PrometheusEndpoint(0)


@needs_client
def test_reasons_without_end_make_no_series_without_end(endpoint):
    for number in range(10 * MOST_TEXTS):
        endpoint.report(StageReport(number, 'planning', False, f'reason {number}'))
    found = {name: count for name, count in scraped(endpoint).items() if 'posegrasp_reports_total' in name}
    assert len(found) == MOST_TEXTS + 1 and sum(found.values()) == 10 * MOST_TEXTS
