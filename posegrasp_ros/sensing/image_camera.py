# SPDX-License-Identifier: Apache-2.0
"""ImageCamera: intrinsics for images that come without any, from a file or assumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.camera_info_file import load_camera
from posegrasp_ros.sensing.joined_camera import UnusableCameraError


@dataclass(frozen=True)
class ImageCamera:
    """The camera of images without camera_info.

    :param file: of its calibration, see :func:`posegrasp_ros.geometry.camera_info_file.load_camera`; None for a
        pinhole camera
    :param field_of_view_rad: horizontal, of the pinhole camera
    :raises CameraError: when the file cannot be used
    """

    file: Path | None
    field_of_view_rad: float

    def __post_init__(self) -> None:
        _ = self._stated

    def __reduce__(self) -> tuple:
        """For other processes, which read the file again: the cache cannot be sent."""
        return ImageCamera, (self.file, self.field_of_view_rad)

    @cached_property
    def _stated(self) -> Camera | None:
        return None if self.file is None else load_camera(self.file)

    @cached_property
    def of_image(self) -> Callable[[int, int], Camera]:
        """The camera of an image of a width and height, kept: so is what projection computes with it."""
        return lru_cache(maxsize=8)(self._of_image)

    @property
    def line(self) -> str:
        """What is taken for the camera, for people."""
        if self._stated is None:
            return (f'assumed a lens without distortion, {math.degrees(self.field_of_view_rad):g} degrees wide '
                    '(--hfov); distances are as wrong as this is: --camera FILE takes a calibration')
        return f'{self.file}, {self._stated.width}x{self._stated.height}'

    def _of_image(self, width: int, height: int) -> Camera:
        """The camera of an image of this size; a calibration also holds for images scaled as a whole.

        :raises UnusableCameraError: when the calibration is of an image of another shape
        """
        stated = self._stated
        if stated is None:
            return Camera.from_field_of_view(width, height, self.field_of_view_rad)
        if (stated.width, stated.height) == (width, height):
            return stated
        if stated.width * height != stated.height * width:
            raise UnusableCameraError('size_mismatch', f'{self.file}: expected the calibration of images of '
                                      f'{width}x{height}, got one of {stated.width}x{stated.height}')
        return stated.resized(width, height)
