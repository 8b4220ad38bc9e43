# SPDX-License-Identifier: Apache-2.0
"""Clips of picks in a report: short animated pictures inside the page."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, features

from posegrasp_ros.metrics import formatting
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.runtime.data_files import read_json
from posegrasp_ros.runtime.errors import InvalidInputError

# Pillow can be built without WebP.
FORMAT = 'WEBP' if features.check('webp') else 'GIF'
QUALITY = 55
TIMES_PLAYED = 3
LAST_PICTURE_MS = 1500


@dataclass(frozen=True)
class Clip:
    """A pick.

    :param object: its name
    :param held: whether the object was lifted and held
    :param result: how it ended, one word
    :param caption: which pick it is
    :param animation: data URI
    :param still: data URI of one picture of it, for print and for readers who want no motion
    """

    object: str
    held: bool
    result: str
    caption: str
    animation: str
    still: str

    @property
    def text(self) -> str:
        """How the pick ended."""
        return 'lifted and held' if self.held else formatting.reason(self.result)


def write_clips(path: Path, clips: Sequence[Clip]) -> None:
    """Write clips to a file, whole or not at all.

    :raises OSError: when that is not possible
    """
    write_whole(path, json.dumps([asdict(clip) for clip in clips]))


class ClipError(InvalidInputError):
    """Values that are no clips."""


def read_clips(path: Path) -> list[Clip]:
    """The clips of a file; none where there is no such file.

    :raises InvalidInputError: when it holds something else
    """
    if not path.exists():
        return []
    try:
        return clips_from(read_json(path, InvalidInputError))
    except ClipError as error:
        raise InvalidInputError(f'{path}: {error}') from error


def clips_from(stated: Any) -> list[Clip]:
    """Clips from plain values.

    :raises ClipError: when these are none
    """
    try:
        return [Clip(**each) for each in stated]
    except TypeError as error:
        raise ClipError(f'expected clips of picks, found something else: {error}') from error


def clip_addresses(pictures: Sequence[np.ndarray], rate_hz: float) -> tuple[str, str]:
    """Data URIs of an animation and of a still picture.

    :param pictures: (H, W, 3) uint8 blue green red, at least one
    """
    images = [Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)) for picture in pictures]
    still = _address(images[-1])
    if len(images) == 1:
        return still, still
    durations = [round(1000 / rate_hz)] * (len(images) - 1) + [LAST_PICTURE_MS]
    return _address(images[0], save_all=True, append_images=images[1:], duration=durations,
                    loop=TIMES_PLAYED), still


def _address(image: Image.Image, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=FORMAT, quality=QUALITY, method=4, **options)
    return f'data:image/{FORMAT.lower()};base64,{b64encode(buffer.getvalue()).decode()}'
