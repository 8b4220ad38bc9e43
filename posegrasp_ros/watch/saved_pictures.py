# SPDX-License-Identifier: Apache-2.0
"""SavedVideo and SavedImages: pictures of watched frames as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watched_frame import WatchedFrame

Draws = Callable[[WatchedFrame], 'np.ndarray | None']
LIVE_HZ, SLOWEST_HZ, FASTEST_HZ = 15.0, 1.0, 60.0
LONGEST_STILL_S = 5.0
"""Longer gaps between frames are cut to this."""


class SavedVideo:
    """An MP4 file in which time passes as in the source: pictures are repeated where frames are far apart.

    A context manager: at its end the file is complete, however it is left.

    :param rate_hz: of the video; None for that of the first two frames
    :raises WatchError: when the file cannot be written
    """

    def __init__(self, path: Path, draws: Draws, rate_hz: float | None = None):
        if path.suffix.lower() != '.mp4':
            raise WatchError(f'{path}: expected a name that ends in .mp4')
        if not path.parent.is_dir():
            raise WatchError(f'{path}: expected a folder {path.parent} to write it to, found none')
        self._path, self._draws, self._rate_hz = path, draws, rate_hz
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._held: np.ndarray | None = None
        self._stamp_ns, self._time_s, self._written = 0, 0.0, 0

    def __enter__(self) -> SavedVideo:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._write_until(self._written + 1)
        if self._writer:
            self._writer.release()

    def take(self, frame: WatchedFrame) -> None:
        """Add a frame; one whose image cannot be decoded leaves the one before."""
        picture = self._draws(frame)
        if picture is None:
            return
        stamp_ns = frame.frame.stamp_ns
        if self._held is not None:
            step_s = (stamp_ns - self._stamp_ns) / 1e9
            if self._rate_hz is None:
                self._rate_hz = float(np.clip(1 / step_s if step_s > 0 else LIVE_HZ, SLOWEST_HZ, FASTEST_HZ))
            self._time_s += step_s if 0 < step_s <= LONGEST_STILL_S else (
                LONGEST_STILL_S if step_s > 0 else 1 / self._rate_hz)
            self._write_until(round(self._time_s * self._rate_hz))
        self._held, self._stamp_ns = picture, stamp_ns

    def _write_until(self, count: int) -> None:
        """Repeat the picture that is held until the video has so many."""
        while self._written < count and self._held is not None:
            if self._writer is None:
                self._open(self._held)
            assert self._writer is not None
            self._writer.write(_of_size(self._held, self._size))
            self._written += 1

    def _open(self, picture: np.ndarray) -> None:
        height, width = picture.shape[:2]
        self._size = (width - width % 2, height - height % 2)  # codecs halve the colours' resolution
        codec = cv2.VideoWriter.fourcc(*'mp4v')
        self._writer = cv2.VideoWriter(str(self._path), codec, self._rate_hz or LIVE_HZ, self._size)
        if not self._writer.isOpened():
            self._writer = None
            raise WatchError(f'{self._path}: expected a file that OpenCV can write an MP4 video to')


class SavedImages:
    """A folder with a PNG for each frame, named by its number.

    :raises OSError: when the folder cannot be made
    """

    def __init__(self, folder: Path, draws: Draws):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._draws = folder, draws

    def take(self, frame: WatchedFrame) -> None:
        """Write a frame; none for one whose image cannot be decoded."""
        picture = self._draws(frame)
        if picture is not None:
            write_png(self._folder / f'{frame.number:06}.png', picture)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture, quickly rather than small.

    :raises OSError: when the file cannot be written
    """
    done, data = cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise WatchError(f'{path}: expected an image that OpenCV can encode')
    path.write_bytes(data.tobytes())


def _of_size(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture as large as the video, with bars where its shape is another."""
    width, height = size
    if picture.shape[:2] == (height, width):
        return picture
    if 0 <= picture.shape[0] - height <= 1 and 0 <= picture.shape[1] - width <= 1:
        return np.ascontiguousarray(picture[:height, :width])
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = cv2.resize(picture, (max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))))
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas[top:top + inner.shape[0], left:left + inner.shape[1]] = inner
    return canvas
