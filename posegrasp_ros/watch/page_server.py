# SPDX-License-Identifier: Apache-2.0
"""PageServer: the page with the newest frame, on this machine.

The server has a thread of its own, and the loop only tells it that there is a new frame. Pictures are drawn and
encoded when a page asks for one: each page asks for the next when it has shown the last, so that a slow one misses
frames and nothing queues up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from threading import Event, Thread
from typing import Any

import cv2
from aiohttp import WSCloseCode, WSMsgType, web

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.watch.newest_frame import NewestFrame
from posegrasp_ros.watch.page_guard import PageGuard, is_wildcard
from posegrasp_ros.watch.saved_pictures import Draws
from posegrasp_ros.watch.snapshots import Snapshots
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watched_frame import WatchedFrame

DEFAULT_PORT = 8470
MOST_PAGES, MOST_CONNECTIONS = 8, 64
"""Pages that are shown frames, and connections; beyond the latter the oldest that shows none is closed."""
IDLE_S, PATIENCE_S, ALIVE_EVERY_S = 10.0, 30.0, 20.0
"""After which a connection that is no page is closed, and a page that has not shown the last frame; how often a
page is asked whether it is there."""
JPEG_QUALITY = 85
TYPES = {'index.html': 'text/html', 'watch.js': 'text/javascript', 'watch.css': 'text/css'}
HEADERS = {
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: "
                               "data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store',
    'Cross-Origin-Resource-Policy': 'same-origin'}


class PageServer:
    """Serves the page until it is closed.

    :param newest: the frames
    :param greeting: the first message to every page
    :param describes: the message of a frame
    :param draws: its picture
    :param host: address or name to listen on
    :param port: None for :data:`DEFAULT_PORT`, or a free one where that is taken; 0 for a free one
    :raises WatchError: when it cannot listen there
    """

    def __init__(self, newest: NewestFrame, greeting: dict[str, Any], describes: Callable[[WatchedFrame], dict],
                 draws: Draws, snapshots: Snapshots, host: str = '127.0.0.1', port: int | None = None):
        self._newest, self._greeting, self._snapshots = newest, greeting, snapshots
        self._describes, self._draws = describes, draws
        if not host:
            raise WatchError('page: expected an address of this machine to listen on, got an empty one')
        # a name of two addresses would have a free port on each
        host = '127.0.0.1' if host.lower() == 'localhost' else host
        self._guard, self._host, self._asked_port = PageGuard.of(host), host, port
        folder = files('posegrasp_ros.watch') / 'templates'
        self._files = {name: (folder / name).read_bytes() for name in TYPES}
        self._pages: set[_Page] = set()
        self._opened: dict[web.RequestHandler, float] = {}
        self._showing: set[object] = set()
        self._encoded: tuple[WatchedFrame | None, bool, bytes] = (None, False, b'')
        self._encoder = ThreadPoolExecutor(1, 'posegrasp-page')
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
        newest.wake(self._wake)

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
        """How many of them show frames."""
        return len(self._pages)

    def close(self) -> None:
        """Close all connections and the server."""
        self._newest.wake(lambda: None)
        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10.0)
        self._encoder.shutdown(cancel_futures=True)

    def _wake(self) -> None:
        """Tell the pages of a new frame; in the loop's thread."""
        if self._pages:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_pages)

    def _wake_pages(self) -> None:
        for page in self._pages:
            page.woken.set()

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
        self._is_ready.set()
        sweeping = asyncio.create_task(self._sweep())
        await self._ends.wait()
        sweeping.cancel()
        server.close()
        for page in tuple(self._pages):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(page.socket.close(code=WSCloseCode.GOING_AWAY), 1.0)
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
        """A new connection; too many are told by the time that they last, and by whether they show frames."""
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
        """Close what was opened long ago and shows no frames: the page's files take no time to fetch."""
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
        if name == 'frames':
            return await self._show(request)
        name = name or 'index.html'
        if name not in self._files:
            return _text(404, 'there is no such page')
        return web.Response(body=self._files[name], content_type=TYPES[name], charset='utf-8', headers=HEADERS)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        """A page's stream of frames."""
        socket = web.WebSocketResponse(heartbeat=ALIVE_EVERY_S, max_msg_size=1024, compress=False, timeout=1.0)
        if not socket.can_prepare(request).ok:
            return _text(400, 'expected a WebSocket')
        if len(self._pages) >= MOST_PAGES:
            return _text(503, f'expected {MOST_PAGES} pages at most')
        page = _Page(socket, request.transport, self._loop.time())
        # before anything is waited for, so that no more of them get in
        self._pages.add(page)
        self._showing.add(request.protocol)
        sending: asyncio.Task | None = None
        try:
            await socket.prepare(request)
            await page.send(json.dumps(self._greeting))
            sending = asyncio.create_task(self._send_frames(page))
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    break
                await self._hear(page, message.data)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        finally:
            self._pages.discard(page)
            self._showing.discard(request.protocol)
            if sending:
                sending.cancel()
        return socket

    async def _hear(self, page: _Page, text: str) -> None:
        """What a page says: ``next`` when it has shown a frame, ``snapshot N`` of one that it shows."""
        word, _, number = text.partition(' ')
        if word == 'next':
            page.is_waiting = True
            page.woken.set()
        elif word == 'snapshot':
            shown = [frame for frame in page.sent if str(frame.number) == number]
            if shown:
                await page.send(json.dumps({'kind': 'snapshot', **await self._kept(shown[0])}))

    async def _kept(self, frame: WatchedFrame) -> dict[str, str]:
        try:
            path = await self._loop.run_in_executor(self._encoder, self._snapshots.keep, frame)
        except (InvalidInputError, OSError) as error:
            return {'problem': str(error)}
        return {'path': str(path)}

    async def _send_frames(self, page: _Page) -> None:
        """Send the newest frame whenever the page is ready for one that it does not have."""
        try:
            while True:
                left_s = None if page.is_waiting else page.sent_s + PATIENCE_S - self._loop.time()
                await asyncio.wait_for(page.woken.wait(), left_s)
                page.woken.clear()
                frame, is_over = self._newest.frame, self._newest.is_over
                if frame is None or not page.is_waiting or page.last == (frame.number, is_over):
                    continue
                data = await self._message(frame, is_over)
                page.last, page.is_waiting, page.sent_s = (frame.number, is_over), False, self._loop.time()
                page.sent.append(frame)
                await page.send(data)
        except (ConnectionError, RuntimeError, asyncio.TimeoutError):  # gone, or too slow
            if page.transport is not None:
                page.transport.abort()

    async def _message(self, frame: WatchedFrame, is_over: bool) -> bytes:
        """Length of the JSON, the JSON, the JPEG; made once for all pages."""
        if self._encoded[0] is not frame or self._encoded[1] != is_over:
            data = await self._loop.run_in_executor(self._encoder, self._encode, frame, is_over)
            self._encoded = frame, is_over, data
        return self._encoded[2]

    def _encode(self, frame: WatchedFrame, is_over: bool) -> bytes:
        text = json.dumps({**self._describes(frame), 'is_over': is_over}).encode()
        picture = self._draws(frame)
        image = b''
        if picture is not None:
            image = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        return struct.pack('>I', len(text)) + text + image


class _Page:
    """A page that shows frames.

    :param transport: of its connection
    :param sent_s: when the last frame was sent
    :ivar is_waiting: whether it has shown the last frame
    :ivar last: number of the last frame, and whether the source was over
    :ivar sent: the last ones, for snapshots
    """

    def __init__(self, socket: web.WebSocketResponse, transport: Any, sent_s: float):
        self.socket, self.transport, self.woken = socket, transport, asyncio.Event()
        self.is_waiting, self.last, self.sent_s = False, (0, False), sent_s
        self.sent: deque[WatchedFrame] = deque(maxlen=2)
        self._lock = asyncio.Lock()

    async def send(self, data: str | bytes) -> None:
        """Send a message.

        :raises asyncio.TimeoutError: when the page takes nothing in
        """
        async with self._lock:
            sent = self.socket.send_str(data) if isinstance(data, str) else self.socket.send_bytes(data)
            await asyncio.wait_for(sent, PATIENCE_S)


def _text(status: int, text: str) -> web.Response:
    """A short answer, after which the connection is closed."""
    response = web.Response(status=status, text=text + '\n', headers=HEADERS)
    response.force_close()
    return response


def _abort(handler: web.RequestHandler) -> None:
    if handler.transport is not None:
        handler.transport.abort()
