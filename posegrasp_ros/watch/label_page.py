# SPDX-License-Identifier: Apache-2.0
"""LabelPage: the page on which a person labels frames; one at a time, the newest that is opened."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from aiohttp import WSMsgType

from posegrasp_ros.watch.label_desk import LabelDesk
from posegrasp_ros.watch.served_page import PageLine


class LabelPage:
    """Answers each message of the page in its order.

    :param desk: what does the work, in a thread of its own
    """

    files: tuple[str, ...] = ('label.html', 'page.js', 'label.js', 'watch.css', 'label.css')
    socket, most = 'label', 2

    def __init__(self, desk: LabelDesk):
        self._desk = desk
        self._worker = ThreadPoolExecutor(1, 'posegrasp-label')
        self._line: PageLine | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """See :class:`posegrasp_ros.watch.served_page.ServedPage`."""

    def close(self) -> None:
        """See :class:`posegrasp_ros.watch.served_page.ServedPage`."""
        self._worker.shutdown(cancel_futures=True)

    async def talk(self, line: PageLine) -> None:
        """What one page asks for; a page that was opened before is told that it is no longer the one."""
        before, self._line = self._line, line
        if before is not None:
            await before.socket.close(message=b'opened elsewhere')
        loop = asyncio.get_running_loop()
        try:
            async for message in line.socket:
                if message.type != WSMsgType.TEXT:
                    break
                await line.send(await loop.run_in_executor(self._worker, self._desk.hear, message.data))
        finally:
            if self._line is line:
                self._line = None
