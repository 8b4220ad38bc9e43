# SPDX-License-Identifier: Apache-2.0
"""CapturedImage and CalibratedImage: frames of sources that know no camera_info."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.sensing.joined_camera import UnusableCameraError
from posegrasp_ros.watch.watched_camera import WatchedCamera


class CapturedImage(NamedTuple):
    """An image of a camera or a video, decoded already.

    :param image: (H, W, 3) uint8 blue green red
    :param read_ms: what reading and decoding took
    """

    stamp_ns: int
    image: np.ndarray
    camera: WatchedCamera
    read_ms: float = 0.0
    scene: int | None = None
    number: int | None = None

    def decode(self) -> BagFrame:
        """The frame with its camera."""
        return with_camera(BagFrame(self.stamp_ns, self.image, None, decode_ms=self.read_ms), self.camera)


class CalibratedImage(NamedTuple):
    """An image file, with the camera that is stated for it."""

    undecoded: Undecoded
    camera: WatchedCamera

    @property
    def stamp_ns(self) -> int:
        return self.undecoded.stamp_ns

    @property
    def scene(self) -> int | None:
        return self.undecoded.scene

    @property
    def number(self) -> int | None:
        return self.undecoded.number

    def decode(self) -> BagFrame:
        """The frame with the stated camera in the place of its own."""
        return with_camera(self.undecoded.decode(), self.camera)


def with_camera(frame: BagFrame, camera: WatchedCamera) -> BagFrame:
    """The frame with a camera; with the reason where it is not that of the image."""
    if frame.image is None:
        return frame
    height, width = frame.image.shape[:2]
    try:
        return replace(frame, camera=camera.of_image(width, height), reason='', problem='')
    except UnusableCameraError as error:
        return replace(frame, camera=None, reason=error.reason, problem=str(error))
