# SPDX-License-Identifier: Apache-2.0
"""ServedPage: what a :class:`posegrasp_ros.watch.page_server.PageServer` shows and talks about by WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from aiohttp import web

PATIENCE_S = 30.0
"""After which a page that takes nothing in is closed."""


class ServedPage(Protocol):
    """A page with its files in the folder ``templates``.

    :ivar files: their names; the first is the page itself
    :ivar socket: what its WebSockets are asked for by
    :ivar most: how many of them there may be
    """

    files: tuple[str, ...]
    socket: str
    most: int

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server is up; called in the thread of this loop."""

    async def talk(self, line: PageLine) -> None:
        """Talk to one page until it is gone."""

    def close(self) -> None:
        """The server is closed; called in any thread."""


class PageLine:
    """The WebSocket to one page.

    :param transport: of its connection
    """

    def __init__(self, socket: web.WebSocketResponse, transport: Any):
        self.socket, self._transport = socket, transport
        self._lock = asyncio.Lock()

    async def send(self, data: str | bytes) -> None:
        """Send a message.

        :raises asyncio.TimeoutError: when the page takes nothing in
        """
        async with self._lock:
            sent = self.socket.send_str(data) if isinstance(data, str) else self.socket.send_bytes(data)
            await asyncio.wait_for(sent, PATIENCE_S)

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()
