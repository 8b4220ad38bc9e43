# SPDX-License-Identifier: Apache-2.0
"""PackedImage: fields of a live or recorded image message; BitDepth: bit depth of a stream of 16-bit images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.sensing.compressed_depth import decode_compressed_depth
from posegrasp_ros.sensing.compressed_images import compressed_bits, decode_compressed
from posegrasp_ros.sensing.images import (
    ByteData,
    ImageError,
    check_registered,
    decode_depth,
    decode_image,
    used_bits,
)


class PackedImage(NamedTuple):
    """Fields of a sensor_msgs/Image; for a CompressedImage only data, format and frame.

    :param bits: bit depth of its 16-bit values, see :class:`BitDepth`; None if unknown
    """

    data: ByteData
    encoding: str = ''
    width: int = 0
    height: int = 0
    step: int = 0
    is_bigendian: int = 0
    format: str = ''
    bits: int | None = None
    frame_id: str = ''

    @classmethod
    def of(cls, message: Any) -> PackedImage:
        """From an image message of rclpy or rosbags."""
        if isinstance(message, cls):
            return message
        if hasattr(message, 'encoding'):
            return cls(message.data, message.encoding, message.width, message.height, message.step,
                       message.is_bigendian, frame_id=message.header.frame_id)
        return cls(message.data, format=message.format, frame_id=message.header.frame_id)

    def decode(self) -> np.ndarray:
        """(H, W, 3) uint8 blue green red.

        :raises ImageError: when it cannot be decoded
        """
        if self._is_raw:
            return decode_image(*self._layout, bool(self.is_bigendian), self.bits)
        return decode_compressed(self.data, self.format, self.bits)

    def depth(self) -> np.ndarray:
        """(H, W) float32 metres, NaN where unknown.

        :raises ImageError: when it cannot be decoded
        """
        if self._is_raw:
            return decode_depth(*self._layout, bool(self.is_bigendian))
        return decode_compressed_depth(self.data, self.format)

    def used_bits(self) -> int | None:
        """The bit depth of 16-bit values; None for other images.

        :raises ImageError: when it cannot be decoded
        """
        if self._is_raw:
            return used_bits(*self._layout, bool(self.is_bigendian))
        return compressed_bits(self.data)

    @property
    def _is_raw(self) -> bool:
        return bool(self.encoding or self.width or self.height)

    @property
    def _layout(self) -> tuple[str, int, int, int, Any]:
        return self.encoding, self.width, self.height, self.step, self.data


class BitDepth:
    """Bit depth of a stream of 16-bit images: the largest depth of any image so far.

    A 12-bit camera with 16-bit messages is recognised by its values. As the depth never decreases, equal values
    keep equal brightness from image to image, except for dark images at the start.

    :param say: called with a log line for each new depth
    """

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._bits = 0

    def noted(self, image: PackedImage) -> PackedImage:
        """The image, with the bit depth set where it has 16-bit values."""
        try:
            used = image.used_bits()
        except ImageError:
            return image  # reported when it is decoded
        if used is None:
            return image
        if used > self._bits:
            self._bits = used
            self._say(f'{image.encoding or image.format}: {used} of 16 bits are in use; brightness is scaled from '
                      f'{used} to 8 bits')
        return image._replace(bits=self._bits)


def depth_of(message: Any) -> np.ndarray:
    """(H, W) float32 metres, NaN where unknown, of a raw or compressed message of rclpy or rosbags.

    :raises ImageError: when it cannot be decoded
    """
    return PackedImage.of(message).depth()


def registered_depth(message: Any, width: int, height: int) -> np.ndarray:
    """Depth for a camera image of the given size.

    :param message: with the fields of sensor_msgs/Image or CompressedImage, of rclpy or rosbags
    :return: (height, width) float32 metres, NaN where unknown
    :raises ImageError: when it cannot be decoded or has another size
    """
    depth_m = depth_of(message)
    check_registered(depth_m, width, height)
    return depth_m
