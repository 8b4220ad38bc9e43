# SPDX-License-Identifier: Apache-2.0
"""CapturedImage and CalibratedImage: frames of sources that know no camera_info."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.sensing.image_camera import ImageCamera


class CapturedImage(NamedTuple):
    """An image of a camera or a video, decoded already.

    :param image: (H, W, 3) uint8 blue green red
    :param read_ms: what reading and decoding took
    """

    stamp_ns: int
    image: np.ndarray
    camera: ImageCamera
    read_ms: float = 0.0
    scene: int | None = None
    number: int | None = None

    def decode(self) -> BagFrame:
        """The frame with its camera."""
        return BagFrame(self.stamp_ns, self.image, None, decode_ms=self.read_ms).with_camera(self.camera)


class CalibratedImage(NamedTuple):
    """An image that is not decoded yet, with the camera that is stated for it."""

    undecoded: Undecoded
    camera: ImageCamera

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
        return self.undecoded.decode().with_camera(self.camera)
