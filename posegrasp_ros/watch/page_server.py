# SPDX-License-Identifier: Apache-2.0
"""PageServer: a page for browsers on this machine, and the connections to it; it has a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from importlib.resources import files
from threading import Event, Thread
from typing import Any

from aiohttp import WSCloseCode, web

from posegrasp_ros.watch.page_guard import PageGuard, is_wildcard
from posegrasp_ros.watch.served_page import PageLine, ServedPage
from posegrasp_ros.watch.watch_error import WatchError

DEFAULT_PORT = 8470
MOST_CONNECTIONS = 64
"""Beyond these the oldest that has no WebSocket is closed."""
IDLE_S, ALIVE_EVERY_S = 10.0, 20.0
"""After which a connection without a WebSocket is closed; how often a page is asked whether it is there."""
TYPES = {'html': 'text/html', 'js': 'text/javascript', 'css': 'text/css'}
HEADERS = {
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: "
                               "data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store',
    'Cross-Origin-Resource-Policy': 'same-origin'}


class PageServer:
    """Serves the page until it is closed.

    :param page: what it shows
    :param host: address or name to listen on
    :param port: None for :data:`DEFAULT_PORT`, or a free one where that is taken; 0 for a free one
    :raises WatchError: when it cannot listen there
    """

    def __init__(self, page: ServedPage, host: str = '127.0.0.1', port: int | None = None):
        if not host:
            raise WatchError('page: expected an address of this machine to listen on, got an empty one')
        # a name of two addresses would have a free port on each
        host = '127.0.0.1' if host.lower() == 'localhost' else host
        self._page, self._guard, self._host, self._asked_port = page, PageGuard.of(host), host, port
        folder = files('posegrasp_ros.watch') / 'templates'
        self._files = {name: (folder / name).read_bytes() for name in page.files}
        self._lines: set[PageLine] = set()
        self._opened: dict[web.RequestHandler, float] = {}
        self._showing: set[object] = set()
        self._loop = asyncio.new_event_loop()
        self._ends = asyncio.Event()
        self._is_ready, self._failure = Event(), ''
        self._port = 0
        self._thread = Thread(target=self._run, name='posegrasp-page', daemon=True)
        self._thread.start()
        self._is_ready.wait()
        if self._failure:
            self._thread.join()
            raise WatchError(self._failure)

    @property
    def url(self) -> str:
        """Of the page, with the token where there is one."""
        host = '127.0.0.1' if is_wildcard(self._host) else self._host
        return f'http://{f"[{host}]" if ":" in host else host}:{self._port}{self._guard.root}'

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._opened)

    @property
    def pages(self) -> int:
        """How many of them have a WebSocket."""
        return len(self._lines)

    def close(self) -> None:
        """Close all connections and the server."""
        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10.0)
        self._page.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._is_ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1024)
        app.router.add_route('*', '/{path:.*}', self._answer)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=IDLE_S,
                               shutdown_timeout=1.0)
        await runner.setup()
        try:
            server = await self._listen(lambda: self._connection(runner))
        except (OSError, OverflowError) as error:
            self._failure = (f'{self._host}, port {self._asked_port or DEFAULT_PORT}: expected an address of this '
                             f'machine and a free port: {error.strerror if isinstance(error, OSError) else error}')
            await runner.cleanup()
            return
        self._port = server.sockets[0].getsockname()[1]
        self._page.begin(self._loop)
        self._is_ready.set()
        sweeping = asyncio.create_task(self._sweep())
        await self._ends.wait()
        sweeping.cancel()
        server.close()
        for line in tuple(self._lines):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(line.socket.close(code=WSCloseCode.GOING_AWAY), 1.0)
        await runner.cleanup()
        for handler in tuple(self._opened):
            _abort(handler)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _listen(self, connection: Callable[[], Any]) -> asyncio.Server:
        port = DEFAULT_PORT if self._asked_port is None else self._asked_port
        try:
            return await self._loop.create_server(connection, self._host, port, backlog=128)
        except OSError:
            if self._asked_port is not None:
                raise
            return await self._loop.create_server(connection, self._host, 0, backlog=128)

    def _connection(self, runner: web.AppRunner) -> web.RequestHandler:
        """A new connection; too many are told by the time that they last, and by whether they have a
        WebSocket."""
        self._drop_closed()
        idle = [handler for handler in self._opened if handler not in self._showing]
        if len(self._opened) >= MOST_CONNECTIONS and idle:
            self._opened.pop(idle[0])
            _abort(idle[0])
        assert runner.server is not None
        handler = runner.server()
        self._opened[handler] = self._loop.time()
        return handler

    async def _sweep(self) -> None:
        """Close what was opened long ago and has no WebSocket: the page's files take no time to fetch."""
        while True:
            await asyncio.sleep(1.0)
            self._drop_closed()
            for handler, opened_s in tuple(self._opened.items()):
                if handler not in self._showing and self._loop.time() - opened_s > IDLE_S:
                    self._opened.pop(handler)
                    _abort(handler)

    def _drop_closed(self) -> None:
        now_s = self._loop.time()
        for handler, opened_s in tuple(self._opened.items()):
            if handler.transport is None and now_s > opened_s:
                self._opened.pop(handler)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """The answer to any request."""
        headers = request.headers
        refused = self._guard.refusal(headers.getall('Host', []), headers.getall('Origin', []))
        if refused:
            return _text(403, f'{refused}: not from here')
        name = self._guard.name(request.path)
        if name is None:
            return _text(403, 'expected the address as it was printed')
        if request.method != 'GET':
            return _text(405, 'expected GET')
        if name == self._page.socket:
            return await self._talk(request)
        name = name or self._page.files[0]
        if name not in self._files:
            return _text(404, 'there is no such page')
        return web.Response(body=self._files[name], content_type=TYPES[name.rpartition('.')[2]], charset='utf-8',
                            headers=HEADERS)

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        """A page's WebSocket."""
        socket = web.WebSocketResponse(heartbeat=ALIVE_EVERY_S, max_msg_size=1024, compress=False, timeout=1.0)
        if not socket.can_prepare(request).ok:
            return _text(400, 'expected a WebSocket')
        if len(self._lines) >= self._page.most:
            return _text(503, f'expected {self._page.most} pages at most')
        line = PageLine(socket, request.transport)
        # before anything is waited for, so that no more of them get in
        self._lines.add(line)
        self._showing.add(request.protocol)
        try:
            await socket.prepare(request)
            await self._page.talk(line)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        finally:
            self._lines.discard(line)
            self._showing.discard(request.protocol)
        return socket


def _text(status: int, text: str) -> web.Response:
    """A short answer, after which the connection is closed."""
    response = web.Response(status=status, text=text + '\n', headers=HEADERS)
    response.force_close()
    return response


def _abort(handler: web.RequestHandler) -> None:
    if handler.transport is not None:
        handler.transport.abort()
