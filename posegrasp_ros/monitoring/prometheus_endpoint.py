# SPDX-License-Identifier: Apache-2.0
"""PrometheusEndpoint: the monitor's metrics over HTTP, for dashboards and alerts.

The server is not prometheus_client's ``start_http_server``, which keeps a thread for every stalled client (60
clients, 60 threads) and takes the address ``0`` for all interfaces.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import socket
import socketserver
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.liveness import ERROR, OK, STALE, WARN, Health
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

AVAILABLE = importlib.util.find_spec('prometheus_client') is not None
# Values of DiagnosticStatus.
LEVELS = {OK: 0, WARN: 1, ERROR: 2, STALE: 3}
MOST_TEXTS, OTHER = 50, 'other'
LOOPBACK = '127.0.0.1'
MOST_CLIENTS, CLIENT_WITHIN_S = 8, 5.0
VERDICTS = {'better': 1, 'inconclusive': 0, 'worse': -1}
LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class PrometheusError(InvalidInputError):
    """An endpoint that cannot be opened."""


class PrometheusEndpoint:
    """Serves ``/metrics`` from a separate thread until closed.

    :param port: 0 for any free port
    :param address: of the network interface; empty or ``127.0.0.1`` for this machine only, ``0.0.0.0`` for all
    :raises PrometheusError: when prometheus_client is not installed, or the address cannot be bound
    """

    def __init__(self, port: int, address: str = '127.0.0.1'):
        if not AVAILABLE:
            raise PrometheusError('prometheus_client: not installed; expected it for the Prometheus endpoint: '
                                  'pip install prometheus_client, or leave prometheus_port at 0')
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, make_wsgi_app
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._images = Counter('posegrasp_images', 'Images received from the camera.', registry=registry)
        self._reports = Counter('posegrasp_reports', 'Stage reports; the reason is empty if the stage answered.',
                                ('stage', 'reason', 'object'), registry=registry)
        self._latency = Histogram('posegrasp_latency_seconds', 'Processing time of a stage for one input.',
                                  ('stage', 'object'), buckets=LATENCY_BUCKETS_S, registry=registry)
        self._health = Gauge('posegrasp_health', '0 ok, 1 warning, 2 error, 3 stale.', ('task',),
                             registry=registry)
        self._metric = Gauge('posegrasp_metric', 'Value of a metric in this run so far.',
                             ('metric', 'unit', 'object'),
                             registry=registry)
        self._verdict = Gauge('posegrasp_verdict', '1 better than the baseline, 0 inconclusive, -1 worse.',
                              ('metric', 'baseline', 'kind', 'object'), registry=registry)
        self._reasons: set[str] = set()
        self._objects: set[str] = set()
        self._server = _open(address or LOOPBACK, port, make_wsgi_app(registry))
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Address of the network interface that it listens on."""
        return str(self._server.server_address[0])

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return self._server.server_port

    def image(self) -> None:
        """Count an image."""
        self._images.inc()

    def report(self, report: StageReport) -> None:
        """Count a stage report."""
        reason = '' if report.ok else _known(report.reason, self._reasons)
        name = _known(report.object, self._objects)
        self._reports.labels(report.stage, reason, name).inc()
        if 'latency_ms' in report.numbers:
            self._latency.labels(report.stage, name).observe(report.numbers['latency_ms'] / 1000)

    def health(self, healths: Iterable[Health]) -> None:
        """Set the current health of all tasks."""
        for health in healths:
            self._health.labels(health.task).set(LEVELS[health.level])

    def verdicts(self, verdicts: Iterable[dict]) -> None:
        """Set metrics and verdicts, from items of a summary's ``verdicts``."""
        for item in verdicts:
            name = item.get('object', '')
            self._verdict.labels(item['metric'], item['entry'], item['kind'], name).set(VERDICTS[item['verdict']])
            if item['value'] is not None:
                self._metric.labels(item['metric'], item['unit'], name).set(item['value'])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves each client in a thread; beyond :data:`MOST_CLIENTS` the oldest connection is dropped."""

    daemon_threads = True

    def __init__(self, *arguments: Any):
        self._open: dict[int, socket.socket] = {}
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open[id(request)] = request
        if len(self._open) > MOST_CLIENTS:
            _, oldest = next(iter(self._open.items()))
            self._drop(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(id(request), None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""

    def _drop(self, request: socket.socket) -> None:
        """Close a connection; its thread, which waits for data, then ends."""
        self._open.pop(id(request), None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    """Handler without an access log and with a time limit for slow clients."""

    timeout = CLIENT_WITHIN_S

    def log_message(self, *_: object) -> None:
        """Do not write to the terminal."""


def _known(text: str, known: set[str]) -> str:
    """The text of a report, or :data:`OTHER` if there are too many, as each creates a separate time series."""
    if text not in known and len(known) >= MOST_TEXTS:
        return OTHER
    known.add(text)
    return text


def _open(address: str, port: int, application: Any) -> WSGIServer:
    try:
        # Rejects host names, and short forms such as 0, which would mean all interfaces.
        server = _Server6 if ipaddress.ip_address(address).version == 6 else _Server
        return make_server(address, port, application, server, _Silent)
    except (OSError, OverflowError, ValueError) as error:
        raise PrometheusError('prometheus: expected the IP address of a network interface, such as '
                              f'{LOOPBACK}, and a free port, got {quoted(address)} and {port}: {error}') from error


def open_endpoint(port: int, address: str, complain: Callable[[str], object]) -> PrometheusEndpoint | None:
    """The endpoint, where one is asked for and can be had.

    :param port: 0 for none
    :param complain: logs a line
    """
    if not port:
        return None
    try:
        return PrometheusEndpoint(port, address)
    except PrometheusError as error:
        complain(f'{error}; the node goes on without it')
        return None
