# SPDX-License-Identifier: Apache-2.0
"""What is watched: a camera, a stream, an image, a folder, a video or a recording, opened by one text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2

from posegrasp_ros.datasets.bop_dataset import is_bop_dataset
from posegrasp_ros.datasets.frame import Undecoded
from posegrasp_ros.datasets.frame_sources import Source, SourceOptions, open_source, sourced_frames
from posegrasp_ros.datasets.photographs import SPACING_NS, SUFFIXES, Photograph, is_photograph_folder
from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.watch.video_capture import LiveImages, VideoImages, open_capture
from posegrasp_ros.watch.watch_error import WatchError

VIDEO_SUFFIXES = ('.avi', '.m4v', '.mjpeg', '.mjpg', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.ts', '.webm',
                  '.wmv')
PROTOCOLS = ('http', 'https', 'rtmp', 'rtsp', 'rtsps', 'tcp', 'udp')
BLOCK_NS, ROUND_GAP_NS = 1_000_000_000, 10_000_000_000


class Watchable(NamedTuple):
    """A frame to be watched.

    :param shift_ns: added to the stamp for estimators that remember, as in evaluations
    :param round_ns: the part of it that makes a further round later than the one before
    """

    undecoded: Undecoded
    shift_ns: int = 0
    round_ns: int = 0


@dataclass(frozen=True)
class WatchSource:
    """Where frames come from.

    :param opened: gives the frames from the beginning; None where a live camera has no new one yet
    :param is_live: whether frames that are not taken are gone
    :param camera_line: what the intrinsics are, for people
    :param rate_hz: of the frames; None where it is not known before they come
    :param dropped: how many frames were left out so far
    :param is_recording: whether its frames bring their cameras
    """

    name: str
    opened: Callable[[], Iterable[Watchable | None]]
    is_live: bool
    camera_line: str
    rate_hz: float | None = None
    dropped: Callable[[], int] = field(default=lambda: 0)
    is_recording: bool = False

    def frames(self, over_and_over: bool = False) -> Iterator[Watchable | None]:
        """The frames, once or in endless rounds; each round is later than the one before."""
        round_ns = 0
        for _ in count():
            first_ns, last_ns = None, 0
            for item in self.opened():
                if item is None:
                    yield None
                    continue
                stamp_ns = item.undecoded.stamp_ns + item.shift_ns
                first_ns, last_ns = stamp_ns if first_ns is None else first_ns, max(last_ns, stamp_ns)
                yield item._replace(shift_ns=item.shift_ns + round_ns, round_ns=round_ns)
            if not over_and_over:
                return
            round_ns += last_ns - (first_ns or 0) + ROUND_GAP_NS


def open_watch_source(text: str, camera: ImageCamera, options: SourceOptions,
                      diameter_m: float) -> WatchSource:
    """Open what a text names.

    :param text: number or path of a device, URL, or path of an image, a folder, a video or a recording
    :param camera: for what has no camera_info
    :param options: for recordings
    :param diameter_m: of the object, see :func:`posegrasp_ros.datasets.frame_sources.open_sources`
    :raises WatchError: when it is none of these
    :raises InvalidInputError: when it cannot be read
    """
    protocol = re.match(r'([A-Za-z][A-Za-z0-9+.-]*)://', text)
    if re.fullmatch(r'[0-9]{1,3}', text) and not Path(text).exists():
        return _live(int(text), camera)
    if protocol:
        return _stream(text, protocol[1].lower(), camera)
    path = Path(text)
    if not path.exists():
        raise WatchError(f'{text}: expected the number of a camera, a URL of {", ".join(PROTOCOLS)}, or a file or '
                         'folder that exists, found none')
    if path.is_char_device():
        return _live(text, camera)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(text, camera)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        photograph = Photograph(SPACING_NS, path, camera)
        return WatchSource(text, lambda: [Watchable(photograph)], False, camera.line, 1.0)
    options = replace(options, camera=camera)
    if is_photograph_folder(path) and not is_bop_dataset(path):
        photographs = open_source(path, options, {ONLY: diameter_m})
        return WatchSource(text, lambda: _recorded(photographs), False, camera.line, 1.0)
    last = open_source(path, options, {ONLY: diameter_m})  # what cannot be read is told now

    def reader() -> Source:
        """One of its own for each round, for it remembers where the clock was; it warns of nothing twice."""
        nonlocal last
        before, last = last, open_source(path, options, {ONLY: diameter_m})
        last.warnings[:] = dict.fromkeys([*last.warnings, *before.warnings])
        return last

    return WatchSource(text, lambda: _recorded(reader()), False, 'as recorded', is_recording=True)


def _recorded(reader: Source) -> Iterator[Watchable]:
    """The frames of a reader, with the stamps that evaluations give them."""
    for item in sourced_frames([reader], BLOCK_NS):
        yield Watchable(item.undecoded, item.shift_ns)


def _video(what: str, camera: ImageCamera) -> WatchSource:
    images = VideoImages(what, camera)
    return WatchSource(what, lambda: map(Watchable, images), False, camera.line, images.rate_hz)


def _stream(url: str, protocol: str, camera: ImageCamera) -> WatchSource:
    """A live stream; a video at a URL is played as one in a file."""
    if protocol not in PROTOCOLS:
        raise WatchError(f'{url}: expected a URL of {", ".join(PROTOCOLS)}, got one of {protocol}')
    capture = open_capture(url)
    has_an_end = capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    capture.release()
    return _video(url, camera) if has_an_end else _live(url, camera)


def _live(what: int | str, camera: ImageCamera) -> WatchSource:
    images = LiveImages(what, camera)
    name = f'camera {what}' if isinstance(what, int) else what
    return WatchSource(name, lambda: (None if image is None else Watchable(image) for image in images), True,
                       camera.line, dropped=lambda: images.dropped)
