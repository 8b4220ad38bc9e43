# SPDX-License-Identifier: Apache-2.0
"""FramePage: the page with the newest frame.

The loop only tells it that there is a new frame. Pictures are drawn and encoded when a page asks for one: each
page asks for the next when it has shown the last, so that a slow one misses frames and nothing queues up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
from aiohttp import WSMsgType

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.watch import served_page
from posegrasp_ros.watch.newest_frame import NewestFrame
from posegrasp_ros.watch.page_message import packed
from posegrasp_ros.watch.saved_pictures import Draws
from posegrasp_ros.watch.served_page import PageLine
from posegrasp_ros.watch.snapshots import Snapshots
from posegrasp_ros.watch.watched_frame import WatchedFrame

JPEG_QUALITY = 85


class FramePage:
    """Shows frames as they come.

    :param newest: the frames
    :param greeting: the first message to every page
    :param describes: the message of a frame
    :param draws: its picture
    """

    files: tuple[str, ...] = ('index.html', 'page.js', 'watch.js', 'watch.css')
    socket, most = 'frames', 8

    def __init__(self, newest: NewestFrame, greeting: dict[str, Any], describes: Callable[[WatchedFrame], dict],
                 draws: Draws, snapshots: Snapshots):
        self._newest, self._greeting, self._snapshots = newest, greeting, snapshots
        self._describes, self._draws = describes, draws
        self._shown_on: set[_Shown] = set()
        self._encoded: tuple[WatchedFrame | None, bool, bytes] = (None, False, b'')
        self._encoder = ThreadPoolExecutor(1, 'posegrasp-page')
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """See :class:`posegrasp_ros.watch.served_page.ServedPage`."""
        self._loop = loop
        self._newest.wake(self._wake)

    def close(self) -> None:
        """See :class:`posegrasp_ros.watch.served_page.ServedPage`."""
        self._newest.wake(lambda: None)
        self._encoder.shutdown(cancel_futures=True)

    def _wake(self) -> None:
        """Tell the pages of a new frame; in the watching loop's thread."""
        if self._shown_on and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed already
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for shown in self._shown_on:
            shown.woken.set()

    async def talk(self, line: PageLine) -> None:
        """A page's stream of frames."""
        shown = _Shown(line, asyncio.get_running_loop().time())
        self._shown_on.add(shown)
        sending: asyncio.Task | None = None
        try:
            await line.send(json.dumps(self._greeting))
            sending = asyncio.create_task(self._send_frames(shown))
            async for message in line.socket:
                if message.type != WSMsgType.TEXT:
                    break
                await self._hear(shown, message.data)
        finally:
            self._shown_on.discard(shown)
            if sending:
                sending.cancel()

    async def _hear(self, shown: _Shown, text: str) -> None:
        """What a page says: ``next`` when it has shown a frame, ``snapshot N`` of one that it shows."""
        word, _, number = text.partition(' ')
        if word == 'next':
            shown.is_waiting = True
            shown.woken.set()
        elif word == 'snapshot':
            found = [frame for frame in shown.sent if str(frame.number) == number]
            if found:
                await shown.line.send(json.dumps({'kind': 'snapshot', **await self._kept(found[0])}))

    async def _kept(self, frame: WatchedFrame) -> dict[str, str]:
        try:
            path = await asyncio.get_running_loop().run_in_executor(self._encoder, self._snapshots.keep, frame)
        except (InvalidInputError, OSError) as error:
            return {'problem': str(error)}
        return {'path': str(path)}

    async def _send_frames(self, shown: _Shown) -> None:
        """Send the newest frame whenever the page is ready for one that it does not have."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                left_s = None if shown.is_waiting else shown.sent_s + served_page.PATIENCE_S - clock()
                await asyncio.wait_for(shown.woken.wait(), left_s)
                shown.woken.clear()
                frame, is_over = self._newest.frame, self._newest.is_over
                if frame is None or not shown.is_waiting or shown.last == (frame.number, is_over):
                    continue
                data = await self._message(frame, is_over)
                shown.last, shown.is_waiting, shown.sent_s = (frame.number, is_over), False, clock()
                shown.sent.append(frame)
                await shown.line.send(data)
        except (ConnectionError, RuntimeError, asyncio.TimeoutError):  # gone, or too slow
            shown.line.abort()

    async def _message(self, frame: WatchedFrame, is_over: bool) -> bytes:
        """Length of the JSON, the JSON, the JPEG; made once for all pages."""
        if self._encoded[0] is not frame or self._encoded[1] != is_over:
            encoding = asyncio.get_running_loop().run_in_executor(self._encoder, self._encode, frame, is_over)
            self._encoded = frame, is_over, await encoding
        return self._encoded[2]

    def _encode(self, frame: WatchedFrame, is_over: bool) -> bytes:
        text = json.dumps({**self._describes(frame), 'is_over': is_over}).encode()
        picture = self._draws(frame)
        image = b''
        if picture is not None:
            image = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        return packed(text, image)


class _Shown:
    """A page that shows frames.

    :param sent_s: when the last frame was sent
    :ivar is_waiting: whether it has shown the last frame
    :ivar last: number of the last frame, and whether the source was over
    :ivar sent: the last ones, for snapshots
    """

    def __init__(self, line: PageLine, sent_s: float):
        self.line, self.woken = line, asyncio.Event()
        self.is_waiting, self.last, self.sent_s = False, (0, False), sent_s
        self.sent: deque[WatchedFrame] = deque(maxlen=2)
