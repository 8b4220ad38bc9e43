# SPDX-License-Identifier: Apache-2.0
"""Images through OpenCV's VideoCapture: a video from its beginning to its end, or the newest of a live camera."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from threading import Condition, Thread

import cv2
import numpy as np

from posegrasp_ros.runtime.limits import MEGAPIXELS, most_pixels
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.watch.captured_image import CapturedImage
from posegrasp_ros.watch.watch_error import WatchError

LOGGER = logging.getLogger(__name__)
# What libraries say of a stream goes between the lines of the command; set before they are first used.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
ANSWERS_WITHIN_MS = 10_000
ASSUMED_HZ = 30.0
POLL_S, RETRY_S, LOST_AFTER_S = 0.1, 1.0, 30.0
"""How often a live camera is asked for a new image, opened again when lost, and given up."""


def open_capture(what: int | str) -> cv2.VideoCapture:
    """A device by its number, or a file or URL.

    :raises WatchError: when OpenCV cannot open it
    """
    if isinstance(what, int):
        capture = cv2.VideoCapture(what)
    else:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, ANSWERS_WITHIN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                  ANSWERS_WITHIN_MS]
        capture = cv2.VideoCapture(what, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():  # devices by path, and builds of OpenCV without FFmpeg
            capture = cv2.VideoCapture(what)
    if not capture.isOpened():
        kind = f'camera number {what}' if isinstance(what, int) else str(what)
        raise WatchError(f'{kind}: expected a camera, video or stream that OpenCV can open, found none')
    return capture


def _checked(image: np.ndarray, name: str) -> np.ndarray:
    """An image of allowed size."""
    if image.shape[0] * image.shape[1] > most_pixels():
        raise WatchError(f'{name}: expected images of at most {most_pixels() / 1e6:g} megapixels, got '
                         f'{image.shape[1]}x{image.shape[0]}; the environment variable {MEGAPIXELS} sets the '
                         'limit')
    return image


class VideoImages:
    """The images of a video, one after the other, none left out.

    :param what: file or URL
    :raises WatchError: when it is no video
    """

    def __init__(self, what: str, camera: ImageCamera):
        self._what, self._camera = what, camera
        capture = open_capture(what)
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        capture.release()
        self.rate_hz = rate_hz if math.isfinite(rate_hz) and 0 < rate_hz <= 1000 else ASSUMED_HZ

    def __iter__(self) -> Iterator[CapturedImage]:
        capture = open_capture(self._what)
        try:
            number, last_ns = 0, 0
            while True:
                start = time.perf_counter()
                is_read, image = capture.read()
                if not is_read or image is None:
                    break
                read_ms = (time.perf_counter() - start) * 1e3
                stamp_ns = self._stamp_ns(capture, number, last_ns)
                yield CapturedImage(stamp_ns, _checked(image, self._what), self._camera, read_ms, number=number)
                number, last_ns = number + 1, stamp_ns
        finally:
            capture.release()
        if not number:
            raise WatchError(f'{self._what}: expected a video with images, found none that can be decoded')

    def _stamp_ns(self, capture: cv2.VideoCapture, number: int, last_ns: int) -> int:
        """Of the video's own clock, where it goes forwards; the first at one image's duration, above 0."""
        step_ns = round(1e9 / self.rate_hz)
        stamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6) + step_ns
        return stamp_ns if number == 0 or stamp_ns > last_ns else last_ns + step_ns


class LiveImages:
    """The newest image of a camera, whenever it is asked for; those in between are left out.

    Reading has a thread of its own: a camera's queue is never full of old images. A camera that is lost is opened
    again for :data:`LOST_AFTER_S`.

    :param what: number of a device, its path, or a URL
    :param opens: makes the capture
    :ivar dropped: images left out
    :raises WatchError: when it cannot be opened
    """

    def __init__(self, what: int | str, camera: ImageCamera,
                 opens: Callable[[int | str], cv2.VideoCapture] = open_capture):
        self._what, self._camera, self._opens = what, camera, opens
        self._capture: cv2.VideoCapture | None = opens(what)
        self._changed = Condition()
        self._newest: CapturedImage | None = None
        self._is_over, self.dropped = False, 0

    def __iter__(self) -> Iterator[CapturedImage | None]:
        """None where there is no new image yet.

        :raises WatchError: when the camera is lost for good
        """
        reader = Thread(target=self._read, daemon=True)
        reader.start()
        last_s = time.monotonic()
        try:
            while True:
                with self._changed:
                    if self._newest is None:
                        self._changed.wait(POLL_S)
                    image, self._newest = self._newest, None
                if image is not None:
                    last_s = time.monotonic()
                elif time.monotonic() - last_s > LOST_AFTER_S:
                    raise WatchError(f'{self._what}: expected images, there was none for {LOST_AFTER_S:g} s')
                if image is not None:
                    _checked(image.image, str(self._what))
                yield image
        finally:
            self._is_over = True
            reader.join(1.0)  # a read that hangs ends with the process

    def _read(self) -> None:
        while not self._is_over:
            is_read, image = self._capture.read() if self._capture else (False, None)
            stamp_ns = time.time_ns()
            if is_read and image is not None:
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = CapturedImage(stamp_ns, image, self._camera)
                    self._changed.notify()
                continue
            self._reopen()
        if self._capture:
            self._capture.release()

    def _reopen(self) -> None:
        if self._capture:
            LOGGER.warning('%s: no image, opening it again', self._what)
            self._capture.release()
            self._capture = None
        time.sleep(RETRY_S)
        with contextlib.suppress(WatchError):
            self._capture = self._opens(self._what)
